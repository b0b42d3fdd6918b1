"""The ring of CKKS: Z_q[X] / (Xᴺ + 1) for three primes q, its number-theoretic transform, and reductions.

Residues are 32-bit; primes are below 2³⁰ and 1 modulo 2N. A transformed polynomial stands in SEAL's order: place i
holds the value at ψ^(2·rev(i) + 1), with ψ the least primitive 2N-th root of unity and rev the reversal of bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from leo_core.kernels._compile import kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Residues = npt.NDArray[np.uint32]
    Words = npt.NDArray[np.uint64]
    Places = npt.NDArray[np.int64]

__all__ = ["WIDTH", "Ring", "make_ring", "make_turn", "transform", "transform_back"]

WIDTH = 64
"""The last six levels of a transform work on columns of this many rows, so that their inner loops are long too."""

_S32 = np.uint64(32)
_MASK = np.uint64(0xFFFFFFFF)


class Ring(NamedTuple):
    """Numbers that a kernel needs of a ring with primes q₀, q₁ and P, in Montgomery form (times 2³²) where noted.

    Attributes:
        primes: q₀, q₁, P, shape (3,).
        negatives: -q⁻¹ modulo 2³², shape (3,).
        shifts: 2³² modulo q, shape (3,).
        forward: Powers of ψ and their quotients ⌊ψ^i · 2³² / q⌋, in the order of use, shape (3, 2, N).
        backward: The same of ψ⁻¹, shape (3, 2, N).
        shares: N⁻¹ and its quotient, shape (3, 2).
        lifts: P modulo q₀ and q₁, Montgomery, shape (2,).
        drops: P⁻¹ modulo q₀ and q₁, Montgomery, shape (2,).
        last: P⁻¹ modulo q₁, and P and (P·q₁)⁻¹ modulo q₀, all Montgomery, and P·q₁ modulo q₀, shape (4,).
    """

    primes: Words
    negatives: Words
    shifts: Words
    forward: Residues
    backward: Residues
    shares: Words
    lifts: Words
    drops: Words
    last: Words


def make_ring(primes: Sequence[int], degree: int) -> Ring:
    """The numbers of a ring of ``degree`` N, a power of two of at least 128, with three different primes."""
    roots = [_find_root(prime, degree) for prime in primes]
    inverses = [pow(root, -1, prime) for root, prime in zip(roots, primes, strict=True)]
    low, high, special = primes
    last = (
        (pow(special, -1, high) << 32) % high,
        (special << 32) % low,
        (pow(special * high, -1, low) << 32) % low,
        special * high % low,
    )
    shares = [pow(degree, -1, prime) for prime in primes]
    return Ring(
        primes=_words(primes),
        negatives=_words([-pow(prime, -1, 1 << 32) % (1 << 32) for prime in primes]),
        shifts=_words([(1 << 32) % prime for prime in primes]),
        forward=np.stack([_list_powers(root, q, degree) for root, q in zip(roots, primes, strict=True)]),
        backward=np.stack([_list_powers(root, q, degree) for root, q in zip(inverses, primes, strict=True)]),
        shares=_words([(share, (share << 32) // q) for share, q in zip(shares, primes, strict=True)]),
        lifts=_words([(special << 32) % prime for prime in (low, high)]),
        drops=_words([(pow(special, -1, prime) << 32) % prime for prime in (low, high)]),
        last=_words(last),
    )


def make_turn(element: int, degree: int) -> Places:
    """Where each place of a transformed a(X^element) stands in the transformed a(X), shape (N,)."""
    order = _reverse_bits(degree)
    exponents = (2 * order + 1) * element % (2 * degree)
    return order[(exponents - 1) // 2]


def _words(numbers: object) -> Words:
    return np.array(numbers, dtype=np.uint64)


def _find_root(prime: int, degree: int) -> int:
    """The least primitive 2N-th root of unity."""
    exponent = (prime - 1) // (2 * degree)
    roots = (pow(base, exponent, prime) for base in range(2, prime))
    first = next(root for root in roots if pow(root, degree, prime) == prime - 1)
    square, best, root = first * first % prime, first, first
    for _ in range(degree):
        root = root * square % prime
        best = min(best, root)
    return best


def _reverse_bits(degree: int) -> Places:
    order = np.zeros(1, dtype=np.int64)
    while len(order) < degree:
        order = np.concatenate((2 * order, 2 * order + 1))
    return order


def _list_powers(root: int, prime: int, degree: int) -> Residues:
    """Powers in bit-reversed order, those of a level of the last six column by column; and their quotients."""
    powers = np.empty(degree, dtype=np.uint64)
    power = 1
    for place in range(degree):
        powers[place] = power
        power = power * root % prime
    ordered = powers[_reverse_bits(degree)]
    rows = degree // WIDTH
    for group in (1, 2, 4, 8, 16, 32):
        level = slice(rows * group, 2 * rows * group)
        ordered[level] = ordered[level].reshape(rows, group).T.ravel()
    return np.stack([ordered, (ordered << _S32) // np.uint64(prime)]).astype(np.uint32)


@kernel
def transform(values: Residues, powers: Residues, prime: np.uint64, columns: Residues) -> None:
    """Number-theoretic transform of ``values`` (N,) in place, from and to residues below the prime.

    D. Harvey, "Faster arithmetic for number-theoretic transforms", J. Symb. Comput. 60, 2014: values stay below 4q.
    After the levels whose butterflies are at least 64 apart, the matrix of N / 64 rows is transposed.

    Args:
        values: Residues.
        powers: ``Ring.forward`` of the prime, shape (2, N).
        prime: q.
        columns: Room, shape (N,).
    """
    rows = values.shape[0] // WIDTH
    twice = prime + prime
    gap, groups = values.shape[0] // 2, 1
    while gap >= WIDTH:
        for group in range(groups):
            power, quotient = np.uint64(powers[0, groups + group]), np.uint64(powers[1, groups + group])
            upper = values[2 * group * gap : (2 * group + 1) * gap]
            lower = values[(2 * group + 1) * gap : (2 * group + 2) * gap]
            for place in range(gap):
                first, second = np.uint64(upper[place]), np.uint64(lower[place])
                first = min(first, (first - twice) & _MASK)
                product = (second * power - ((second * quotient) >> _S32) * prime) & _MASK
                upper[place] = np.uint32(first + product)
                lower[place] = np.uint32(first - product + twice)
        gap, groups = gap // 2, groups * 2
    for row in range(rows):
        for column in range(WIDTH):
            columns[column * rows + row] = values[row * WIDTH + column]
    gap, groups = WIDTH // 2, 1
    while gap >= 1:
        for group in range(groups):
            begin = (groups + group) * rows
            level, quotients = powers[0, begin : begin + rows], powers[1, begin : begin + rows]
            for column in range(2 * group * gap, (2 * group + 1) * gap):
                upper = columns[column * rows : (column + 1) * rows]
                lower = columns[(column + gap) * rows : (column + gap + 1) * rows]
                for row in range(rows):
                    first, second = np.uint64(upper[row]), np.uint64(lower[row])
                    first = min(first, (first - twice) & _MASK)
                    quotient = (second * np.uint64(quotients[row])) >> _S32
                    product = (second * np.uint64(level[row]) - quotient * prime) & _MASK
                    upper[row] = np.uint32(first + product)
                    lower[row] = np.uint32(first - product + twice)
        gap, groups = gap // 2, groups * 2
    for row in range(rows):
        for column in range(WIDTH):
            value = np.uint64(columns[column * rows + row])
            value = min(value, (value - twice) & _MASK)
            values[row * WIDTH + column] = np.uint32(min(value, (value - prime) & _MASK))


@kernel
def transform_back(values: Residues, powers: Residues, share: Words, prime: np.uint64, columns: Residues) -> None:
    """The inverse of :func:`transform`, in place; values stay below 2q on the way.

    Args:
        values: Residues, shape (N,).
        powers: ``Ring.backward`` of the prime, shape (2, N).
        share: ``Ring.shares`` of the prime, shape (2,).
        prime: q.
        columns: Room, shape (N,).
    """
    rows = values.shape[0] // WIDTH
    twice = prime + prime
    for row in range(rows):
        for column in range(WIDTH):
            columns[column * rows + row] = values[row * WIDTH + column]
    gap, groups = 1, WIDTH // 2
    while groups >= 1:
        for group in range(groups):
            begin = (groups + group) * rows
            level, quotients = powers[0, begin : begin + rows], powers[1, begin : begin + rows]
            for column in range(2 * group * gap, (2 * group + 1) * gap):
                upper = columns[column * rows : (column + 1) * rows]
                lower = columns[(column + gap) * rows : (column + gap + 1) * rows]
                for row in range(rows):
                    first, second = np.uint64(upper[row]), np.uint64(lower[row])
                    total, rest = first + second, first - second + twice
                    upper[row] = np.uint32(min(total, (total - twice) & _MASK))
                    quotient = (rest * np.uint64(quotients[row])) >> _S32
                    lower[row] = np.uint32((rest * np.uint64(level[row]) - quotient * prime) & _MASK)
        gap, groups = gap * 2, groups // 2
    for row in range(rows):
        for column in range(WIDTH):
            values[row * WIDTH + column] = columns[column * rows + row]
    gap, groups = WIDTH, rows // 2
    while groups >= 1:
        for group in range(groups):
            power, quotient = np.uint64(powers[0, groups + group]), np.uint64(powers[1, groups + group])
            upper = values[2 * group * gap : (2 * group + 1) * gap]
            lower = values[(2 * group + 1) * gap : (2 * group + 2) * gap]
            for place in range(gap):
                first, second = np.uint64(upper[place]), np.uint64(lower[place])
                total, rest = first + second, first - second + twice
                upper[place] = np.uint32(min(total, (total - twice) & _MASK))
                lower[place] = np.uint32((rest * power - ((rest * quotient) >> _S32) * prime) & _MASK)
        gap, groups = gap * 2, groups // 2
    for place in range(values.shape[0]):
        value = np.uint64(values[place])
        value = (value * share[0] - ((value * share[1]) >> _S32) * prime) & _MASK
        values[place] = np.uint32(min(value, (value - prime) & _MASK))
