"""Which way of deciding is followed: several compete, and audited outcomes judge between them.

A committee can lose to its best member, and a vote by trust to a plain majority. So beside the vote by trust stand the
plain majority and every member by itself. Whenever an audit shows a strategy right where the vote by trust was wrong,
or the other way round, that is one outcome of a paired comparison (McNemar 1947). With n₁ and n₀ of them, discounted
with every audit, a strategy is followed in place of the vote by trust while

    (n₁ − n₀) / √(n₁ + n₀ + 1)

is above what is asked for, and largest. Outcomes that were not audited teach nothing: agreement among members is what
colluders have most of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from leo_core.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from leo_core.records import Observation
    from leo_core.stages.consensus.config import ConsensusConfig

__all__ = ["MAJORITY", "TRUST", "StrategyState", "choose_strategy", "name_member", "update_strategies"]

TRUST = "trust"
"""The vote weighed by trust."""
MAJORITY = "majority"
"""The vote in which all members weigh the same."""
_MEMBER = "member:"
_MORE_FOR_MEMBERS = 0.5
"""How much more evidence a single member needs: there are several of them, and one of them is ahead by chance."""


@dataclass(frozen=True, slots=True)
class StrategyState:
    """Discounted counts per strategy: (right where the vote by trust was wrong, wrong where it was right)."""

    counts: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def fresh(cls) -> StrategyState:
        """Nothing learned yet."""
        return cls()


def name_member(member: str) -> str:
    """The strategy that follows one member."""
    return f"{_MEMBER}{member}"


def choose_strategy(state: StrategyState, offered: Iterable[str], config: ConsensusConfig) -> str:
    """The strategy to follow, of those on offer besides :data:`TRUST`."""
    best, most = TRUST, config.strategy_evidence
    for name in offered:
        ahead, behind = state.counts.get(name, (0.0, 0.0))
        lead = (ahead - behind) / math.sqrt(ahead + behind + 1.0)
        lead -= _MORE_FOR_MEMBERS if name.startswith(_MEMBER) else 0.0
        if lead > most:
            best, most = name, lead
    return best


def update_strategies(state: StrategyState, observation: Observation, config: ConsensusConfig) -> StrategyState:
    """The state after an observation of kind ``"trust"`` with ``{"strategies": {name: right}}``; others change nothing.

    Raises:
        RequestError: A strategy's outcome is neither true nor false.
    """
    outcomes = observation.body.get("strategies") if observation.kind == "trust" else None
    if outcomes is None:
        return state
    if not all(isinstance(right, bool) for right in outcomes.values()):
        message = "the outcome of a strategy is true or false"
        raise RequestError(message)
    if TRUST not in outcomes:
        return state
    base = outcomes[TRUST]
    counts = dict(state.counts)
    for name, right in outcomes.items():
        if name == TRUST:
            continue
        ahead, behind = counts.get(name, (0.0, 0.0))
        ahead, behind = config.forgetting * ahead, config.forgetting * behind
        counts[name] = (ahead + (right and not base), behind + (base and not right))
    return StrategyState(MappingProxyType(counts))
