"""Candidates by sketches, sorted out one by one."""

from __future__ import annotations


def measure_distance(sketch: list[int], query: list[int], heavy: list[int]) -> tuple[int, int]:
    """Differing signs, and differing signs with the heavy ones counted twice."""
    plain = sum((a ^ b).bit_count() for a, b in zip(sketch, query, strict=True))
    again = sum(((a ^ b) & c).bit_count() for a, b, c in zip(sketch, query, heavy, strict=True))
    return plain, plain + again


def rank(sketches: list[list[int]], query: list[int], heavy: list[int], alive: list[bool]) -> list[tuple[int, int]]:
    """(weighted distance, row) of the live rows, nearest first."""
    return sorted((measure_distance(sketch, query, heavy)[1], row) for row, sketch in enumerate(sketches) if alive[row])


def choose_shortlist(
    places: list[int], scores: list[float], doubts: list[float], entries: list[int], k: int
) -> list[int]:
    """Those of ``places`` whose score may reach the certain score of the ``k``-th best entry; ``scores`` by row."""
    certain: dict[int, float] = {}
    for place in places:
        least = scores[place] - doubts[place]
        certain[entries[place]] = max(certain.get(entries[place], least), least)
    if len(certain) < k:
        return places
    bar = sorted(certain.values(), reverse=True)[k - 1]
    return [place for place in places if scores[place] + doubts[place] >= bar]


def measure_strangeness(
    sketches: list[list[int]], query: list[int], heavy: list[int], crowd: int, share: float
) -> float:
    """Mean weighted distance of the two nearest, less a share of the nearest one's distance to its crowd-th nearest."""
    if len(sketches) < 2:
        return 1.0
    weight = 256 + sum(word.bit_count() for word in heavy)
    ranked = rank(sketches, query, heavy, [True] * len(sketches))
    nearest = ranked[0][1]
    others = sorted(
        measure_distance(sketch, sketches[nearest], heavy)[0] for row, sketch in enumerate(sketches) if row != nearest
    )
    reach = others[min(crowd, len(others)) - 1]
    return (ranked[0][0] + ranked[1][0]) / (2 * weight) - share * reach / 256
