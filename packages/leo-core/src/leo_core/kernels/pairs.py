"""Two questions compared by letters and word by word, and the trees that weigh the comparison."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from leo_core.kernels._compile import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.float32]
    Flags = npt.NDArray[np.bool_]
    Places = npt.NDArray[np.int64]
    Steps = npt.NDArray[np.int16]
    Letters = npt.NDArray[np.uint32]

__all__ = ["ALIGNED", "align_words", "count_shared", "read_trigrams", "sum_trees"]

ALIGNED = 6
"""How many figures :func:`align_words` gives."""


_BITS = 21
"""Bits of a code point."""
_GAPS = (1577, 701, 301, 132, 57, 23, 10, 4, 1)


@kernel
def _sort(numbers: Places) -> None:
    """Sort in place: Shell's method with M. Ciura's gaps (2001); numba takes a second to compile its own."""
    for gap in _GAPS:
        for start in range(gap, numbers.shape[0]):
            number = numbers[start]
            at = start
            while at >= gap and numbers[at - gap] > number:
                numbers[at] = numbers[at - gap]
                at -= gap
            numbers[at] = number


@kernel
def read_trigrams(letters: Letters) -> Places:
    """The different runs of three letters of a text, as numbers in ascending order, shape (k,), k at most n - 2.

    Args:
        letters: Code points, shape (n,).
    """
    count = max(letters.shape[0] - 2, 0)
    found = np.empty(count, dtype=np.int64)
    for at in range(count):
        one, two, three = np.int64(letters[at]), np.int64(letters[at + 1]), np.int64(letters[at + 2])
        found[at] = one << 2 * _BITS | two << _BITS | three
    _sort(found)
    kept = 0
    for at in range(count):
        if at == 0 or found[at] != found[at - 1]:
            found[kept] = found[at]
            kept += 1
    return found[:kept].copy()


@kernel
def count_shared(a: Places, b: Places) -> int:
    """How many numbers two ascending arrays without repetition, shapes (p,) and (q,), have in common."""
    shared = 0
    i = 0
    j = 0
    while i < a.shape[0] and j < b.shape[0]:
        if a[i] == b[j]:
            shared += 1
            i += 1
            j += 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    return shared


@kernel
def align_words(
    likeness: Rows, kinship_a: Rows, kinship_b: Rows, weights_a: Floats, weights_b: Floats, only_a: Flags, only_b: Flags
) -> Floats:
    """How well the words of two texts find partners, shape (6,).

    Args:
        likeness: Cosines of the words of a with those of b, shape (p, q).
        kinship_a: Cosines of the words of a with each other, shape (p, p).
        kinship_b: The same of b, shape (q, q).
        weights_a: Weights of the words of a, not negative, shape (p,).
        weights_b: Those of b, shape (q,).
        only_a: Words that b lacks, shape (p,).
        only_b: Words that a lacks, shape (q,).

    Returns mean best likeness of the worse and of the better aligned text, both weighted; least best likeness of any
    word; weight that found no partner (Σ weight · (1 - best)), of the text with less and of that with more; and the
    cosine of the weighted sums of what only one has (with the whole other text where that has nothing of its own).
    Two texts without words are alike; a text without words has no likeness to another.
    """
    result = np.zeros(6)
    p, q = likeness.shape
    if p == 0 or q == 0:
        if p == q:
            result[0] = result[1] = result[2] = result[5] = 1.0
        else:
            result[4] = weights_a.sum() + weights_b.sum()
        return result
    least = 1.0
    total_a = 1e-12
    lost_a = 0.0
    for i in range(p):
        best = -1.0
        for j in range(q):
            best = max(best, float(likeness[i, j]))
        least = min(least, best)
        total_a += weights_a[i]
        lost_a += weights_a[i] * (1.0 - best)
    total_b = 1e-12
    lost_b = 0.0
    for j in range(q):
        best = -1.0
        for i in range(p):
            best = max(best, float(likeness[i, j]))
        least = min(least, best)
        total_b += weights_b[j]
        lost_b += weights_b[j] * (1.0 - best)
    result[0] = 1.0 - max(lost_a / total_a, lost_b / total_b)
    result[1] = 1.0 - min(lost_a / total_a, lost_b / total_b)
    result[2] = least
    result[3] = min(lost_a, lost_b)
    result[4] = max(lost_a, lost_b)
    result[5] = _compare_remainders(likeness, kinship_a, kinship_b, weights_a, weights_b, only_a, only_b)
    return result


@kernel
def _compare_remainders(
    likeness: Rows, kinship_a: Rows, kinship_b: Rows, weights_a: Floats, weights_b: Floats, only_a: Flags, only_b: Flags
) -> float:
    """Cosine of the weighted sums of what only one text has."""
    some_a = only_a.any()
    some_b = only_b.any()
    if not some_a and not some_b:
        return 1.0
    cross = 0.0
    square_a = 0.0
    square_b = 0.0
    for i in range(likeness.shape[0]):
        if some_a and not only_a[i]:
            continue
        for j in range(likeness.shape[1]):
            if not some_b or only_b[j]:
                cross += weights_a[i] * weights_b[j] * likeness[i, j]
        for j in range(likeness.shape[0]):
            if not some_a or only_a[j]:
                square_a += weights_a[i] * weights_a[j] * kinship_a[i, j]
    for i in range(likeness.shape[1]):
        if some_b and not only_b[i]:
            continue
        for j in range(likeness.shape[1]):
            if not some_b or only_b[j]:
                square_b += weights_b[i] * weights_b[j] * kinship_b[i, j]
    return cross / math.sqrt(max(square_a, 1e-12) * max(square_b, 1e-12))


@kernel
def sum_trees(rows: Floats, feature: Steps, number: Floats, skip: Steps, roots: Places, levels: int) -> Floats:
    """Sum of the leaves that each row reaches in every tree, shape (n,).

    All trees are gone through one level at a time, so that no step waits for the one before it.

    Args:
        rows: Features, shape (n, f).
        feature: Feature that a node asks about, shape (k,).
        number: A row goes to the next node if that feature is at most this; what a leaf adds. Shape (k,).
        skip: How far the node lies to which other rows go, shape (k,); 0 for a leaf.
        roots: First node of each tree, shape (t,).
        levels: Most steps from a root to a leaf.
    """
    sums = np.zeros(rows.shape[0])
    nodes = np.empty_like(roots)
    for row in range(rows.shape[0]):
        for tree in range(roots.shape[0]):
            nodes[tree] = roots[tree]
        for _ in range(levels):
            for tree in range(nodes.shape[0]):
                node = nodes[tree]
                step = np.int64(skip[node])
                following = np.int64(1) if step else np.int64(0)
                nodes[tree] = node + (following if rows[row, feature[node]] <= number[node] else step)
        for tree in range(roots.shape[0]):
            sums[row] += number[nodes[tree]]
    return sums
