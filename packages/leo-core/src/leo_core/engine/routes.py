"""Taking a route: which members are asked, in which order, and what is made of their drafts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from leo_core.engine.admission import find_able
from leo_core.engine.asking import Trip, ask_all, ask_one, cost_of_calls, interrupted
from leo_core.engine.effects import EmbedTexts, Notify
from leo_core.engine.opinions import asks_at_once, choose_next, foresee_small, is_worth_large, list_jurors
from leo_core.engine.spending import estimate_cost
from leo_core.errors import AbstainedError, NoAnswerError
from leo_core.records import Draft, Failure, Risk, Route
from leo_core.stages.consensus.early_stop import can_stop
from leo_core.stages.consensus.equivalence import same_answer, spell_answer
from leo_core.stages.consensus.trust import estimate, is_known
from leo_core.stages.consensus.vote import reach_consensus
from leo_core.stages.risk.answer import score_answer
from leo_core.stages.route.policy import RouteOption

if TYPE_CHECKING:
    import numpy.typing as npt

    from leo_core.engine.effects import Pipeline
    from leo_core.engine.plan import Plan
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


# ------------------------------------------------------------------------------------------------- options


def list_options(request: Request, plan: Plan) -> tuple[RouteOption, ...]:
    """The routes that the members make possible, each with the cost estimated before the call."""
    able = {member.id for member in find_able(plan.members, request)}
    small = plan.small if plan.small is not None and plan.small.id in able else None
    large = plan.large if plan.large is not None and plan.large.id in able else None
    jury = tuple(member for member in plan.jury if member.id in able)
    options = []
    if small is not None:
        options.append(RouteOption(route=Route.SMALL, cost_usd=cost_of_calls((small,), request), latency_s=None))
    if small is not None and (large is not None or len(jury) > 1):
        upper = (small, *jury) if large is None else (small, *list_jurors(plan, request), large)
        options.append(RouteOption(route=Route.CASCADE, cost_usd=cost_of_calls(upper, request), latency_s=None))
    if large is not None:
        options.append(RouteOption(route=Route.LARGE, cost_usd=cost_of_calls((large,), request), latency_s=None))
    if len(jury) > 1 or (jury and small is None and large is None):
        options.append(RouteOption(route=Route.CONSENSUS, cost_usd=cost_of_calls(jury, request), latency_s=None))
    return tuple(options)


# -------------------------------------------------------------------------------------------------- routes


def take_route(route: Route, trip: Trip) -> Pipeline[Outcome]:
    """Take the route; where it fails before anything was shown, or what was shown can be corrected, fall back.

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
    draft = yield from ask_one(trip, member, live=trip.shows_answers, alone=True)
    if draft is None:
        return (yield from fall_back(trip))
    if member is not None and draft.member != member.id:  # the second copy of a hedged call went to another one
        return _outcome_of(trip, draft)
    return Outcome(route=route, served=draft, risk=_risk(trip, draft))


def take_cascade(trip: Trip) -> Pipeline[Outcome]:
    """The small member first, with others' opinions where they are worth their price; the large one where it pays."""
    jurors = list_jurors(trip.plan, trip.request)
    first = (trip.plan.small, *jurors[:1]) if asks_at_once(trip, jurors) else ()
    yield from ask_all(trip, tuple(member for member in first if member is not None))
    small = trip.draft_of(trip.plan.small)
    if not trip.drafts and not trip.failures:
        small = yield from ask_one(trip, trip.plan.small, live=trip.shows_drafts)
    if small is not None:
        risk, accepted = yield from _hear(trip, small, jurors)
        if accepted:
            return Outcome(route=Route.CASCADE, served=small, risk=risk)
        yield from Notify("cascade.escalated", {"risk": risk.value})
    return (yield from _climb(trip, small))


def _hear(trip: Trip, small: Draft, jurors: tuple[Model, ...]) -> Pipeline[tuple[Risk, bool]]:
    """Ask for opinions as long as they are worth it; the small answer's risk, and whether it may be served."""
    waiting = [juror for juror in jurors if trip.draft_of(juror) is None]
    while True:
        risk = _risk(trip, small)
        step = choose_next(trip, small, risk, waiting)
        if step != "ask":
            return risk, step == "accept"
        yield from ask_one(trip, waiting.pop(0))


