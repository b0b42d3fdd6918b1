"""Shamir's sharing over GF(2^8) the other way round: tables of powers of 3, and a system of equations."""

from __future__ import annotations

__all__ = ["combine", "multiply", "share"]

_POWER, _LOG = [1], {1: 0}
for _ in range(254):
    doubled = _POWER[-1] << 1
    tripled = (doubled ^ (0x11B if doubled & 0x100 else 0)) ^ _POWER[-1]
    _LOG[tripled] = len(_POWER)
    _POWER.append(tripled)


def multiply(left: int, right: int) -> int:
    """The product, by logarithms to the base 3."""
    return 0 if 0 in (left, right) else _POWER[(_LOG[left] + _LOG[right]) % 255]


def share(coefficients: list[bytes], point: int) -> bytes:
    """The polynomials' values: the sum of coefficient times power, coefficients from the constant up."""
    values = []
    for column in zip(*coefficients, strict=True):
        total, power = 0, 1
        for coefficient in column:
            total ^= multiply(coefficient, power)
            power = multiply(power, point)
        values.append(total)
    return bytes(values)


def combine(shares: dict[int, bytes]) -> bytes:
    """The constant terms, by Gaussian elimination on the Vandermonde matrix."""
    points = sorted(shares)
    key = []
    for at in range(len(shares[points[0]])):
        rows = []
        for point in points:
            row, power = [], 1
            for _ in points:
                row.append(power)
                power = multiply(power, point)
            rows.append([*row, shares[point][at]])
        for column in range(len(rows)):
            pivot = next(number for number in range(column, len(rows)) if rows[number][column])
            rows[column], rows[pivot] = rows[pivot], rows[column]
            inverse = _POWER[-_LOG[rows[column][column]] % 255]
            rows[column] = [multiply(each, inverse) for each in rows[column]]
            for number, row in enumerate(rows):
                if number != column:
                    rows[number] = [a ^ multiply(row[column], b) for a, b in zip(row, rows[column], strict=True)]
        key.append(rows[0][-1])
    return bytes(key)
