"""The geometric median against scipy, and its breakdown point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.kernels import geometric_median
from tests.oracles import geometric_median as oracle


def solve(points: np.ndarray, weights: np.ndarray | None = None) -> geometric_median.GeometricMedian:
    """The kernel with a tight tolerance."""
    points = np.asarray(points, dtype=np.float64)
    weights = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    return geometric_median.find_geometric_median(points, weights, 1e-9, 20_000)


@pytest.mark.parametrize("seed", range(60))
def test_optimum_is_that_of_the_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, dimension = int(rng.integers(1, 10)), int(rng.integers(1, 6))
    points, weights = rng.normal(size=(count, dimension)), rng.exponential(size=count)
    found = solve(points, weights)
    assert found.converged
    assert found.optimum == pytest.approx(oracle.cost(found.point, points, weights))
    assert found.optimum <= oracle.find_geometric_median(points, weights) + 1e-6 * weights.sum()


def test_majority_of_the_weight_at_one_point_wins() -> None:
    found = solve(np.array([[0.0, 0], [5, 1], [1, 9]]), np.array([3.0, 1.0, 1.5]))
    np.testing.assert_array_equal(found.point, [0, 0])
    assert found.iterations == 0


def test_iterate_that_meets_a_data_point_goes_on() -> None:
    """The mean of these is the origin, a data point that is not the median: the plain Weiszfeld step fails here."""
    points = np.array([[0.0, 0.0], [1, 0], [1, 0.1], [1, -0.1], [-3.0, 0]])
    found = solve(points)
    assert found.iterations >= 0
    assert found.optimum <= oracle.find_geometric_median(points, np.ones(5)) + 1e-7
    assert np.linalg.norm(found.point) > 0.5


def test_step_away_from_a_data_point_is_damped() -> None:
    """Mean at the data point 0, whose weight is too small to hold the median."""
    points = np.array([[0.0, 0.0], [4.0, 0.0], [-1.0, 1.0], [-1.0, -1.0], [-2.0, 0.0]])
    weights = np.array([0.1, 1.0, 1.0, 1.0, 1.0])
    found = solve(points, weights)
    assert found.iterations > 1
    assert found.converged
    assert found.optimum <= oracle.find_geometric_median(points, weights) + 1e-7


def test_first_step_is_that_of_vardi_and_zhang() -> None:
    points = np.array([[0.0, 0.0], [4.0, 0.0], [-1.0, 1.0], [-1.0, -1.0], [-2.0, 0.0]])
    weights = np.array([0.5, 1.0, 1.0, 1.0, 1.0])
    far = points[1:]
    distances = np.linalg.norm(far, axis=1)
    pull = (far / distances[:, None]).sum(axis=0)
    step = (1 - 0.5 / np.linalg.norm(pull)) * pull / (1 / distances).sum()
    found = geometric_median.find_geometric_median(points, weights, 1e-9, 1)
    np.testing.assert_allclose(found.point, step, atol=1e-12)


def test_points_equal_up_to_rounding_are_one_point() -> None:
    points = 1.0 + np.eye(3) * 2e-15
    found = solve(points)
    assert found.converged
    np.testing.assert_allclose(found.point, 1.0, atol=1e-14)


def test_too_few_iterations_are_reported() -> None:
    rng = np.random.default_rng(1)
    found = geometric_median.find_geometric_median(rng.normal(size=(5, 3)), np.ones(5), 1e-12, 2)
    assert (found.iterations, found.converged) == (2, False)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.floats(1, 8))
def test_less_than_half_of_the_weight_cannot_break_it(seed: int, bad: int, magnitude: float) -> None:
    """3 of 7 arbitrarily far: the median stays within the bound of H. Lopuhaä and P. Rousseeuw (1991)."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(7 - bad, 4))
    honest /= np.maximum(1, np.linalg.norm(honest, axis=1, keepdims=True))
    liars = np.tile(rng.normal(size=4) * 10.0**magnitude, (bad, 1))
    found = solve(np.vstack([honest, liars]))
    assert np.linalg.norm(found.point) <= 2 * (7 - bad) / (7 - 2 * bad) + 1e-6


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), st.floats(0.001, 0.495), st.floats(1, 8))
def test_any_share_below_half_of_the_weight_cannot_break_it(
    seed: int, bad: int, share: float, magnitude: float
) -> None:
    """Weights, not numbers, count: with ‖x_i‖ ≤ R for the good ones, ‖w‖ ≤ 2R(1 - s)/(1 - 2s) for a bad share s."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(5, 4))
    honest /= np.maximum(1, np.linalg.norm(honest, axis=1, keepdims=True))
    good, evil = rng.uniform(0.1, 1, 5), rng.uniform(0.1, 1, bad)
    weights = np.concatenate([(1 - share) * good / good.sum(), share * evil / evil.sum()])
    liars = rng.normal(size=(bad, 4)) * 10.0**magnitude
    found = solve(np.vstack([honest, liars]), weights)
    assert np.linalg.norm(found.point) <= 2 * (1 - share) / (1 - 2 * share) + 1e-6


def test_more_than_half_of_the_weight_breaks_it() -> None:
    points = np.vstack([np.zeros((3, 2)), np.full((4, 2), 1e6)])
    assert np.linalg.norm(solve(points).point) > 1e6
