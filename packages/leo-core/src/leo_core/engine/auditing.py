"""Audits: which answers are checked, and what their outcomes teach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from leo_core.engine.effects import AuditSeed, CallMember, CheckAnswer, Draw, Learn, Notify, Now, Recall, Together
from leo_core.engine.opinions import read_opinions
from leo_core.engine.spending import Payment, reserve, spend
from leo_core.engine.trials import learn_trial, settle_default
from leo_core.records import Draft, Route
from leo_core.stages.consensus.audit import find_audit_chance
from leo_core.stages.consensus.equivalence import same_answer
from leo_core.stages.consensus.observations import observe_audit, observe_outcome, observe_strategies
from leo_core.stages.consensus.trust import MOST_WEIGHT, count_audits
from leo_core.stages.receipt.document import read_statement
from leo_core.stages.receipt.lottery import is_due, stated_day
from leo_core.stages.route.observations import observe_route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.engine.effects import Pipeline
    from leo_core.engine.knowledge import Known
    from leo_core.engine.plan import Plan
    from leo_core.ports import Model
    from leo_core.records import Answer, Failure, Observation, Request

__all__ = ["Likeness", "audit", "find_chance", "judge_members"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """By what later requests are compared with one.

    Attributes:
        vector: Its embedding.
        features: Its features by name.
        member: The small member, where it answered.
        answer: What its answer showed.
    """

    vector: Sequence[float]
    features: Mapping[str, float]
    member: str | None = None
    answer: Mapping[str, float] | None = None


def audit(request: Request, answer: Answer, plan: Plan, likeness: Likeness | None = None) -> Pipeline[None]:
    """Check a random share of the answers, drawn after they were committed, and learn from it.

    The user's checker decides where there is one, and then members are judged too, and answers from which more can be
    learned are drawn more often. Otherwise the answer is compared with those of the members that were not asked, which
    teaches the router only: trust is never learned from agreement among members.
    """
    rate = plan.config.audit_rate
    if answer.receipt is None:
        (draw,) = yield from Draw()
        known = yield from Recall(request.tenant)
        chance = find_chance(answer, known, plan)
        due = draw < chance
    elif not rate:  # then the chance is 0 too, and the receipt need not be read for it
        due = False
    else:
        statement = read_statement(answer.receipt)
        chance = float(statement["audit"]["chance"])
        due = chance > 0.0 and is_due(statement, (yield from AuditSeed(stated_day(statement))))
    if not due:
        return
    if not plan.audits:
        right = yield from _compare_with_others(request, answer, plan)
    else:
        right = yield from CheckAnswer(request, answer)
    if right is None:
        return
    now = yield from Now()
    yield from Notify("audit.done", {"right": right, "route": answer.route.value})
    yield from Learn((observe_outcome(answer.id, right=right, tenant=request.tenant, at=now.epoch),))
    if plan.audits:
        rivals = {} if right else (yield from _check_rivals(request, answer))
        weight = min(rate / chance, MOST_WEIGHT)
        fair = 1.0 if answer.decision.trial is not None else weight
        learned = judge_members(
            request,
            answer,
            right=right,
            rivals=rivals,
            weight=weight,
            fair=fair,
            at=now.epoch,
            likeness=likeness,
            opinions=_read_served(request, answer, plan),
        )
        yield from Learn(learned)
        yield from learn_trial(request, answer, plan, right=right)
    else:
        route = observe_route(
            route=answer.route,
            region=answer.novelty.region,
            right=right,
            tenant=request.tenant,
            at=now.epoch,
        )
        yield from Learn((route,))
    yield from settle_default(request.tenant, answer.novelty.region, plan)


def find_chance(answer: Answer, known: Known, plan: Plan) -> float:
    """With which chance an answer is audited, in [0, 1]; it depends on the answer, past votes and past audits only.

    Trials are always audited: what is learned from them must not depend on the answer.
    """
    if not plan.audits or answer.draft is None:
        return plan.config.audit_rate
    if answer.decision.trial is not None:
        return 1.0
    policy = plan.config.consensus
    evidence = [count_audits(known.trust, member) for member in answer.members]
    alarm = 0 if answer.verdict is None else known.trust.watch.ahead
    return find_audit_chance(known.audits, plan.config.audit_rate, answer.verdict, evidence, policy, alarm=alarm)


def _check_rivals(request: Request, answer: Answer) -> Pipeline[dict[int, bool]]:
    """Which other answer of the committee was right, when the one served was not: the likeliest are checked first.

    Returns:
        Class and outcome of those that are known; once one is right, the rest are wrong.
    """
    verdict = answer.verdict
    if verdict is None:
        return {}
    voted = {vote.answer_class for vote in verdict.votes if verdict.classes[vote.answer_class]}
    voted.discard(verdict.votes[verdict.medoid].answer_class)
    found: dict[int, bool] = {}
    for rival in sorted(voted, key=lambda each: (-verdict.posterior[each], each)):
        if True in found.values():
            found[rival] = False
            continue
        place = next(at for at, vote in enumerate(verdict.votes) if vote.answer_class == rival)
        draft = answer.drafts[place]
        other = replace(answer, message=draft.message, model=draft.model, draft=draft)
        right = yield from CheckAnswer(request, other)
        if right is not None:
            found[rival] = right
    return found


def judge_members(
    request: Request,
    answer: Answer,
    *,
    right: bool,
    rivals: Mapping[int, bool],
    weight: float = 1.0,
    fair: float | None = None,
    at: float,
    likeness: Likeness | None = None,
    opinions: str | None = None,
) -> tuple[Observation, ...]:
    """What a known outcome says of the route, of every member that was asked, and of every strategy.

    Members that said the same stand or fall with the answer. Of those that said something else nothing is known when
    the answer was wrong and theirs was not checked: they may have been right, or wrong differently.

    Args:
        request: What was asked.
        answer: What was served.
        right: Whether it was right.
        rivals: Outcomes of the committee's other answers, by class.
        weight: Importance of the outcome, the inverse of how likely it was to be audited.
        fair: The same as an outcome of the members, where the request was drawn by lot whatever they answered.
        at: Instant.
        likeness: By what later requests are compared with this one; ``None`` where nothing of it may be kept.
        opinions: What jurors said of the small member's answer, where a cascade served that.
    """
    region, tenant = answer.novelty.region, request.tenant
    observations: list[Observation] = []
    for member, outcome in _find_outcomes(request, answer, right=right, rivals=rivals).items():
        observations.append(
            observe_audit(
                member=member,
                region=region,
                agreement=float(outcome),
                valid=True,
                weight=weight if fair is None else fair,
                tenant=tenant,
                at=at,
            )
        )
    verdict = answer.verdict
    if verdict is not None:
        classes = _judge_classes(answer, right=right, rivals=rivals)
        outcomes = {name: classes[each] for name, each in verdict.choices.items() if each in classes}
        observations.append(observe_strategies(outcomes, tenant=tenant, at=at))
    if answer.draft is not None:
        observations.append(
            observe_route(
                route=answer.route,
                region=region,
                right=right,
                weight=weight,
                audited=True,
                risk=answer.risk.value,
                opinions=opinions,
                vector=None if likeness is None else likeness.vector,
                features=None if likeness is None else likeness.features,
                answer=None if likeness is None or likeness.member != answer.draft.member else likeness.answer,
                tenant=tenant,
                at=at,
            )
        )
    return tuple(observations)


def _read_served(request: Request, answer: Answer, plan: Plan) -> str | None:
    """What was said of the small member's answer where a cascade served it; ``None`` elsewhere."""
    if (
        answer.route is not Route.CASCADE
        or plan.small is None
        or answer.draft is None
        or answer.draft.member != plan.small.id
    ):
        return None
    return read_opinions(request, answer.drafts, plan)


