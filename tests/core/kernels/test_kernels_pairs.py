"""Alignment of words and sums of trees against their slow twins, compiled and interpreted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.kernels import pairs
from tests.oracles import pairs as oracle

KINDS = ["compiled", "interpreted"]


def choose(kernel, kind):
    return kernel if kind == "compiled" else kernel.py_func


def make_words(seed, p, q):
    draw = np.random.default_rng(seed)
    words = draw.normal(size=(p + q, 12))
    words[p:][draw.random(q) < 0.3] = words[0] if p else 1.0
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    weights = draw.uniform(0.1, 5.0, p + q)
    only = draw.random(p + q) < draw.choice([0.0, 0.5])
    return words[:p], words[p:], weights[:p], weights[p:], only[:p], only[p:]


@pytest.mark.parametrize("kind", KINDS)
@given(st.text("ab\U0010ffff", max_size=30), st.text("ab c\U0010ffff", max_size=30))
@settings(deadline=None, max_examples=100)
def test_runs_of_three_letters_are_those_of_the_slow_twin(kind, a, b):
    found = [choose(pairs.read_trigrams, kind)(np.array([*map(ord, text)], dtype=np.uint32)) for text in (a, b)]
    expected = [oracle.read_trigrams(text) for text in (a, b)]
    for numbers, runs in zip(found, expected, strict=True):
        assert (np.diff(numbers) > 0).all()
        written = {"".join(chr(number >> shift & 0x1FFFFF) for shift in (42, 21, 0)) for number in numbers.tolist()}
        assert written == runs
    assert choose(pairs.count_shared, kind)(*found) == len(expected[0] & expected[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 10, 60, 300, 4000])
def test_runs_of_a_long_text_are_in_order(kind, size):
    letters = np.random.default_rng(size).integers(0, 0x110000, size, dtype=np.uint32)
    letters[size // 2 :] = letters[: size - size // 2]
    numbers = choose(pairs.read_trigrams, kind)(letters)
    runs = oracle.read_trigrams("".join(map(chr, letters)))
    assert numbers.tolist() == sorted(ord(a) << 42 | ord(b) << 21 | ord(c) for a, b, c in runs)


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(0, 6))
@settings(deadline=None, max_examples=150)
def test_alignment_agrees_with_the_slow_twin(kind, seed, p, q):
    a, b, weights_a, weights_b, only_a, only_b = make_words(seed, p, q)
    tables = [table.astype(np.float32) for table in (a @ b.T, a @ a.T, b @ b.T)]
    align = choose(pairs.align_words, kind)
    found = align(*tables, weights_a, weights_b, only_a, only_b)
    np.testing.assert_allclose(found, oracle.align_words(a, b, weights_a, weights_b, only_a, only_b), atol=1e-4)
    back = align(tables[0].T.copy(), tables[2], tables[1], weights_b, weights_a, only_b, only_a)
    np.testing.assert_allclose(found, back, atol=1e-6)
    assert len(found) == pairs.ALIGNED


@pytest.mark.parametrize("kind", KINDS)
def test_trees_agree_with_the_slow_twin(kind):
    draw = np.random.default_rng(1)
    feature = np.array([0, 1, 0, 0, 0, 2, 0, 0, 0], dtype=np.int16)
    skip = np.array([4, 2, 0, 0, 0, 2, 0, 0, 0], dtype=np.int16)
    number = draw.normal(size=9)
    roots = np.array([0, 5, 8], dtype=np.int64)
    rows = np.vstack([draw.normal(size=(60, 3)), np.full((1, 3), number[0])])
    forest = (feature, number, skip, roots)
    found = choose(pairs.sum_trees, kind)(rows, *forest, 2)
    np.testing.assert_allclose(found, oracle.sum_trees(rows, *forest), rtol=1e-12)
    assert choose(pairs.sum_trees, kind)(rows[:0], *forest, 2).shape == (0,)
