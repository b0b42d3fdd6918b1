"""Structural signals of a sequence of embeddings: box-counting dimension and concentration.

They see degenerate structure (loops, drift), not factual error.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from leo_core.kernels._compile import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = [
    "BoxDimension",
    "Concentration",
    "count_boxes",
    "estimate_dimension",
    "fit_theil_sen",
    "measure_concentration",
    "measure_largest_share",
    "reduce_points",
]

SCALES = (2, 4, 8, 16)
COMPONENTS = 3
MIN_POINTS = 16
BINS = 20


class BoxDimension(NamedTuple):
    """Box-counting dimension D̂.

    Attributes:
        slope: Theil–Sen slope of log₂ N on log₂ scale, in [0, 3]; NaN when there are fewer than 2 points.
        counts: Occupied boxes N at scales 2, 4, 8, 16, shape (4,).
        enough: Whether there are at least 16 points; below that the slope is dominated by their number.
    """

    slope: float
    counts: Integers
    enough: bool


class Concentration(NamedTuple):
    """Concentration coh★ along the most concentrated direction.

    Attributes:
        share: Largest share of points in one of the histogram's bins, over all directions, in (0, 1].
        z: Standard score of ``share`` against structureless sets of the same size; 0 where these do not vary.
    """

    share: float
    z: float


def reduce_points(points: Floats, components: int = COMPONENTS) -> Floats:
    """Principal components of ``points`` (n, d), scaled together into the unit cube: (n, min(components, d, n)).

    The largest range becomes 1, so proportions are kept; points that coincide all go to the origin. The sign of
    each component is such that its largest loading is positive.
    """
    centred = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:components]
    largest = np.argmax(np.abs(axes), axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    reduced = centred @ axes.T
    reduced -= reduced.min(axis=0)
    extent = float(reduced.max())
    if extent <= 1e-12 * (1.0 + float(np.abs(points).max())):
        return np.zeros_like(reduced)
    return np.asarray(reduced / extent, dtype=np.float64)


@kernel
def count_boxes(points: Floats, scale: int) -> int:
    """Occupied boxes of side 1/``scale`` among ``points`` (n, p) in [0, 1]^p; the face at 1 belongs to the last box."""
    count, dimension = points.shape
    taken = np.zeros(scale**dimension, dtype=np.bool_)
    boxes = 0
    for row in range(count):
        box = 0
        for place in range(dimension):
            box = box * scale + min(scale - 1, int(points[row, place] * scale))
        if not taken[box]:
            taken[box] = True
            boxes += 1
    return boxes


@kernel
def fit_theil_sen(x: Floats, y: Floats) -> float:
    """Median of the slopes of all pairs of points (x (n,) with distinct values, y (n,)); NaN for n < 2."""
    count = x.shape[0]
    if count < 2:  # noqa: PLR2004
        return math.nan
    slopes = np.empty(count * (count - 1) // 2)
    pair = 0
    for first in range(count):
        for second in range(first + 1, count):
            slopes[pair] = (y[second] - y[first]) / (x[second] - x[first])
            pair += 1
    return float(np.median(slopes))


def estimate_dimension(points: Floats) -> BoxDimension:
    """D̂ of ``points`` (n, d), n ≥ 1, after reduction to 3 principal components in the unit cube."""
    reduced = reduce_points(points)
    counts = np.array([count_boxes(reduced, scale) for scale in SCALES], dtype=np.int64)
    if len(points) < 2:  # noqa: PLR2004
        return BoxDimension(math.nan, counts, enough=False)
    slope = fit_theil_sen(np.log2(np.array(SCALES, dtype=np.float64)), np.log2(counts.astype(np.float64)))
    return BoxDimension(float(slope), counts, enough=len(points) >= MIN_POINTS)


@kernel
def measure_largest_share(points: Floats, directions: Floats, bins: int) -> float:
    """Largest share of ``points`` (n, p) in one of ``bins`` equal bins of their range, over ``directions`` (k, p).

    A direction along which all points coincide gives 1.
    """
    count = points.shape[0]
    best = 0
    for way in range(directions.shape[0]):
        places = np.empty(count)
        for row in range(count):
            places[row] = np.sum(points[row] * directions[way])
        low = np.min(places)
        width = np.max(places) - low
        if width <= 1e-12:  # noqa: PLR2004
            return 1.0
        histogram = np.zeros(bins, dtype=np.int64)
        for row in range(count):
            histogram[min(bins - 1, int((places[row] - low) / width * bins))] += 1
        best = max(best, np.max(histogram))
    return best / count


def measure_concentration(points: Floats, directions: Floats, null: Floats, bins: int = BINS) -> Concentration:
    """coh★ of ``points`` (n, p) and its z-score.

    Args:
        points: Reduced points, as of :func:`reduce_points`.
        directions: Seeded unit directions (k, p); the axes, which are the top principal components, are added.
        null: Structureless sets of the same size, such as standard normal draws, shape (r, n, p), r ≥ 2.
        bins: Bins of the histogram.
    """
    every = np.vstack([np.eye(points.shape[1]), directions])
    share = measure_largest_share(points, every, bins)
    expected = np.array([measure_largest_share(sample, every, bins) for sample in null])
    spread = float(expected.std(ddof=1))
    if spread == 0.0:
        return Concentration(float(share), 0.0)
    return Concentration(float(share), float((share - expected.mean()) / spread))
