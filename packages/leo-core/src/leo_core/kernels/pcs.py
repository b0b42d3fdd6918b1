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

    The largest range becomes 1, so proportions are kept; points that coincide all go to the origin. Each
    component is turned such that its coordinate of largest size is positive.
    """
    centred = points - points.mean(axis=0)
    count, dimension = centred.shape
    if count <= dimension:  # the Gram matrix and the covariance matrix have the same spectrum: take the smaller
        values, vectors = np.linalg.eigh(centred @ centred.T)
        reduced = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1][:, :components]
    else:
        _, vectors = np.linalg.eigh(centred.T @ centred)
        reduced = centred @ vectors[:, ::-1][:, :components]
    largest = np.argmax(np.abs(reduced), axis=0)
    reduced = reduced * np.where(reduced[largest, np.arange(reduced.shape[1])] < 0.0, -1.0, 1.0)
    reduced -= reduced.min(axis=0)
    extent = float(reduced.max())
    if extent <= 1e-12 * (1.0 + float(np.abs(points).max())):
        return np.zeros_like(reduced)
    return np.asarray(reduced / extent, dtype=np.float64)


def count_boxes(points: Floats, scale: int) -> int:
    """Occupied boxes of side 1/``scale`` among ``points`` (n, p) in [0, 1]^p; the face at 1 belongs to the last box."""
    boxes = np.minimum(scale - 1, (points * scale).astype(np.int64))
    return len(np.unique(boxes @ (scale ** np.arange(points.shape[1]))))


def fit_theil_sen(x: Floats, y: Floats) -> float:
    """Median of the slopes of all pairs of points (x (n,) with distinct values, y (n,)); NaN for n < 2."""
    first, second = np.triu_indices(len(x), 1)
    if len(first) == 0:
        return math.nan
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))


def estimate_dimension(points: Floats) -> BoxDimension:
    """D̂ of ``points`` (n, d), n ≥ 1, after reduction to 3 principal components in the unit cube."""
    reduced = reduce_points(points)
    counts = np.array([count_boxes(reduced, scale) for scale in SCALES], dtype=np.int64)
    if len(points) < 2:  # noqa: PLR2004 - one point has no dimension
        return BoxDimension(math.nan, counts, enough=False)
    slope = fit_theil_sen(np.log2(np.array(SCALES, dtype=np.float64)), np.log2(counts.astype(np.float64)))
    return BoxDimension(float(slope), counts, enough=len(points) >= MIN_POINTS)


@kernel
def measure_largest_share(points: Floats, directions: Floats, bins: int) -> float:
    """Largest share of ``points`` (n, p) in one of ``bins`` equal bins of their range, over ``directions`` (k, p).

    A direction along which all points coincide gives 1.
    """
    count, dimension = points.shape
    places = np.empty(count)
    histogram = np.empty(bins, dtype=np.int64)
    best = 0
    for way in range(directions.shape[0]):
        low = math.inf
        high = -math.inf
        for row in range(count):
            place = 0.0
            for axis in range(dimension):
                place += points[row, axis] * directions[way, axis]
            places[row] = place
            low = min(low, place)
            high = max(high, place)
        if high - low <= 1e-12:  # noqa: PLR2004 - rounding alone spreads them so far
            return 1.0
        histogram[:] = 0
        for row in range(count):
            box = min(bins - 1, int((places[row] - low) / (high - low) * bins))
            histogram[box] += 1
            best = max(best, int(histogram[box]))
    return float(best / count)


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
