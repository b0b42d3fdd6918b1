"""The uniform polynomial that a seed stands for, as SEAL 4 draws it: BLAKE2Xb, then rejection.

BLAKE2b: RFC 7693. BLAKE2X: J.-P. Aumasson, S. Neves, Z. Wilcox-O'Hearn, C. Winnerlein, "BLAKE2X", 2016. The seed is the
key, a counter of 4096-byte buffers the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leo_core.kernels._compile import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    Residues = npt.NDArray[np.uint32]
    Words = npt.NDArray[np.uint64]

__all__ = ["expand_seed"]

_BUFFER_WORDS = 512
_BUFFER_BYTES = 4096
_START = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    dtype=np.uint64,
)
_ORDER = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    ],
    dtype=np.int64,
)
"""RFC 7693, section 2.7."""

_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)
_S16 = np.uint64(16)
_S24 = np.uint64(24)
_S32 = np.uint64(32)
_S40 = np.uint64(40)
_S48 = np.uint64(48)
_S63 = np.uint64(63)
_S1 = np.uint64(1)
_BLOCK_BYTES = 128
_ROOT = np.uint64(0x01014040)
"""Digest of 64 bytes, key of 64 bytes, fanout 1, depth 1."""

_LEAF = np.uint64(0x4000000040)
"""Digest of 64 bytes, no key, fanout 0, depth 0, leaf length 64."""

_LENGTH = np.uint64(_BUFFER_BYTES << 32)
_INNER = np.uint64(0x4000)
"""Inner length 64."""


@kernel
def _mix(v: Words, a: int, b: int, c: int, d: int, x: np.uint64, y: np.uint64) -> None:
    """G of RFC 7693, section 3.1."""
    v[a] += v[b] + x
    turned = v[d] ^ v[a]
    v[d] = (turned >> _S32) | (turned << _S32)
    v[c] += v[d]
    turned = v[b] ^ v[c]
    v[b] = (turned >> _S24) | (turned << _S40)
    v[a] += v[b] + y
    turned = v[d] ^ v[a]
    v[d] = (turned >> _S16) | (turned << _S48)
    v[c] += v[d]
    turned = v[b] ^ v[c]
    v[b] = (turned >> _S63) | (turned << _S1)


@kernel
def _compress(state: Words, block: Words, count: int, last: bool, v: Words) -> None:  # noqa: FBT001 - of the RFC
    """F of RFC 7693, section 3.2: take in one block (16,) into ``state`` (8,)."""
    for word in range(8):
        v[word] = state[word]
        v[word + 8] = _START[word]
    v[12] ^= np.uint64(count)
    if last:
        v[14] ^= _ONES
    for turn in range(12):
        order = _ORDER[turn]
        for c in range(4):
            _mix(v, c, 4 + c, 8 + c, 12 + c, block[order[2 * c]], block[order[2 * c + 1]])
        for c in range(4):
            b, d = 4 + (c + 1) % 4, 12 + (c + 3) % 4
            _mix(v, c, b, 8 + (c + 2) % 4, d, block[order[8 + 2 * c]], block[order[9 + 2 * c]])
    for word in range(8):
        state[word] ^= v[word] ^ v[word + 8]


@kernel
def _fill(seed: Words, counter: int, out: Words) -> None:
    """BLAKE2Xb of the counter under the key ``seed`` (8,): 4096 bytes, shape (512,)."""
    block, v = np.zeros(16, dtype=np.uint64), np.empty(16, dtype=np.uint64)
    root = np.empty(8, dtype=np.uint64)
    for word in range(8):
        root[word] = _START[word]
        block[word] = seed[word]
    root[0] ^= _ROOT
    root[1] ^= _LENGTH
    _compress(root, block, _BLOCK_BYTES, False, v)  # noqa: FBT003 - of the RFC
    for word in range(1, 8):
        block[word] = np.uint64(0)
    block[0] = np.uint64(counter)
    _compress(root, block, _BLOCK_BYTES + 8, True, v)  # noqa: FBT003 - of the RFC
    for word in range(8):
        block[word] = root[word]
    for node in range(_BUFFER_WORDS // 8):
        state = out[8 * node : 8 * node + 8]
        for word in range(8):
            state[word] = _START[word]
        state[0] ^= _LEAF
        state[1] ^= _LENGTH | np.uint64(node)
        state[2] ^= _INNER
        _compress(state, block, 64, True, v)  # noqa: FBT003 - of the RFC


@kernel
def expand_seed(seed: Words, primes: Words, degree: int) -> Residues:
    """Uniform residues (k, N), row i modulo prime i, from a seed of eight words; N a multiple of 512.

    A word at or above the largest multiple of the prime is drawn again, from what follows in the stream.
    """
    count = primes.shape[0] * degree // _BUFFER_WORDS
    words = np.empty(count * _BUFFER_WORDS, dtype=np.uint64)
    for buffer in range(count):
        _fill(seed, buffer, words[buffer * _BUFFER_WORDS : (buffer + 1) * _BUFFER_WORDS])
    spare = np.empty(_BUFFER_WORDS, dtype=np.uint64)
    used = _BUFFER_WORDS
    residues = np.empty((primes.shape[0], degree), dtype=np.uint32)
    for row in range(primes.shape[0]):
        prime = primes[row]
        limit = _ONES - _ONES % prime - _S1
        for place in range(degree):
            value = words[row * degree + place]
            while value >= limit:
                if used == _BUFFER_WORDS:
                    _fill(seed, count, spare)
                    count += 1
                    used = 0
                value = spare[used]
                used += 1
            residues[row, place] = np.uint32(value % prime)
    return residues
