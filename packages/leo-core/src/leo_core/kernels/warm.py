"""Compile kernels before the first request needs them."""

from __future__ import annotations

import numpy as np

from leo_core.kernels import coherence, geometric_median, hashing, kmeans, pairs, pcs, word_pieces

__all__ = ["compile_all"]


def compile_all() -> None:
    """Call every kernel once on tiny arrays of the types that LEO uses, those of one embedder and the pair model aside.

    Takes seconds on the very first run of an installation and a fraction of one later, from numba's cache.
    """
    from leo_core.kernels import dawid_skene, geometric_median, hashing, pcs  # noqa: PLC0415 - few requests need them

    compile_for_requests()
    codes = np.array([97, 98, 32, 43], dtype=np.uint32)
    offsets = np.array([0, 4], dtype=np.int64)
    hashing.embed_codes(codes, offsets, np.zeros(1, dtype=np.uint64), np.ones(1), np.ones(3), 8)
    hashing.hash_word(codes, 0, 2)
    points, weights = np.eye(2), np.ones(2)
    geometric_median.find_geometric_median(points, weights, 1e-6, 10)
    pcs.estimate_dimension(points)
    pcs.measure_concentration(points, points, np.stack([points, points]))
    answers = np.zeros((1, 2), dtype=np.int64)
    dawid_skene.fit_accuracies(answers, np.array([2]), 2.0, 1.0, 1e-3, 2)
    dawid_skene.learn_item(answers[0], 2, np.ones(2), np.ones(2), 1.0)
    rows = np.eye(2, dtype=np.float32)
    rounded, scales = sketch.quantise_rows(rows)
    sketch.find_candidates(
        sketch.sketch_rows(rows),
        np.empty(0, dtype=np.int32),
        np.ones(2, dtype=np.bool_),
        np.empty(0),
        rounded,
        scales,
        np.array([[0, 2]]),
        sketch.sketch_query(rows[0]),
        sketch.quantise_query(rows[0]),
        0.0,
        1,
    )
