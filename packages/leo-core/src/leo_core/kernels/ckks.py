"""Scores under CKKS: hoisted rotations, sums of products, and the one rescale at the end.

A ciphertext (c₀, c₁) is kept transformed. To switch a polynomial to the secret, it is split into its residues modulo
q₀ and q₁ as small centred integers (digits), each digit is multiplied by its part of the key modulo q₀·q₁·P, and the
sum is divided by P (S. Halevi, Y. Polyakov, V. Shoup, CT-RSA 2019, section 2.2). A rotation X ↦ Xᵍ commutes with all
of that, so that one decomposition of the query serves all its rotations (S. Halevi and V. Shoup, "Faster homomorphic
linear transformations in HElib", CRYPTO 2018, section 5), and keys are kept turned back by g, so that the sums turn.

Nothing here is secret: ciphertexts, public keys and rows go in, ciphertexts come out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leo_core.kernels._compile import kernel
from leo_core.kernels.ckks_ring import Ring, transform, transform_back

if TYPE_CHECKING:
    import numpy.typing as npt

    Residues = npt.NDArray[np.uint32]
    Words = npt.NDArray[np.uint64]
    Places = npt.NDArray[np.int64]

__all__ = [
    "TILE",
    "finish_encrypted",
    "finish_plain",
    "multiply_encrypted",
    "multiply_plain",
    "rotate_query",
    "transform_all",
]

TILE = 256
"""Coefficients whose products with all rotations are summed before the next ones, so that rotations stay in cache."""

_UNROLLED = 4
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_FOUR = np.uint64(4)
_S32 = np.uint64(32)
_MASK = np.uint64(0xFFFFFFFF)


@kernel
def transform_all(residues: Residues, ring: Ring) -> None:
    """Transform polynomials (m, k, N), row j modulo prime j, in place."""
    columns = np.empty(residues.shape[2], dtype=np.uint32)
    for polynomial in range(residues.shape[0]):
        for prime in range(residues.shape[1]):
            transform(residues[polynomial, prime], ring.forward[prime], ring.primes[prime], columns)


@kernel
def _reduce(value: np.uint64, prime: np.uint64, negative: np.uint64) -> np.uint64:
    """``value`` / 2³² modulo the prime, for value below 2³²·(q + 1) (P. Montgomery, 1985)."""
    quotient = ((value & _MASK) * negative) & _MASK
    found = (value + quotient * prime) >> _S32
    found = min(found, (found - prime) & _MASK)
    return np.uint64(min(found, (found - prime) & _MASK))


@kernel
def _lift(coefficients: Residues, source: int, target: int, ring: Ring, into: Residues, columns: Residues) -> None:
    """Carry coefficients (N,), as the centred integers that they stand for, to another prime, and transform them.

    Neither prime is above seven times the other.
    """
    low, high = ring.primes[source], ring.primes[target]
    middle, borrow = low >> _ONE, (_FOUR * (high + high) - low) % high
    for place in range(into.shape[0]):
        value = np.uint64(coefficients[place])
        value += borrow if value > middle else _ZERO
        value = min(value, (value - _FOUR * high) & _MASK)
        value = min(value, (value - high - high) & _MASK)
        into[place] = np.uint32(min(value, (value - high) & _MASK))
    transform(into, ring.forward[target], high, columns)


@kernel
def _decompose(polynomial: Residues, ring: Ring, digits: Residues, room: Residues) -> None:
    """Digits (2, 3, N) of a transformed polynomial (2, N), each modulo all three primes; ``room``: shape (2, N)."""
    for digit in range(2):
        room[0] = polynomial[digit]
        transform_back(room[0], ring.backward[digit], ring.shares[digit], ring.primes[digit], room[1])
        for prime in range(3):
            if prime == digit:
                digits[digit, prime] = polynomial[digit]
            else:
                _lift(room[0], digit, prime, ring, digits[digit, prime], room[1])


@kernel
def _switch(digits: Residues, key: Residues, ring: Ring, into: Residues) -> None:
    """Sum of digits (2, 3, N) times their parts of a key (2, 2, 3, N), Montgomery, modulo all primes: (2, 3, N)."""
    for prime in range(3):
        modulus, negative = ring.primes[prime], ring.negatives[prime]
        first, second = digits[0, prime], digits[1, prime]
        for half in range(2):
            low, high, out = key[0, half, prime], key[1, half, prime], into[half, prime]
            for place in range(out.shape[0]):
                total = np.uint64(first[place]) * np.uint64(low[place])
                total += np.uint64(second[place]) * np.uint64(high[place])
                out[place] = np.uint32(_reduce(total, modulus, negative))


@kernel
def _drop_special(polynomial: Residues, ring: Ring, room: Residues) -> None:
    """Divide a transformed polynomial (3, N) by P and round, into its first two rows; ``room``: shape (2, N)."""
    transform_back(polynomial[2], ring.backward[2], ring.shares[2], ring.primes[2], room[1])
    for prime in range(2):
        modulus, negative, inverse = ring.primes[prime], ring.negatives[prime], ring.drops[prime]
        _lift(polynomial[2], 2, prime, ring, room[0], room[1])
        out, rest = polynomial[prime], room[0]
        for place in range(out.shape[0]):
            difference = np.uint64(out[place]) + modulus - np.uint64(rest[place])
            out[place] = np.uint32(_reduce(difference * inverse, modulus, negative))


@kernel
def rotate_query(query: Residues, turns: Places, keys: Residues, ring: Ring) -> Residues:
    """All rotations of a query, shape (2, N / 256, parts · b, 2, 256): prime, tile, rotation, polynomial, place.

    Args:
        query: Transformed ciphertexts of the parts, shape (parts, 2, 2, N).
        turns: For every rotation where its places come from, shape (b, N); the first is not used.
        keys: For every rotation its key, turned back, Montgomery, shape (b, 2, 2, 3, N); the first is not used.
        ring: The ring.
    """
    parts, degree = query.shape[0], query.shape[3]
    steps, tiles = turns.shape[0], degree // TILE
    rotated = np.empty((2, tiles, parts * steps, 2, TILE), dtype=np.uint32)
    digits = np.empty((2, 3, degree), dtype=np.uint32)
    switched = np.empty((2, 3, degree), dtype=np.uint32)
    room = np.empty((2, degree), dtype=np.uint32)
    for part in range(parts):
        _decompose(query[part, 1], ring, digits, room)
        for step in range(steps):
            if step > 0:
                _switch(digits, keys[step], ring, switched)
            for half in range(2):
                if step > 0:
                    _drop_special(switched[half], ring, room)
                for prime in range(2):
                    source, modulus = query[part, half, prime], ring.primes[prime]
                    if step > 0:
                        source = switched[half, prime]
                        if half == 0:
                            _add(source, query[part, 0, prime], modulus)
                    for tile in range(tiles):
                        out = rotated[prime, tile, part * steps + step, half]
                        for place in range(TILE):
                            where = tile * TILE + place
                            out[place] = source[turns[step, where] if step > 0 else where]
    return rotated


@kernel
def _add(into: Residues, other: Residues, modulus: np.uint64) -> None:
    for place in range(into.shape[0]):
        total = np.uint64(into[place]) + np.uint64(other[place])
        into[place] = np.uint32(min(total, (total - modulus) & _MASK))


@kernel
def _settle(sums: Words, prime: int, ring: Ring, into: Residues) -> None:
    """Sums of any 64 bits / 2³² modulo a prime."""
    modulus, negative, shift = ring.primes[prime], ring.negatives[prime], ring.shifts[prime]
    for place in range(into.shape[0]):
        value = (sums[place] >> _S32) * shift + (sums[place] & _MASK)
        into[place] = np.uint32(_reduce(value, modulus, negative))


@kernel
def _clear(total: Words) -> None:
    for place in range(total.shape[0]):
        total[place] = _ZERO


@kernel
def _accumulate(
    total: Words,
    a0: Residues,
    b0: Residues,
    a1: Residues,
    b1: Residues,
    a2: Residues,
    b2: Residues,
    a3: Residues,
    b3: Residues,
) -> None:
    """Add four products, place by place: as many as a compiler proves to be apart from the sum."""
    for place in range(TILE):
        found = np.uint64(a0[place]) * np.uint64(b0[place]) + np.uint64(a1[place]) * np.uint64(b1[place])
        found += np.uint64(a2[place]) * np.uint64(b2[place]) + np.uint64(a3[place]) * np.uint64(b3[place])
        total[place] += found


@kernel
def _accumulate_two(total: Words, a0: Residues, b0: Residues, a1: Residues, b1: Residues) -> None:
    for place in range(TILE):
        found = np.uint64(a0[place]) * np.uint64(b0[place]) + np.uint64(a1[place]) * np.uint64(b1[place])
        total[place] += found


@kernel
def multiply_plain(rotated: Residues, diagonals: Residues, which: Places, starts: Places, ring: Ring) -> Residues:
    """Sum of each giant step's products, shape (g, 2, 2, N): giant step, polynomial, prime, place.

    At most 256 products of residues below 2²⁸ add up in 64 bits without a reduction.

    Args:
        rotated: Of :func:`rotate_query`.
        diagonals: Encoded, Montgomery, shape (2, N / 256, D, 256): prime, tile, diagonal, place.
        which: Rotation that each diagonal is multiplied by, shape (D,).
        starts: Giant step i has the diagonals ``starts[i]`` to ``starts[i + 1]``, multiples of four, shape (g + 1,).
        ring: The ring.
    """
    tiles, giants = rotated.shape[1], starts.shape[0] - 1
    sums = np.empty((giants, 2, 2, tiles * TILE), dtype=np.uint32)
    total = np.empty(TILE, dtype=np.uint64)
    for prime in range(2):
        for tile in range(tiles):
            turned, rows = rotated[prime, tile], diagonals[prime, tile]
            for giant in range(giants):
                for half in range(2):
                    _clear(total)
                    for term in range(starts[giant], starts[giant + 1], _UNROLLED):
                        first, second = turned[which[term], half], turned[which[term + 1], half]
                        third, fourth = turned[which[term + 2], half], turned[which[term + 3], half]
                        r0, r1, r2, r3 = rows[term], rows[term + 1], rows[term + 2], rows[term + 3]
                        _accumulate(total, first, r0, second, r1, third, r2, fourth, r3)
                    _settle(total, prime, ring, sums[giant, half, prime, tile * TILE : (tile + 1) * TILE])
    return sums


@kernel
def multiply_encrypted(rotated: Residues, diagonals: Residues, which: Places, starts: Places, ring: Ring) -> Residues:
    """The same of encrypted diagonals (2, N / 256, D, 2, 256), shape (g, 3, 2, N); at most 128 a giant step."""
    tiles, giants = rotated.shape[1], starts.shape[0] - 1
    sums = np.empty((giants, 3, 2, tiles * TILE), dtype=np.uint32)
    total = np.empty(TILE, dtype=np.uint64)
    for prime in range(2):
        for tile in range(tiles):
            turned, rows = rotated[prime, tile], diagonals[prime, tile]
            for giant in range(giants):
                for degree in range(3):
                    _clear(total)
                    for term in range(starts[giant], starts[giant + 1], 2):
                        t0, t1 = turned[which[term]], turned[which[term + 1]]
                        r0, r1 = rows[term], rows[term + 1]
                        if degree == 1:
                            _accumulate(total, t0[0], r0[1], t0[1], r0[0], t1[0], r1[1], t1[1], r1[0])
                        else:
                            half = degree // 2
                            _accumulate_two(total, t0[half], r0[half], t1[half], r1[half])
                    _settle(total, prime, ring, sums[giant, degree, prime, tile * TILE : (tile + 1) * TILE])
    return sums


@kernel
def finish_plain(sums: Residues, turns: Places, keys: Residues, ring: Ring) -> Residues:
    """Turn the giant steps' sums, add them and rescale: residues (2, N) modulo q₀, transformed.

    Sums are switched modulo q₀·q₁·P and divided by P·q₁ together and once.

    Args:
        sums: Of :func:`multiply_plain`, shape (g, 2, 2, N).
        turns: For every giant step where its places come from, shape (g, N); the first is not used.
        keys: For every giant step its key, turned back, Montgomery, shape (g, 2, 2, 3, N); the first is not used.
        ring: The ring.
    """
    degree = sums.shape[3]
    total = np.zeros((2, 3, degree), dtype=np.uint32)
    digits = np.empty((2, 3, degree), dtype=np.uint32)
    switched = np.empty((2, 3, degree), dtype=np.uint32)
    room = np.empty((2, degree), dtype=np.uint32)
    for half in range(2):
        _raise(sums[0, half], ring, total[half])
    for giant in range(1, sums.shape[0]):
        _decompose(sums[giant, 1], ring, digits, room)
        _switch(digits, keys[giant], ring, switched)
        _raise(sums[giant, 0], ring, switched[0])
        _turn_onto(switched, turns[giant], ring, total, room[0])
    return _rescale(total, ring, room)


@kernel
def finish_encrypted(sums: Residues, turns: Places, keys: Residues, relin: Residues, ring: Ring) -> Residues:
    """The same of products of two ciphertexts, shape (g, 3, 2, N), with the key (2, 2, 3, N) from s² to s."""
    degree = sums.shape[3]
    total = np.zeros((2, 3, degree), dtype=np.uint32)
    digits = np.empty((2, 3, degree), dtype=np.uint32)
    squared = np.empty((2, 3, degree), dtype=np.uint32)
    switched = np.empty((2, 3, degree), dtype=np.uint32)
    room = np.empty((2, degree), dtype=np.uint32)
    for giant in range(sums.shape[0]):
        _decompose(sums[giant, 2], ring, digits, room)
        _switch(digits, relin, ring, squared)
        for half in range(2):
            _raise(sums[giant, half], ring, squared[half])
        if giant == 0:
            total[:] = squared
            continue
        _drop_special(squared[1], ring, room)
        _decompose(squared[1, :2], ring, digits, room)
        _switch(digits, keys[giant], ring, switched)
        for prime in range(3):
            _add(switched[0, prime], squared[0, prime], ring.primes[prime])
        _turn_onto(switched, turns[giant], ring, total, room[0])
    return _rescale(total, ring, room)


@kernel
def _raise(polynomial: Residues, ring: Ring, into: Residues) -> None:
    """Add P times a polynomial (2, N) to one modulo q₀·q₁·P, (3, N)."""
    for prime in range(2):
        modulus, negative, factor = ring.primes[prime], ring.negatives[prime], ring.lifts[prime]
        source, out = polynomial[prime], into[prime]
        for place in range(out.shape[0]):
            raised = _reduce(np.uint64(source[place]) * factor, modulus, negative)
            found = np.uint64(out[place]) + raised
            out[place] = np.uint32(min(found, (found - modulus) & _MASK))


@kernel
def _turn_onto(polynomials: Residues, turn: Places, ring: Ring, total: Residues, room: Residues) -> None:
    """Add turned polynomials (2, 3, N) to others; ``room``: shape (N,)."""
    for half in range(2):
        for prime in range(3):
            source, out, modulus = polynomials[half, prime], total[half, prime], ring.primes[prime]
            for place in range(out.shape[0]):
                room[place] = source[turn[place]]
            _add(out, room, modulus)


@kernel
def _rescale(total: Residues, ring: Ring, room: Residues) -> Residues:
    """Divide (2, 3, N) by P·q₁ and round: (2, N) modulo q₀. What is divided away is put together by Garner's method."""
    degree = total.shape[2]
    low, high, special = ring.primes[0], ring.primes[1], ring.primes[2]
    result = np.empty((2, degree), dtype=np.uint32)
    half_modulus = (special * high) >> _ONE
    for half in range(2):
        rest, remainder, out = total[half, 1], total[half, 2], result[half]
        transform_back(rest, ring.backward[1], ring.shares[1], high, room[1])
        transform_back(remainder, ring.backward[2], ring.shares[2], special, room[1])
        for place in range(degree):
            tail = np.uint64(remainder[place])
            known = min(tail, (tail - high) & _MASK)
            known = min(known, (known - high) & _MASK)
            known = min(known, (known - high) & _MASK)
            gap = np.uint64(rest[place]) + high - known
            digit = _reduce(gap * ring.last[0], high, ring.negatives[1])
            value = _reduce(digit * ring.last[1], low, ring.negatives[0])
            tail = min(tail, (tail - low) & _MASK)
            tail = min(tail, (tail - low) & _MASK)
            tail = min(tail, (tail - low) & _MASK)
            value += tail
            if np.uint64(remainder[place]) + special * digit > half_modulus:
                value += low - ring.last[3]
            value = min(value, (value - low) & _MASK)
            out[place] = np.uint32(min(value, (value - low) & _MASK))
        transform(out, ring.forward[0], low, room[1])
        for place in range(degree):
            gap = np.uint64(total[half, 0, place]) + low - np.uint64(out[place])
            out[place] = np.uint32(_reduce(gap * ring.last[2], low, ring.negatives[0]))
    return result
