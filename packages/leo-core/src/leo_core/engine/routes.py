"""Taking a route: which members are asked, in which order, and what is made of their drafts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from leo_core.engine.admission import find_able
from leo_core.engine.effects import CallAll, CallMember, EmbedTexts, Notify, Now
from leo_core.engine.spending import estimate_cost, reserve, spend
from leo_core.errors import AbstainedError, BudgetExceededError, NoAnswerError, StreamInterruptedError
from leo_core.records import Draft, Failure, Risk, Route, Usage
from leo_core.stages.consensus.early_stop import can_stop
from leo_core.stages.consensus.equivalence import same_answer, spell_answer
from leo_core.stages.consensus.trust import estimate, is_known
from leo_core.stages.consensus.vote import reach_consensus
from leo_core.stages.risk.answer import score_answer
from leo_core.stages.route.policy import RouteOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from leo_core.engine.effects import Instant, Pipeline
    from leo_core.engine.knowledge import Known
    from leo_core.engine.plan import Plan
    from leo_core.engine.spending import Payment
    from leo_core.errors import LEOError
    from leo_core.ports import Model
    from leo_core.records import Request, Verdict

__all__ = ["Outcome", "Trip", "list_options", "take_route"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a route brought.

    Attributes:
        route: The route that was really taken (a failed one falls back to another).
        served: The draft to be served.
        risk: P(it is wrong).
        verdict: The committee's, where one was asked for.
    """

    route: Route
    served: Draft
    risk: Risk
    verdict: Verdict | None = None


@dataclass(slots=True, kw_only=True)
class Trip:
    """The state of one request under way: what was asked, what came back, what it cost so far.

    Attributes:
        request: The request.
        region: Region of its traffic.
        known: What was known when it came in.
        plan: Members and policies.
        started: When it came in.
        drafts: Drafts so far, in the order they came.
        failures: Failed calls so far.
        waited_s: Time spent waiting for members.
        refused: Calls that were not made because a budget had no room, by the ids of the members.
    """

    request: Request
    region: int
    known: Known
    plan: Plan
    started: Instant
    drafts: list[Draft]
    failures: list[Failure]
    waited_s: float = 0.0
    refused: dict[str, BudgetExceededError] = field(default_factory=dict)

    @property
    def spent(self) -> Usage:
        """Usage of all drafts so far."""
        return sum((draft.usage for draft in self.drafts), Usage())

    def draft_of(self, member: Model | None) -> Draft | None:
        """The draft that a member made on this trip."""
        return next((draft for draft in self.drafts if member is not None and draft.member == member.id), None)


# ------------------------------------------------------------------------------------------------- options


def list_options(request: Request, plan: Plan) -> tuple[RouteOption, ...]:
    """The routes that the members make possible, each with the cost estimated before the call."""
    able = {member.id for member in find_able(plan.members, request)}
    small = plan.small if plan.small is not None and plan.small.id in able else None
    large = plan.large if plan.large is not None and plan.large.id in able else None
    jury = tuple(member for member in plan.jury if member.id in able)
    options = []
    if small is not None:
        options.append(RouteOption(route=Route.SMALL, cost_usd=_cost((small,), request), latency_s=None))
    if small is not None and (large is not None or len(jury) > 1):
        upper = (small, large) if large is not None else (small, *jury)
        options.append(RouteOption(route=Route.CASCADE, cost_usd=_cost(upper, request), latency_s=None))
    if large is not None:
        options.append(RouteOption(route=Route.LARGE, cost_usd=_cost((large,), request), latency_s=None))
    if len(jury) > 1 or (jury and small is None and large is None):
        options.append(RouteOption(route=Route.CONSENSUS, cost_usd=_cost(jury, request), latency_s=None))
    return tuple(options)


def _cost(members: Sequence[Model], request: Request) -> float | None:
    costs = [estimate_cost(member, request) for member in members]
    return None if None in costs else sum(cost for cost in costs if cost is not None)


# -------------------------------------------------------------------------------------------------- routes


