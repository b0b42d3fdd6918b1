"""What other caches do with the same stream: one threshold for all, and one learned curve per entry."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.evaluation.cache_stream import Stream

__all__ = ["THRESHOLDS", "Outcome", "VCachePolicy", "play_static", "play_vcache"]

THRESHOLDS = tuple(round(0.7 + 0.005 * step, 3) for step in range(60))
"""Cosines among which the best one is chosen with hindsight."""

_LEAST_OUTCOMES = 6
_GRID = 50
_FLAT, _SINGULAR, _LEAST_STEP = 1e-6, 1e-14, 1e-4
_FIRST_OUTCOMES = ((0.0, False), (1.0, True))
_SEPARATED = 0.2
_SEPARATED_UP_TO = 24
"""The variance of the threshold of perfectly separated outcomes is 0.2 over their number, up to 24 of them."""


@dataclass(slots=True)
class Outcome:
    """What a policy did with a stream.

    Attributes:
        requests: Requests.
        hits: Answered from the cache.
        wrong: Of those, with another intent.
    """

    requests: int = 0
    hits: int = 0
    wrong: int = 0

    @property
    def hit_rate(self) -> float:
        """Hits over all requests."""
        return self.hits / self.requests if self.requests else 0.0

    @property
    def wrong_rate(self) -> float:
        """Wrong hits over all requests."""
        return self.wrong / self.requests if self.requests else 0.0


def play_static(stream: Stream, order: Sequence[int], threshold: float) -> Outcome:
    """Serve the nearest kept question at or above a cosine; keep what was missed."""
    kept, outcome = stream.open(), Outcome()
    for row in order:
        outcome.requests += 1
        near = kept.nearest(row)
        if near is not None and near[1] >= threshold:
            outcome.hits += 1
            outcome.wrong += stream.intents[near[0]] != stream.intents[row]
        else:
            kept.add(row)
    return outcome


def play_vcache(stream: Stream, order: Sequence[int], delta: float, seed: int) -> Outcome:
    """VCache's verified policy (Schroeder et al. 2025, *vCache: Verified Semantic Prompt Caching*, algorithm 1)."""
    kept, outcome, policy = stream.open(), Outcome(), VCachePolicy(delta, seed)
    for row in order:
        outcome.requests += 1
        near = kept.nearest(row)
        if near is None:
            kept.add(row)
            continue
        right = stream.intents[near[0]] == stream.intents[row]
        if policy.exploits(near[0], near[1]):
            outcome.hits += 1
            outcome.wrong += not right
            continue
        policy.learn(near[0], near[1], right=right)
        if not right:
            kept.add(row)
    return outcome


@dataclass(slots=True)
class _Curve:
    """The outcomes of one entry and the sigmoid fitted to them; ``None`` until there are enough."""

    outcomes: list[tuple[float, bool]] = field(default_factory=lambda: list(_FIRST_OUTCOMES))
    weights: tuple[float, float] = (0.0, 1.0)
    fitted: tuple[float, float, float] | None = None


class VCachePolicy:
    """Per entry: P(right | cosine s) = σ(γ(s − t)), fitted to the entry's outcomes by logistic regression.

    With ε on a grid, t'(ε) is the (1 − ε) quantile of the estimate of t; the probability to be right is at least
    α = (1 − ε)·σ(γ(s − t'(ε))). Exploring with probability τ = min over ε of 1 − δ/(1 − α) keeps the chance of an
    error at or below δ. Entries with fewer than six outcomes, of which two are given, are always explored.

    Args:
        delta: δ.
        seed: Of the draws.
    """

    def __init__(self, delta: float, seed: int) -> None:
        self._delta = delta
        self._random = random.Random(seed)  # noqa: S311 - a benchmark's draws
        self._curves: dict[int, _Curve] = {}
        self._epsilons = [1e-6 + (1.0 - 2e-6) * step / (_GRID - 1) for step in range(_GRID)]
        self._quantiles = [NormalDist().inv_cdf(1.0 - each) for each in self._epsilons]

    def exploits(self, entry: int, cosine: float) -> bool:
        """Whether the entry is served at this cosine."""
        curve = self._curves.get(entry)
        if curve is None or curve.fitted is None:
            return False
        middle, steepness, deviation = curve.fitted
        cosine = round(cosine, 3)
        likely = 0.0
        for epsilon, quantile in zip(self._epsilons, self._quantiles, strict=True):
            threshold = min(max(middle + quantile * deviation, 0.0), 1.0)
            likely = max(likely, (1.0 - epsilon) * _sigmoid(steepness * (cosine - threshold)))
        explore = 1.0 - self._delta / (1.0 - likely) if likely < 1.0 else -math.inf
        return self._random.random() > explore

    def learn(self, entry: int, cosine: float, *, right: bool) -> None:
        """Take an outcome into the entry's curve."""
        curve = self._curves.setdefault(entry, _Curve())
        curve.outcomes.append((round(cosine, 3), right))
        if len(curve.outcomes) >= _LEAST_OUTCOMES:
            curve.weights, curve.fitted = _fit(curve.outcomes, curve.weights)


