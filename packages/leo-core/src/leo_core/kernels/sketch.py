"""Nearest neighbours by sketches: 256 signs a vector, compared by counting the bits that differ.

The signs of a random rotation of two unit vectors differ in a share of angle/π of the places (M. Charikar,
"Similarity estimation techniques from rounding algorithms", STOC 2002), so few differing bits mean a large inner
product. The scan keeps the best hundred or so; an inner product with rows rounded to 8 bits sorts these, and the
caller computes exact ones for the few that the rounding leaves open.

A scan reads sketches as planes, uint64 (4, n): word j of all of them in a row, which compiles to vector instructions
without shuffles.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from leo_core.kernels._bits import count_bits
from leo_core.kernels._compile import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]
    Sketches = npt.NDArray[np.uint64]
    Scores = npt.NDArray[np.float32]
    Integers = npt.NDArray[np.int64]

__all__ = [
    "BITS",
    "WORDS",
    "choose_shortlist",
    "find_candidates",
    "make_rotation",
    "measure_strangeness",
    "project",
    "quantise_query",
    "quantise_rows",
    "search_sketches",
    "sketch_query",
    "sketch_rows",
]

BITS = 256
WORDS = BITS // 64

_SEED = 20030609
_BLOCK = 64
"""Rows whose nearness is gathered in the bits of one word."""

_SAMPLE = 2048
_SLACK = 4
_POOL = 16
"""Rows by plain distance, for each that is wanted by the weighted one."""

_FARTHEST = 2 * BITS
_ROW_STEPS = 127
_QUERY_STEPS = 2047
"""12 bits: 256 · 127 · 2047 fits 32 bits, and so does every dimension up to 8,260."""

_LEAST_NORM = 1e-30

_DOUBT = 3.5
"""Steps of rounding by which an inner product may be off: 2·exp(-2·3.5²) < 10⁻¹⁰."""


@functools.lru_cache(maxsize=4)
def make_rotation(dimension: int) -> Rows:
    """Seeded random directions, float32 (dimension, 256): orthonormal columns, or rows where these are fewer."""
    directions = np.random.default_rng(_SEED).standard_normal((max(dimension, BITS), min(dimension, BITS)))
    basis, _ = np.linalg.qr(directions)
    rotation = np.ascontiguousarray(basis if dimension >= BITS else basis.T, dtype=np.float32)
    rotation.setflags(write=False)
    return rotation


def sketch_rows(rows: Rows) -> Sketches:
    """Signs of the rotated ``rows`` (n, d) as bits, uint64 (n, 4)."""
    signs = rows @ make_rotation(rows.shape[1]) > 0
    return np.packbits(signs, axis=1).view(np.uint64)


def sketch_query(query: Rows) -> Sketches:
    """Signs of the rotated ``query`` (d,), and which of its coordinates are above their root mean square.

    Shape uint64 (2, 4). A sign that differs in one of the latter counts twice, which orders rows far better.
    """
    return _sketch_turned(project(query, make_rotation(len(query))))


@kernel
def project(query: Rows, columns: Rows) -> Rows:
    """``query @ columns``, float32 (m,), of (d,) and (d, m), in one thread: BLAS may wait for others of its own."""
    found = np.zeros(columns.shape[1], dtype=np.float32)
    for axis in range(query.shape[0]):
        value, row = query[axis], columns[axis]
        for place in range(row.shape[0]):
            found[place] += value * row[place]
    return found


@kernel
def _sketch_turned(turned: Rows) -> Sketches:
    square = 0.0
    for place in range(turned.shape[0]):
        square += np.float64(turned[place]) * np.float64(turned[place])
    square /= turned.shape[0]
    words = np.zeros((2, WORDS), dtype=np.uint64)
    for place in range(turned.shape[0]):
        bit = np.uint64(1) << np.uint64(place % 64 // 8 * 8 + 7 - place % 8)  # the order of ``np.packbits``
        if turned[place] > 0:
            words[0, place // 64] |= bit
        if np.float64(turned[place]) * np.float64(turned[place]) > square:
            words[1, place // 64] |= bit
    return words


def quantise_rows(rows: Rows) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """``rows`` (n, d) as int8 (n, d) times a scale float32 (n,); the largest coordinate of each becomes ±127."""
    scales = np.maximum(np.abs(rows).max(axis=1), np.float32(_LEAST_NORM)) / np.float32(_ROW_STEPS)
    return np.rint(rows / scales[:, np.newaxis]).astype(np.int8), scales


@kernel
def quantise_query(query: Rows) -> npt.NDArray[np.int16]:
    """``query`` (d,) as int16, up to a positive factor: scores only have to be in order."""
    largest = _LEAST_NORM
    for axis in range(query.shape[0]):
        largest = max(largest, abs(np.float64(query[axis])))
    rounded = np.empty(query.shape[0], dtype=np.int16)
    for axis in range(query.shape[0]):
        rounded[axis] = np.int16(np.rint(np.float64(query[axis]) * (_QUERY_STEPS / largest)))
    return rounded


@kernel
def _tighten(places: Integers, distances: Integers, counts: Integers, kept: int, wanted: int) -> int:
    """Keep the ``wanted`` nearest of ``kept`` candidates, the first among equals, in place; returns the next limit.

    ``counts[d]`` is the number of candidates at distance d. Only strictly nearer ones may come in afterwards.
    """
    limit = 0
    nearer = 0
    while nearer + counts[limit] < wanted:
        nearer += counts[limit]
        limit += 1
    room = wanted - nearer
    slot = 0
    for index in range(kept):
        if distances[index] > limit:
            continue
        if distances[index] == limit:
            if room == 0:
                continue
            room -= 1
        places[slot] = places[index]
        distances[slot] = distances[index]
        slot += 1
    counts[limit] = wanted - nearer
    counts[limit + 1 :] = 0
    return limit - 1


@kernel
def _guess_limit(planes: Sketches, spans: Integers, sketch: Sketches, wanted: int) -> int:
    """A number of differing signs within which some 16 times ``wanted`` rows lie, from a sample of them."""
    total = 0
    for span in range(spans.shape[0]):
        total += spans[span, 1] - spans[span, 0]
    step = _BLOCK * max(1, total // _SAMPLE)
    counts = np.zeros(BITS + 1, dtype=np.int64)
    seen = 0
    for span in range(spans.shape[0]):
        for first in range(spans[span, 0], spans[span, 1], step):
            for place in range(first, min(first + _BLOCK, spans[span, 1])):
                distance = np.int64(0)
                for word in range(WORDS):
                    distance += np.int64(count_bits(planes[word, place] ^ sketch[0, word]))
                counts[distance] += 1
                seen += 1
    enough = _POOL * wanted * seen // max(1, total) + 4
    limit = 0
    reached = counts[0]
    while limit < BITS and reached < enough:
        limit += 1
        reached += counts[limit]
    return limit


@kernel
def _scan(
    planes: Sketches,
    order: npt.NDArray[np.int32],
    alive: npt.NDArray[np.bool_],
    ends: npt.NDArray[np.float64],
    spans: Integers,
    sketch: Sketches,
    now: float,
    wanted: int,
    limit: int,
) -> Integers:
    """Numbers of the ``wanted`` live rows at the least weighted distance, among those within ``limit`` signs."""
    room = _SLACK * wanted + _BLOCK
    places = np.empty(room, dtype=np.int64)
    distances = np.empty(room, dtype=np.int64)
    counts = np.zeros(_FARTHEST + 1, dtype=np.int64)
    kept = 0
    plane0, plane1, plane2, plane3 = planes[0], planes[1], planes[2], planes[3]
    word0, word1, word2, word3 = sketch[0, 0], sketch[0, 1], sketch[0, 2], sketch[0, 3]
    heavy0, heavy1, heavy2, heavy3 = sketch[1, 0], sketch[1, 1], sketch[1, 2], sketch[1, 3]
    beyond = np.uint64(limit + 1)
    one, top = np.uint64(1), np.uint64(63)
    farthest = _FARTHEST
    for span in range(spans.shape[0]):
        for first in range(spans[span, 0], spans[span, 1], _BLOCK):
            last = min(first + _BLOCK, spans[span, 1])
            part0, part1, part2, part3 = plane0[first:last], plane1[first:last], plane2[first:last], plane3[first:last]
            near = np.uint64(0)
            for index in range(last - first):  # without a branch; a difference below 0 shows in its top bit
                apart = (
                    count_bits(part0[index] ^ word0)
                    + count_bits(part1[index] ^ word1)
                    + count_bits(part2[index] ^ word2)
                    + count_bits(part3[index] ^ word3)
                )
                near |= ((apart - beyond) >> top) << np.uint64(index)
            while near:
                lowest = near & (~near + one)
                near ^= lowest
                place = np.int64(count_bits(lowest - one))
                row = first + place
                if order.shape[0] > 0:
                    row = np.int64(order[row])
                if not alive[row] or (ends.shape[0] > 0 and ends[row] < now):
                    continue
                gap0, gap1, gap2, gap3 = (
                    part0[place] ^ word0,
                    part1[place] ^ word1,
                    part2[place] ^ word2,
                    part3[place] ^ word3,
                )
                again = count_bits(gap0 & heavy0) + count_bits(gap1 & heavy1)
                again += count_bits(gap2 & heavy2) + count_bits(gap3 & heavy3)
                apart = count_bits(gap0) + count_bits(gap1) + count_bits(gap2) + count_bits(gap3)
                distance = np.int64(apart + again)
                if distance > farthest:
                    continue
                places[kept] = row
                distances[kept] = distance
                counts[distance] += 1
                kept += 1
            if kept > room - _BLOCK:
                farthest = _tighten(places, distances, counts, kept, wanted)
                kept = wanted
    if kept > wanted:
        _tighten(places, distances, counts, kept, wanted)
        kept = wanted
    return places[:kept]


@kernel
def find_candidates(
    planes: Sketches,
    order: npt.NDArray[np.int32],
    alive: npt.NDArray[np.bool_],
    ends: npt.NDArray[np.float64],
    rows: npt.NDArray[np.int8],
    scales: Scores,
    spans: Integers,
    sketch: Sketches,
    query: npt.NDArray[np.int16],
    now: float,
    wanted: int,
) -> tuple[Integers, Scores]:
    """Live rows whose sketches differ least from the query's, with inner products up to rounding and a factor.

    Args:
        planes: Sketches, uint64 (4, n) or wider, in the order in which they are scanned.
        order: Number of the row that each sketch belongs to, int32 (n,); of length 0 where it is its place.
        alive: Whether a row still counts, bool (n,).
        ends: Instant after which a row does not count, float64 (n,); of length 0 where all of them stay.
        rows: The rows rounded, int8 (n, d).
        scales: Their scales, float32 (n,).
        spans: First and last place (exclusive) of each part that is scanned, int64 (p, 2).
        sketch: The query's sketch, uint64 (2, 4); see :func:`sketch_query`.
        query: The query, int16 (d,) with |q| ≤ 2047.
        now: Present instant.
        wanted: How many, ≥ 1.

    Returns:
        Row numbers, int64 (c,) with c ≤ ``wanted``, and their scores, float32 (c,). Among sketches equally far the
        one scanned first comes in.
    """
    limit = _guess_limit(planes, spans, sketch, wanted)
    places = _scan(planes, order, alive, ends, spans, sketch, now, wanted, limit)
    if places.shape[0] < wanted and limit < BITS:
        places = _scan(planes, order, alive, ends, spans, sketch, now, wanted, BITS)
    scores = np.empty(places.shape[0], dtype=np.float32)
    for index in range(places.shape[0]):
        row = rows[places[index]]
        total = np.int32(0)
        for axis in range(query.shape[0]):
            total = np.int32(total + np.int32(row[axis]) * np.int32(query[axis]))
        scores[index] = np.float32(total) * scales[places[index]]
    return places, scores


@kernel
def choose_shortlist(
    places: Integers,
    scores: Scores,
    scales: Scores,
    entries: npt.NDArray[np.signedinteger],
    query: npt.NDArray[np.int16],
    k: int,
) -> Integers:
    """Those candidates that may be the nearest of one of the ``k`` best entries, as far as rounding can tell.

    Roundings are at most half a step in each coordinate, so the inner product of unit vectors is known up to
    ``√d/2·(|query|·scale + 1)``, and, with roundings that are independent, but for one in 10¹⁰ up to 3.5 times the
    bracket (W. Hoeffding, "Probability inequalities for sums of bounded random variables", 1963, theorem 2). Left out
    is only what is below ``k`` entries even so.

    Args:
        places: Row numbers, int64 (c,).
        scores: Their approximate inner products with ``query``, float32 (c,); see :func:`find_candidates`.
        scales: Scales of all rows, float32 (n,).
        entries: Entry of every row, int32 or int64 (n,).
        query: The query, int16 (d,).
        k: How many entries, ≥ 1.

    Returns:
        A part of ``places``, in their order; all of them if they belong to fewer than ``k`` entries.
    """
    total = 0.0
    for axis in range(query.shape[0]):
        total += np.float64(query[axis]) * np.float64(query[axis])
    step, norm = min(0.5 * math.sqrt(query.shape[0]), _DOUBT), math.sqrt(total)
    found = 0
    best = np.empty(k, dtype=np.float64)  # of each of the best entries so far, its largest certain score, falling
    whose = np.empty(k, dtype=np.int64)
    for index in range(places.shape[0]):
        least = np.float64(scores[index]) - step * (norm * np.float64(scales[places[index]]) + 1.0)
        if found == k and least <= best[k - 1]:
            continue
        entry = np.int64(entries[places[index]])
        slot = 0
        while slot < found and whose[slot] != entry:
            slot += 1
        if slot < found:
            if least <= best[slot]:
                continue
        elif found < k:
            found += 1
        else:
            slot = k - 1
        while slot > 0 and best[slot - 1] < least:
            best[slot], whose[slot] = best[slot - 1], whose[slot - 1]
            slot -= 1
        best[slot], whose[slot] = least, entry
    if found < k:
        return places
    left = np.empty(places.shape[0], dtype=np.int64)
    count = 0
    for index in range(places.shape[0]):
        most = np.float64(scores[index]) + step * (norm * np.float64(scales[places[index]]) + 1.0)
        if most >= best[k - 1]:
            left[count] = places[index]
            count += 1
    return left[:count]


@kernel
def search_sketches(
    planes: Sketches,
    order: npt.NDArray[np.int32],
    alive: npt.NDArray[np.bool_],
    ends: npt.NDArray[np.float64],
    entries: npt.NDArray[np.signedinteger],
    rows: npt.NDArray[np.int8],
    scales: Scores,
    spans: Integers,
    rotation: Rows,
    query: Rows,
    now: float,
    wanted: int,
    k: int,
) -> tuple[int, Integers]:
    """:func:`find_candidates` and :func:`choose_shortlist` for a ``query`` float32 (d,), in one call.

    Returns:
        How many candidates there were, at most ``wanted``, and the shortlist.
    """
    rounded = quantise_query(query)
    sketch = _sketch_turned(project(query, rotation))
    places, scores = find_candidates(planes, order, alive, ends, rows, scales, spans, sketch, rounded, now, wanted)
    return places.shape[0], choose_shortlist(places, scores, scales, entries, rounded, k)


@kernel
def measure_strangeness(sketches: Sketches, sketch: Sketches, crowd: int, share: float) -> float:
    """How far a query lies from the two nearest of ``sketches`` (n, 4), less ``share`` of how isolated that one is.

    Both are shares of differing signs: of weighted ones, averaged over the two, for the query's ``sketch`` (2, 4); at
    the ``crowd``-th nearest, for the nearest itself. 1 where there are fewer than two; at most 1, at least -``share``.
    """
    count = sketches.shape[0]
    if count < 2:  # noqa: PLR2004 - there is no pair
        return 1.0
    least = np.int64(_FARTHEST)
    second = np.int64(_FARTHEST)
    nearest = 0
    weight = np.int64(BITS)
    for word in range(WORDS):
        weight += np.int64(count_bits(sketch[1, word]))
    for row in range(count):
        distance = np.int64(0)
        for word in range(WORDS):
            gap = sketches[row, word] ^ sketch[0, word]
            distance += np.int64(count_bits(gap) + count_bits(gap & sketch[1, word]))
        if distance < least:
            second = least
            least = distance
            nearest = row
        elif distance < second:
            second = distance
    counts = np.zeros(BITS + 1, dtype=np.int64)
    for row in range(count):
        distance = np.int64(0)
        for word in range(WORDS):
            distance += np.int64(count_bits(sketches[row, word] ^ sketches[nearest, word]))
        counts[distance] += 1
    reach = 0
    inside = counts[0] - 1
    while inside < min(crowd, count - 1):
        reach += 1
        inside += counts[reach]
    return float((least + second) / (2.0 * weight) - share * reach / BITS)
