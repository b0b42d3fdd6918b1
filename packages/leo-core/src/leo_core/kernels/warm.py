"""Compile every kernel before the first request needs one."""

from __future__ import annotations

import numpy as np

from leo_core.kernels import coherence, geometric_median, hashing, kmeans, pairs, pcs, word_pieces

__all__ = ["compile_all"]


def compile_all() -> None:
    """Call every kernel once on tiny arrays of the types that LEO uses.

    Takes seconds on the very first run of an installation and a fraction of one later, from numba's cache.
    """
    codes = np.array([97, 98, 32, 43], dtype=np.uint32)
    offsets = np.array([0, 4], dtype=np.int64)
    hashing.embed_codes(codes, offsets, np.zeros(1, dtype=np.uint64), np.ones(1), np.ones(3), 8)
    hashing.hash_word(codes, 0, 2)
    keys, rows = np.zeros(8, dtype=np.uint64), np.zeros(8, dtype=np.int32)
    table, couples = np.ones((3, 8), dtype=np.int8), np.zeros((1, 2), dtype=np.int32)
    word_pieces.build_index(codes, offsets, np.zeros(1, dtype=np.int8), couples, keys, rows)
    word_pieces.embed_pieces(codes, offsets, keys, rows, table, np.ones(3, dtype=np.float32), 1)
    likeness, flags = np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.bool_)
    pairs.align_words(likeness, likeness, likeness, np.ones(2), np.ones(2), flags, flags)
    leaf = np.zeros(1, dtype=np.int64)
    pairs.sum_trees(np.eye(1), leaf, np.zeros(1), leaf, leaf, np.ones(1), leaf)
    centres = np.eye(2, dtype=np.float32)
    kmeans.measure_distances(centres, centres[0])
    kmeans.move_centre(centres[0], centres[1], 0.5)
    points = np.eye(2)
    weights = np.ones(2)
    solution = coherence.solve_consensus(points, weights, 0.5, 1e-6, 10)
    coherence.measure_coherence(solution.optimum, coherence.solve_orthogonal(weights, 0.5, 1e-6, 10))
    geometric_median.find_geometric_median(points, weights, 1e-6, 10)
    pcs.estimate_dimension(points)
    pcs.measure_concentration(points, points, np.stack([points, points]))
