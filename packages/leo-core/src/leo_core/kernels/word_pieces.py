"""Texts to rows of a trained table: greedy word pieces, frequent pairs of pieces, hashed n-grams of other scripts.

Words of Latin letters are cut as BERT cuts them (Devlin et al. 2019): the longest piece that the vocabulary has, from
the left. A pair of neighbouring pieces that the vocabulary has adds its own row. Words that cannot be cut, and words of
all other scripts, add the rows of hashed buckets: one of the word, one for each of its 3-grams. In scripts without
spaces every character and every pair of characters has a bucket.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from leo_core.kernels._compile import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    Codes = npt.NDArray[np.uint32]
    Offsets = npt.NDArray[np.int64]
    Keys = npt.NDArray[np.uint64]
    Ints = npt.NDArray[np.int32]
    Floats = npt.NDArray[np.float32]
    Table = npt.NDArray[np.int8]

__all__ = ["build_index", "classify_code", "cut_text", "cut_texts", "embed_pieces"]

MAX_PIECE = 18
SEPARATOR = 0
LETTER = 1
SINGLE = 2
CHARACTER = 3
LAST_LATIN = 0x24F
GRAM_ENERGY = 2.0

_RANGES = (
    (0x61, 0x7A, LETTER),  # a to z
    (0x00, 0x20, SEPARATOR),
    (0x30, 0x39, LETTER),  # 0 to 9
    (0x41, 0x5A, LETTER),  # A to Z
    (0x21, 0x7E, SINGLE),
    (0x7F, 0x7F, SEPARATOR),
    (0x80, 0xA0, SEPARATOR),
    (0xAA, 0xAA, LETTER),
    (0xAD, 0xAD, SEPARATOR),
    (0xB5, 0xB5, LETTER),
    (0xBA, 0xBA, LETTER),
    (0xA1, 0xBF, SINGLE),
    (0xD7, 0xD7, SINGLE),
    (0xF7, 0xF7, SINGLE),
    (0xC0, 0x2AF, LETTER),
    (0x589, 0x58A, SEPARATOR),  # Armenian punctuation
    (0x5BE, 0x5BE, SEPARATOR),  # Hebrew punctuation
    (0x5C0, 0x5C6, SEPARATOR),
    (0x5F3, 0x5F4, SEPARATOR),
    (0x60C, 0x61F, SEPARATOR),  # Arabic punctuation
    (0x66A, 0x66D, SEPARATOR),
    (0x6D4, 0x6D4, SEPARATOR),
    (0x964, 0x965, SEPARATOR),  # danda
    (0xE01, 0xE3A, CHARACTER),  # Thai
    (0xE40, 0xE4E, CHARACTER),
    (0xE81, 0xEDF, CHARACTER),  # Lao
    (0x1000, 0x1049, CHARACTER),  # Myanmar
    (0x1780, 0x17D3, CHARACTER),  # Khmer
    (0x1361, 0x1368, SEPARATOR),  # Ethiopic punctuation
    (0x2000, 0x200F, SEPARATOR),  # spaces and marks of direction
    (0x2028, 0x202F, SEPARATOR),
    (0x2060, 0x206F, SEPARATOR),
    (0x2010, 0x2BFF, SINGLE),  # punctuation, currencies, arrows, mathematical and technical signs
    (0x3000, 0x3004, SEPARATOR),  # punctuation of Chinese and Japanese
    (0x3008, 0x3020, SEPARATOR),
    (0x30FB, 0x30FB, SEPARATOR),
    (0x3005, 0x30FF, CHARACTER),  # kana
    (0x3400, 0x4DBF, CHARACTER),  # ideographs
    (0x4E00, 0x9FFF, CHARACTER),
    (0xF900, 0xFAFF, CHARACTER),
    (0xE000, 0xF8FF, SEPARATOR),  # private use
    (0xFE00, 0xFE0F, SEPARATOR),  # variation selectors
    (0x1F000, 0x1FAFF, SINGLE),  # pictographs
    (0x20000, 0x2FA1F, CHARACTER),
    (0xE0000, 0x10FFFF, SEPARATOR),
)
"""First code point, last code point, class; the first range that holds a code decides; what is in none is a letter."""

_BEGIN = np.uint64(0xCBF29CE484222325)
_CONTINUE = np.uint64(0x84222325CBF29CE4)
_BUCKET = np.uint64(0x2545F4914F6CDD1D)
_GRAM = np.uint64(0x5851F42D4C957F2D)
_PAIR = np.uint64(0x14057B7EF767814F)
_PRIME = np.uint64(0x100000001B3)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_MARK = np.uint64(2)
_S27 = np.uint64(27)
_S30 = np.uint64(30)
_S31 = np.uint64(31)
_S32 = np.uint64(32)


@kernel
def _mix(value: np.uint64) -> np.uint64:
    """Finaliser of splitmix64, never 0: 0 marks room in the index."""
    value = (value ^ (value >> _S30)) * _MIX_1
    value = (value ^ (value >> _S27)) * _MIX_2
    value = value ^ (value >> _S31)
    return value | np.uint64(value == _ZERO)


@kernel
def classify_code(code: int) -> int:
    """0 for a code point that separates words, 1 for a letter, 2 for a sign, 3 for a script without spaces."""
    for first, last, kind in _RANGES:
        if first <= code <= last:
            return kind
    return LETTER


@kernel
def _find_slot(keys: Keys, key: np.uint64) -> int:
    """Where a key is in the open-addressing index, or where there is room for it."""
    mask = np.uint64(keys.shape[0] - 1)
    slot = key & mask
    while keys[slot] != _ZERO and keys[slot] != key:
        slot = (slot + _ONE) & mask
    return int(np.int64(slot))


@kernel
def _find_row(keys: Keys, rows: Ints, key: np.uint64) -> int:
    """The row of a key, or -1."""
    slot = _find_slot(keys, key)
    return int(rows[slot]) if keys[slot] == key else -1


@kernel
def _key_pair(first: int, second: int) -> np.uint64:
    """Key of two neighbouring rows."""
    return np.uint64(_mix(((np.uint64(first) << _S32) | np.uint64(second)) ^ _PAIR))


def build_index(
    codes: Codes, offsets: Offsets, continuing: npt.NDArray[np.bool_], pairs: Ints, room: int
) -> tuple[Keys, Ints, int]:
    """The open-addressing index of p pieces (rows 0 to p - 1) and q pairs of them (rows p to p + q - 1).

    Args:
        codes: Code points of all pieces one after the other, shape (c,).
        offsets: Piece i is ``codes[offsets[i]:offsets[i + 1]]``, shape (p + 1,).
        continuing: Whether a piece continues a word, shape (p,).
        pairs: Rows of the two pieces of each pair, shape (q, 2).
        room: Slots of the index: a power of two above p + q.

    Returns:
        Keys and rows, shape (room,), and how many pieces and pairs are there twice: 0 in a vocabulary.
    """
    lengths = np.diff(offsets)
    state = np.where(continuing, _CONTINUE, _BEGIN)
    for place in range(lengths.max(initial=0)):
        longer = np.flatnonzero(lengths > place)
        state[longer] = (state[longer] ^ codes[offsets[longer] + place]) * _PRIME
    first, second = pairs.astype(np.uint64).T
    wanted = _mix.py_func(np.concatenate([state, (first << _S32 | second) ^ _PAIR]))  # type: ignore[attr-defined]  # of arrays
    keys, rows = np.zeros(room, dtype=np.uint64), np.zeros(room, dtype=np.int32)
    places = np.arange(len(wanted), dtype=np.int32)
    slots = (wanted & np.uint64(room - 1)).astype(np.int64)
    while len(places):  # of those that want a free slot the last gets it, the others go on to the next
        free = keys[slots] == 0
        rows[slots[free]] = places[free]
        own = rows[slots] == places
        keys[slots[own]] = wanted[own]
        on = keys[slots] != wanted
        places, wanted, slots = places[on], wanted[on], slots[on] + 1 & room - 1
    return keys, rows, len(state) + len(pairs) - int(np.count_nonzero(keys))


@kernel
def _cut_word(codes: Codes, start: int, stop: int, keys: Keys, rows: Ints, ids: Ints, count: int) -> int:
    """Write the pieces of one word from ``ids[count]`` on; returns the new count, or -1 if it cannot be cut."""
    at = start
    state = _BEGIN
    while at < stop:
        found = -1
        end = at
        for place in range(at, min(stop, at + MAX_PIECE)):
            state = (state ^ np.uint64(codes[place])) * _PRIME
            row = _find_row(keys, rows, np.uint64(_mix(state)))
            if row >= 0:
                found = row
                end = place + 1
        if found < 0:
            return -1
        ids[count] = found
        count += 1
        at = end
        state = _CONTINUE
    return count


@kernel
def _pick_bucket(state: np.uint64, first: int, buckets: int) -> int:
    """The row of a hashed feature."""
    return first + int(np.int64(((np.uint64(_mix(state)) >> _S32) * np.uint64(buckets)) >> _S32))


@kernel
def _hash_word(
    codes: Codes, start: int, stop: int, first: int, buckets: int, ids: Ints, weights: Floats, count: int
) -> int:
    """Write the bucket of one word and those of its 3-grams with boundary marks; returns the new count."""
    state = _BUCKET
    for place in range(start, stop):
        state = (state ^ np.uint64(codes[place])) * _PRIME
    ids[count] = _pick_bucket(state, first, buckets)
    weights[count] = 1.0
    count += 1
    length = stop - start
    share = np.float32(math.sqrt(GRAM_ENERGY / length))
    for middle in range(start, stop):
        state = _GRAM
        state = (state ^ (np.uint64(codes[middle - 1]) if middle > start else _MARK)) * _PRIME
        state = (state ^ np.uint64(codes[middle])) * _PRIME
        state = (state ^ (np.uint64(codes[middle + 1]) if middle + 1 < stop else _MARK)) * _PRIME
        ids[count] = _pick_bucket(state, first, buckets)
        weights[count] = share
        count += 1
    return count


@kernel
def cut_text(
    codes: Codes, begin: int, end: int, keys: Keys, rows: Ints, first: int, buckets: int, ids: Ints, weights: Floats
) -> int:
    """Rows of one text and their weights; returns how many there are.

    Args:
        codes: Code points of the normalised texts, shape (c,); this one is ``codes[begin:end]``.
        begin: Where it begins.
        end: Where it ends.
        keys: The index of pieces and pairs, shape (m,).
        rows: Their rows, shape (m,).
        first: Row of the first bucket.
        buckets: How many there are, at least 1.
        ids: Room for 2 * (end - begin) rows.
        weights: Room for as many weights: 1 for pieces, pairs and hashed words, less for n-grams.
    """
    count = int(np.int64(0))  # typed: a plain 0 has its functions compiled for that number beside others
    before = int(np.int64(-1))
    at = begin
    while at < end:
        kind = classify_code(codes[at])
        start = at
        at += 1
        if kind == SEPARATOR:
            continue
        latin = codes[start] <= LAST_LATIN
        if kind == LETTER:
            while at < end and classify_code(codes[at]) == LETTER:
                latin = latin and codes[at] <= LAST_LATIN
                at += 1
        stop = -1
        if latin or kind == SINGLE:
            stop = _cut_word(codes, start, at, keys, rows, ids, count)
        if stop < 0:
            before = int(np.int64(-1))
            if kind == LETTER:
                count = _hash_word(codes, start, at, first, buckets, ids, weights, count)
                continue
            state = (_BUCKET ^ np.uint64(codes[start])) * _PRIME
            ids[count] = _pick_bucket(state, first, buckets)
            weights[count] = 1.0
            count += 1
            if kind == CHARACTER and at < end and classify_code(codes[at]) == CHARACTER:
                ids[count] = _pick_bucket((state ^ np.uint64(codes[at])) * _PRIME, first, buckets)
                weights[count] = 1.0
                count += 1
            continue
        last = stop
        for place in range(count, stop):
            weights[place] = 1.0
        for place in range(count, stop):
            if before >= 0:
                pair = _find_row(keys, rows, np.uint64(_key_pair(before, int(ids[place]))))
                if pair >= 0:
                    ids[last] = pair
                    weights[last] = 1.0
                    last += 1
            before = int(ids[place])
        count = last
    return count


@kernel
def cut_texts(
    codes: Codes, offsets: Offsets, keys: Keys, rows: Ints, first: int, buckets: int, ids: Ints, weights: Floats
) -> Offsets:
    """Rows of n texts one after the other; returns where each text starts and the last one stops, shape (n + 1,).

    ``ids`` and ``weights``: room for 2 * len(codes). The rest as in :func:`cut_text`.
    """
    starts = np.zeros(offsets.shape[0], dtype=np.int64)
    for text in range(offsets.shape[0] - 1):
        at = starts[text]
        starts[text + 1] = at + cut_text(
            codes, offsets[text], offsets[text + 1], keys, rows, first, buckets, ids[at:], weights[at:]
        )
    return starts


@kernel
def embed_pieces(
    codes: Codes, offsets: Offsets, keys: Keys, rows: Ints, table: Table, scales: Floats, buckets: int
) -> Floats:
    """Unit rows (n, d), float32, of n texts: the weighted sum of their rows, scaled to length 1.

    Args:
        codes: Code points of all normalised texts one after the other, shape (c,).
        offsets: Text i is ``codes[offsets[i]:offsets[i + 1]]``, shape (n + 1,).
        keys: The index of pieces and pairs, shape (m,).
        rows: Their rows, shape (m,).
        table: The vectors, int8, shape (r, d); the last ``buckets`` rows are those of the buckets.
        scales: What a row is multiplied with, shape (r,).
        buckets: How many buckets there are.

    A text without any row, and one whose rows cancel, gives the first basis vector.
    """
    count = offsets.shape[0] - 1
    dimension = table.shape[1]
    first = table.shape[0] - buckets
    result = np.zeros((count, dimension), dtype=np.float32)
    longest = 0
    for text in range(count):
        longest = max(longest, offsets[text + 1] - offsets[text])
    ids = np.empty(2 * longest, dtype=np.int32)
    weights = np.empty(2 * longest, dtype=np.float32)
    for text in range(count):
        size = cut_text(codes, offsets[text], offsets[text + 1], keys, rows, first, buckets, ids, weights)
        row = result[text]
        for each in range(size):
            line = table[ids[each]]
            scale = scales[ids[each]] * weights[each]
            for place in range(dimension):
                row[place] += scale * np.float32(line[place])
        total = np.float32(0.0)
        for place in range(dimension):
            total += row[place] * row[place]
        if total > 0.0:
            scale = np.float32(1.0 / math.sqrt(total))
            for place in range(dimension):
                row[place] *= scale
        else:
            row[0] = 1.0
    return result
