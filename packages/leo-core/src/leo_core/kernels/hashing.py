"""Texts to unit vectors without training: signed hashing of n-grams, projected by a sparse JL transform.

The features of a text are its words, its pairs of neighbouring words, and the character 3- to 5-grams of each
word between boundary marks. Each feature is a column of a sparse Johnson–Lindenstrauss matrix with 8 non-zeros
±1/√8, one in each of 8 blocks of coordinates (the block construction of D. Kane and J. Nelson, "Sparser
Johnson–Lindenstrauss transforms", J. ACM 61, 2014); the column is derived from a 64-bit hash of the feature, so
no matrix and no vocabulary are kept. A feature that occurs c times counts √c times as much as one that occurs
once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from leo_core.kernels._compile import kernel
from leo_core.kernels._vectors import measure_norm

if TYPE_CHECKING:
    import numpy.typing as npt

    Codes = npt.NDArray[np.uint32]
    Offsets = npt.NDArray[np.int64]
    Keys = npt.NDArray[np.uint64]
    Floats = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.float32]

__all__ = ["classify_code", "embed_codes", "find_words", "hash_word"]

BLOCKS = 8
MIN_GRAM = 3
MAX_GRAM = 5
BEGIN = np.uint64(2)
END = np.uint64(3)
SEPARATOR = 0
LETTER = 1
SYMBOL = 2

_LATIN_LETTERS = 0xC0
_RANGES = (
    (0x61, 0x7A, LETTER),  # a to z
    (0x30, 0x39, LETTER),  # 0 to 9
    (0x41, 0x5A, LETTER),  # A to Z
    (0x5F, 0x5F, LETTER),  # _
    (0x23, 0x26, SYMBOL),  # # $ % &
    (0x2A, 0x2B, SYMBOL),  # * +
    (0x2F, 0x2F, SYMBOL),  # /
    (0x3C, 0x3E, SYMBOL),  # < = >
    (0x40, 0x40, SYMBOL),  # @
    (0x5E, 0x5E, SYMBOL),  # ^
    (0x7C, 0x7C, SYMBOL),  # |
    (0x7E, 0x7E, SYMBOL),  # ~
    (0xAA, 0xAA, LETTER),  # feminine ordinal
    (0xB5, 0xB5, LETTER),  # micro
    (0xBA, 0xBA, LETTER),  # masculine ordinal
    (0x2000, 0x206F, SEPARATOR),  # general punctuation
    (0x20A0, 0x20CF, SYMBOL),  # currencies
    (0x2190, 0x23FF, SYMBOL),  # arrows, mathematical operators, technical signs
    (0x3000, 0x3004, SEPARATOR),  # CJK punctuation
    (0x3008, 0x3020, SEPARATOR),  # CJK brackets and marks
)
"""First code point, last code point, class; what is in none is a letter from À on, else a separator."""

_OFFSET = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_WORD = np.uint64(0x5851F42D4C957F2D)
_PAIR = np.uint64(0x14057B7EF767814F)
_GRAM = np.uint64(0x2545F4914F6CDD1D)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_S27 = np.uint64(27)
_S30 = np.uint64(30)
_S31 = np.uint64(31)
_S32 = np.uint64(32)


@kernel
def _mix(value: np.uint64) -> np.uint64:
    """Finaliser of splitmix64: every bit of the result depends on every bit of ``value``."""
    value = (value ^ (value >> _S30)) * _MIX_1
    value = (value ^ (value >> _S27)) * _MIX_2
    return value ^ (value >> _S31)


@kernel
def classify_code(code: int) -> int:
    """0 for a code point that separates words, 1 for one inside words, 2 for a symbol that is a word by itself."""
    for first, last, kind in _RANGES:
        if first <= code <= last:
            return kind
    return SEPARATOR if code < _LATIN_LETTERS else LETTER


@kernel
def find_words(codes: Codes, first: int, last: int, starts: Offsets, stops: Offsets) -> int:
    """Write where the words of ``codes[first:last]`` start and stop; returns how many there are.

    ``codes``: code points, shape (n,). ``starts`` and ``stops``: room for ``last - first`` words.
    """
    count = 0
    inside = False
    for position in range(first, last):
        kind = classify_code(codes[position])
        if inside and kind != LETTER:
            stops[count] = position
            count += 1
            inside = False
        if kind == SYMBOL:
            starts[count] = position
            stops[count] = position + 1
            count += 1
        elif kind == LETTER and not inside:
            starts[count] = position
            inside = True
    if inside:
        stops[count] = last
        count += 1
    return count


@kernel
def hash_word(codes: Codes, start: int, stop: int) -> np.uint64:
    """64-bit hash of the code points ``codes[start:stop]``: FNV-1a over code points, then mixed."""
    state = _OFFSET
    for position in range(start, stop):
        state = (state ^ np.uint64(codes[position])) * _PRIME
    return np.uint64(_mix(state ^ _WORD))


@kernel
def _add_feature(keys: Keys, energies: Floats, key: np.uint64, energy: float) -> None:
    """Add ``energy`` to a feature in an open-addressing table whose size is a power of two; key 0 marks room."""
    mask = np.uint64(keys.shape[0] - 1)
    if key == _ZERO:
        key = _ONE
    slot = key & mask
    while keys[slot] != _ZERO and keys[slot] != key:
        slot = (slot + _ONE) & mask
    keys[slot] = key
    energies[slot] += energy


@kernel
def _add_grams(codes: Codes, start: int, stop: int, energy: float, keys: Keys, energies: Floats) -> None:
    """Add the 3- to 5-grams of one word with its boundary marks; together they bring ``energy``."""
    length = stop - start + 2
    count = 0
    for size in range(MIN_GRAM, MAX_GRAM + 1):
        count += max(0, length - size + 1)
    share = energy / count
    for first in range(length - MIN_GRAM + 1):
        state = _OFFSET
        for place in range(first, min(first + MAX_GRAM, length)):
            code = BEGIN
            if place == length - 1:
                code = END
            elif place > 0:
                code = np.uint64(codes[start + place - 1])
            state = (state ^ code) * _PRIME
            if place - first + 1 >= MIN_GRAM:
                _add_feature(keys, energies, np.uint64(_mix(state ^ _GRAM)), share)


@kernel
def _find_weight(key: np.uint64, common: Keys, weights: Floats) -> float:
    """Weight of a word: that of ``common`` (sorted), else 1."""
    low = 0
    high = common.shape[0]
    while low < high:
        middle = (low + high) // 2
        if common[middle] < key:
            low = middle + 1
        else:
            high = middle
    if low < common.shape[0] and common[low] == key:
        return float(weights[low])
    return 1.0


@kernel
def _gather(
    codes: Codes,
    starts: Offsets,
    stops: Offsets,
    count: int,
    common: Keys,
    weights: Floats,
    gains: Floats,
    keys: Keys,
    energies: Floats,
) -> None:
    """Fill the table with the features of one text."""
    before = _ZERO
    weight_before = 0.0
    for index in range(count):
        word = np.uint64(hash_word(codes, starts[index], stops[index]))
        weight = _find_weight(word, common, weights)
        square = weight * weight
        _add_feature(keys, energies, word, gains[0] * square)
        if index > 0:
            pair = np.uint64(_mix((before * _PRIME) ^ word ^ _PAIR))
            _add_feature(keys, energies, pair, gains[1] * weight * weight_before)
        _add_grams(codes, starts[index], stops[index], gains[2] * square, keys, energies)
        before = word
        weight_before = weight


@kernel
def _project(keys: Keys, energies: Floats, row: Floats) -> None:
    """Add √energy times the sparse JL column of every feature to ``row`` (d,)."""
    dimension = row.shape[0]
    for slot in range(keys.shape[0]):
        key = keys[slot]
        if key == _ZERO:
            continue
        amount = math.sqrt(energies[slot] / BLOCKS)
        for block in range(BLOCKS):
            low = block * dimension // BLOCKS
            width = np.uint64((block + 1) * dimension // BLOCKS - low)
            bits = np.uint64(_mix(key + np.uint64(block + 1) * _GOLDEN))
            place = low + np.int64(((bits >> _S32) * width) >> _S32)
            if bits & _ONE:
                row[place] += amount
            else:
                row[place] -= amount


@kernel
def embed_codes(codes: Codes, offsets: Offsets, common: Keys, weights: Floats, gains: Floats, dimension: int) -> Rows:
    """Unit rows (n, dimension), float32, of n texts.

    Args:
        codes: Code points of all texts one after the other, shape (c,).
        offsets: Text i is ``codes[offsets[i]:offsets[i + 1]]``, shape (n + 1,).
        common: Hashes of words whose weight is not 1, sorted, shape (w,).
        weights: Their weights, shape (w,).
        gains: Energy of a word, of a pair of words, and of all n-grams of a word, shape (3,).
        dimension: d, at least 8.

    A text without a word gives the first basis vector.
    """
    count = offsets.shape[0] - 1
    rows = np.zeros((count, dimension), dtype=np.float32)
    for text in range(count):
        first = offsets[text]
        last = offsets[text + 1]
        starts = np.empty(last - first, dtype=np.int64)
        stops = np.empty(last - first, dtype=np.int64)
        words = find_words(codes, first, last, starts, stops)
        room = 16
        while room < 2 * (3 * (last - first) + 8 * words):
            room *= 2
        keys = np.zeros(room, dtype=np.uint64)
        energies = np.zeros(room, dtype=np.float64)
        _gather(codes, starts, stops, words, common, weights, gains, keys, energies)
        row = np.zeros(dimension, dtype=np.float64)
        _project(keys, energies, row)
        norm = measure_norm(row)
        if norm == 0.0:
            row[0] = 1.0
            norm = 1.0
        for place in range(dimension):
            rows[text, place] = row[place] / norm
    return rows
