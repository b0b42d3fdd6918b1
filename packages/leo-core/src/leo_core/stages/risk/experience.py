"""What happened to similar requests: kernel ridge regression over the latest outcomes.

Two requests are as similar as k(x, z) = exp(−‖v_x − v_z‖² − ‖f_x − f_z‖²), with v the embedding and f the request
features, standardised over the outcomes and scaled. With outcomes y of importance w, the rate of errors on x is
ȳ + Σ α_i k(x, x_i), where (K + λ W⁻¹) α = y − ȳ (Rasmussen & Williams 2006, §2.2 with noise λ / w). The system is
solved by conjugate gradients, started from the last solution: λ is so large that some ten steps do. Outcomes are put
aside until a twentieth more are there, so that n of them cost O(log n) fits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Points = npt.NDArray[np.float32]

__all__ = ["KEPT", "RIDGE", "Experience", "Rates", "Seen"]

KEPT = 5000
"""Outcomes that count, the latest."""
RIDGE = 12.0
"""λ for requests."""
_FARTHEST = 4.0
"""Features are held within so many standard deviations."""
_REFIT = 20
_MOST_STEPS = 30
_EXACT = 1e-4
_CONSTANT = 1e-6
"""A feature that varies less than this among the outcomes tells nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """An outcome of a past request.

    Attributes:
        vector: Its embedding, unit, (d,).
        features: Its request features, (f,).
        small_wrong: Whether the small model was wrong on it, or how much of it; ``None`` when not known.
        large_wrong: The same of the large model.
        weight: Importance; > 0.
    """

    vector: Points
    features: Floats
    small_wrong: float | None
    large_wrong: float | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Rates of errors on a request, each with the number of outcomes that it stands on.

    A rate may lie somewhat outside [0, 1], as those of a regression do.

    Attributes:
        small_wrong: Of the small model.
        small_count: Outcomes of the small model, all of them.
        large_wrong: Of the large model.
        large_count: Outcomes of the large model, all of them.
    """

    small_wrong: float
    small_count: int
    large_wrong: float
    large_count: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """n outcomes and what was read from them; column 0 is of the small model, column 1 of the large one.

    Attributes:
        vectors: Embeddings, float32 (n, d).
        features: Features as they came, (n, f).
        wrong: Outcomes in [0, 1]; NaN where not known, (n, 2).
        weights: Importance, (n,).
        centre: Means of the features, (f,).
        scale: What a feature is multiplied by, (f,).
        limits: What a scaled feature is held within, (f,).
        points: Outcomes as the kernel sees them, float32 (n, d + f).
        squares: Squared lengths of the points, float32 (n,).
        rates: Mean rates, (2,); 0 where nothing is known.
        counts: Known outcomes, (2,).
        coefficients: α, float32 (n, 2); 0 where the outcome is not known.
    """

    vectors: Points
    features: Floats
    wrong: Floats
    weights: Floats
    centre: Floats
    scale: Floats
    limits: Floats
    points: Points
    squares: Points
    rates: Floats
    counts: npt.NDArray[np.int64]
    coefficients: Points


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experience:
    """Outcomes of past requests, from which the rates of errors on a similar request are read."""

    fit: _Fit | None = None
    pending: tuple[Seen, ...] = ()

    @classmethod
    def fresh(cls) -> Experience:
        """Nothing seen."""
        return cls()

    @property
    def count(self) -> int:
        """Outcomes that count, or will when the fit is renewed."""
        return len(self.pending) + (0 if self.fit is None else len(self.fit.weights))

    def learn(self, seen: Seen, spreads: Floats, ridge: float = RIDGE) -> Experience:
        """One outcome more; one of another embedder begins anew.

        Args:
            seen: The outcome.
            spreads: What one standard deviation of each feature counts beside the embedding, (f,).
            ridge: λ; > 0.
        """
        if self.fit is None or not self._knows(seen.vector, seen.features):
            return Experience(fit=_refit(None, (seen,), spreads, ridge))
        pending = (*self.pending, seen)
        if _REFIT * len(pending) < len(self.fit.weights):
            return replace(self, pending=pending)
        return Experience(fit=_refit(self.fit, pending, spreads, ridge))

    def read_rates(self, vector: Points, features: Floats) -> Rates | None:
        """Rates of errors on a request; ``None`` if no outcome of this embedder is known.

        Args:
            vector: Its embedding, unit, (d,).
            features: Its features, (f,).
        """
        fit = self.fit
        if fit is None or not self._knows(vector, features):
            return None
        point = _place(vector[None, :], features[None, :], fit.centre, fit.scale, fit.limits)[0]
        near = np.exp(np.minimum(2.0 * (fit.points @ point) - fit.squares - float(point @ point), 0.0))
        small, large = (fit.rates + near @ fit.coefficients).tolist()
        return Rates(
            small_wrong=small, small_count=int(fit.counts[0]), large_wrong=large, large_count=int(fit.counts[1])
        )

    def _knows(self, vector: Points, features: Floats) -> bool:
        fit = self.fit
        return fit is not None and fit.vectors.shape[1:] == vector.shape and fit.features.shape[1:] == features.shape


def _place(vectors: Points, features: Floats, centre: Floats, scale: Floats, limits: Floats) -> Points:
    """Requests as the kernel sees them, float32 (n, d + f)."""
    held = np.clip((features - centre) * scale, -limits, limits)
    return np.concatenate([vectors, held.astype(np.float32)], axis=1, dtype=np.float32)


def _refit(old: _Fit | None, pending: tuple[Seen, ...], spreads: Floats, ridge: float) -> _Fit:
    """The fit with the outcomes put aside, the oldest beyond ``KEPT`` dropped."""
    vectors = np.stack([seen.vector for seen in pending]).astype(np.float32)
    features = np.stack([seen.features for seen in pending])
    wrong = np.array([(seen.small_wrong, seen.large_wrong) for seen in pending], dtype=np.float64)
    weights = np.array([seen.weight for seen in pending])
    start = np.zeros((len(pending), 2), dtype=np.float32)
    if old is not None:
        vectors = np.concatenate([old.vectors, vectors])[-KEPT:]
        features = np.concatenate([old.features, features])[-KEPT:]
        wrong = np.concatenate([old.wrong, wrong])[-KEPT:]
        weights = np.concatenate([old.weights, weights])[-KEPT:]
        start = np.concatenate([old.coefficients, start])[-KEPT:]
    centre, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > _CONSTANT, spreads / np.maximum(spread, _CONSTANT), 0.0)
    limits = _FARTHEST * spreads
    points = _place(vectors, features, centre, scale, limits)
    squares = (points * points).sum(axis=1)
    known = ~np.isnan(wrong)
    heavy = np.where(known, weights[:, None], 0.0)
    filled = np.where(known, wrong, 0.0)
    totals = heavy.sum(axis=0)
    rates = (heavy * filled).sum(axis=0) / np.where(totals > 0.0, totals, 1.0)
    kernel = np.exp(np.minimum(2.0 * (points @ points.T) - squares[:, None] - squares[None, :], 0.0))
    noise = (ridge / weights).astype(np.float32)
    columns = [
        _solve(kernel, np.where(known[:, at], filled[:, at] - rates[at], 0.0), noise, known[:, at], start[:, at])
        for at in range(2)
    ]
    return _Fit(
        vectors=vectors,
        features=features,
        wrong=wrong,
        weights=weights,
        centre=centre,
        scale=scale,
        limits=limits,
        points=points,
        squares=squares,
        rates=rates,
        counts=known.sum(axis=0),
        coefficients=np.stack(columns, axis=1),
    )


def _solve(kernel: Points, target: Floats, noise: Points, known: npt.NDArray[np.bool_], start: Points) -> Points:
    """α with (K + λ W⁻¹) α = y − ȳ over the known outcomes, and 0 elsewhere, by conjugate gradients; noise is λ / w."""
    held = known.astype(np.float32)
    found = start * held
    residual = target.astype(np.float32) - held * (kernel @ found) - noise * found
    direction, size = residual, float(residual @ residual)
    enough = _EXACT**2 * float(target @ target)
    for _ in range(_MOST_STEPS):
        if size <= enough:
            break
        image = held * (kernel @ direction) + noise * direction
        step = size / float(direction @ image)
        found = found + step * direction
        residual = residual - step * image
        before, size = size, float(residual @ residual)
        direction = residual + size / before * direction
    return found
