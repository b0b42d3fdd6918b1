"""Every kernel has a row, and every peer does the same work as the kernel that it is timed against."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core import kernels
from leo_core.evaluation import kernel_bench, numpy_peers, text_kernel_bench, text_peers
from leo_core.evaluation.core_bench import make_texts
from leo_core.evaluation.network_peers import NumpyNetwork
from leo_core.kernels import categories, kmeans, pairs, pcs, sketch
from leo_core.stages.cache.pair_network import load_pair_network, read_network
from leo_core.stages.embed.hashed import GAINS, HashedEmbedder
from leo_core.stages.embed.load import load_static
from leo_core.stages.embed.static import StaticEmbedder, read_arrays
from leo_core.stages.embed.words import FUNCTION_WEIGHT, FUNCTION_WORDS, QUESTION_WEIGHT, QUESTION_WORDS
from leo_core.stages.risk.categories import category_features, load_network

if TYPE_CHECKING:
    from collections.abc import Callable

QUESTIONS = [
    "How do I cancel my order?",
    "what is C++ used for",
    "Unbelievably long antidisestablishmentarianism!",
    "a",
]


def list_kernels() -> set[str]:
    """Public compiled functions, as ``module.name``; those of CKKS are measured whole, by ``leo bench fhe``."""
    modules = [
        (each.name, importlib.import_module(f"{kernels.__name__}.{each.name}"))
        for each in pkgutil.iter_modules(kernels.__path__)
    ]
    return {
        f"{module_name}.{name}"
        for module_name, module in modules
        if not module_name.startswith(("_", "ckks"))
        for name in module.__all__
        if hasattr(getattr(module, name), "py_func")
    }


def test_every_kernel_has_a_row_against_numpy_or_python(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[tuple[str, str]] = []

    def record(
        _: str, peer: str, own: Callable[[], object], other: Callable[[], object], *, kernel: str = "", **__: Any
    ) -> None:
        own()
        other()
        rows.append((kernel, peer))

    monkeypatch.setattr(kernel_bench, "compare", record)
    monkeypatch.setattr(text_kernel_bench, "compare", record)
    monkeypatch.setattr(text_kernel_bench, "TREES", 20)
    kernel_bench.compare_kernels(make_texts())
    plain = {kernel for kernel, peer in rows if peer.startswith(("numpy", "Python"))}
    inside = kernel_bench.INSIDE
    assert set(inside.values()) <= plain
    assert list_kernels() == (plain - {""}) | set(inside)
    assert {peer for kernel, peer in rows if kernel == "word_pieces.embed_pieces"} >= {
        "Hugging Face tokenizers + numpy"
    }


def test_word_pieces_in_python_are_those_of_the_kernel() -> None:
    arrays = read_arrays()
    np.testing.assert_allclose(
        text_peers.PieceTable(arrays).embed(QUESTIONS), StaticEmbedder(arrays=arrays).embed(QUESTIONS), atol=1e-5
    )


def test_hashed_features_in_numpy_are_those_of_the_kernel() -> None:
    common = dict.fromkeys(FUNCTION_WORDS, FUNCTION_WEIGHT) | dict.fromkeys(QUESTION_WORDS, QUESTION_WEIGHT)
    texts = [text.casefold() for text in [*QUESTIONS, "", "?"]]
    own = HashedEmbedder().embed(texts)
    np.testing.assert_allclose(text_peers.embed_hashed(texts, common, np.array(GAINS), 256), own, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(1, 8), st.floats(0, 1), st.floats(0, 1))
def test_alignment_in_numpy_is_that_of_the_kernel(seed: int, p: int, q: int, share_a: float, share_b: float) -> None:
    random = np.random.default_rng(seed)
    rows = random.standard_normal((p + q, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    a, b = rows[:p], rows[p:]
    only = random.random(p) < share_a, random.random(q) < share_b
    arguments = (a @ b.T, a @ a.T, b @ b.T, random.uniform(1, 5, p), random.uniform(1, 5, q), *only)
    np.testing.assert_allclose(text_peers.align_words(*arguments), pairs.align_words(*arguments), atol=1e-5)


def test_runs_of_letters_in_numpy_are_those_of_the_kernel() -> None:
    letters = np.array([*map(ord, "how to boil eggs, boil eggs? \U0010ffff!")], dtype=np.uint32)
    found = text_peers.find_trigrams(letters)
    np.testing.assert_array_equal(found, pairs.read_trigrams(letters))
    assert len(found) == len(text_peers.cut_trigrams("".join(map(chr, letters))))


def test_the_network_in_numpy_is_that_of_the_kernels() -> None:
    own, peer = load_pair_network(load_static().read_pieces), NumpyNetwork(read_network())
    for a in QUESTIONS:
        for b in QUESTIONS:
            one, two = own.read([a, b])
            assert one is not None
            assert two is not None
            found = peer.compare(*peer.read([load_static().read_pieces(text) for text in (a, b)]))
            np.testing.assert_allclose(own.compare(one, two), found, atol=1e-4)


@given(st.lists(st.text("ab'\xe9\u4e2d", min_size=1, max_size=7), max_size=6))
def test_hashed_words_in_python_are_those_of_the_kernel(words: list[str]) -> None:
    network = load_network()
    found = category_features(words, len(network.hashed))
    assert text_peers.hash_words(words, len(network.hashed)) == found.tolist()
    layers = (network.hashed, found, network.hashed_scale, network.bias, network.dense, found % 7, network.bias)
    own = categories.read_outputs(*layers, network.outputs)
    np.testing.assert_allclose(text_peers.read_outputs(*layers, network.outputs), own, rtol=1e-4, atol=1e-4)


def test_trees_in_numpy_are_those_of_the_kernel() -> None:
    random = np.random.default_rng(1)
    forest = text_kernel_bench.grow_trees(random, 7, 3)
    rows = random.standard_normal((9, text_kernel_bench.COLUMNS))
    np.testing.assert_allclose(text_peers.sum_trees(rows, *forest), pairs.sum_trees(rows, *forest))


def test_sketches_in_numpy_are_those_of_the_kernel() -> None:
    random = np.random.default_rng(2)
    rows = random.standard_normal((301, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    past, asked = sketch.sketch_rows(rows[1:]), sketch.sketch_query(rows[0])
    for crowd in (1, 10):
        own = sketch.measure_strangeness(past, asked, crowd, 0.3)
        assert text_peers.measure_strangeness(past, asked, crowd, 0.3) == pytest.approx(own)
    rounded, scales = sketch.quantise_rows(rows[1:])
    places, scores = text_peers.find_candidates(past, rounded, scales, asked, sketch.quantise_query(rows[0]), 299)
    exact = rows[1:] @ rows[0]
    assert np.corrcoef(scores, exact[places])[0, 1] > 0.999


@given(st.lists(st.integers(0, 3), max_size=40))
def test_phrases_by_substring_search_are_those_of_the_kernel(symbols: list[int]) -> None:
    ranks = np.unique(np.array(symbols, dtype=np.int64), return_inverse=True)[1]
    assert numpy_peers.count_phrases("".join(map(chr, symbols))) == pcs.count_phrases(ranks.astype(np.int64))


def test_structure_in_numpy_is_that_of_the_kernels() -> None:
    points = np.random.default_rng(3).standard_normal((60, 32))
    assert numpy_peers.find_slope(points) == pytest.approx(pcs.estimate_dimension(points).slope)
    units = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    own = kmeans.measure_distances(units[1:], units[0])
    np.testing.assert_allclose(numpy_peers.measure_unit_distances(units[1:], units[0]), own, atol=1e-5)
    pull = numpy_peers.pull_median(points, np.ones(60), np.zeros(32))
    step = 1e-6
    cost = np.linalg.norm(points, axis=1).sum()
    moved = [np.linalg.norm(points - step * axis, axis=1).sum() for axis in np.eye(32)]
    np.testing.assert_allclose((np.array(moved) - cost) / step, pull, atol=1e-4)
