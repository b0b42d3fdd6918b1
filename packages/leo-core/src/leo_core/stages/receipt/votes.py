"""Counting votes again, from the figures of a statement alone.

Exact decimal arithmetic with a stated precision, so that builder and verifier agree to the last digit on any
machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Recount", "recount"]

_CONTEXT = Context(prec=40, rounding=ROUND_HALF_EVEN)
_ZERO, _TWO = Decimal(0), Decimal(2)


@dataclass(frozen=True, slots=True)
class Recount:
    """What a set of votes amounts to.

    Attributes:
        posterior: softmax of the sums of weights per class: with weights log(p/(1 - p)) the posterior of the
            one-coin model.
        lead: By how much the sum of the class asked about exceeds the largest of the others.
        margin: f*: how many of its heaviest supporters can switch to the strongest rival while the lead stays
            above 0; 0 when there is no lead. A rival always exists: the switchers may found one.
    """

    posterior: tuple[Decimal, ...]
    lead: Decimal
    margin: int


def recount(votes: Sequence[tuple[int, Decimal]], classes: int, leader: int) -> Recount:
    """Count the votes again.

    Args:
        votes: Class, in [0, ``classes``), and weight, at least 0, of each vote.
        classes: Number of classes, at least 1; those that nobody voted for included.
        leader: Class whose lead and margin are asked for.
    """
    totals = [_ZERO] * classes
    for answer_class, weight in votes:
        totals[answer_class] = _CONTEXT.add(totals[answer_class], weight)
    rival = max((total for index, total in enumerate(totals) if index != leader), default=_ZERO)
    lead = _CONTEXT.subtract(totals[leader], rival)
    supporters = sorted((weight for answer_class, weight in votes if answer_class == leader), reverse=True)
    return Recount(_softmax(totals), lead, _count_switchers(lead, supporters))


def _count_switchers(lead: Decimal, supporters: Sequence[Decimal]) -> int:
    leads = accumulate(
        supporters, lambda left, weight: _CONTEXT.subtract(left, _CONTEXT.multiply(_TWO, weight)), initial=lead
    )
    return max(0, sum(left > 0 for left in leads) - 1)


def _softmax(totals: Sequence[Decimal]) -> tuple[Decimal, ...]:
    top, whole = max(totals), _ZERO
    powers = [_CONTEXT.exp(_CONTEXT.subtract(total, top)) for total in totals]
    for power in powers:
        whole = _CONTEXT.add(whole, power)
    return tuple(_CONTEXT.divide(power, whole) for power in powers)
