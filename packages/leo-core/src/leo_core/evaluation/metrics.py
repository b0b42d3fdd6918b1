"""Figures with their intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["percentile", "wilson_interval"]

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
