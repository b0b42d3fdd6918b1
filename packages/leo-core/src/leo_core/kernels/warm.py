"""Compile kernels before the first request needs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leo_core.kernels import categories, coherence, kmeans, sketch
from leo_core.kernels._tiles import COLUMNS

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["compile_all", "compile_for_requests", "find_cache"]


def find_cache() -> tuple[str, int]:
    """The folder in which machine code is kept, and for how many kernels there is some; ``("", 0)`` for none."""
    folder = getattr(getattr(kmeans.move_centre, "_cache", None), "cache_path", None)
    if not folder:
        return "", 0
    return str(folder), len(list(Path(folder).glob("*.nbi")))


def compile_for_requests(dimension: int = 2) -> None:
    """Call the kernels that a request needs beside those of its embedder and of the pair model, once each.

    Novelty, the risk of harm, and the coherence of a jury's answers. Loads nothing that only large scopes or
    evaluations use.

    Args:
        dimension: Of the embeddings, at least 2: the directions of their sketches are made too.
    """
    centres = np.eye(2, dimension, dtype=np.float32)
    kmeans.measure_distances(centres, centres[0])
    kmeans.move_centre(centres[0], centres[1], 0.5)
    sketch.measure_strangeness(sketch.sketch_rows(centres), sketch.sketch_query(centres[0]), 10, 0.3)
    found = categories.hash_words(np.array([97, 0, 98], dtype=np.uint8), 8)
    hashed, dense = np.ones((8, 2), dtype=np.int8), np.ones((1, 2), dtype=np.float32)
    categories.read_outputs(
        hashed, found, dense[0], dense[0], dense, found[:0], dense[0], np.ones((1, 1), dtype=np.float32)
    )
    weights = np.ones(2)
    solution = coherence.solve_consensus(np.eye(2), weights, 0.5, 1e-6, 10)
    coherence.measure_coherence(solution.optimum, coherence.solve_orthogonal(weights, 0.5, 1e-6, 10))


def compile_all() -> None:
    """Call every kernel once on tiny arrays of the types that LEO uses.

    Takes seconds on the very first run of an installation and a fraction of one later, from numba's cache.
    """
    from leo_core.kernels import (  # noqa: PLC0415 - few requests need all of them
        dawid_skene,
        geometric_median,
        hashing,
        pairs,
        pcs,
        reading,
        word_pieces,
    )

    compile_for_requests()
    codes = np.array([97, 98, 32, 43], dtype=np.uint32)
    offsets = np.array([0, 4], dtype=np.int64)
    hashing.embed_codes(codes, offsets, np.zeros(1, dtype=np.uint64), np.ones(1), np.ones(3), 8)
    hashing.hash_word(codes, 0, 2)
    table, couples = np.ones((3, 8), dtype=np.int8), np.zeros((1, 2), dtype=np.int32)
    keys, slots, _ = word_pieces.build_index(codes, offsets, np.zeros(1, dtype=np.bool_), couples, 8)
    word_pieces.embed_pieces(codes, offsets, keys, slots, table, np.ones(3, dtype=np.float32), 1)
    likeness, flags = np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.bool_)
    trigrams = pairs.read_trigrams(codes)
    pairs.count_shared(trigrams, trigrams)
    pairs.align_words(likeness, likeness, likeness, np.ones(2), np.ones(2), flags, flags)
    leaf = np.zeros(1, dtype=np.int16)
    pairs.sum_trees(np.eye(1), leaf, np.zeros(1), leaf, np.zeros(1, dtype=np.int64), 1)
    _compile_reading(reading)
    points, weights = np.eye(2), np.ones(2)
    geometric_median.find_geometric_median(points, weights, 1e-6, 10)
    pcs.estimate_dimension(points)
    pcs.measure_concentration(points, points, np.stack([points, points]))
    pcs.measure_compression(np.zeros(2), np.array([[0, 1], [1, 0]]))
    answers = np.zeros((1, 2), dtype=np.int64)
    dawid_skene.fit_accuracies(answers, np.array([2]), 2.0, 1.0, 1e-3, 2)
    dawid_skene.learn_item(answers[0], 2, np.ones(2), np.ones(2), 1.0)
    rows = np.eye(2, dtype=np.float32)
    rounded, scales = sketch.quantise_rows(rows)
    numbers = np.zeros(2, dtype=np.int32)
    sketch.search_sketches(
        np.ascontiguousarray(sketch.sketch_rows(rows).T),
        numbers[:0],
        np.ones(2, dtype=np.bool_),
        np.empty(0),
        numbers,
        rounded,
        scales,
        np.array([[0, 2]]),
        sketch.make_rotation(2),
        rows[0],
        0.0,
        1,
        1,
    )


def _compile_reading(reading: ModuleType) -> None:
    """Read a text of one piece by a network of no sense, and compare it with itself."""
    width = COLUMNS

    def ones(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return np.ones(shape, dtype=np.float32)

    encoder = reading.Encoder(
        table=ones(4, width),
        start=ones(4, width),
        position=ones(COLUMNS, width),
        mix=ones(1, 3, width, COLUMNS),
        mix_bias=ones(1, 3, 1, COLUMNS),
        out=ones(1, width, width),
        out_bias=ones(1, width),
        up=ones(1, width, width),
        up_bias=ones(1, 1, width),
        down=ones(1, width, width),
        down_bias=ones(1, width),
    )
    ends = np.array([0, 1])
    states = reading.encode(ones(1, 4), ends, encoder)
    pieces, weights = reading.see(
        states, ends, reading.View(piece=ones(width, COLUMNS), bias=ones(1, COLUMNS), weight=ones(5))
    )
    reading.add_up(states, ends, ones(width + 1), ones(width + 1, width))
    alignment = reading.Alignment(
        sharpness=ones(1),
        compare=ones(16, COLUMNS),
        compare_bias=ones(1, COLUMNS),
        judge=ones(4 * COLUMNS + 2, 2),
        last=ones(3),
    )
    reading.compare_pieces(pieces, weights, pieces, weights, 1.0, alignment)
