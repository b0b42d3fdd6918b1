"""Opinions in a cascade: who is asked for one, what it says of the small member's answer, and what is decided then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from leo_core.engine.admission import list_able
from leo_core.engine.spending import estimate_cost
from leo_core.stages.consensus.equivalence import contradict, same_answer
from leo_core.stages.risk.acceptance import find_accepted
from leo_core.stages.risk.answer import measure_form, score_answer
from leo_core.stages.risk.similar_answers import UNKNOWN, describe_answer, foresee_answer
from leo_core.stages.route.next_step import Stakes, choose_step, foresee_routes, mended
from leo_core.stages.route.odds import log_odds, probability
from leo_core.stages.route.opinions import AGREES, DIFFERS, OPEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.engine.asking import Trip
    from leo_core.engine.knowledge import Known
    from leo_core.engine.plan import Plan
    from leo_core.ports import Model
    from leo_core.records import Answer, Draft, Request, RequestRisk, Risk
    from leo_core.stages.risk.similar_answers import ForeseenAnswer
    from leo_core.stages.route.next_step import Prospect

__all__ = [
    "asks_at_once",
    "choose_next",
    "find_loss",
    "foresee_opinions",
    "foresee_small",
    "is_worth_large",
    "list_jurors",
    "measure_opinions",
    "read_opinions",
]

_ONE_IN_SIX = 1.0
"""Log-odds: one answer in six, or fewer, looks so much better, or so much worse, than a typical one."""


def list_jurors(plan: Plan, request: Request) -> tuple[Model, ...]:
    """Whom a cascade may ask before the large member, in this order: the cheapest other jurors of known price.

    Each costs less than ``second_opinion_share`` of the large member's call.
    """
    config, dear = plan.config.route, None if plan.large is None else estimate_cost(plan.large, request)
    if dear is None or not config.opinions:
        return ()
    able = list_able(plan.jury, request)
    others = [member for member in able if member not in (plan.small, plan.large)]
    priced = [
        (cost, place) for place, member in enumerate(others) if (cost := estimate_cost(member, request)) is not None
    ]
    cheap = sorted(each for each in priced if each[0] < config.second_opinion_share * dear)
    return tuple(others[place] for _, place in cheap[: config.opinions])


def read_opinions(request: Request, drafts: Sequence[Draft], plan: Plan) -> str | None:
    """What the jurors' drafts say of the small member's, a letter each; ``None`` where it gave none."""
    own = _find_draft(drafts, plan.small)
    if own is None:
        return None
    outside = {member.id for member in (plan.small, plan.large) if member is not None}
    return "".join(_read(request, own, draft) for draft in drafts if draft.member not in outside)


def _read(request: Request, own: Draft, other: Draft) -> str:
    if same_answer(own.message, other.message, request.question):
        return AGREES
    return DIFFERS if contradict(own.message, other.message, request.question) else OPEN


def _find_draft(drafts: Sequence[Draft], member: Model | None) -> Draft | None:
    return next((draft for draft in drafts if member is not None and draft.member == member.id), None)


def measure_opinions(request: Request, answer: Answer, plan: Plan) -> dict[str, Any]:
    """What a cascade tells of opinions, as :func:`observe_route` takes it; empty where nobody can tell."""
    pattern = read_opinions(request, answer.drafts, plan)
    if pattern is None or answer.verdict is not None:
        return {}
    spent = {draft.member: draft.usage.cost_usd for draft in answer.drafts if draft.usage.cost_usd is not None}
    found: dict[str, Any] = {"opinions": pattern, "spent": spent}
    if answer.request_risk is not None:
        found["before"] = judge_before(answer.request_risk)
    own, large = _find_draft(answer.drafts, plan.small), _find_draft(answer.drafts, plan.large)
    if own is not None and large is not None and (said := _read(request, own, large)) != OPEN:
        found["overruled"] = said == DIFFERS
    return found


def choose_next(trip: Trip, small: Draft, risk: Risk, jurors: Sequence[Model]) -> Literal["accept", "ask", "large"]:
    """What a cascade does after what was said so far.

    Under ``max_error``, and where nobody was or can be asked, the risk decides alone, and a contradiction goes to the
    large member. Where audits leave no answer that is accepted, that member is asked, and no more jurors. Otherwise the
    expected cost and loss decide, among answers whose risk is accepted and that were not contradicted more often than
    confirmed.

    Args:
        trip: The request under way.
        small: The small member's draft.
        risk: P(it is wrong), by what was said so far.
        jurors: Who can still be asked, in this order.
    """
    pattern = read_opinions(trip.request, trip.drafts, trip.plan) or ""
    bounded, denied = trip.request.constraints.max_error is not None, DIFFERS in pattern
    good = risk.action == "accept"
    if bounded or OPEN in pattern or trip.plan.large is None or not (pattern or jurors):
        if good and not denied:
            return "accept"
        return "ask" if bounded and jurors and not denied else "large"
    good = good and pattern.count(AGREES) >= pattern.count(DIFFERS)
    form = measure_form(score_answer(trip.request, small, config=trip.plan.config.risk))
    beliefs, foreseen = trip.known.opinions.beliefs(trip.region), foresee_small(trip, small)
    stakes = _find_stakes(trip, jurors)
    stakes = replace(stakes, loss=stakes.loss * foreseen.mending)
    return choose_step(beliefs, pattern, beliefs.shift(form) + foreseen.shift, stakes, acceptable=good)


def foresee_small(trip: Trip, draft: Draft) -> ForeseenAnswer:
    """What outcomes of similar answers say of the small member's; nothing of another member's."""
    experience, policy = trip.known.risk.answers, trip.plan.config.risk
    if not experience.count or trip.place is None or trip.plan.small is None or draft.member != trip.plan.small.id:
        return UNKNOWN
    form = measure_form(score_answer(trip.request, draft, config=policy))
    described = describe_answer(trip.request, draft.text, form)
    return foresee_answer(described, trip.place, experience, policy.similar_strength)


def is_worth_large(trip: Trip, risk: Risk) -> bool:
    """Whether the large member, which does not sit in the jury, mends more of what that says than it costs.

    Where the caller forces the route, the jury alone votes.
    """
    large, constraints = trip.plan.large, trip.request.constraints
    if large is None or large in trip.plan.jury or trip.draft_of(large) is not None or constraints.route is not None:
        return False
    return mended(risk.value) * trip.loss_usd > _price(trip.request, large, trip.known, trip.plan)


def asks_at_once(trip: Trip, jurors: Sequence[Model]) -> bool:
    """Whether the first juror will be asked whatever the small member says, so that both can be asked at once."""
    if not jurors or trip.request.constraints.max_error is not None or trip.shows_drafts:
        return False
    beliefs, stakes = trip.known.opinions.beliefs(trip.region), _find_stakes(trip, jurors)
    return all(choose_step(beliefs, "", shift, stakes) == "ask" for shift in (-_ONE_IN_SIX, _ONE_IN_SIX))


def foresee_opinions(request: Request, risk: RequestRisk, known: Known, region: int, plan: Plan) -> Prospect | None:
    """What a cascade would cost and miss; ``None`` where it can ask nobody for an opinion, or must keep a bound."""
    jurors = list_jurors(plan, request)
    if not jurors or plan.small is None or plan.large is None or request.constraints.max_error is not None:
        return None
    prices = [_price(request, member, known, plan) for member in (plan.small, plan.large, *jurors)]
    beliefs = known.opinions.beliefs(region)
    loss, servable = find_loss(risk, plan), accepts_any(known, plan)
    stakes = Stakes(loss=loss, large=prices[1], jurors=prices[2:], servable=servable)
    return foresee_routes(
        beliefs, plan.config.route.difficulty_slope * beliefs.shift_before(judge_before(risk)), stakes, prices[0]
    )


def accepts_any(known: Known, plan: Plan) -> bool:
    """Whether any answer would be accepted without ``max_error``; no risk is 0, and audits may leave no threshold."""
    config = plan.config.risk
    accepted, _ = find_accepted(known.risk.acceptance, config.accept_below, config)
    return accepted > 0.0


def judge_before(risk: RequestRisk) -> float:
    """P(small wrong) of a request by itself, without the record of its region, which opinions keep for themselves."""
    return probability(log_odds(risk.small_wrong) - risk.features["region_shift"])


def find_loss(risk: RequestRisk, plan: Plan) -> float:
    """What a wrong answer to the request costs, in US dollars: more where it may do harm."""
    return plan.config.route.loss_usd * (1.0 + plan.config.route.harm_weight * risk.harmful)


def _find_stakes(trip: Trip, jurors: Sequence[Model]) -> Stakes:
    large = () if trip.plan.large is None else (trip.plan.large,)
    prices = [_price(trip.request, member, trip.known, trip.plan) for member in (*jurors, *large)]
    servable = accepts_any(trip.known, trip.plan)
    return Stakes(loss=trip.loss_usd, large=prices[-1], jurors=prices[:-1], servable=servable)


def _price(request: Request, member: Model, known: Known, plan: Plan) -> float:
    estimate, config = estimate_cost(member, request), plan.config.route
    return known.opinions.price(member.id, config.unknown_cost_usd if estimate is None else estimate, config)
