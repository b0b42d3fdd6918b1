"""Structural signals of a text: box-counting dimension, concentration, and how much of it repeats.

The first two look at the embeddings of its sentences or words, the third at its words in order. They see degenerate
structure (loops, drift), not factual error. Concentration and repetition are scores against structureless sets and
sequences of the same length; all three say when there was too little to look at.
"""

from __future__ import annotations

import functools
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
    "Compression",
    "Concentration",
    "count_boxes",
    "count_phrases",
    "estimate_dimension",
    "fit_theil_sen",
    "make_directions",
    "make_null",
    "make_orders",
    "measure_compression",
    "measure_concentration",
    "measure_largest_share",
    "reduce_points",
]

SCALES = (2, 4, 8, 16)
COMPONENTS = 3
MIN_POINTS = 16
BINS = 20
DIRECTIONS = 64
NULL_SETS = 32
_SEED = 17940801
_EQUAL = 1e-12


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
        enough: Whether there are at least 16 points; below that nearly every share is an accident.
    """

    share: float
    z: float
    enough: bool


class Compression(NamedTuple):
    """Compression ratio r of a sequence.

    Attributes:
        ratio: Phrases of its Lempel–Ziv parsing per symbol, in (0, 1]; near 0 where nearly all is repetition.
        z: Standard score of ``ratio`` against the same symbols in other orders; below 0 where the order repeats itself
            more than chance does, 0 where the orders do not differ.
        enough: Whether there are at least 16 symbols.
    """

    ratio: float
    z: float
    enough: bool


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
    sets = np.array(null)  # a copy: a kernel would be compiled again for arrays that cannot be written
    expected = np.array([measure_largest_share(sample, every, bins) for sample in sets])
    return Concentration(float(share), _standardise(float(share), expected), enough=len(points) >= MIN_POINTS)


@kernel
def count_phrases(symbols: Integers) -> int:
    """Phrases of the exhaustive parsing of ``symbols`` (n,), whole numbers in [0, n).

    Each phrase is the shortest continuation that did not begin anywhere before; it may overlap what it repeats
    (A. Lempel and J. Ziv, "On the complexity of finite sequences", IEEE Trans. Information Theory 22, 1976). No
    symbols, no phrases.
    """
    count = symbols.shape[0]
    latest = np.full(count, -1, dtype=np.int64)
    before = np.empty(count, dtype=np.int64)
    phrases = 0
    at = 0
    entered = 0
    while at < count:
        longest = 0
        candidate = latest[symbols[at]]
        while candidate >= 0:
            length = 1
            while at + length < count and symbols[candidate + length] == symbols[at + length]:
                length += 1
            longest = max(longest, length)
            candidate = before[candidate]
        phrases += 1
        at += longest + 1
        while entered < min(at, count):
            before[entered] = latest[symbols[entered]]
            latest[symbols[entered]] = entered
            entered += 1
    return phrases


def measure_compression(symbols: npt.NDArray[np.generic], orders: Integers) -> Compression:
    """Compression ratio of a sequence and its z-score.

    Args:
        symbols: What is compared for equality alone, such as words, shape (n,), n ≥ 1.
        orders: Permutations of 0 to n - 1, as of :func:`make_orders`, shape (r, n), r ≥ 2.
    """
    ranks = np.unique(symbols, return_inverse=True)[1].astype(np.int64)
    ratio = count_phrases(ranks) / len(ranks)
    expected = np.array([count_phrases(ranks[order]) for order in orders]) / len(ranks)
    return Compression(ratio, _standardise(ratio, expected), enough=len(ranks) >= MIN_POINTS)


def _standardise(value: float, expected: Floats) -> float:
    """How many standard deviations ``value`` lies above the mean of ``expected`` (r,); 0 where these do not vary."""
    spread = float(expected.std(ddof=1))
    return 0.0 if spread <= _EQUAL else float((value - expected.mean()) / spread)


@functools.lru_cache(maxsize=8)
def make_directions(dimension: int = COMPONENTS) -> Floats:
    """64 seeded random unit directions, (64, dimension)."""
    rows = np.random.default_rng(_SEED).standard_normal((DIRECTIONS, dimension))
    return _freeze(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@functools.lru_cache(maxsize=64)
def make_null(count: int, dimension: int = COMPONENTS) -> Floats:
    """32 seeded structureless sets of ``count`` points: standard normal draws, (32, count, dimension)."""
    return _freeze(np.random.default_rng([_SEED, count]).standard_normal((NULL_SETS, count, dimension)))


@functools.lru_cache(maxsize=64)
def make_orders(count: int) -> Integers:
    """32 seeded permutations of 0 to ``count`` - 1, int64 (32, count)."""
    random = np.random.default_rng([_SEED, count])
    orders = np.array([random.permutation(count) for _ in range(NULL_SETS)], dtype=np.int64)
    orders.setflags(write=False)
    return orders


def _freeze(rows: Floats) -> Floats:
    """The same array, which nobody may change, since everybody gets it."""
    rows.setflags(write=False)
    return rows
