"""Slow twin of ``leo_core.kernels.geometric_median``: the optimum as a smooth limit, by scipy, and all data points."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize


def cost(w: np.ndarray, points: np.ndarray, weights: np.ndarray, smoothing: float = 0.0) -> float:
    """Σ α_i √(‖x_i - w‖² + s²)."""
    return float(weights @ np.sqrt(((points - w) ** 2).sum(axis=1) + smoothing**2))


def find_geometric_median(points: np.ndarray, weights: np.ndarray) -> float:
    """The optimum, correct to about 1e-8 of the total weight."""

    def gradient(w: np.ndarray, *_: object) -> np.ndarray:
        gaps = w - points
        return (weights / np.sqrt((gaps**2).sum(axis=1) + smoothing**2)) @ gaps

    w = np.average(points, axis=0, weights=weights)
    for smoothing in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6):
        w = minimize(cost, w, args=(points, weights, smoothing), jac=gradient, method="BFGS", options={"gtol": 1e-11}).x
    return min(cost(candidate, points, weights) for candidate in (w, *points))
