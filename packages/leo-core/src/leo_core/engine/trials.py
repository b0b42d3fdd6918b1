"""Default routes: drawing trials, learning from them, and changing a region's default by what was learned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from leo_core.engine.effects import CheckAnswer, Decide, Draw, Learn, Notify, Now
from leo_core.errors import MemberAbstainedError
from leo_core.records import Route, RouteChange
from leo_core.stages.consensus.equivalence import same_answer
from leo_core.stages.route.observations import observe_change, observe_trial
from leo_core.stages.route.standing import find_change
from leo_core.stages.route.trials import TrialTerms

if TYPE_CHECKING:
    from collections.abc import Callable

    from leo_core.engine.effects import Pipeline
    from leo_core.engine.knowledge import Known
    from leo_core.engine.plan import Plan
    from leo_core.ports import Model
    from leo_core.records import Answer, Draft, Observation, Promotion, Request, Usage

__all__ = ["demote_default", "draw_terms", "find_default", "learn_trial", "settle_default"]


def find_default(known: Known, region: int, plan: Plan) -> Promotion | None:
    """The default in force in a region; ``None`` where there is none, or promotion is switched off."""
    return known.promotions.default(region) if plan.config.route.promote else None


def draw_terms(plan: Plan) -> Pipeline[TrialTerms | None]:
    """How trials are drawn; ``None`` without a checker or audits, since agreement among members promotes nobody."""
    rate = min(plan.config.route.trial_rate, plan.config.audit_rate / 2.0)
    reference = Route.LARGE if plan.large is not None else Route.CONSENSUS if len(plan.jury) > 1 else None
    if not (plan.audits and plan.config.route.promote) or rate <= 0.0 or reference is None:
        return None
    coin, pick, arm = yield from Draw(3)
    return TrialTerms(rate=rate, reference=reference, draws=(coin, pick, arm), shows=_list_shown(plan))


def _list_shown(plan: Plan) -> dict[Route, frozenset[Route]]:
    """Whose answers a route shows besides its own, whatever the answers are."""
    jury = {member.id for member in plan.jury}
    whole = plan.config.consensus.early_stop is None
    singles = ((Route.SMALL, plan.small), (Route.LARGE, plan.large))
    voting = {route for route, member in singles if member is not None and member.id in jury and whole}
    return {Route.CASCADE: frozenset({Route.SMALL}), Route.CONSENSUS: frozenset(voting)}


def learn_trial(request: Request, answer: Answer, plan: Plan, *, right: bool) -> Pipeline[None]:
    """Learn what an audited trial showed; nothing where a call failed or the checker cannot tell.

    Where the small member abstained, its way is what was served in its place, at what that cost: otherwise it would be
    judged on the requests that it likes. The record of the route, which is that of the member, does not learn from it.
    """
    trial, taken = answer.decision.trial, answer.decision.route
    abstained = _abstained(answer, plan)
    if trial is None or (answer.failures and not abstained) or (answer.route is not taken and not abstained):
        return
    weight = 0.0 if answer.route is not taken else max(1.0 - plan.config.audit_rate, 0.0)  # its audit counts the rest
    served = (right, _price(answer.usage, plan), weight)
    took = "challenger" if taken is trial.challenger_route else "incumbent"
    outcomes = {took: served}
    if trial.paired:
        other, route = (
            ("incumbent", trial.incumbent_route) if took == "challenger" else ("challenger", trial.challenger_route)
        )
        stands_in = abstained and route is Route.SMALL
        member = plan.small if route is Route.SMALL and not stands_in else plan.large
        shown = yield from _judge_single(request, answer, member, right=right)
        if shown is None:
            return
        outcomes[other] = (shown[0], _price(shown[1].usage, plan), 0.0 if stands_in else 1.0)
    now = yield from Now()
    region, tenant = answer.novelty.region, request.tenant
    yield from Learn((observe_trial(trial, outcomes, region=region, tenant=tenant, at=now.epoch),))


def _abstained(answer: Answer, plan: Plan) -> bool:
    """Whether the small member abstained, the large one is there to stand in, and nothing else went wrong."""
    if plan.small is None or plan.large is None or not answer.failures:
        return False
    return all(
        failure.member == plan.small.id and isinstance(failure.error, MemberAbstainedError)
        for failure in answer.failures
    )


def _judge_single(
    request: Request, answer: Answer, member: Model | None, *, right: bool
) -> Pipeline[tuple[bool, Draft] | None]:
    """Whether the member's own draft was right; ``None`` where there is none, or it cannot be told."""
    draft = next((each for each in answer.drafts if member is not None and each.member == member.id), None)
    if draft is None:
        return None
    if same_answer(draft.message, answer.message, request.question):
        return right, draft
    other = replace(answer, message=draft.message, model=draft.model, draft=draft)
    judged = yield from CheckAnswer(request, other)
    return None if judged is None else (judged, draft)


def _price(usage: Usage, plan: Plan) -> float:
    unknown = plan.config.route.unknown_cost_usd * max(usage.calls, 1)
    return unknown if usage.cost_usd is None else usage.cost_usd


def settle_default(tenant: str, region: int, plan: Plan) -> Pipeline[None]:
    """Change the region's default if the outcomes so far demand it."""
    config = plan.config.route
    if config.promote:
        now = yield from Now()
        yield from _change(tenant, region, lambda known: find_change(known.promotions, region, config, now.epoch))


def demote_default(tenant: str, region: int, why: str) -> Pipeline[RouteChange | None]:
    """Take the default's place away by the caller's word; the router chooses again. ``None`` where there is none."""
    now = yield from Now()

    def choose(known: Known) -> RouteChange | None:
        default = known.promotions.default(region)
        if default is None:
            return None
        return RouteChange(
            change="demoted",
            region=region,
            route=default.route,
            default=None,
            why=why,
            wealth=None,
            alpha=None,
            at=now.epoch,
        )

    return (yield from _change(tenant, region, choose))


def _change(tenant: str, region: int, choose: Callable[[Known], RouteChange | None]) -> Pipeline[RouteChange | None]:
    def decide(known: Known) -> tuple[RouteChange | None, tuple[Observation, ...]]:
        change = choose(known)
        if change is None:
            return None, ()
        incumbent = known.promotions.standing(region).incumbent
        return change, (observe_change(change, incumbent=incumbent, tenant=tenant),)

    change = yield from Decide(tenant, decide)
    if change is not None:
        default = None if change.default is None else change.default.value
        facts = {"tenant": tenant, "region": region, "route": change.route.value, "default": default}
        facts |= {"by": change.why if change.why in ("test", "decline") else "caller", "wealth": change.wealth}
        yield from Notify(f"route.{change.change}", facts)
    return change
