"""Counting votes again, from the figures of a statement alone.

Exact decimal arithmetic with a stated precision, so that builder and verifier agree to the last digit on any
machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

__all__ = ["TIE", "Recount", "recount"]

TIE = Decimal("0.000001")
"""Weights closer than this count as tied: it covers the rounding of the statement's figures."""

_CONTEXT = Context(prec=40, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Recount:
    """What a set of votes amounts to.

    Attributes:
        totals: Sum of the weights per class.
        posterior: softmax of ``totals``: with weights log(p/(1 − p)) the posterior of the one-coin model.
        least_margin: f* when ties count against the winner.
        most_margin: f* when ties count for the winner.
    """

    totals: tuple[Decimal, ...]
    posterior: tuple[Decimal, ...]
    least_margin: int
    most_margin: int


def recount(votes: Sequence[tuple[int, Decimal]], classes: int, winner: int) -> Recount:
    """Count the votes again.

    Args:
        votes: Class, in [0, ``classes``), and weight of each vote.
        classes: Number of classes, at least 1.
        winner: Class whose margin is asked for; −1 for none (margins 0).
    """
    totals = [_ZERO] * classes
    for answer_class, weight in votes:
        totals[answer_class] = _CONTEXT.add(totals[answer_class], weight)
    least, most = _margins(votes, totals, winner) if winner >= 0 else (0, 0)
    return Recount(tuple(totals), _softmax(totals), least, most)


def _softmax(totals: Sequence[Decimal]) -> tuple[Decimal, ...]:
    top = max(totals)
    powers = [_CONTEXT.exp(_CONTEXT.subtract(total, top)) for total in totals]
    whole = _ZERO
    for power in powers:
        whole = _CONTEXT.add(whole, power)
    return tuple(_CONTEXT.divide(power, whole) for power in powers)


def _margins(votes: Sequence[tuple[int, Decimal]], totals: Sequence[Decimal], winner: int) -> tuple[int, int]:
    """f*: how many of the heaviest supporters can switch to the strongest rival, ties against and for the winner.

    A rival always exists: the switchers may found one.
    """
    rival = max((total for index, total in enumerate(totals) if index != winner), default=_ZERO)
    supporters = sorted((weight for answer_class, weight in votes if answer_class == winner), reverse=True)
    lead = _CONTEXT.subtract(totals[winner], max(rival, _ZERO))
    leads = [lead]
    for weight in supporters:
        leads.append(_CONTEXT.subtract(leads[-1], _CONTEXT.multiply(Decimal(2), weight)))
    least = next((count for count, left in enumerate(leads) if left <= TIE), len(leads)) - 1
    most = max((count for count, left in enumerate(leads) if left >= -TIE), default=0)
    return max(least, 0), most
