"""The fixed grid of scores over which outcomes are pooled, with what the shipped calibration expects of it.

The grid never changes while a tenant lives: a bin's error rate is a property of the traffic, and all evidence
about it counts from the first outcome on.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

__all__ = ["BINS", "Bin", "bin_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """A bin of scores.

    Attributes:
        low: Smallest score in it; it ends where the next begins.
        expected_error: P(wrong) that the shipped calibration expects: the mean of the mixing prior.
        stake: Share of the e-process that bets on this bin, in (0, 1): large where hits are expected to be served.
    """

    low: float
    expected_error: float
    stake: float


BINS: tuple[Bin, ...] = (
    Bin(low=0.0, expected_error=0.90, stake=0.05),
    Bin(low=0.2, expected_error=0.70, stake=0.05),
    Bin(low=0.4, expected_error=0.40, stake=0.20),
    Bin(low=0.6, expected_error=0.20, stake=0.50),
    Bin(low=0.75, expected_error=0.10, stake=0.80),
    Bin(low=0.85, expected_error=0.05, stake=0.90),
    Bin(low=0.92, expected_error=0.03, stake=0.90),
    Bin(low=0.97, expected_error=0.02, stake=0.90),
)

_LOWS = [each.low for each in BINS]


def bin_of(score: float) -> int:
    """Index of the bin that holds a score in [0, 1]."""
    return max(bisect_right(_LOWS, score) - 1, 0)
