"""Slow twins of ``leo_core.kernels.ckks`` and ``ckks_ring``: whole numbers, one polynomial after the other.

``rotate`` with ``centred=False`` is what SEAL does, step by step: turn first, then split into residues from 0 to q - 1.
"""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def find_root(prime, degree):
    """The least number whose N-th power is -1."""
    exponent = (prime - 1) // (2 * degree)
    base = next(b for b in range(2, prime) if pow(b, exponent * degree, prime) == prime - 1)
    root = pow(base, exponent, prime)
    return min(pow(root, odd, prime) for odd in range(1, 2 * degree, 2))


@cache
def list_powers(root, count, prime):
    powers = [1]
    for _ in range(count - 1):
        powers.append(powers[-1] * root % prime)
    return np.array(powers, dtype=np.uint64)


@cache
def reverse_bits(degree):
    width = degree.bit_length() - 1
    return np.array([int(f"{place:0{width}b}"[::-1], 2) for place in range(degree)])


def transform(coefficients, prime):
    """Values at ψ, ψ³, ψ⁵, …, then reordered: a Fourier transform of the coefficients times powers of ψ."""
    degree = len(coefficients)
    root = find_root(prime, degree)
    twisted = np.array(coefficients, dtype=np.uint64) * list_powers(root, degree, prime) % np.uint64(prime)
    return fourier(twisted, root * root % prime, prime)[reverse_bits(degree)]


def transform_back(values, prime):
    degree = len(values)
    root = find_root(prime, degree)
    ordered = np.asarray(values, dtype=np.uint64)[reverse_bits(degree)]
    twisted = fourier(ordered, pow(root, -2, prime), prime)
    shares = np.uint64(pow(degree, -1, prime)) * twisted % np.uint64(prime)
    return shares * list_powers(pow(root, -1, prime), degree, prime) % np.uint64(prime)


def fourier(values, root, prime):
    """Along the last axis: halves first, all of them at once."""
    if values.shape[-1] == 1:
        return values
    even, odd = fourier(np.stack((values[..., ::2], values[..., 1::2])), root * root % prime, prime)
    prime = np.uint64(prime)
    odd = odd * list_powers(root, odd.shape[-1], int(prime)) % prime
    return np.concatenate(((even + odd) % prime, (even + prime - odd) % prime), axis=-1)


def turn(coefficients, element):
    """a(X^element) modulo Xᴺ + 1, of integers."""
    degree = len(coefficients)
    turned = [0] * degree
    for place, value in enumerate(coefficients):
        power = place * element % (2 * degree)
        turned[power % degree] = int(value) if power < degree else -int(value)
    return turned


def centre(values, modulus):
    return [int(v) - modulus if int(v) > modulus // 2 else int(v) for v in values]


def decompose(polynomial, primes, *, centred):
    """Residues modulo each of the first two primes, as lists of integers."""
    digits = [[int(v) for v in transform_back(row, prime)] for row, prime in zip(polynomial, primes, strict=False)]
    return [centre(digit, prime) for digit, prime in zip(digits, primes, strict=False)] if centred else digits


def switch(digits, key, primes):
    """Σ digit · key modulo every prime, transformed: (2, 3, N)."""
    result = np.zeros((2, 3, len(digits[0])), dtype=np.uint64)
    for digit, parts in zip(digits, key, strict=True):
        for number, prime in enumerate(primes):
            values = transform([value % prime for value in digit], prime)
            for half in range(2):
                product = values * parts[half, number].astype(np.uint64)
                result[half, number] = (result[half, number] + product) % np.uint64(prime)
    return result


def divide(polynomial, primes, keep):
    """Divide a polynomial modulo all primes by all but the first ``keep``, and round: (keep, N), transformed."""
    rest = primes[keep:]
    divisor = int(np.prod(np.array(rest, dtype=object)))
    coefficients = [transform_back(row, prime) for row, prime in zip(polynomial, primes, strict=True)]
    tails = []
    for place in range(polynomial.shape[1]):
        tail = 0
        for row, prime in zip(coefficients[keep:], rest, strict=True):
            others = divisor // prime
            tail += int(row[place]) * pow(others, -1, prime) * others
        tails.append(tail % divisor)
    tails = centre(tails, divisor)
    kept = []
    for row, prime in zip(coefficients[:keep], primes, strict=False):
        inverse = pow(divisor, -1, prime)
        quotients = [(int(value) - tail) * inverse % prime for value, tail in zip(row, tails, strict=True)]
        kept.append(transform(quotients, prime))
    return np.stack(kept)


def rotate(ciphertext, element, key, primes, *, centred):
    """A transformed ciphertext (2, 2, N) turned and switched with a key (2, 2, 3, N)."""
    turned = np.stack([turn_transformed(polynomial, element, primes) for polynomial in ciphertext])
    switched = switch(decompose(turned[1], primes, centred=centred), key, primes)
    result = np.stack([divide(polynomial, primes, 2) for polynomial in switched])
    result[0] = (result[0] + turned[0]) % np.array(primes[:2], dtype=np.uint64)[:, None]
    return result


def turn_transformed(polynomial, element, primes):
    rows = []
    for row, prime in zip(polynomial, primes, strict=False):
        rows.append(transform([value % prime for value in turn(transform_back(row, prime), element)], prime))
    return np.stack(rows)


def finish(sums, elements, keys, relin, primes):
    """Relinearise where there are three polynomials, turn, add, divide by P·q₁."""
    special = primes[2]
    total = np.zeros((2, 3, sums.shape[3]), dtype=np.uint64)
    modulus = np.array(primes, dtype=np.uint64)[:, None]
    for giant, (element, key) in enumerate(zip(elements, keys, strict=True)):
        part = np.zeros_like(total)
        for half in range(2):
            part[half, :2] = sums[giant, half].astype(np.uint64) * np.uint64(special) % modulus[:2]
        if relin is not None:
            part = (part + switch(decompose(sums[giant, 2], primes, centred=True), relin, primes)) % modulus
        if giant:
            part = np.stack([turn_transformed(polynomial, element, primes) for polynomial in part])
            switched = switch(decompose(divide(part[1], primes, 2), primes, centred=True), key, primes)
            switched[0] = (switched[0] + part[0]) % modulus
            part = switched
        total = (total + part) % modulus
    return np.stack([divide(polynomial, primes, 1)[0] for polynomial in total])
