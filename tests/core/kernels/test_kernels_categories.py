"""Hashed words and the classifier's network against their slow twins, compiled and interpreted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.kernels import categories
from tests.oracles import categories as oracle

KINDS = ["compiled", "interpreted"]
WORDS = st.lists(st.text("ab'1\xe9\u4e2d\U0001f600", min_size=1, max_size=7), max_size=6)


def choose(kernel, kind):
    return kernel if kind == "compiled" else kernel.py_func


def pack(words):
    return np.frombuffer("\0".join(words).encode(), dtype=np.uint8)


@pytest.mark.parametrize("kind", KINDS)
@given(WORDS, st.sampled_from([1, 7, 8192]))
@settings(deadline=None, max_examples=100)
def test_features_are_those_of_the_slow_twin(kind, words, buckets):
    assert choose(categories.hash_words, kind)(pack(words), buckets).tolist() == oracle.hash_words(words, buckets)


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(0, 4))
@settings(deadline=None, max_examples=100)
def test_outputs_are_those_of_the_slow_twin(kind, seed, count, beside):
    draw = np.random.default_rng(seed)
    width, hidden, buckets, others = 8, 5, 16, 6
    arguments = (
        draw.integers(-127, 128, (buckets, width)).astype(np.int8),
        np.sort(draw.choice(buckets, count, replace=False)),
        (draw.random(width) / 50).astype(np.float32),
        draw.normal(size=width).astype(np.float32),
        draw.normal(size=(others, width)).astype(np.float32),
        np.sort(draw.choice(others, beside, replace=False)),
        draw.normal(size=width).astype(np.float32),
        draw.normal(size=(hidden, width - hidden)).astype(np.float32),
    )
    found = choose(categories.read_outputs, kind)(*arguments)
    assert (found.dtype, found.shape) == (np.float64, (width - hidden,))
    np.testing.assert_allclose(found, oracle.read_outputs(*arguments), rtol=1e-5, atol=1e-5)
