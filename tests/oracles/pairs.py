"""Slow twin of ``leo_core.kernels.pairs``: vectors of words instead of tables of cosines, one tree after the other."""

from __future__ import annotations

import numpy as np


def read_trigrams(text):
    """The different runs of three letters, as texts."""
    return {text[at : at + 3] for at in range(len(text) - 2)}


def align_words(a, b, weights_a, weights_b, only_a, only_b):
    """The six figures from the words' vectors (p, d) and (q, d)."""
    if not len(a) or not len(b):
        alike = float(len(a) == len(b))
        return [alike, alike, alike, 0.0, float(weights_a.sum() + weights_b.sum()), alike]
    likeness = a @ b.T
    best_a, best_b = likeness.max(axis=1), likeness.max(axis=0)
    lost = [float(weights_a @ (1 - best_a)), float(weights_b @ (1 - best_b))]
    shares = [lost[0] / max(weights_a.sum(), 1e-12), lost[1] / max(weights_b.sum(), 1e-12)]
    least = min(best_a.min(), best_b.min())
    return [
        1 - max(shares),
        1 - min(shares),
        least,
        min(lost),
        max(lost),
        _remainder(a, b, weights_a, weights_b, only_a, only_b),
    ]


def _remainder(a, b, weights_a, weights_b, only_a, only_b):
    if not only_a.any() and not only_b.any():
        return 1.0
    part_a = only_a if only_a.any() else np.ones(len(a), dtype=bool)
    part_b = only_b if only_b.any() else np.ones(len(b), dtype=bool)
    sum_a = (a[part_a] * weights_a[part_a, None]).sum(axis=0)
    sum_b = (b[part_b] * weights_b[part_b, None]).sum(axis=0)
    return float(sum_a @ sum_b / (np.linalg.norm(sum_a) * np.linalg.norm(sum_b)))


def sum_trees(rows, feature, number, skip, roots):
    """Sum of the leaves that each row reaches."""

    def walk(row, node):
        if not skip[node]:
            return number[node]
        return walk(row, node + (1 if row[feature[node]] <= number[node] else skip[node]))

    return [sum(walk(row, root) for root in roots) for row in rows]
