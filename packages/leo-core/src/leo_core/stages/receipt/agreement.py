"""Checking a coherence again, from the figures of a statement alone: no solver, no vectors, no floats.

The certificate holds the inner products of the answers' unit vectors and the coefficients c of two points,
w = Σ c_i x_i, one for these vectors and one for orthogonal ones. The value of the problem at w, and a bound on what a
better point could save, follow from them (:mod:`leo_core.stages.consensus.certificate` has the derivation). Decimal
arithmetic with a stated precision, so that builder and verifier agree to the last digit on any machine; the weights
are those of the votes.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.records import Json

__all__ = ["LEAST_WEIGHT", "Agreement", "recompute_coherence"]

LEAST_WEIGHT = Decimal("0.000001")
"""Weight that a vote without weight has in the problem."""

_CONTEXT = Context(prec=28, rounding=ROUND_HALF_EVEN)
_ZERO, _ONE, _TWO, _HALF = Decimal(0), Decimal(1), Decimal(2), Decimal("0.5")
_RIDGE = Decimal("0.000001")
_Matrix = list[list[Decimal]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a certificate amounts to.

    Attributes:
        coherence: 1 − optimum / its value for orthogonal vectors, held in [0, 1].
        gap: Most that the optimum can lie below the stated point's value, for weights that sum to 1.
        orthogonal_gap: The same for the orthogonal problem.
        least_pivot: Least pivot of the inner products' Cholesky factor, with 1e-6 added to the diagonal: positive
            for inner products that vectors can have, up to rounding.
    """

    coherence: Decimal
    gap: Decimal
    orthogonal_gap: Decimal
    least_pivot: Decimal


def recompute_coherence(weights: Sequence[Decimal], certificate: Mapping[str, Json]) -> Agreement:
    """Compute a coherence again.

    Args:
        weights: Weight of each vote, at least 0; at least two.
        certificate: ``kappa``, ``gram``, ``centre`` and ``orthogonal_centre`` of a statement, of matching lengths.
    """
    raised = [max(weight, LEAST_WEIGHT) for weight in weights]
    whole = _sum(raised)
    shares = [_CONTEXT.divide(weight, whole) for weight in raised]
    kappa = Decimal(certificate["kappa"])
    gram = _unfold([Decimal(value) for value in certificate["gram"]], len(shares))
    value, gap = _measure(gram, shares, kappa, [Decimal(part) for part in certificate["centre"]])
    identity = _unfold([_ZERO] * len(certificate["gram"]), len(shares))
    most, orthogonal_gap = _measure(identity, shares, kappa, [Decimal(p) for p in certificate["orthogonal_centre"]])
    ratio = _CONTEXT.divide(value, most) if most > 0 else _ZERO
    coherence = min(_ONE, max(_ZERO, _CONTEXT.subtract(_ONE, ratio)))
    return Agreement(coherence, gap, orthogonal_gap, _least_pivot(gram))


def _unfold(upper: Sequence[Decimal], count: int) -> _Matrix:
    """The symmetric matrix with ones on its diagonal and this strict upper triangle, by rows."""
    matrix = [[_ONE] * count for _ in range(count)]
    values = iter(upper)
    for row in range(count):
        for column in range(row + 1, count):
            matrix[row][column] = matrix[column][row] = next(values)
    return matrix


def _measure(
    gram: _Matrix, shares: Sequence[Decimal], kappa: Decimal, centre: Sequence[Decimal]
) -> tuple[Decimal, Decimal]:
    """F(w) and the bound on F(w) − min F, for w = Σ c_i x_i."""
    inner = [_dot(row, centre) for row in gram]
    length = _dot(centre, inner)
    value, farthest, pulls = _ZERO, _ZERO, []
    for share, product in zip(shares, inner, strict=True):
        squared = _CONTEXT.add(_CONTEXT.subtract(_ONE, _CONTEXT.multiply(_TWO, product)), length)
        distance = _CONTEXT.sqrt(max(squared, _ZERO))
        farthest = max(farthest, distance)
        if distance <= kappa:
            cost, pull = _CONTEXT.multiply(_HALF, _CONTEXT.multiply(distance, distance)), share
        else:
            linear = _CONTEXT.subtract(distance, _CONTEXT.multiply(_HALF, kappa))
            cost, pull = _CONTEXT.multiply(kappa, linear), _CONTEXT.divide(_CONTEXT.multiply(share, kappa), distance)
        value = _CONTEXT.add(value, _CONTEXT.multiply(share, cost))
        pulls.append(pull)
    whole = _sum(pulls)
    rest = [_CONTEXT.subtract(p, _CONTEXT.multiply(whole, c)) for p, c in zip(pulls, centre, strict=True)]
    squared = _dot(rest, [_dot(row, rest) for row in gram])
    return value, _CONTEXT.multiply(_CONTEXT.sqrt(max(squared, _ZERO)), farthest)


def _least_pivot(gram: _Matrix) -> Decimal:
    """Least pivot of L D Lᵀ, the matrix with a ridge; it stops at the first that is not positive."""
    count = len(gram)
    factor: _Matrix = [[_ZERO] * count for _ in range(count)]
    pivots: list[Decimal] = []
    for row in range(count):
        for column in range(row):
            known = _ZERO
            for place in range(column):
                part = _CONTEXT.multiply(factor[row][place], factor[column][place])
                known = _CONTEXT.add(known, _CONTEXT.multiply(part, pivots[place]))
            factor[row][column] = _CONTEXT.divide(_CONTEXT.subtract(gram[row][column], known), pivots[column])
        pivot = _CONTEXT.add(gram[row][row], _RIDGE)
        for place in range(row):
            square = _CONTEXT.multiply(factor[row][place], factor[row][place])
            pivot = _CONTEXT.subtract(pivot, _CONTEXT.multiply(square, pivots[place]))
        pivots.append(pivot)
        if pivot <= 0:
            break
    return min(pivots)


def _dot(one: Sequence[Decimal], other: Sequence[Decimal]) -> Decimal:
    total = _ZERO
    for left, right in zip(one, other, strict=True):
        total = _CONTEXT.fma(left, right, total)
    return total


def _sum(values: Sequence[Decimal]) -> Decimal:
    total = _ZERO
    for value in values:
        total = _CONTEXT.add(total, value)
    return total
