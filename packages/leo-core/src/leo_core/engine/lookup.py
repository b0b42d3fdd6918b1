"""Consulting the cache: exact key first, then the nearest questions in the same scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.engine.effects import Decide, Draw, FindExact, FindNear, Notify, Now
from leo_core.records import CacheDecision
from leo_core.stages.cache.observations import observe_served
from leo_core.stages.cache.policy import choose_hit
from leo_core.stages.consensus.equivalence import same_answer
from leo_core.stages.consensus.trust import estimate

if TYPE_CHECKING:
    from leo_core.engine.effects import Pipeline
    from leo_core.engine.knowledge import Known
    from leo_core.engine.plan import Plan
    from leo_core.records import CacheEntry, Embedding, Identity, Neighbour, Observation, Request

__all__ = ["consult_cache"]


def trust_in(known: Known, members: tuple[str, ...], region: int, plan: Plan) -> float:
    """Current trust in an answer that these members stand behind: that of the most trusted of them."""
    policy = plan.config.consensus
    return max((estimate(known.trust, member, region, policy).mean for member in members), default=1.0)


Choice = tuple[CacheDecision, "CacheEntry | None"]


def consult_cache(
    request: Request, identity: Identity, embedding: Embedding | None, region: int, plan: Plan
) -> Pipeline[Choice]:
    """Whether a kept answer may be served, and which.

    Returns:
        The decision, and its entry: the one to serve, or on ``explore`` the candidate that the models' answer
        is going to be compared with.
    """
    wanted = request.constraints.cache
    if wanted is False or not plan.config.cache.enabled:
        return CacheDecision(action="off", why="the cache is switched off for this request"), None
    exact = yield from FindExact(request.tenant, identity.exact_key)
    near: tuple[Neighbour, ...] = ()
    if exact is None and embedding is not None and identity.semantic and wanted is True:
        near = yield from FindNear(request.tenant, identity.scope_key, embedding.vector, plan.config.cache.candidates)
    (draw,) = yield from Draw()
    moment = yield from Now()

    def choose(known: Known) -> tuple[Choice, tuple[Observation, ...]]:
        decision, entry = choose_hit(
            identity,
            exact=exact,
            neighbours=near,
            same_answer=same_answer,
            trust=lambda members: trust_in(known, members, region, plan),
            promise=known.promise,
            config=plan.config.cache,
            pair_model=plan.pair_model,
            draw=draw,
        )
        return (decision, entry), (observe_served(decision, tenant=request.tenant, at=moment.epoch),)

    decision, entry = yield from Decide(request.tenant, choose)
    if not decision.hit:
        yield from Notify(f"cache.{decision.action}", {"kind": decision.kind, "entry_id": decision.entry_id})
    return decision, entry