def take_route(route: Route, trip: Trip) -> Pipeline[Outcome]:
    """Take the route; where it fails before anything was shown, fall back to what is left.

    Raises:
        StreamInterruptedError: A stream died after its first token.
        BudgetExceededError: The budget ended before there was any answer.
        AbstainedError: The members disagree and the configuration says not to answer then.
        NoAnswerError: Every member failed. A single failed member's own error is raised instead.
    """
    match route:
        case Route.SMALL:
            return (yield from take_single(trip, trip.plan.small, Route.SMALL))
        case Route.LARGE:
            return (yield from take_single(trip, trip.plan.large, Route.LARGE))
        case Route.CASCADE:
            return (yield from take_cascade(trip))
        case _:
            return (yield from take_consensus(trip))


def take_single(trip: Trip, member: Model | None, route: Route) -> Pipeline[Outcome]:
    """One member answers; its tokens may be shown as they come."""
    draft = yield from _call(trip, member, live=True)
    if draft is None:
        return (yield from fall_back(trip))
    return Outcome(route=route, served=draft, risk=_risk(trip, draft))


def take_cascade(trip: Trip) -> Pipeline[Outcome]:
    """The small member first; the large one if its answer looks wrong; the jury if those two disagree."""
    small = yield from _call(trip, trip.plan.small)
    if small is not None:
        risk = _risk(trip, small)
        if risk.action == "accept":
            return Outcome(route=Route.CASCADE, served=small, risk=risk)
        yield from Notify("cascade.escalated", {"risk": risk.value})
    return (yield from _climb(trip, small))


def _climb(trip: Trip, small: Draft | None) -> Pipeline[Outcome]:
    large = None
    if trip.plan.large is not None:
        large = yield from _call(trip, trip.plan.large, live=len(trip.plan.jury) < 2)  # noqa: PLR2004 - a vote needs two
    if large is not None:
        agreed = small is not None and same_answer(small.message, large.message, trip.request.question)
        if agreed or len(trip.plan.jury) < 2:  # noqa: PLR2004 - a vote needs two
            return Outcome(route=Route.CASCADE, served=large, risk=_risk(trip, large))
    if len(trip.plan.jury) > 1:
        outcome = yield from take_consensus(trip)
        return replace(outcome, route=Route.CASCADE)
    if small is not None:
        return Outcome(route=Route.CASCADE, served=small, risk=_risk(trip, small))
    return (yield from fall_back(trip))


def take_consensus(trip: Trip) -> Pipeline[Outcome]:
    """The jury answers, at once or in turn, and its answers are put to the vote. Drafts already made take part."""
    jury = tuple(member for member in trip.plan.jury if trip.draft_of(member) is None)
    spared = 0
    if trip.plan.config.consensus.early_stop is None:
        yield from _call_all(trip, jury)
    else:
        spared = yield from _call_in_turn(trip, jury)
    if len(trip.drafts) < 2:  # noqa: PLR2004 - a vote needs two
        return (yield from fall_back(trip))
    verdict = replace((yield from _vote(trip)), spared=spared)
    if verdict.abstained and trip.plan.config.consensus.on_abstain == "raise":
        message = f"the members disagree: confidence {verdict.confidence:.3f}, required {verdict.required:.3f}"
        raise AbstainedError(message, failures=tuple(failure.error for failure in trip.failures))
    served = trip.drafts[verdict.medoid] if verdict.medoid >= 0 else _least_risky(trip)
    return Outcome(route=Route.CONSENSUS, served=served, risk=_risk(trip, served, verdict), verdict=verdict)


def fall_back(trip: Trip) -> Pipeline[Outcome]:
    """Serve what there is, or ask the members that have not been asked yet, one after the other."""
    if trip.drafts:
        return _outcome_of(trip, trip.drafts[-1])
    failed = {failure.member for failure in trip.failures} | set(trip.refused)
    for member in trip.plan.members:
        if member.id not in failed:
            yield from Notify("route.fell_back", {"member": member.id})
            draft = yield from _call(trip, member, live=True)
            if draft is not None:
                return _outcome_of(trip, draft)
    raise _no_answer(trip)


