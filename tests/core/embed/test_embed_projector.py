"""The Johnson–Lindenstrauss projector keeps what its docstring promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.stages.embed.projector import JLProjector


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(8, 100), st.integers(-(2**70), 2**70))
def test_every_column_has_eight_entries_one_per_block(source: int, target: int, seed: int) -> None:
    projector = JLProjector(source, target, seed)
    matrix = projector.project(np.eye(source))
    assert (projector.input_dimension, projector.dimension) == (source, target)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal((matrix != 0).sum(axis=1), 8)
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-6)
    for block in range(8):
        part = matrix[:, block * target // 8 : (block + 1) * target // 8]
        np.testing.assert_array_equal((part != 0).sum(axis=1), 1)


@pytest.mark.parametrize("kind", ["spread", "two coordinates"])
def test_squared_length_is_unbiased_with_the_promised_variance(kind: str) -> None:
    vector = np.zeros(400)
    if kind == "spread":
        vector[:] = np.random.default_rng(0).normal(size=400)
    else:
        vector[[3, 300]] = 1
    vector /= np.linalg.norm(vector)
    squares = np.array([np.sum(JLProjector(400, 64, seed).project(vector) ** 2) for seed in range(600)])
    assert squares.mean() == pytest.approx(1, abs=0.03)
    assert squares.var() <= 1.35 * 2 / 64


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_distances_keep_within_the_bound(seed: int) -> None:
    """For 66 differences at failure 0.001 per example the bound is a certainty for all practical purposes."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(12, 1024))
    projector = JLProjector(1024, 256, seed)
    low = projector.project(points)
    first, second = np.triu_indices(12, 1)
    ratio = ((low[first] - low[second]) ** 2).sum(axis=1) / ((points[first] - points[second]) ** 2).sum(axis=1)
    assert np.abs(ratio - 1).max() <= projector.bound_distortion(0.001, len(first))
    assert np.sqrt(((ratio - 1) ** 2).mean()) < 0.2


def test_share_of_single_failures_is_within_the_bound() -> None:
    rng = np.random.default_rng(9)
    vector = rng.normal(size=300)
    vector /= np.linalg.norm(vector)
    bound = JLProjector(300, 64).bound_distortion(0.25)
    assert bound == pytest.approx(np.sqrt(2 / (64 * 0.25)))
    errors = [abs(np.sum(JLProjector(300, 64, seed).project(vector) ** 2) - 1) for seed in range(400)]
    assert np.mean(np.array(errors) > bound) <= 0.25


def test_projection_is_linear() -> None:
    rng = np.random.default_rng(1)
    projector, points = JLProjector(50, 32), rng.normal(size=(2, 50))
    np.testing.assert_allclose(
        projector.project(2 * points[0] - points[1]),
        2 * projector.project(points)[0] - projector.project(points)[1],
        atol=1e-5,
    )


def test_the_map_is_the_same_for_ever() -> None:
    places = np.nonzero(JLProjector(3, 64, seed=1).project(np.eye(3)))[1].reshape(3, 8)
    signs = np.sign(JLProjector(3, 64, seed=1).project(np.eye(3))).sum(axis=1)
    assert places.tolist() == GOLDEN_PLACES
    assert signs.tolist() == GOLDEN_SIGNS


GOLDEN_PLACES = [[7, 8, 21, 29, 34, 42, 53, 60], [0, 9, 23, 30, 36, 44, 51, 59], [4, 8, 19, 26, 36, 45, 50, 58]]
GOLDEN_SIGNS = [-2.0, 0.0, 2.0]


@pytest.mark.parametrize(("source", "target"), [(0, 256), (10, 7)])
def test_impossible_sizes_are_refused(source: int, target: int) -> None:
    with pytest.raises(ConfigError):
        JLProjector(source, target)


@pytest.mark.parametrize("shape", [(4,), (2, 4), (1, 1, 5), ()])
def test_rows_of_another_length_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="5"):
        JLProjector(5, 8).project(np.zeros(shape))
