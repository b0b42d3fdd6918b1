"""When a jury need not be asked to the end: the outcome cannot change any more, or hardly.

Members are asked one after the other. With the votes so far, the next call is spared when

* the same answer would win even if all who have not been asked gave one and the same other answer, whichever that is;
  or
* the leader's posterior is at least ``early_stop``, and everybody asked so far has been audited often enough to be
  known. Members that nothing is known of are never stopped for: two that agree may be two that collude.

The first is found by counting those votes, since weights are shared within families and read from another record where
a committee is divided: what is ahead now may weigh less among more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.stages.consensus.audit import KNOWN
from leo_core.stages.consensus.trust import count_audits
from leo_core.stages.consensus.vote import UNSEEN, count_votes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.records import Verdict
    from leo_core.stages.consensus.config import ConsensusConfig
    from leo_core.stages.consensus.strategies import StrategyState
    from leo_core.stages.consensus.trust import TrustState

__all__ = ["can_stop"]


def can_stop(
    verdict: Verdict,
    waiting: Sequence[str],
    *,
    trust: TrustState,
    strategies: StrategyState,
    region: int,
    families: Mapping[str, str],
    config: ConsensusConfig,
) -> bool:
    """Whether the members that have not been asked need not be.

    Args:
        verdict: What the members asked so far amount to.
        waiting: Who has not been asked.
        trust: What is known of the members.
        strategies: How other ways of deciding did so far.
        region: Region of the request; -1 for none.
        families: Family of each member by id.
        config: Settings; without ``early_stop`` nobody is spared.
    """
    if config.early_stop is None or not waiting:
        return not waiting
    known = min(count_audits(trust, vote.member) for vote in verdict.votes) >= KNOWN
    if known and verdict.confidence >= config.early_stop:
        return True
    leader = verdict.votes[verdict.medoid].answer_class
    forms = tuple(form for form in verdict.classes if form != UNSEEN)
    another = len(forms)
    members = [*(vote.member for vote in verdict.votes), *waiting]
    return bool(forms[leader]) and all(
        count_votes(
            members,
            [*(vote.answer_class for vote in verdict.votes), *[rival] * len(waiting)],
            (*forms, "another"),
            trust=trust,
            strategies=strategies,
            region=region,
            families=families,
            required=0.0,
            config=config,
        ).winner
        == leader
        for rival in {*(index for index, form in enumerate(forms) if form), another} - {leader}
    )
