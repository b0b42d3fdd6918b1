"""What happens after the answer, off the request's path: keeping it, comparing it, learning from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.engine.auditing import Likeness, audit
from leo_core.engine.effects import (
    AddAlias,
    Compare,
    CountHit,
    FindAliases,
    HandOver,
    Learn,
    Notify,
    Now,
    Recall,
    RemoveEntry,
    WriteEntry,
)
from leo_core.engine.entries import make_entry, weigh_entry
from leo_core.engine.opinions import measure_opinions
from leo_core.records import Route
from leo_core.stages.cache.form import keeps_form
from leo_core.stages.cache.observations import observe_explored
from leo_core.stages.consensus.equivalence import same_answer
from leo_core.stages.risk.answer import measure_form, score_answer
from leo_core.stages.risk.likeness import feature_names
from leo_core.stages.risk.similar_answers import describe_answer
from leo_core.stages.route.observations import observe_route

if TYPE_CHECKING:
    from leo_core.engine.effects import Pipeline
    from leo_core.engine.plan import Plan
    from leo_core.ports import Model
    from leo_core.records import Answer, CacheDecision, CacheEntry, Draft, Embedding, Identity, Request, Vector

__all__ = ["keep", "settle"]

COMPLETE = frozenset({"stop", "tool_calls"})
_DECIMALS = 4
"""Of the coordinates that an observation keeps."""


def settle(
    request: Request,
    answer: Answer,
    identity: Identity,
    embedding: Embedding | None,
    candidate: CacheEntry | None,
    plan: Plan,
) -> Pipeline[None]:
    """Hand over to the background what the caller need not wait for."""
    now = yield from Now()
    entry = _describe(request, answer, identity, now.epoch, plan) if _is_keepable(request, answer) else None
    yield from HandOver(lambda: _aftermath(request, answer, identity, embedding, candidate, entry, plan), entry)


def _aftermath(
    request: Request,
    answer: Answer,
    identity: Identity,
    embedding: Embedding | None,
    candidate: CacheEntry | None,
    entry: CacheEntry | None,
    plan: Plan,
) -> Pipeline[None]:
    if answer.cache.hit and answer.entry is not None:
        yield from CountHit(request.tenant, answer.entry.id)
    elif entry is not None:
        yield from keep(entry, decision=answer.cache, candidate=candidate, identity=identity, embedding=embedding)
    likeness = describe_likeness(request, answer, embedding if identity.semantic else None, plan)
    if answer.draft is not None:
        yield from learn_outcome(request, answer, plan, likeness)
    yield from audit(request, answer, plan, likeness)


# ------------------------------------------------------------------------------------------------- keeping


def _is_keepable(request: Request, answer: Answer) -> bool:
    """Whether an answer may be served again: complete, in its form, not abstained on, not judged wrong."""
    if answer.cache.action in ("serve", "off") or answer.finish_reason not in COMPLETE:
        return False
    if answer.verdict is not None and answer.verdict.abstained:
        return False
    if answer.risk.action == "abstain" or not (answer.message.content or answer.message.tool_calls):
        return False
    return keeps_form(request, answer.message)


def _describe(request: Request, answer: Answer, identity: Identity, now: float, plan: Plan) -> CacheEntry:
    return make_entry(
        request,
        answer.message,
        identity,
        entry_id=answer.id,
        now=now,
        plan=plan,
        members=_supporters(answer),
        model=answer.model,
        route=answer.route,
        usage=answer.usage,
        receipt_id=answer.receipt.id if answer.receipt else "",
        metadata=answer.draft.metadata if answer.draft else {},
    )


def _supporters(answer: Answer) -> tuple[str, ...]:
    """The members whose answers stand behind the one served."""
    verdict = answer.verdict
    if verdict is None or verdict.winner < 0:
        return () if answer.draft is None else (answer.draft.member,)
    return tuple(vote.member for vote in verdict.votes if vote.answer_class == verdict.winner)


def keep(
    entry: CacheEntry,
    *,
    decision: CacheDecision,
    candidate: CacheEntry | None,
    identity: Identity,
    embedding: Embedding | None,
) -> Pipeline[None]:
    """Write an answer; after an exploration, compare it with the candidate first.

    The same answer makes the question an alias of the candidate's entry; a different one becomes its own entry. An
    answer that renews a stale entry takes its place: with its paraphrases where it says the same.
    """
    vector = embedding.vector if embedding is not None and identity.semantic else None
    entry = weigh_entry(entry, vector)
    if decision.stale and candidate is not None:
        yield from renew_entry(candidate, entry, vector)
        return
    if decision.action == "explore" and candidate is not None:
        same = yield from Compare(entry.text, candidate.message, entry.message)
        now = yield from Now()
        yield from Learn((observe_explored(decision, same=same, tenant=entry.tenant, at=now.epoch),))
        yield from Notify("cache.compared", {"entry_id": candidate.id, "same": same})
        if same and vector is not None:
            yield from AddAlias(entry.tenant, candidate.id, identity.text, vector, identity.exact_key)
            return
    yield from WriteEntry(entry, vector)


def renew_entry(stale: CacheEntry, fresh: CacheEntry, vector: Vector | None) -> Pipeline[None]:
    """Put a fresh answer in the place of a stale one.

    Where it says the same, the paraphrases of the stale one lead to it too; where it does not, they have to be
    verified anew. A stale answer to a paraphrase is removed if the fresh one contradicts it.
    """
    same = yield from Compare(fresh.text, stale.message, fresh.message)
    replaces = stale.exact_key == fresh.exact_key
    aliases = (yield from FindAliases(stale.tenant, stale.id)) if same and replaces else ()
    yield from WriteEntry(fresh, vector)
    for alias in aliases:
        yield from AddAlias(fresh.tenant, fresh.id, alias.text, alias.vector, alias.exact_key)
    if not same and not replaces:
        yield from RemoveEntry(stale.tenant, stale.id)
    yield from Notify("cache.renewed", {"entry_id": fresh.id, "same": same})


# ------------------------------------------------------------------------------------------------ learning


def describe_likeness(request: Request, answer: Answer, embedding: Embedding | None, plan: Plan) -> Likeness | None:
    """By what later requests are compared with this one; ``None`` where nothing of it may be kept."""
    if not plan.config.risk.keep_vectors or embedding is None or answer.request_risk is None:
        return None
    if answer.cache.action == "off":
        return None
    known, own, form = answer.request_risk.features, _find_small(answer, plan), _measure_form(request, answer, plan)
    described = None if own is None or form is None else describe_answer(request, own.text, form)
    return Likeness(
        vector=[round(each, _DECIMALS) for each in embedding.vector.tolist()],
        features={name: round(known.get(name, 0.0), _DECIMALS) for name in feature_names()},
        member=None if own is None else own.member,
        answer=None if described is None else {name: round(each, _DECIMALS) for name, each in described.items()},
    )


def learn_outcome(request: Request, answer: Answer, plan: Plan, likeness: Likeness | None = None) -> Pipeline[None]:
    """Count the route's cost and latency, and what a verdict says of the members that answered alone before."""
    now = yield from Now()
    before = yield from Recall(request.tenant)
    small, large = _won(answer, plan.small), _won(answer, plan.large)
    sure = 1.0 if answer.verdict is None else answer.verdict.confidence
    if answer.verdict is None and answer.route is Route.CASCADE:
        small = _held(request, answer, plan)
        sure = 1.0 if small is None else 1.0 - answer.risk.value
    known = likeness if small is not None or large is not None else None
    yield from Learn(
        (
            observe_route(
                route=answer.route,
                region=answer.novelty.region,
                right=None,
                small_right=small,
                large_right=None if known is None else large,
                predicted=None if answer.request_risk is None else answer.request_risk.features.get("prior"),
                weight=sure,
                cost_usd=answer.usage.cost_usd,
                latency_s=answer.latency_s,
                form=_measure_form(request, answer, plan),
                classes=None if answer.verdict is None else answer.verdict.answer_classes(),
                vector=None if known is None else known.vector,
                features=None if known is None else known.features,
                answer=None if known is None or small is None else known.answer,
                **(measure_opinions(request, answer, plan) if answer.route is Route.CASCADE else {}),
                tenant=request.tenant,
                at=now.epoch,
            ),
        )
    )
    after = yield from Recall(request.tenant)
    if after.risk.acceptance.alarms > before.risk.acceptance.alarms:
        yield from Notify("risk.drifted", {"alarms": after.risk.acceptance.alarms})
    if after.trust.watch.alarms > before.trust.watch.alarms:
        yield from Notify("trust.alarm", {"alarms": after.trust.watch.alarms})


