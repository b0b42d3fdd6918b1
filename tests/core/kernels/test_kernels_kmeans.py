"""Streaming k-means kernels against their slow twin."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from leo_core.kernels import kmeans
from tests.oracles import kmeans as oracle


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random unit vectors."""
    rows = rng.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@given(st.integers(0, 2**32), st.integers(0, 9), st.integers(1, 40))
def test_distances_are_those_of_the_twin(seed: int, count: int, dimension: int) -> None:
    rng = np.random.default_rng(seed)
    centres, vector = unit(rng, count, dimension), unit(rng, dimension)
    np.testing.assert_allclose(
        kmeans.measure_distances(centres, vector), oracle.measure_distances(centres, vector), atol=1e-12
    )


@given(st.integers(0, 2**32), st.integers(2, 40), st.floats(0, 1))
def test_moved_centre_is_that_of_the_twin_and_unit(seed: int, dimension: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    centre, vector = unit(rng, dimension), unit(rng, dimension)
    before = centre.copy()
    moved = kmeans.move_centre(centre, vector, rate)
    np.testing.assert_allclose(moved, oracle.move_centre(centre, vector, rate), atol=1e-6)
    assert moved.dtype == np.float32
    assert abs(np.linalg.norm(moved) - 1) < 1e-5
    np.testing.assert_array_equal(centre, before)


def test_opposite_vector_at_half_rate_leaves_the_centre() -> None:
    centre = np.eye(4, dtype=np.float32)[1]
    moved = kmeans.move_centre(centre, -centre, 0.5)
    np.testing.assert_array_equal(moved, centre)
    assert moved is not centre


def test_stream_of_two_clusters_finds_them() -> None:
    rng = np.random.default_rng(3)
    means = unit(rng, 2, 16)
    centres = unit(rng, 2, 16)
    for turn in range(400):
        sample = means[turn % 2] + 0.1 * rng.normal(size=16)
        sample = (sample / np.linalg.norm(sample)).astype(np.float32)
        nearest = int(np.argmin(kmeans.measure_distances(centres, sample)))
        centres[nearest] = kmeans.move_centre(centres[nearest], sample, 0.1)
    assert (centres @ means.T).max(axis=0).min() > 0.95
