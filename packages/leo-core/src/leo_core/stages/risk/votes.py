"""What a committee's vote says about the answer that is served."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from leo_core.stages.risk.linear import logit

if TYPE_CHECKING:
    from leo_core.records import Verdict

__all__ = ["VOTE_FEATURES", "vote_features"]

VOTE_FEATURES = (
    "posterior",
    "lead",
    "share",
    "unanimous",
    "second",
    "classes",
    "margin",
    "support",
    "opposition",
    "mean_trust",
    "own_trust",
    "committee",
    "won",
)
"""Names of the features, in order; all finite."""

_SURE = 0.002
"""Posteriors and trusts are held this far from 0 and 1."""
_LEAST_LEAD, _MOST_LEAD = -5.0, 8.0
_UNOPPOSED = -3.0
"""Log-odds of the most trusted opponent where nobody said anything else."""


def vote_features(verdict: Verdict, member: str) -> dict[str, float] | None:
    """Features of the vote for what ``member`` said; ``None`` where it has no vote, or nobody else has.

    ``posterior``: log-odds that the vote gives its answer; ``lead``: log of its posterior over that of the likeliest
    other answer; ``share`` and ``second``: share of the votes for it and for the most popular other answer;
    ``classes``: log of the number of answers; ``margin``: certified margin by vote; ``support``, ``opposition``:
    log-odds of the most trusted member for and against it; ``mean_trust``, ``own_trust``: log-odds of the members' mean
    trust and of its own; ``committee``: log of the number of votes; ``won``: whether it is the winner.
    """
    votes = verdict.votes
    own = next((vote for vote in votes if vote.member == member), None)
    if own is None or len(votes) < 2:  # noqa: PLR2004 - one vote is no vote
        return None
    number = own.answer_class
    counts = [0] * len(verdict.classes)
    for vote in votes:
        counts[vote.answer_class] += 1
    others = [count for at, count in enumerate(counts) if at != number]
    posterior = verdict.posterior[number]
    rival = max([each for at, each in enumerate(verdict.posterior) if at != number], default=0.0)
    lead = math.log(max(posterior, 1e-4) / max(rival, 1e-4))
    share = counts[number] / len(votes)
    return {
        "posterior": _log_odds(posterior),
        "lead": min(max(lead, _LEAST_LEAD), _MOST_LEAD),
        "share": share,
        "unanimous": float(share == 1.0),
        "second": max(others, default=0) / len(votes),
        "classes": math.log(sum(count > 0 for count in counts)),
        "margin": verdict.certified_margin / len(votes),
        "support": max(_log_odds(vote.trust) for vote in votes if vote.answer_class == number),
        "opposition": max([_log_odds(vote.trust) for vote in votes if vote.answer_class != number], default=_UNOPPOSED),
        "mean_trust": _log_odds(sum(vote.trust for vote in votes) / len(votes)),
        "own_trust": _log_odds(own.trust),
        "committee": math.log(len(votes)),
        "won": float(number == verdict.winner),
    }


def _log_odds(probability: float) -> float:
    return logit(min(max(probability, _SURE), 1.0 - _SURE))
