"""Counting votes: everything about a verdict that anyone can compute again from the votes alone.

The one place of the formulas; standard library only. With K wrong answers that a member which errs chooses from
(``alternatives``), and p the trust in a member, held in (0, 1):

**Weight** of a vote (:func:`weigh_vote`): w = max(0, log(p / (1 - p)) + log K), the log-likelihood ratio of the
one-coin model (Dawid and Skene, 1979, with one parameter per member) for "its answer is the right one" against
"another one is". A member worse than chance, p ≤ 1/(K + 1), counts nothing; it never counts against its answer, or it
could help an answer by denying it.

**Family** (:func:`share_weights`): members of a family err together. With their weights in falling order
w₁ ≥ w₂ ≥ …, each is multiplied by (w₁ + f w₂ + f² w₃ + …) / (w₁ + w₂ + w₃ + …), with f = ``family_share``. So the whole
family weighs at most 1/(1 - f) times its best member, a member alone in its family keeps its weight, and no weight
depends on what anybody answered: that makes the certified margin exact.

**Rounding**: weights are rounded to six decimals and summed as integers, so a receipt carries them exactly and a tie is
a tie everywhere.

**Posterior**: softmax of the classes' sums of weights. There are K + 1 possible answers, so besides the answers seen
there are K + 1 - seen classes that nobody voted for, and always at least one. So a lone answer has the posterior p.

**Winner**: the class with the largest sum; none, when it is not larger than every other or its posterior misses what
is required.

**Certified margin** f*: the largest n such that the winner still has strictly the largest sum after its n heaviest
supporters have switched to the strongest rival; 0 without a winner. A rival always exists: the switchers may found one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WEIGHT_DECIMALS", "Tally", "count_unseen", "recompute", "share_weights", "weigh_vote"]

WEIGHT_DECIMALS = 6
"""Decimals that a weight has."""

_UNIT = 10**WEIGHT_DECIMALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a set of votes amounts to.

    Attributes:
        winner: Index of the winning class; -1 for none.
        leader: Index of the class with the largest sum, the first of several.
        posterior: Probability per class, the unseen ones last; sums to 1.
        confidence: Posterior of the leader.
        certified_margin: f*.
        tied: Whether the leader's sum is not strictly the largest.
    """

    winner: int
    leader: int
    posterior: tuple[float, ...]
    confidence: float
    certified_margin: int
    tied: bool


def weigh_vote(trust: float, alternatives: int) -> float:
    """Weight of the vote of a member with this trust, in (0, 1); at least 0, not yet shared within its family."""
    return max(0.0, math.log(trust / (1.0 - trust)) + math.log(alternatives))


def share_weights(weights: Sequence[float], families: Sequence[str], family_share: float) -> tuple[float, ...]:
    """Share the weights within each family and round them to six decimals.

    Args:
        weights: One per member, at least 0.
        families: The family of each.
        family_share: f in [0, 1).
    """
    factors: dict[str, float] = {}
    for family in families:
        if family not in factors:
            own = sorted((w for w, name in zip(weights, families, strict=True) if name == family), reverse=True)
            whole = sum(own)
            factors[family] = sum(w * family_share**rank for rank, w in enumerate(own)) / whole if whole > 0 else 1.0
    return tuple(round(w * factors[name], WEIGHT_DECIMALS) for w, name in zip(weights, families, strict=True))


def count_unseen(seen: int, alternatives: int) -> int:
    """How many classes that nobody voted for stand beside ``seen`` ones: K + 1 - seen, at least 1."""
    return max(1, alternatives + 1 - seen)


def recompute(votes: Sequence[tuple[int, float]], *, classes: int, required: float) -> Tally:
    """Count votes, with nothing but the votes.

    Args:
        votes: Class and weight of each vote; at least one. The weights are at least 0 and have six decimals.
        classes: Number of classes, those included that nobody voted for.
        required: Posterior that the winner needs, in [0, 1].

    Raises:
        ValueError: There is no vote, a class is out of range, or a weight is negative or not finite.
    """
    if not votes or classes < 1:
        message = "there is no vote to count"
        raise ValueError(message)
    totals = [0] * classes
    for answer_class, weight in votes:
        if not (0 <= answer_class < classes and math.isfinite(weight) and weight >= 0):
            message = f"a vote with weight {weight!r} for class {answer_class!r} of {classes} cannot be counted"
            raise ValueError(message)
        totals[answer_class] += round(weight * _UNIT)
    leader = max(range(classes), key=lambda index: (totals[index], -index))
    posterior = _softmax(totals)
    tied = sum(total == totals[leader] for total in totals) > 1
    won = not tied and posterior[leader] >= required
    rival = max((total for index, total in enumerate(totals) if index != leader), default=0)
    supporters = [round(weight * _UNIT) for answer_class, weight in votes if answer_class == leader]
    return Tally(
        winner=leader if won else -1,
        leader=leader,
        posterior=posterior,
        confidence=posterior[leader],
        certified_margin=_certify(supporters, totals[leader] - rival) if won else 0,
        tied=tied,
    )


def _softmax(totals: Sequence[int]) -> tuple[float, ...]:
    top = max(totals)
    powers = [math.exp((total - top) / _UNIT) for total in totals]
    whole = math.fsum(powers)
    return tuple(power / whole for power in powers)


def _certify(supporters: Sequence[int], lead: int) -> int:
    """How many of the heaviest supporters can switch while the lead over the rival they switch to stays above 0."""
    leads = accumulate(sorted(supporters, reverse=True), lambda left, weight: left - 2 * weight, initial=lead)
    return sum(left > 0 for left in leads) - 1
