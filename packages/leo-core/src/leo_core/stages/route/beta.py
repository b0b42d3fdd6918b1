"""Draws from a Beta distribution without a numerical library."""

from __future__ import annotations

import math
from statistics import NormalDist

__all__ = ["digamma", "draw_beta", "trigamma"]

_STANDARD = NormalDist()
_FAR = 6.0


def digamma(x: float) -> float:
    """ψ(x) for x > 0, to 1e-8 (Abramowitz & Stegun 6.3.5, 6.3.18)."""
    shift = 0.0
    while x < _FAR:
        shift -= 1.0 / x
        x += 1.0
    square = 1.0 / (x * x)
    return shift + math.log(x) - 0.5 / x - square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))


def trigamma(x: float) -> float:
    """ψ′(x) for x > 0, to 1e-7 (Abramowitz & Stegun 6.4.6, 6.4.12)."""
    shift = 0.0
    while x < _FAR:
        shift += 1.0 / (x * x)
        x += 1.0
    square = 1.0 / (x * x)
    return shift + 1.0 / x + square / 2 + square / x * (1 / 6 - square * (1 / 30 - square * (1 / 42 - square / 30)))


def draw_beta(alpha: float, beta: float, draw: float) -> float:
    """A Beta(alpha, beta) value for a uniform draw: the quantile of a normal law in log-odds.

    The log-odds of a Beta variable have mean ψ(α) − ψ(β) and variance ψ′(α) + ψ′(β) exactly; the normal law with these
    moments stands for theirs. Non-decreasing in ``draw``. Quantiles between 2.5 % and 97.5 % are within 0.035 of the
    true ones for α, β ≥ 3, within 0.06 from 2 and within 0.14 from 1: the tails are wider, so little-known routes are
    explored somewhat more. ``draw`` is clipped to [1e-6, 1 − 1e-6].
    """
    z = _STANDARD.inv_cdf(min(max(draw, 1e-6), 1.0 - 1e-6))
    score = digamma(alpha) - digamma(beta) + z * math.sqrt(trigamma(alpha) + trigamma(beta))
    return 1.0 / (1.0 + math.exp(-min(max(score, -40.0), 40.0)))
