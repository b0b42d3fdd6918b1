"""Streaming spherical k-means: centres on the unit sphere that follow a stream of unit vectors.

The update is the winner-take-all rule of S. Zhong, "Efficient online spherical k-means clustering", IJCNN 2005:
``c ← normalize(c + η (x - c))`` for the nearest centre alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from leo_core.kernels._compile import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["measure_distances", "move_centre"]


@kernel
def measure_distances(centres: npt.NDArray[np.float32], vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Euclidean distances (k,) in [0, 2] of unit ``vector`` (d,) to unit ``centres`` (k, d).

    The squares are added up by folding halves onto each other as long as their number is even: vector instructions
    without a changed order of operations, and the error of pairwise summation.
    """
    count, dimension = centres.shape
    distances = np.empty(count, dtype=np.float64)
    squares = np.empty(dimension, dtype=np.float64)
    for row in range(count):
        for place in range(dimension):
            gap = np.float64(centres[row, place]) - np.float64(vector[place])
            squares[place] = gap * gap
        width = dimension
        while width > 1 and width % 2 == 0:
            width //= 2
            for place in range(width):
                squares[place] += squares[place + width]
        total = 0.0
        for place in range(width):
            total += squares[place]
        distances[row] = math.sqrt(total)
    return distances


@kernel
def move_centre(
    centre: npt.NDArray[np.float32], vector: npt.NDArray[np.float32], rate: float
) -> npt.NDArray[np.float32]:
    """``normalize((1 - rate)·centre + rate·vector)``, shape (d,); ``rate`` in [0, 1].

    Where the sum vanishes (opposite vectors at rate 1/2) the centre stays where it is.
    """
    dimension = centre.shape[0]
    moved = np.empty(dimension, dtype=np.float64)
    total = 0.0
    for place in range(dimension):
        value = (1.0 - rate) * np.float64(centre[place]) + rate * np.float64(vector[place])
        moved[place] = value
        total += value * value
    norm = math.sqrt(total)
    if norm < 1e-12:  # noqa: PLR2004 - below, rounding decides the direction
        return centre.copy()
    return (moved / norm).astype(np.float32)
