"""Figures with their intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["clopper_pearson", "percentile", "wilson_interval"]

Z95 = 1.959963984540054


def wilson_interval(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Interval of a proportion (Wilson 1927): 95 % by default, inside [0, 1]; (0, 1) for no trials.

    Raises:
        ValueError: The counts make no proportion.
    """
    if not 0 <= successes <= trials:
        message = f"{successes} successes in {trials} trials make no proportion"
        raise ValueError(message)
    if trials == 0:
        return (0.0, 1.0)
    share, square = successes / trials, z * z
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    half = z / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return (max(0.0, centre - half), min(1.0, centre + half))


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper and Pearson 1934), inside [0, 1]; (0, 1) for no trials.

    Raises:
        ValueError: The counts make no proportion.
    """
    if not 0 <= successes <= trials:
        message = f"{successes} successes in {trials} trials make no proportion"
        raise ValueError(message)
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if successes == 0 else _solve(lambda p: 1.0 - _binomial_cdf(successes - 1, trials, p) >= tail)
    high = 1.0 if successes == trials else _solve(lambda p: _binomial_cdf(successes, trials, p) <= tail)
    return low, high


def _solve(holds: Callable[[float], bool]) -> float:
    """The least p in [0, 1] for which it holds, where it holds from some p on."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _binomial_cdf(count: int, trials: int, p: float) -> float:
    """P(Bin(trials, p) ≤ count)."""
    if p <= 0.0 or p >= 1.0:
        return float(p <= 0.0 or count >= trials)
    choose, total = math.lgamma(trials + 1), 0.0
    for k in range(count + 1):
        ways = choose - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        total += math.exp(ways + k * math.log(p) + (trials - k) * math.log1p(-p))
    return min(total, 1.0)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share in [0, 1] of the values lies, by linear interpolation.

    Raises:
        ValueError: There are no values, or the share is outside [0, 1].
    """
    if not values or not 0.0 <= share <= 1.0:
        message = f"no percentile {share} of {len(values)} values"
        raise ValueError(message)
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
