"""Every kernel beside NumPy, and beside the library call that a user would pick."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.evaluation import numpy_peers
from leo_core.evaluation.paired import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.evaluation.paired import Comparison

__all__ = ["compare_kernels", "find_module"]


def find_module(name: str) -> Any | None:
    """A module if it is installed; peers are no dependencies."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def compare_kernels(texts: Sequence[str], *, seed: int = 0) -> list[Comparison]:
    """The table of ratios: embedding, k-means and novelty, consensus, median, trust, structure."""
    random = np.random.default_rng(seed)
    return [
        *_compare_embedding(texts),
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


def _compare_embedding(texts: Sequence[str]) -> list[Comparison]:
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

    text_module, pipeline = find_module("sklearn.feature_extraction.text"), find_module("sklearn.pipeline")
    if text_module is None or pipeline is None:
        return []
    vectorizer = text_module.HashingVectorizer
    features = pipeline.FeatureUnion(
        [
            ("words", vectorizer(analyzer="word", ngram_range=(1, 2), n_features=2**18)),
            ("letters", vectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=2**18)),
        ]
    )
    embedder = load_embedder("hashed")
    one, many = list(texts[:1]), list(texts[:200])
    name = "sklearn HashingVectorizer, the same n-grams, without the projection"
    return [
        compare("embed 1 text (hashed)", name, lambda: embedder.embed(one), lambda: features.transform(one)),
        compare("embed 200 texts (hashed)", name, lambda: embedder.embed(many), lambda: features.transform(many)),
    ]


def _compare_centres(random: np.random.Generator) -> list[Comparison]:
    from leo_core.kernels import kmeans  # noqa: PLC0415 - loads numba

    centres = _units(random, 64, 256).astype(np.float32)
    vector = _units(random, 256).astype(np.float32)
    comparisons = [
        compare(
            "k-means: distances to 64 centres",
            "numpy",
            lambda: kmeans.measure_distances(centres, vector),
            lambda: numpy_peers.measure_distances(centres, vector),
        ),
        compare(
            "k-means: move a centre",
            "numpy",
            lambda: kmeans.move_centre(centres[0], vector, 0.1),
            lambda: numpy_peers.move_centre(centres[0], vector, 0.1),
        ),
    ]
    cluster = find_module("sklearn.cluster")
    if cluster is not None:
        model = cluster.MiniBatchKMeans(64, init=centres, n_init=1, batch_size=64).fit(_units(random, 256, 256))

        def step() -> None:
            region = int(kmeans.measure_distances(centres, vector).argmin())
            kmeans.move_centre(centres[region], vector, 0.1)

        row = vector[np.newaxis].astype(np.float64)
        comparisons.append(
            compare("k-means: one streamed step", "sklearn MiniBatchKMeans", step, lambda: model.partial_fit(row))
        )
    return comparisons


def _compare_novelty(random: np.random.Generator) -> list[Comparison]:
    from leo_core.stages.novelty.config import NoveltyConfig  # noqa: PLC0415 - loads numba below
    from leo_core.stages.novelty.policy import NoveltyState, learn_novelty, score_novelty  # noqa: PLC0415

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
        ),
        compare(
            "geometric median of 7 answers",
            "numpy, Weiszfeld",
            lambda: geometric_median.find_geometric_median(points, weights, 1e-7, 1000),
            lambda: numpy_peers.find_geometric_median(points, weights, 1e-7, 1000),
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
            )
        )
    return comparisons


def _compare_trust(random: np.random.Generator) -> list[Comparison]:
    from leo_core.kernels import dawid_skene  # noqa: PLC0415 - loads numba

    truth = random.integers(0, 4, 1_000)
    answers = np.where(random.random((1_000, 7)) < 0.7, truth[:, None], random.integers(0, 4, (1_000, 7)))  # noqa: PLR2004
    choices = np.full(1_000, 4)
    right, wrong = np.full(7, 4.0), np.full(7, 2.0)
    return [
        compare(
            "one-coin Dawid–Skene, 1,000 items × 7",
            "numpy, all items at once",
            lambda: dawid_skene.fit_accuracies(answers, choices, 4.0, 2.0, 1e-6, 100),
            lambda: numpy_peers.fit_accuracies(answers, choices, 4.0, 2.0, 1e-6, 100),
            rounds=15,
        ),
        compare(
            "one-coin Dawid–Skene, one item online",
            "numpy",
            lambda: dawid_skene.learn_item(answers[0], 4, right, wrong, 0.999),
            lambda: numpy_peers.learn_item(answers[0], 4, right, wrong, 0.999),
        ),
    ]


def _compare_structure(random: np.random.Generator) -> list[Comparison]:
    from leo_core.kernels import pcs  # noqa: PLC0415 - loads numba

    points, directions = random.standard_normal((60, 3)), _units(random, 64, 3)
    return [
        compare(
            "coh★ of 60 sentences, 64 directions",
            "numpy",
            lambda: pcs.measure_largest_share(points, directions, 20),
            lambda: numpy_peers.measure_largest_share(points, directions, 20),
        )
    ]
