"""Every kernel beside NumPy, and beside the library call that a user would pick.

Each row names the kernel that LEO's side stands on. A kernel without a row is one that only works inside another.
"""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.evaluation import numpy_peers
from leo_core.evaluation.paired import compare, find_module, hold_one_thread
from leo_core.evaluation.text_kernel_bench import compare_text_kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.evaluation.paired import Comparison

__all__ = ["INSIDE", "compare_kernels"]

INSIDE = {
    "hashing.classify_code": "hashing.embed_codes",
    "hashing.find_words": "hashing.embed_codes",
    "hashing.hash_word": "hashing.embed_codes",
    "reading.add_up": "reading.encode",
    "reading.see": "reading.encode",
    "sketch.choose_shortlist": "sketch.search_sketches",
    "sketch.project": "sketch.search_sketches",
    "sketch.quantise_query": "sketch.search_sketches",
    "word_pieces.classify_code": "word_pieces.cut_texts",
    "word_pieces.cut_text": "word_pieces.cut_texts",
}
"""Kernels that are measured inside another."""

SENTENCES = 60
WORDS = 200


def compare_kernels(texts: Sequence[str], *, seed: int = 0) -> list[Comparison]:
    """The table of ratios: texts, pairs and sketches, k-means and novelty, consensus, median, trust, structure."""
    random = np.random.default_rng(seed)
    with hold_one_thread():
        return [
            *compare_text_kernels(texts, random),
            *_compare_centres(random),
            *_compare_novelty(random),
            *_compare_consensus(random),
            *_compare_trust(random),
            *_compare_structure(random),
        ]


