"""Slow twin of ``leo_core.kernels.pcs``: sets, numpy's histogram, scipy's Theil–Sen, slices of a list."""

from __future__ import annotations

import numpy as np
from scipy.stats import theilslopes


def reduce_points(points: np.ndarray, components: int = 3) -> np.ndarray:
    """Principal components from the singular value decomposition, in the unit cube."""
    centred = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    columns = [centred @ axis for axis in axes[:components]]
    columns = [column if column[np.argmax(np.abs(column))] > 0 else -column for column in columns]
    reduced = np.array([column - column.min() for column in columns]).T
    return reduced / reduced.max()


def count_boxes(points: np.ndarray, scale: int) -> int:
    """Size of the set of boxes."""
    return len({tuple(np.minimum(np.floor(point * scale), scale - 1)) for point in points})


def fit_theil_sen(x: np.ndarray, y: np.ndarray) -> float:
    """scipy's."""
    return float(theilslopes(y, x).slope)


def measure_largest_share(points: np.ndarray, directions: np.ndarray, bins: int) -> float:
    """With numpy's histogram."""
    best = 0.0
    for direction in directions:
        places = points @ direction
        if np.ptp(places) <= 1e-12:
            return 1.0
        best = max(best, np.histogram(places, bins=bins)[0].max() / len(points))
    return best


def count_phrases(symbols: list[int]) -> int:
    """Phrases that each end with the first symbol which makes them new, found among all earlier slices."""
    phrases, at = 0, 0
    while at < len(symbols):
        length = 1
        while at + length <= len(symbols) and any(
            symbols[start : start + length] == symbols[at : at + length] for start in range(at)
        ):
            length += 1
        phrases += 1
        at += length
    return phrases
