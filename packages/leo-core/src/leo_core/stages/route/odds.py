"""Log-odds and probabilities."""

from __future__ import annotations

import math

__all__ = ["log_odds", "probability"]


def log_odds(probability: float) -> float:
    """log(p / (1 − p)), with p clipped to [1e-6, 1 − 1e-6]."""
    clipped = min(max(probability, 1e-6), 1.0 - 1e-6)
    return math.log(clipped / (1.0 - clipped))


def probability(score: float) -> float:
    """The probability of these log-odds, which are clipped to [−40, 40]."""
    return 1.0 / (1.0 + math.exp(-min(max(score, -40.0), 40.0)))