def _units(random: np.random.Generator, *shape: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    rows = random.standard_normal(shape)
    units: np.ndarray[Any, np.dtype[np.float64]] = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return units


def _compare_centres(random: np.random.Generator) -> list[Comparison]:
    from leo_core.kernels import kmeans  # noqa: PLC0415 - loads numba

    centres = _units(random, 64, 256).astype(np.float32)
    vector = _units(random, 256).astype(np.float32)
    comparisons = [
        compare(
            "k-means: move a centre",
            "numpy",
            lambda: kmeans.move_centre(centres[0], vector, 0.1),
            lambda: numpy_peers.move_centre(centres[0], vector, 0.1),
            kernel="kmeans.move_centre",
        )
    ]
    for count in (8, 64):
        few = centres[:count]
        add = partial(compare, f"k-means: distances to {count} centres", kernel="kmeans.measure_distances")
        own = partial(kmeans.measure_distances, few, vector)
        comparisons += [
            add("numpy, gaps", own, partial(numpy_peers.measure_distances, few, vector)),
            add("numpy, inner products (BLAS)", own, partial(numpy_peers.measure_unit_distances, few, vector)),
        ]
    cluster = find_module("sklearn.cluster")
    if cluster is not None:
        model = cluster.MiniBatchKMeans(64, init=centres, n_init=1, batch_size=64).fit(_units(random, 256, 256))

        def step() -> None:
            region = int(kmeans.measure_distances(centres, vector).argmin())
            kmeans.move_centre(centres[region], vector, 0.1)

        row = vector[np.newaxis].astype(np.float64)
        comparisons.append(
            compare(
                "k-means: one streamed step", "sklearn MiniBatchKMeans", step, lambda: model.partial_fit(row), rounds=15
            )
        )
    return comparisons


def _compare_novelty(random: np.random.Generator) -> list[Comparison]:
    from leo_core.stages.novelty.config import NoveltyConfig  # noqa: PLC0415 - loads numba below
    from leo_core.stages.novelty.policy import NoveltyState, learn_novelty, score_novelty  # noqa: PLC0415 - loads numba

    neighbours = find_module("sklearn.neighbors")
    if neighbours is None:
        return []
    config, state = NoveltyConfig(), NoveltyState.empty(256)
    past = _units(random, 600, 256).astype(np.float32)
    for row in past:
        state = learn_novelty(row, state, config, float(random.random()))
    model = neighbours.LocalOutlierFactor(novelty=True).fit(past[-len(state.scores) :])
    vector = _units(random, 256).astype(np.float32)
    return [
        compare(
            "novelty of a request",
            "sklearn LocalOutlierFactor over as many past requests",
            lambda: score_novelty(vector, state, config),
            lambda: model.score_samples(vector[np.newaxis]),
            kernel="sketch.measure_strangeness",
            rounds=15,
        )
    ]


def _compare_consensus(random: np.random.Generator) -> list[Comparison]:
    from leo_core.kernels import coherence, geometric_median  # noqa: PLC0415 - loads numba

    points, weights = _units(random, 7, 256) + 0.5 * _units(random, 1, 256), random.uniform(0.5, 1.5, 7)
    optimise = find_module("scipy.optimize")
    comparisons = [
        compare(
            "consensus (ADMM) of 7 answers",
            "numpy, reweighted least squares",
            lambda: coherence.solve_consensus(points, weights, 0.5, 1e-7, 1000),
            lambda: numpy_peers.solve_consensus(points, weights, 0.5, 1e-7, 1000),
            kernel="coherence.solve_consensus",
        ),
        compare(
            "geometric median of 7 answers",
            "numpy, Weiszfeld",
            lambda: geometric_median.find_geometric_median(points, weights, 1e-7, 1000),
            lambda: numpy_peers.find_geometric_median(points, weights, 1e-7, 1000),
            kernel="geometric_median.find_geometric_median",
        ),
    ]
    if optimise is not None:
        start = points.mean(axis=0)

        def gradient(centre: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
            gaps = centre - points
            pulls = weights * np.minimum(1.0, 0.5 / np.maximum(np.linalg.norm(gaps, axis=1), 1e-300))
            return np.asarray(pulls @ gaps)

        comparisons.append(
            compare(
                "consensus (ADMM) of 7 answers",
                "scipy L-BFGS-B",
                lambda: coherence.solve_consensus(points, weights, 0.5, 1e-7, 1000),
                lambda: optimise.minimize(
                    lambda centre: numpy_peers.huber_cost(points, weights, 0.5, centre),
                    start,
                    jac=gradient,
                    method="L-BFGS-B",
                    tol=1e-9,
                ),
                kernel="coherence.solve_consensus",
            )
        )
        comparisons.append(
            compare(
                "geometric median of 7 answers",
                "scipy L-BFGS-B",
                lambda: geometric_median.find_geometric_median(points, weights, 1e-7, 1000),
                lambda: optimise.minimize(
                    lambda centre: float(weights @ np.linalg.norm(points - centre, axis=1)),
                    start,
                    jac=lambda centre: numpy_peers.pull_median(points, weights, centre),
                    method="L-BFGS-B",
                    tol=1e-9,
                ),
                kernel="geometric_median.find_geometric_median",
            )
        )
    return comparisons


def _compare_trust(random: np.random.Generator) -> list[Comparison]:
    from leo_core.kernels import dawid_skene  # noqa: PLC0415 - loads numba

    truth = random.integers(0, 4, 1_000)
    answers = np.where(random.random((1_000, 7)) < 0.7, truth[:, None], random.integers(0, 4, (1_000, 7)))  # noqa: PLR2004 - members that are right in 7 of 10
    choices = np.full(1_000, 4)
    right, wrong = np.full(7, 4.0), np.full(7, 2.0)
    return [
        compare(
            "one-coin Dawid–Skene, 1,000 items × 7",
            "numpy, all items at once",
            lambda: dawid_skene.fit_accuracies(answers, choices, 4.0, 2.0, 1e-6, 100),
            lambda: numpy_peers.fit_accuracies(answers, choices, 4.0, 2.0, 1e-6, 100),
            kernel="dawid_skene.fit_accuracies",
            rounds=15,
        ),
        compare(
            "one-coin Dawid–Skene, one item online",
            "numpy",
            lambda: dawid_skene.learn_item(answers[0], 4, right, wrong, 0.999),
            lambda: numpy_peers.learn_item(answers[0], 4, right, wrong, 0.999),
            kernel="dawid_skene.learn_item",
        ),
    ]


def _compare_structure(random: np.random.Generator) -> list[Comparison]:
    from leo_core.kernels import pcs  # noqa: PLC0415 - loads numba

    sentences = _units(random, SENTENCES, 256)
    points, directions = pcs.reduce_points(sentences), pcs.make_directions()
    words = random.integers(0, WORDS // 2, WORDS)
    spelled, packed = "".join(map(chr, words)), words.astype(np.uint16).tobytes()
    share = partial(compare, f"coh★: {SENTENCES} sentences, {len(directions)} directions")
    own_share = partial(pcs.measure_largest_share, points, directions, pcs.BINS)
    phrases = partial(compare, f"r: phrases of {WORDS} words", kernel="pcs.count_phrases")
    own_phrases = partial(pcs.count_phrases, words)
    dimension = partial(compare, f"D̂: {SENTENCES} sentences")
    own_dimension = partial(pcs.estimate_dimension, sentences)
    rows = [
        share(
            "numpy, all directions at once",
            own_share,
            partial(numpy_peers.measure_largest_share, points, directions, pcs.BINS),
            kernel="pcs.measure_largest_share",
        ),
        share(
            "numpy.histogram, a direction at a time",
            own_share,
            lambda: max(np.histogram(points @ way, bins=pcs.BINS)[0].max() for way in directions),
            kernel="pcs.measure_largest_share",
        ),
        phrases("Python, substring search", own_phrases, partial(numpy_peers.count_phrases, spelled)),
        phrases("zlib, level 9", own_phrases, lambda: zlib.compress(packed, 9)),
        dimension("numpy, singular values and unique boxes", own_dimension, lambda: numpy_peers.find_slope(sentences)),
    ]
    decomposition, stats = find_module("sklearn.decomposition"), find_module("scipy.stats")
    if decomposition is not None and stats is not None:

        def estimate() -> float:
            reduced = decomposition.PCA(pcs.COMPONENTS).fit_transform(sentences)
            reduced -= reduced.min(axis=0)
            reduced /= reduced.max()
            counts = [np.count_nonzero(np.histogramdd(reduced, bins=n, range=[(0, 1)] * 3)[0]) for n in pcs.SCALES]
            return float(stats.theilslopes(np.log2(counts), np.log2(pcs.SCALES)).slope)

        rows.append(dimension("sklearn PCA + numpy.histogramdd + scipy theilslopes", own_dimension, estimate))
    return rows
