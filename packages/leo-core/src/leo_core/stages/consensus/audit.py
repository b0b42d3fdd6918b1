"""Which answers are audited: drawn at random after they were committed, sooner where an audit teaches more.

A share ``rate`` of the requests is audited in the long run; what the share of the first ``audit_ahead`` requests comes
to may be drawn ahead, because the first audits of a committee are worth most. With a the audits still allowed, an
answer is audited with probability

    max( min(0.8, a / 10) · u,  (a − rate · audit_ahead) / 10 ),      at most 1,

with the urgency u = min(1, 2 / (1 + e^(lead − 1))), lead the distance in log-odds between the two likeliest answers,
and at least 1 − n/8 while some member has been audited n < 8 times: a united committee is not audited less before it is
known. While the committee is on alarm (``watch``), some more may be drawn ahead, and members count as not known. The
second term makes up whatever the urgency left of the share. The probability depends on the committed
answers and on past votes and audits only, so no member can know whether it will be audited.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.records import Observation, Verdict
    from leo_core.stages.consensus.config import ConsensusConfig

__all__ = ["KNOWN", "AuditState", "find_audit_chance", "update_audits"]

_PACE = 10.0
_MOST = 0.8
_LEAST_URGENCY = 0.1
_ALONE = 0.5
"""Urgency where there was no vote."""
KNOWN = 8.0
"""Audits from which a member is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditState:
    """How many requests were answered by members, and how many of these answers were audited."""

    requests: int = 0
    audits: int = 0

    @classmethod
    def fresh(cls) -> AuditState:
        """Nothing answered yet."""
        return cls()


def find_audit_chance(
    state: AuditState,
    rate: float,
    verdict: Verdict | None,
    evidence: Sequence[float],
    config: ConsensusConfig,
    *,
    alarm: int = 0,
) -> float:
    """Probability with which an answer is audited, in [0, 1].

    Args:
        state: Audits so far.
        rate: Share that is audited in the long run, in [0, 1].
        verdict: The committee's; ``None`` where there was none.
        evidence: How many audits are known of each member that was asked.
        config: Settings.
        alarm: Audits that may be drawn ahead because the committee is on alarm (``watch``).
    """
    if rate <= 0.0 or rate >= 1.0:
        return min(max(rate, 0.0), 1.0)
    ahead = rate * config.audit_ahead
    allowed = max(rate * max(state.requests, config.audit_ahead) - state.audits + alarm, 0.0)
    chance = min(_MOST, allowed / _PACE) * _find_urgency(verdict, evidence)
    return min(max(chance, (allowed - ahead) / _PACE), 1.0)


def _find_urgency(verdict: Verdict | None, evidence: Sequence[float]) -> float:
    unknown = 1.0 - min(evidence, default=0.0) / KNOWN
    if verdict is None:
        return max(_ALONE, unknown)
    first, second = sorted(verdict.posterior, reverse=True)[:2] if len(verdict.posterior) > 1 else (1.0, 0.0)
    close = 2.0 / (1.0 + first / max(second, 1e-12) / math.e)
    return max(min(close, 1.0), unknown, _LEAST_URGENCY)


def update_audits(state: AuditState, observation: Observation) -> AuditState:
    """Count a ``"route"`` observation: a request that was answered, or an audit of one (``audited``)."""
    if observation.kind != "route":
        return state
    if observation.body.get("audited"):
        return replace(state, audits=state.audits + 1)
    return replace(state, requests=state.requests + 1) if observation.body.get("right") is None else state