def _measure_form(request: Request, answer: Answer, plan: Plan) -> float | None:
    """By what traffic is compared: the form of the small member's own answer, read alone; ``None`` where it gave none.

    What is served would not do: it changes with the routes, and these change with what is learned, alarms included.
    """
    if plan.small is None:
        return measure_form(answer.risk)
    own = _find_small(answer, plan)
    return None if own is None else measure_form(score_answer(request, own, config=plan.config.risk))


def _find_small(answer: Answer, plan: Plan) -> Draft | None:
    return next((draft for draft in answer.drafts if plan.small is not None and draft.member == plan.small.id), None)


def _held(request: Request, answer: Answer, plan: Plan) -> bool | None:
    """Whether a cascade served what the small member said, after somebody else was asked too; ``None`` elsewhere."""
    own = _find_small(answer, plan)
    if own is None or answer.draft is None or len(answer.drafts) < 2:  # noqa: PLR2004 - one answer has nothing beside it
        return None
    return own is answer.draft or same_answer(own.message, answer.draft.message, request.question)


def _won(answer: Answer, member: Model | None) -> bool | None:
    """Whether the member's own answer won the vote; ``None`` when there was no vote on it, or no winner."""
    verdict = answer.verdict
    if verdict is None or verdict.abstained or member is None:
        return None
    votes = {vote.member: vote.answer_class for vote in verdict.votes}
    return None if member.id not in votes else votes[member.id] == verdict.winner