def _outcome_of(trip: Trip, draft: Draft) -> Outcome:
    plan = trip.plan
    route = Route.SMALL if plan.small is not None and draft.member == plan.small.id else Route.LARGE
    return Outcome(route=route, served=draft, risk=_risk(trip, draft))


def _no_answer(trip: Trip) -> LEOError:
    errors = (*(failure.error for failure in trip.failures), *list(trip.refused.values())[-1:])
    if len(errors) == 1:
        return errors[0]
    reasons = "; ".join(f"{failure.member}: {type(failure.error).__name__}" for failure in trip.failures)
    reasons += "".join(f"; {refused}" for refused in errors[len(trip.failures) :])
    return NoAnswerError(f"every member failed ({reasons or 'none could be asked'})", failures=errors)


# ------------------------------------------------------------------------------------------- asking members


def _call(trip: Trip, member: Model | None, *, live: bool = False) -> Pipeline[Draft | None]:
    """Ask one member within budget and deadline; a failure is noted and gives ``None``."""
    if member is None or member not in find_able(trip.plan.members, trip.request):
        return None
    if not (yield from _affordable(trip, (member,))):
        return None
    payment = yield from _reserve(trip, (member,))
    if payment is None:
        return None
    before = yield from Now()
    reply = yield from spend(payment, CallMember(member, _within_deadline(trip, before), live))
    after = yield from Now()
    trip.waited_s += after.monotonic - before.monotonic
    return (yield from _take_in(trip, reply))


def _call_all(trip: Trip, members: tuple[Model, ...]) -> Pipeline[None]:
    able = find_able(trip.plan.members, trip.request)
    asked = tuple(member for member in members if member in able)
    if not asked or not (yield from _affordable(trip, asked)):
        return
    payment = yield from _reserve(trip, asked)
    if payment is None:
        return
    before = yield from Now()
    replies = yield from spend(payment, CallAll(asked, _within_deadline(trip, before)))
    after = yield from Now()
    trip.waited_s += after.monotonic - before.monotonic
    for reply in replies:
        yield from _take_in(trip, reply)


def _call_in_turn(trip: Trip, members: tuple[Model, ...]) -> Pipeline[int]:
    """Ask members one after the other, the cheapest first, until the outcome can hardly change; how many were spared.

    Those that a vote needs in any case are asked at once.
    """
    able = find_able(trip.plan.members, trip.request)
    costs = {member.id: estimate_cost(member, trip.request) for member in members}
    waiting = [member for member in members if member in able]
    waiting.sort(key=lambda member: (costs[member.id] is None, costs[member.id] or 0.0))  # unknown costs come last
    needed = max(2 - len(trip.drafts), 0)
    while waiting:
        first, waiting = waiting[: max(needed, 1)], waiting[max(needed, 1) :]
        yield from _call_all(trip, tuple(first))
        needed = max(2 - len(trip.drafts), 0)
        names = [member.id for member in waiting]
        if not needed and can_stop(
            _count(trip, None, None),
            names,
            trust=trip.known.trust,
            strategies=trip.known.strategies,
            region=trip.region,
            families=trip.plan.families,
            config=trip.plan.config.consensus,
        ):
            break
    if waiting:
        yield from Notify("consensus.stopped_early", {"asked": len(trip.drafts), "spared": len(waiting)})
    return len(waiting)


def _take_in(trip: Trip, reply: Draft | Failure) -> Pipeline[Draft | None]:
    if isinstance(reply, Draft):
        trip.drafts.append(reply)
        return reply
    trip.failures.append(reply)
    yield from Notify("member.failed", {"member": reply.member, "error": type(reply.error).__name__})
    if reply.shown:
        message = f"the stream of {reply.member} died after its first token ({type(reply.error).__name__})"
        raise StreamInterruptedError(message, partial=reply.shown) from reply.error
    return None


