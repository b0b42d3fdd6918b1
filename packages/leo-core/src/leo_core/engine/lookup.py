"""Consulting the cache: exact key first, then the nearest questions in the same scope."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from leo_core.engine.effects import Decide, Draw, FindExact, FindNear, Notify, Now
from leo_core.privacy.personal.redaction import list_stand_ins
from leo_core.records import CacheDecision
from leo_core.stages.cache.observations import observe_served
from leo_core.stages.cache.policy import choose_hit
from leo_core.stages.consensus.equivalence import sort_answers
from leo_core.stages.consensus.trust import estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from leo_core.engine.effects import Pipeline
    from leo_core.engine.knowledge import Known
    from leo_core.engine.plan import Plan
    from leo_core.records import CacheEntry, Embedding, Identity, Neighbour, Observation, Request

__all__ = ["consult_cache", "look_again"]


def trust_in(known: Known, members: tuple[str, ...], region: int, plan: Plan) -> float:
    """Current trust in an answer that these members stand behind: that of the most trusted of them."""
    policy = plan.config.consensus
    return max((estimate(known.trust, member, region, policy).mean for member in members), default=1.0)


Choice = tuple[CacheDecision, "CacheEntry | None"]


def consult_cache(
    request: Request,
    identity: Identity,
    embedding: Embedding | None,
    region: int,
    plan: Plan,
    *,
    claims: Callable[[CacheEntry], bool] | None = None,
) -> Pipeline[Choice]:
    """Whether a kept answer may be served, and which.

    Args:
        request: What is asked.
        identity: Its keys.
        embedding: Its embedding; ``None`` matches exactly only.
        region: Where trust is looked up.
        plan: Policies.
        claims: Asked about a stale entry that would be served: whether this caller renews it instead. Without it
            the entry is served, and whoever serves it renews it beside.

    Returns:
        The decision, and its entry: the one to serve, on ``explore`` the candidate that the models' answer is going
        to be compared with, or the one that is renewed.
    """
    wanted = request.constraints.cache
    if wanted is False or not plan.config.cache.enabled:
        return CacheDecision(action="off", why="the cache is switched off for this request"), None
    exact = yield from FindExact(request.tenant, identity.exact_key)
    if wanted == "renew":
        why = "the request asks for a new answer"
        return CacheDecision(action="miss", stale=True, why=why, entry_id=exact.id if exact else None), exact
    near: tuple[Neighbour, ...] = ()
    if exact is None and embedding is not None and identity.semantic and wanted is True:
        found = yield from FindNear(request.tenant, identity.scope_key, embedding.vector, plan.config.cache.candidates)
        own = list_stand_ins(identity.text)
        near = tuple(each for each in found if _fits(own, each.entry.text))
    (draw,) = yield from Draw()
    moment = yield from Now()

    def choose(known: Known) -> tuple[Choice, tuple[Observation, ...]]:
        decision, entry = choose_hit(
            identity,
            exact=exact,
            neighbours=near,
            sort_answers=sort_answers,
            trust=lambda members: trust_in(known, members, region, plan),
            promise=known.promise,
            config=plan.config.cache,
            pair_model=plan.pair_model,
            draw=draw,
        )
        if decision.hit and entry is not None and entry.is_stale(moment.epoch):
            decision = _judge_stale(decision, renews=claims is not None and claims(entry))
        return (decision, entry), (observe_served(decision, tenant=request.tenant, at=moment.epoch),)

    decision, entry = yield from Decide(request.tenant, choose)
    if not decision.hit:
        yield from Notify(f"cache.{decision.action}", {"kind": decision.kind, "entry_id": decision.entry_id})
    return decision, entry


def _fits(own: tuple[str, ...], kept: str) -> bool:
    """Whether a kept answer can be told with the values of this request, whose stand-ins are ``own``.

    It needs the same stand-ins for personal data. With two or more, a paraphrase may have them in other places, where
    the answer would be told with one's values for the other's: such requests match exactly only.
    """
    return len(own) < 2 and own == list_stand_ins(kept)  # noqa: PLR2004 - one cannot be in another's place


def look_again(request: Request, identity: Identity, region: int, plan: Plan) -> Pipeline[Choice]:
    """Whether an equal request has been answered meanwhile. The request was counted before and is not again."""
    exact = yield from FindExact(request.tenant, identity.exact_key)
    if exact is None:
        return CacheDecision(action="miss", why="no answer came of an equal request"), None

    def choose(known: Known) -> tuple[Choice, tuple[Observation, ...]]:
        choice = choose_hit(
            identity,
            exact=exact,
            neighbours=(),
            sort_answers=sort_answers,
            trust=lambda members: trust_in(known, members, region, plan),
            promise=known.promise,
            config=plan.config.cache,
            pair_model=plan.pair_model,
            draw=1.0,
        )
        return choice, ()

    return (yield from Decide(request.tenant, choose))


def _judge_stale(decision: CacheDecision, *, renews: bool) -> CacheDecision:
    if renews:
        return replace(decision, action="miss", stale=True, why="the entry is stale: asked anew")
    return replace(decision, stale=True, why=f"{decision.why}; stale, being renewed")