def _climb(trip: Trip, small: Draft | None) -> Pipeline[Outcome]:
    votes = len(trip.plan.jury) > 1 and trip.plan.config.route.cascade_jury
    earlier = tuple(trip.drafts)
    large = None
    if trip.plan.large is not None:
        large = yield from ask_one(trip, trip.plan.large, live=trip.shows_drafts if votes else trip.shows_answers)
    if large is not None:
        agreed = any(same_answer(draft.message, large.message, trip.request.question) for draft in earlier)
        if agreed or not votes:
            served = _keep_shown(trip, large)
            return Outcome(route=Route.CASCADE, served=served, risk=_risk(trip, served))
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
        yield from ask_all(trip, jury)
    else:
        spared = yield from _ask_in_turn(trip, jury)
    if len(trip.drafts) < 2:  # noqa: PLR2004 - a vote needs two
        return (yield from fall_back(trip))
    verdict = replace((yield from _vote(trip)), spared=spared)
    if verdict.abstained and trip.plan.config.consensus.on_abstain == "raise":
        message = f"the members disagree: confidence {verdict.confidence:.3f}, required {verdict.required:.3f}"
        raise AbstainedError(message, failures=tuple(failure.error for failure in trip.failures))
    served = _of_winners(trip, verdict) if verdict.medoid >= 0 else _least_risky(trip)
    risk = _risk(trip, served, verdict)
    if is_worth_large(trip, risk):
        large = yield from ask_one(trip, trip.plan.large)
        if large is not None:
            verdict = replace((yield from _vote(trip)), spared=spared)
            served = _of_winners(trip, verdict) if verdict.medoid >= 0 else _least_risky(trip)
            risk = _risk(trip, served, verdict)
    return Outcome(route=Route.CONSENSUS, served=served, risk=risk, verdict=verdict)


def fall_back(trip: Trip) -> Pipeline[Outcome]:
    """Serve what there is, or ask the members that have not been asked yet, one after the other."""
    if trip.drafts:
        return _outcome_of(trip, trip.drafts[-1])
    failed = {failure.member for failure in trip.failures} | set(trip.refused)
    for member in trip.plan.members:
        if member.id not in failed:
            yield from Notify("route.fell_back", {"member": member.id})
            draft = yield from ask_one(trip, member, live=trip.shows_answers, alone=True)
            if draft is not None:
                return _outcome_of(trip, draft)
    if isinstance(trip.shown, Failure):
        raise interrupted(trip.shown) from trip.shown.error
    raise _no_answer(trip)


def _keep_shown(trip: Trip, draft: Draft) -> Draft:
    """The draft, or the one that was shown already where that says the same: what is confirmed needs no correction."""
    shown = trip.shown
    if isinstance(shown, Draft) and same_answer(shown.message, draft.message, trip.request.question):
        return shown
    return draft


def _of_winners(trip: Trip, verdict: Verdict) -> Draft:
    """The draft that stands for the answer that won: the one that was shown already, or the one in their middle."""
    classes = [vote.answer_class for vote in verdict.votes]
    for draft, each in zip(trip.drafts, classes, strict=True):
        if draft is trip.shown and each == verdict.winner:
            return draft
    return trip.drafts[verdict.medoid]


def _outcome_of(trip: Trip, draft: Draft) -> Outcome:
    plan = trip.plan
    route = Route.SMALL if plan.small is not None and draft.member == plan.small.id else Route.LARGE
    return Outcome(route=route, served=draft, risk=_risk(trip, draft))


def _no_answer(trip: Trip) -> LEOError:
    """The last error of each member, in the order in which they were first asked, then the last refusal of a budget."""
    last = {failure.member: failure.error for failure in trip.failures}
    errors = (*last.values(), *list(trip.refused.values())[-1:])
    if len(errors) == 1:
        return errors[0]
    reasons = "; ".join(f"{member}: {type(error).__name__}" for member, error in last.items())
    reasons += "".join(f"; {refused}" for refused in errors[len(last) :])
    return NoAnswerError(f"every member failed ({reasons or 'none could be asked'})", failures=errors)


# ------------------------------------------------------------------------------------------- asking in turn


def _ask_in_turn(trip: Trip, members: tuple[Model, ...]) -> Pipeline[int]:
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
        yield from ask_all(trip, tuple(first))
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
        similar=foresee_small(trip, served).shift if verdict is None else 0.0,
    )


def _least_risky(trip: Trip) -> Draft:
    """What to serve when the committee abstains: the draft that looks least wrong by itself; ties go to the first."""
    return min(trip.drafts, key=lambda draft: _risk(trip, draft).value)
