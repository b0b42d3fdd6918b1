"""What the classifier of high-risk categories reads of a question: hashed words, and their way through its network."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

import numpy as np

from leo_core.kernels._compile import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Floats = npt.NDArray[np.float32]
    Places = npt.NDArray[np.int64]

__all__ = ["hash_words", "read_outputs"]

_ALL = np.uint32(0xFFFFFFFF)
_TABLE = np.array([zlib.crc32(bytes([each]), 0xFFFFFFFF) ^ 0xFFFFFFFF for each in range(256)], dtype=np.uint32)
_PAIR, _FIRST, _WORD, _GRAM = (np.uint32(zlib.crc32(each) ^ 0xFFFFFFFF) for each in (b"p:", b"p:^ ", b"w:", b"c:"))
_SPACE, _AFTER, _LEFT, _RIGHT = (np.uint8(each) for each in b" $<>")
_LETTERS = 4


@kernel
def _step(state: np.uint32, byte: np.uint8) -> np.uint32:
    """The state of a CRC-32 after one more byte."""
    return np.uint32(_TABLE[(state ^ byte) & 0xFF] ^ (state >> np.uint32(8)))


@kernel
def _extend(state: np.uint32, text: Bytes, start: int, end: int) -> np.uint32:
    """The state of a CRC-32 after some more bytes."""
    for at in range(start, end):
        state = _step(state, text[at])
    return state


@kernel
def hash_words(text: Bytes, buckets: int) -> Places:
    """Buckets of the distinct features of words, ascending, by CRC-32 as in :mod:`zlib`.

    Features are ``p:`` with each two neighbours and a space between them, where ``^`` stands before the first word and
    ``$`` behind the last, ``w:`` with each word, and ``c:`` with each four characters in a row of ``<word>``.

    Args:
        text: The words in UTF-8 with a zero between any two of them, shape (c,).
        buckets: How many buckets there are.
    """
    marks = np.zeros(buckets, dtype=np.bool_)
    bounded, starts = np.empty(len(text) + 2, dtype=np.uint8), np.empty(len(text) + 3, dtype=np.int64)
    before = _FIRST
    start = int(np.int64(0))  # typed: a plain 0 has its functions compiled for that number beside others
    while start < len(text):
        end = start
        while end < len(text) and text[end]:
            end += 1
        marks[(_extend(before, text, start, end) ^ _ALL) % buckets] = True
        before = _step(_extend(_PAIR, text, start, end), _SPACE)
        marks[(_extend(_WORD, text, start, end) ^ _ALL) % buckets] = True
        size, letters = end - start + 2, 0
        bounded[0], bounded[size - 1] = _LEFT, _RIGHT
        for at in range(start, end):
            bounded[1 + at - start] = text[at]
        for at in range(size):
            if bounded[at] & 0xC0 != 0x80:  # noqa: PLR2004 - the mark of a byte that continues a character
                starts[letters] = at
                letters += 1
        starts[letters] = size
        for letter in range(letters - _LETTERS + 1):
            gram = _extend(_GRAM, bounded, starts[letter], starts[letter + _LETTERS])
            marks[(gram ^ _ALL) % buckets] = True
        start = end + 1
    marks[(_step(before, _AFTER) ^ _ALL) % buckets] = True
    found, count = np.empty(buckets, dtype=np.int64), 0
    for bucket in range(buckets):
        if marks[bucket]:
            found[count] = bucket
            count += 1
    return found[:count]


@kernel
def read_outputs(
    hashed: npt.NDArray[np.int8],
    found: Places,
    scale: Floats,
    bias: Floats,
    dense: Floats,
    present: Places,
    seen: Floats,
    outputs: Floats,
) -> npt.NDArray[np.float64]:
    """Outputs of a network with one hidden layer of h units, past which inputs also reach its k outputs, shape (k,).

    Args:
        hashed: A row for each bucket, shape (b, h + k).
        found: Buckets of the input.
        scale: What a column's integers are multiplied by, shape (h + k,).
        bias: Constant terms, shape (h + k,).
        dense: A row for each other input, shape (m, h + k).
        present: Which of these are there.
        seen: What else is added, shape (h + k,).
        outputs: From the hidden units to the outputs, shape (h, k).
    """
    width, hidden = hashed.shape[1], outputs.shape[0]
    counts, beside = np.zeros(width, dtype=np.int32), np.zeros(width, dtype=np.float32)
    for row in found:
        for column in range(width):
            counts[column] += hashed[row, column]
    for row in present:
        for column in range(width):
            beside[column] += dense[row, column]
    share = np.float64(np.float32(1.0 / math.sqrt(max(len(found), 1))))
    total = np.empty(width, dtype=np.float64)
    for column in range(width):
        weighed = np.float64(counts[column]) * np.float64(scale[column]) * share
        total[column] = weighed + bias[column] + beside[column] + seen[column]
    result = np.empty(width - hidden, dtype=np.float64)
    for place in range(len(result)):
        result[place] = total[hidden + place]
    for unit in range(hidden):
        if total[unit] > 0.0:
            for place in range(len(result)):
                result[place] += total[unit] * outputs[unit, place]
    return result