def _affordable(trip: Trip, members: tuple[Model, ...]) -> Pipeline[bool]:
    """Whether these calls fit into what is left of ``max_cost_usd``; raises when nothing has been answered yet."""
    limit = trip.request.constraints.max_cost_usd
    if limit is None:
        return True
    spent, next_cost = trip.spent.cost_usd, _cost(members, trip.request)
    if spent is not None and next_cost is not None and spent + next_cost <= limit:
        return True
    names = ", ".join(member.id for member in members)
    cost = "an unknown price (give prices=)" if next_cost is None else f"up to ${next_cost:.6f}"
    yield from Notify("budget.exceeded", {"members": names, "max_cost_usd": limit})
    if trip.drafts:
        return False
    message = f"calling {names} costs {cost}, more than is left of max_cost_usd={limit}"
    raise BudgetExceededError(message)


def _reserve(trip: Trip, members: tuple[Model, ...]) -> Pipeline[Payment | None]:
    """Reserve in the budgets what these calls may cost; ``None`` where one has no room, which the trip then knows."""
    payment = yield from reserve(trip.request, members, trip.plan)
    if isinstance(payment, BudgetExceededError):
        trip.refused[", ".join(member.id for member in members)] = payment
        return None
    return payment


def _within_deadline(trip: Trip, now: Instant) -> Request:
    limit = trip.request.constraints.max_latency_s
    if limit is None:
        return trip.request
    left = limit - (now.monotonic - trip.started.monotonic)
    return trip.request.with_constraints(max_latency_s=max(left, 0.001))


# ------------------------------------------------------------------------------------------ judging drafts


def _vote(trip: Trip) -> Pipeline[Verdict]:
    request = trip.request
    texts = tuple(draft.text for draft in trip.drafts)
    answers = tuple(spell_answer(draft.message, request.question) for draft in trip.drafts)
    embedded = None
    if all(texts) and all(answers):
        embedded = yield from EmbedTexts(texts + answers)
    rows = None if embedded is None else np.stack([item.vector for item in embedded])
    verdict = _count(trip, None, None) if rows is None else _count(trip, rows[: len(texts)], rows[len(texts) :])
    yield from Notify(
        "consensus.reached",
        {
            "confidence": verdict.confidence,
            "abstained": verdict.abstained,
            "margin": verdict.certified_margin,
            "strategy": verdict.strategy,
        },
    )
    return verdict


def _count(trip: Trip, vectors: npt.NDArray[np.float32] | None, answers: npt.NDArray[np.float32] | None) -> Verdict:
    """The verdict on the drafts so far."""
    plan, request = trip.plan, trip.request
    accepted = request.constraints.max_error
    return reach_consensus(
        tuple(trip.drafts),
        question=request.question,
        trust=trip.known.trust,
        strategies=trip.known.strategies,
        region=trip.region,
        families=plan.families,
        vectors=vectors,
        answers=answers,
        required=plan.config.consensus.confidence if accepted is None else 1.0 - accepted,
        config=plan.config.consensus,
    )


def _learned_trust(trip: Trip, member: str) -> float | None:
    """The member's rate of right answers, where audits or feedback have said anything about it."""
    policy = trip.plan.config.consensus
    known = is_known(trip.known.trust, member)
    return estimate(trip.known.trust, member, trip.region, policy).mean if known else None


def _risk(trip: Trip, served: Draft, verdict: Verdict | None = None) -> Risk:
    others = tuple(draft for draft in trip.drafts if draft is not served)
    same = [same_answer(served.message, other.message, trip.request.question) for other in others]
    return score_answer(
        trip.request,
        served,
        verdict=verdict,
        other_drafts=others,
        other_agreement=sum(same) / len(same) if same else None,
        trust=_learned_trust(trip, served.member),
        config=trip.plan.config.risk,
        max_error=trip.request.constraints.max_error,
        acceptance=trip.known.risk.acceptance,
    )


def _least_risky(trip: Trip) -> Draft:
    """What to serve when the committee abstains: the draft that looks least wrong by itself; ties go to the first."""
    return min(trip.drafts, key=lambda draft: _risk(trip, draft).value)
