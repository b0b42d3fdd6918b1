"""What follows from the caller's word about an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.engine.effects import FindExact, Learn, Notify, Now, RemoveEntry
from leo_core.engine.trials import settle_default
from leo_core.records import CacheDecision
from leo_core.stages.cache.identity import identify
from leo_core.stages.cache.observations import observe_feedback as cache_feedback
from leo_core.stages.consensus.equivalence import same_answer
from leo_core.stages.consensus.observations import observe_feedback as members_feedback
from leo_core.stages.route.observations import observe_route

if TYPE_CHECKING:
    from leo_core.engine.effects import Pipeline
    from leo_core.engine.plan import Plan
    from leo_core.records import Answer, CacheEntry, Observation, Request

__all__ = ["take_entry_feedback", "take_feedback"]


def take_feedback(request: Request, answer: Answer, plan: Plan, *, wrong: bool) -> Pipeline[None]:
    """A wrong answer is removed from the cache; members, routes and the cache's record learn either way.

    Removed is what was served, and what the request leads to now: an answer that was found equal to a kept one
    had become an alias of it, and then that one is as wrong.
    """
    now = yield from Now()
    entry_id = answer.entry.id if answer.entry is not None else answer.id
    if wrong:
        leads_to = yield from FindExact(request.tenant, identify(request, models=plan.fingerprint).exact_key)
        for wrong_id in {entry_id} | ({leads_to.id} if leads_to is not None else set()):
            yield from RemoveEntry(request.tenant, wrong_id)
    yield from Learn(_observations(request, answer, wrong=wrong, at=now.epoch))
    yield from settle_default(request.tenant, answer.novelty.region, plan)
    yield from Notify("feedback.given", {"wrong": wrong, "answer_id": answer.id})


def take_entry_feedback(entry: CacheEntry, *, wrong: bool) -> Pipeline[None]:
    """As :func:`take_feedback`, for an answer of which nothing is known but the entry that it became."""
    now = yield from Now()
    if wrong:
        yield from RemoveEntry(entry.tenant, entry.id)
    yield from Learn(
        (
            members_feedback(
                members=entry.members, region=-1, wrong=wrong, tenant=entry.tenant, at=now.epoch, answer_id=entry.id
            ),
            cache_feedback(
                CacheDecision(action="serve", entry_id=entry.id), wrong=wrong, tenant=entry.tenant, at=now.epoch
            ),
        )
    )
    yield from Notify("feedback.given", {"wrong": wrong, "answer_id": entry.id})


def _observations(request: Request, answer: Answer, *, wrong: bool, at: float) -> tuple[Observation, ...]:
    region, tenant = answer.novelty.region, request.tenant
    if answer.entry is not None:
        return (
            members_feedback(members=answer.entry.members, region=region, wrong=wrong, tenant=tenant, at=at),
            cache_feedback(answer.cache, wrong=wrong, tenant=tenant, at=at),
        )
    supporters = [
        draft.member for draft in answer.drafts if same_answer(draft.message, answer.message, request.question)
    ]
    return (
        members_feedback(members=supporters, region=region, wrong=wrong, tenant=tenant, at=at, answer_id=answer.id),
        observe_route(route=answer.route, region=region, right=not wrong, tenant=tenant, at=at),
    )
