"""Slow twin of ``leo_core.kernels.coherence``: iteratively reweighted least squares, and scipy."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize, minimize_scalar


def huber(distance: np.ndarray, kappa: float) -> np.ndarray:
    """H_κ."""
    return np.where(distance <= kappa, distance**2 / 2, kappa * (distance - kappa / 2))


def cost(w: np.ndarray, points: np.ndarray, weights: np.ndarray, kappa: float) -> float:
    """Σ α_i H_κ(‖x_i - w‖)."""
    return float(weights @ huber(np.linalg.norm(points - w, axis=1), kappa))


def solve_by_irls(points: np.ndarray, weights: np.ndarray, kappa: float) -> tuple[np.ndarray, float]:
    """Weighted means with weights α_i·min(1, κ/‖x_i - w‖), until they stand still."""
    w = np.average(points, axis=0, weights=weights)
    for _ in range(20_000):
        distance = np.maximum(np.linalg.norm(points - w, axis=1), 1e-300)
        new = np.average(points, axis=0, weights=weights * np.minimum(1, kappa / distance))
        if np.linalg.norm(new - w) < 1e-14:
            break
        w = new
    return w, cost(w, points, weights, kappa)


def solve_by_scipy(points: np.ndarray, weights: np.ndarray, kappa: float) -> float:
    """Optimum by BFGS with the exact gradient."""

    def gradient(w: np.ndarray) -> np.ndarray:
        gaps = w - points
        distance = np.maximum(np.linalg.norm(gaps, axis=1), 1e-300)
        return (weights * np.minimum(1, kappa / distance)) @ gaps

    start = np.average(points, axis=0, weights=weights)
    found = minimize(
        cost,
        start,
        args=(points, weights, kappa),
        jac=lambda w, *_: gradient(w),
        method="BFGS",
        options={"gtol": 1e-10},
    )
    return float(found.fun)


def solve_in_one_dimension(points: np.ndarray, weights: np.ndarray, kappa: float) -> float:
    """Optimum on the line in closed form: the slope is piecewise linear with kinks at x_i ± κ, so find its root."""
    kinks = np.unique(np.concatenate([points - kappa, points + kappa]))

    def slope(w: float) -> float:
        return float(weights @ np.clip(w - points, -kappa, kappa))

    slopes = np.array([slope(kink) for kink in kinks])
    right = int(np.argmax(slopes >= 0))
    if slopes[right] == 0 or right == 0:
        w = float(kinks[right])
    else:
        share = -slopes[right - 1] / (slopes[right] - slopes[right - 1])
        w = float(kinks[right - 1] + share * (kinks[right] - kinks[right - 1]))
    return float(weights @ huber(np.abs(points - w), kappa))


def solve_orthogonal(count: int, kappa: float) -> float:
    """Optimum for equal weights 1 on an orthonormal set; by symmetry w = c·Σ e_i, one unknown."""
    found = minimize_scalar(
        lambda c: float(count * huber(np.sqrt((1 - c) ** 2 + (count - 1) * c**2), kappa)),
        bounds=(0, 1),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return float(found.fun)
