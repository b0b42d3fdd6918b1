"""Slow twin of ``leo_core.kernels.kmeans``."""

from __future__ import annotations

import numpy as np


def measure_distances(centres: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Euclidean distances of a vector to rows."""
    return np.array([np.linalg.norm(centre.astype(float) - vector.astype(float)) for centre in centres])


def move_centre(centre: np.ndarray, vector: np.ndarray, rate: float) -> np.ndarray:
    """The centre, moved and put back on the sphere."""
    moved = (1 - rate) * centre.astype(float) + rate * vector.astype(float)
    norm = np.linalg.norm(moved)
    return centre if norm < 1e-12 else moved / norm
