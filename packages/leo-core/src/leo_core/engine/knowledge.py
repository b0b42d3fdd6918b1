"""What LEO knows of a tenant: the fold of its observations, in frozen states.

Each stage owns its state and its update; this file only puts them side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leo_core.stages.cache.promise import PromiseState, update_promise
from leo_core.stages.consensus.audit import AuditState, update_audits
from leo_core.stages.consensus.strategies import StrategyState, update_strategies
from leo_core.stages.consensus.trust import TrustState, update_trust
from leo_core.stages.memory.policy import MemoryState
from leo_core.stages.novelty.state import NoveltyState
from leo_core.stages.risk.state import RiskState, update_risk
from leo_core.stages.route.opinions import OpinionState, update_opinions
from leo_core.stages.route.standing import PromotionState, update_promotions
from leo_core.stages.route.state import RouteState, update_routes

if TYPE_CHECKING:
    from leo_core.config import LEOConfig
    from leo_core.records import Observation

__all__ = ["Known", "fold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one tenant, and of one of its sessions.

    Attributes:
        novelty: Centres and past scores of its traffic.
        promise: What the cache has explored and served.
        trust: Trust in the members.
        strategies: How other ways of deciding did beside the vote by trust.
        audits: How many answers were audited.
        risk: Record of the small model.
        routes: Record of the routes.
        opinions: What jurors' opinions were worth in cascades.
        promotions: Default routes of the regions.
        memory: Micro-memory of the session asked for.
    """

    novelty: NoveltyState
    promise: PromiseState
    trust: TrustState
    strategies: StrategyState
    audits: AuditState
    risk: RiskState
    routes: RouteState
    opinions: OpinionState
    promotions: PromotionState
    memory: MemoryState

    @classmethod
    def fresh(cls, dimension: int) -> Known:
        """Nothing known yet; ``dimension`` is that of the embeddings."""
        return cls(
            novelty=NoveltyState.empty(dimension),
            promise=PromiseState.fresh(),
            trust=TrustState.fresh(),
            strategies=StrategyState.fresh(),
            audits=AuditState.fresh(),
            risk=RiskState.fresh(),
            routes=RouteState.fresh(),
            opinions=OpinionState.fresh(),
            promotions=PromotionState.fresh(),
            memory=MemoryState.empty(dimension),
        )


def fold(known: Known, observation: Observation, config: LEOConfig) -> Known:
    """What is known after one more observation."""
    match observation.kind:
        case "cache" | "served":
            return replace(known, promise=update_promise(known.promise, observation, config.cache))
        case "trust":
            return replace(
                known,
                trust=update_trust(known.trust, observation, config.consensus),
                strategies=update_strategies(known.strategies, observation, config.consensus),
            )
        case "route":
            return replace(
                known,
                trust=update_trust(known.trust, observation, config.consensus),
                audits=update_audits(known.audits, observation),
                risk=update_risk(known.risk, observation, config.risk),
                routes=update_routes(known.routes, observation, config.route),
                opinions=update_opinions(known.opinions, observation, config.route),
                promotions=update_promotions(known.promotions, observation, config.route),
            )
        case "promotion":
            return replace(
                known,
                routes=update_routes(known.routes, observation, config.route),
                promotions=update_promotions(known.promotions, observation, config.route),
            )
        case "feedback":
            return (
                replace(known, promise=update_promise(known.promise, observation, config.cache))
                if "entry" in observation.body
                else replace(known, trust=update_trust(known.trust, observation, config.consensus))
            )
        case "audit":
            return known