def _find_outcomes(request: Request, answer: Answer, *, right: bool, rivals: Mapping[int, bool]) -> dict[str, bool]:
    """Whether each member was right, of those of which it is known."""
    if answer.verdict is not None:
        classes = _judge_classes(answer, right=right, rivals=rivals)
        votes = answer.verdict.votes
        return {vote.member: classes[vote.answer_class] for vote in votes if vote.answer_class in classes}
    found: dict[str, bool] = {}
    for draft in answer.drafts:
        same = same_answer(draft.message, answer.message, request.question)
        if same or right:
            found[draft.member] = same and right
    return found


def _judge_classes(answer: Answer, *, right: bool, rivals: Mapping[int, bool]) -> dict[int, bool]:
    """Whether each class of answers was right, of those of which it is known."""
    verdict = answer.verdict
    if verdict is None:
        return {}
    served = verdict.votes[verdict.medoid].answer_class
    silent = {index: False for index, form in enumerate(verdict.classes) if not form}
    others = {vote.answer_class: False for vote in verdict.votes} if right else dict(rivals)
    return {**silent, **others, served: right}


def _ask(member: Model, request: Request) -> Pipeline[Draft | Failure]:
    return (yield from CallMember(member, request))


def _compare_with_others(request: Request, answer: Answer, plan: Plan) -> Pipeline[bool | None]:
    asked = set(answer.members)
    others = tuple(member for member in plan.members if member.id not in asked)
    if answer.draft is None or not others:
        return None
    payment = yield from reserve(request, others, plan)
    if not isinstance(payment, Payment):
        return None
    replies = yield from spend(payment, iter(Together(tuple(partial(_ask, member, request) for member in others))))
    drafts = [reply for reply in replies if isinstance(reply, Draft)]
    if not drafts:
        return None
    same = sum(same_answer(draft.message, answer.message, request.question) for draft in drafts)
    return same * 2 >= len(drafts)
