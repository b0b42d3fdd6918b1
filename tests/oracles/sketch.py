"""Candidates by sketches, sorted out one by one."""

from __future__ import annotations


def measure_distance(sketch: list[int], query: list[int], heavy: list[int]) -> tuple[int, int]:
    """Differing signs, and differing signs with the heavy ones counted twice."""
    plain = sum(bin(a ^ b).count("1") for a, b in zip(sketch, query, strict=True))
    again = sum(bin((a ^ b) & c).count("1") for a, b, c in zip(sketch, query, heavy, strict=True))
    return plain, plain + again


def rank(sketches: list[list[int]], query: list[int], heavy: list[int], alive: list[bool]) -> list[tuple[int, int]]:
    """(weighted distance, row) of the live rows, nearest first."""
    return sorted(
        (measure_distance(sketch, query, heavy)[1], row) for row, sketch in enumerate(sketches) if alive[row]
    )