def _fit(
    outcomes: Sequence[tuple[float, bool]], start: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float, float]]:
    """The weights, and threshold t, steepness γ and the deviation of t."""
    intercept, slope, information = _regress(outcomes, start)
    return (intercept, slope), _read_threshold(outcomes, intercept, slope, information)


def _read_threshold(
    outcomes: Sequence[tuple[float, bool]], intercept: float, slope: float, information: tuple[float, float, float]
) -> tuple[float, float, float]:
    steepness = max(slope, 1e-6)
    middle = min(max(-intercept / steepness, 0.0), 1.0)
    right = [cosine for cosine, same in outcomes if same]
    wrong = [cosine for cosine, same in outcomes if not same]
    if min(right) > max(wrong):
        variance = _SEPARATED / min(len(outcomes), _SEPARATED_UP_TO)
        return round(middle, 3), round(steepness, 3), math.sqrt(variance)
    a, b, c = information
    determinant = a * c - b * b
    if determinant <= 0.0:
        return round(middle, 3), round(steepness, 3), 1.0
    one, two = -1.0 / steepness, intercept / steepness**2
    variance = (one * one * c - 2.0 * one * two * b + two * two * a) / determinant
    return round(middle, 3), round(steepness, 3), math.sqrt(max(variance, 0.0))


def _regress(
    outcomes: Sequence[tuple[float, bool]], start: tuple[float, float]
) -> tuple[float, float, tuple[float, float, float]]:
    """Maximum likelihood of a logistic regression by damped Newton steps, and its information matrix (a, b, c)."""
    intercept, slope = start
    likelihood = _log_likelihood(outcomes, intercept, slope)
    a = b = c = 0.0
    for _ in range(60):
        g0 = g1 = a = b = c = 0.0
        for cosine, right in outcomes:
            likely = _sigmoid(intercept + slope * cosine)
            weight = likely * (1.0 - likely)
            g0, g1 = g0 + right - likely, g1 + (right - likely) * cosine
            a, b, c = a + weight, b + weight * cosine, c + weight * cosine * cosine
        determinant = a * c - b * b
        if max(abs(g0), abs(g1)) < _FLAT or determinant < _SINGULAR:
            break
        step0, step1 = (c * g0 - b * g1) / determinant, (a * g1 - b * g0) / determinant
        size = 1.0
        while size > _LEAST_STEP:
            better = _log_likelihood(outcomes, intercept + size * step0, slope + size * step1)
            if better >= likelihood:
                break
            size *= 0.5
        else:
            break
        intercept, slope, likelihood = intercept + size * step0, slope + size * step1, better
    return intercept, slope, (a, b, c)


def _log_likelihood(outcomes: Sequence[tuple[float, bool]], intercept: float, slope: float) -> float:
    total = 0.0
    for cosine, right in outcomes:
        height = intercept + slope * cosine
        signed = height if right else -height
        total -= math.log1p(math.exp(-signed)) if signed > -30.0 else -signed  # noqa: PLR2004 - exp stays finite
    return total


def _sigmoid(height: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(height, -500.0), 500.0)))
