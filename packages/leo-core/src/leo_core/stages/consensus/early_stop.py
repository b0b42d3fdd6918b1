"""When a jury need not be asked to the end: the outcome cannot change any more, or hardly.

Members are asked one after the other. With the votes so far, the next call is spared when

* the leader's sum of weights is ahead of the strongest rival's by more than all who have not been asked could add to
  it: then no answer of theirs changes who leads; or
* the leader's posterior is at least ``early_stop``, and everybody asked so far has been audited often enough to be
  known. Members that nothing is known of are never stopped for: two that agree may be two that collude.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.stages.consensus.audit import KNOWN
from leo_core.stages.consensus.tally import weigh_vote
from leo_core.stages.consensus.trust import estimate, estimate_in_dispute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.records import Verdict
    from leo_core.stages.consensus.config import ConsensusConfig
    from leo_core.stages.consensus.trust import TrustState

__all__ = ["can_stop", "count_audits"]


def count_audits(trust: TrustState, member: str, config: ConsensusConfig) -> float:
    """How many audits are known of a member, discounted."""
    found = estimate_in_dispute(trust, member, -1, config)
    return found.alpha + found.beta - config.prior_right - config.prior_wrong


def can_stop(
    verdict: Verdict, waiting: Sequence[str], *, trust: TrustState, region: int, config: ConsensusConfig
) -> bool:
    """Whether the members that have not been asked need not be.

    Args:
        verdict: What the members asked so far amount to.
        waiting: Who has not been asked.
        trust: What is known of the members.
        region: Region of the request; -1 for none.
        config: Settings; without ``early_stop`` nobody is spared.
    """
    if config.early_stop is None or not waiting:
        return not waiting
    sums: dict[int, float] = {}
    for vote in verdict.votes:
        sums[vote.answer_class] = sums.get(vote.answer_class, 0.0) + vote.weight
    leader = max(sums, key=lambda each: (sums[each], -each))
    rival = max((total for each, total in sums.items() if each != leader), default=0.0)
    most = sum(_weigh_most(trust, member, region, config) for member in waiting)
    if sums[leader] - rival > most:
        return True
    known = min(count_audits(trust, vote.member, config) for vote in verdict.votes) >= KNOWN
    return known and verdict.confidence >= config.early_stop


def _weigh_most(trust: TrustState, member: str, region: int, config: ConsensusConfig) -> float:
    """The largest weight that a vote of this member may have, united or divided, by trust or in a plain majority."""
    shares = (
        estimate(trust, member, region, config).mean,
        estimate_in_dispute(trust, member, region, config).mean,
        config.prior_right / (config.prior_right + config.prior_wrong),
    )
    highest = min(max(*shares, config.trust_floor), config.trust_ceiling)
    return weigh_vote(highest, config.alternatives)
