"""Nearest neighbours by sketches: 256 signs a vector, compared by counting the bits that differ.

The signs of a random rotation of two unit vectors differ in a share of angle/π of the places (M. Charikar,
"Similarity estimation techniques from rounding algorithms", STOC 2002), so few differing bits mean a large inner
product. The scan keeps the best few hundred; an inner product with rows rounded to 8 bits sorts these, and the
caller computes exact ones for the few that are left.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from leo_core.kernels._bits import count_bits
from leo_core.kernels._compile import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]
    Sketches = npt.NDArray[np.uint64]
    Integers = npt.NDArray[np.int64]

__all__ = [
    "BITS",
    "WORDS",
    "find_candidates",
    "make_rotation",
    "measure_strangeness",
    "quantise_query",
    "quantise_rows",
    "sketch_query",
    "sketch_rows",
]

BITS = 256
WORDS = BITS // 64

_SEED = 20030609
_BLOCK = 128
_SAMPLE = 2048
_SLACK = 4
_POOL = 8
_FARTHEST = 2 * BITS
_ROW_STEPS = 127
_QUERY_STEPS = 2047
"""12 bits: 256 · 127 · 2047 fits 32 bits, and so does every dimension up to 8,260."""

_LEAST_NORM = 1e-30


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
    turned = query @ make_rotation(len(query))
    squares = turned * turned
    return np.packbits(np.stack((turned > 0, squares > squares.mean())), axis=1).view(np.uint64)


def quantise_rows(rows: Rows) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """``rows`` (n, d) as int8 (n, d) times a scale float32 (n,); the largest coordinate of each becomes ±127."""
    scales = np.maximum(np.abs(rows).max(axis=1), np.float32(_LEAST_NORM)) / np.float32(_ROW_STEPS)
    return np.rint(rows / scales[:, np.newaxis]).astype(np.int8), scales


def quantise_query(query: Rows) -> npt.NDArray[np.int16]:
    """``query`` (d,) as int16, up to a positive factor: scores only have to be in order."""
    largest = max(float(np.abs(query).max()), _LEAST_NORM)
    return np.asarray(np.rint(query * np.float32(_QUERY_STEPS / largest)), dtype=np.int16)


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
def _guess_limit(sketches: Sketches, spans: Integers, sketch: Sketches, wanted: int) -> int:
    """A number of differing signs within which some eight times ``wanted`` rows lie, from a sample of them."""
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
                    distance += np.int64(count_bits(sketches[place, word] ^ sketch[0, word]))
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
    sketches: Sketches,
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
    block = np.empty(_BLOCK, dtype=np.uint16)
    inside = np.empty(_BLOCK, dtype=np.int64)
    kept = 0
    word0, word1, word2, word3 = sketch[0, 0], sketch[0, 1], sketch[0, 2], sketch[0, 3]
    heavy0, heavy1, heavy2, heavy3 = sketch[1, 0], sketch[1, 1], sketch[1, 2], sketch[1, 3]
    farthest = _FARTHEST
    for span in range(spans.shape[0]):
        for first in range(spans[span, 0], spans[span, 1], _BLOCK):
            part = sketches[first : min(first + _BLOCK, spans[span, 1])]
            for index in range(part.shape[0]):
                block[index] = (
                    count_bits(part[index, 0] ^ word0)
                    + count_bits(part[index, 1] ^ word1)
                    + count_bits(part[index, 2] ^ word2)
                    + count_bits(part[index, 3] ^ word3)
                )
            near = 0
            for index in range(part.shape[0]):  # without a branch, so that it compiles to vector instructions
                near += block[index] <= limit
            if near == 0:
                continue
            near = 0
            for index in range(part.shape[0]):  # nor here: a wrong guess costs more than the whole step
                inside[near] = index
                near += block[index] <= limit
            for which in range(near):
                index = inside[which]
                again = count_bits((part[index, 0] ^ word0) & heavy0) + count_bits((part[index, 1] ^ word1) & heavy1)
                again += count_bits((part[index, 2] ^ word2) & heavy2) + count_bits((part[index, 3] ^ word3) & heavy3)
                distance = np.int64(block[index]) + np.int64(again)
                row = first + index
                if order.shape[0] > 0:
                    row = np.int64(order[row])
                if distance > farthest or not alive[row] or (ends.shape[0] > 0 and ends[row] < now):
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
    sketches: Sketches,
    order: npt.NDArray[np.int32],
    alive: npt.NDArray[np.bool_],
    ends: npt.NDArray[np.float64],
    rows: npt.NDArray[np.int8],
    scales: npt.NDArray[np.float32],
    spans: Integers,
    sketch: Sketches,
    query: npt.NDArray[np.int16],
    now: float,
    wanted: int,
) -> tuple[Integers, npt.NDArray[np.float32]]:
    """Live rows whose sketches differ least from the query's, with inner products up to rounding and a factor.

    Args:
        sketches: uint64 (n, 4), in the order in which they are scanned.
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
    limit = _guess_limit(sketches, spans, sketch, wanted)
    places = _scan(sketches, order, alive, ends, spans, sketch, now, wanted, limit)
    if places.shape[0] < wanted and limit < BITS:
        places = _scan(sketches, order, alive, ends, spans, sketch, now, wanted, BITS)
    scores = np.empty(places.shape[0], dtype=np.float32)
    for index in range(places.shape[0]):
        row = rows[places[index]]
        total = np.int32(0)
        for axis in range(query.shape[0]):
            total = np.int32(total + np.int32(row[axis]) * np.int32(query[axis]))
        scores[index] = np.float32(total) * scales[places[index]]
    return places, scores


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
