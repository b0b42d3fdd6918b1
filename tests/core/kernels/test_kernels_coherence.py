"""The consensus solver against IRLS, BFGS and the closed form on the line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.kernels import coherence
from tests.oracles import coherence as oracle

TIGHT = (1e-10, 20_000)


def draw(seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """A random instance: up to 12 points with outliers and unequal weights."""
    rng = np.random.default_rng(seed)
    count, dimension = int(rng.integers(1, 13)), int(rng.integers(1, 9))
    points = rng.normal(size=(count, dimension)) * rng.choice([0.1, 1.0, 10.0], size=(count, 1))
    weights = rng.exponential(size=count) * rng.choice([0.01, 1.0, 100.0])
    return points, weights, float(rng.choice([0.05, 0.3, 1.0, 5.0]))


@pytest.mark.parametrize("block", range(10))
def test_optimum_is_that_of_irls_and_bfgs(block: int, mode: str) -> None:
    for seed in range(block * 30, block * 30 + (30 if mode == "compiled" else 2)):
        points, weights, kappa = draw(seed)
        found = coherence.solve_consensus(points, weights, kappa, *TIGHT)
        scale = weights.sum()
        _, irls = oracle.solve_by_irls(points, weights, kappa)
        best = min(irls, oracle.solve_by_scipy(points, weights, kappa))
        assert found.converged, seed
        assert abs(found.optimum - best) <= 1e-6 * scale * max(1, kappa), seed
        assert abs(found.optimum - oracle.cost(found.centre, points, weights, kappa)) <= 1e-9 * max(1, scale)
        np.testing.assert_allclose(found.distances, np.linalg.norm(points - found.centre, axis=1))


@pytest.mark.parametrize("seed", range(20))
def test_centre_is_that_of_irls_where_it_is_unique(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(7, 5))
    weights = rng.uniform(0.5, 1.5, size=7)
    found = coherence.solve_consensus(points, weights, 0.8, *TIGHT)
    np.testing.assert_allclose(found.centre, oracle.solve_by_irls(points, weights, 0.8)[0], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9), st.floats(0.05, 3))
def test_on_the_line_it_is_the_closed_form(seed: int, count: int, kappa: float) -> None:
    rng = np.random.default_rng(seed)
    points, weights = rng.normal(size=count) * 2, rng.uniform(0.1, 2, size=count)
    found = coherence.solve_consensus(points[:, None], weights, kappa, *TIGHT)
    assert abs(found.optimum - oracle.solve_in_one_dimension(points, weights, kappa)) <= 1e-6 * weights.sum()


@pytest.mark.parametrize("seed", range(10))
def test_huber_per_coordinate_is_the_closed_form_of_each(seed: int) -> None:
    """Far-apart coordinates: with one informative axis per problem, each axis is its own Huber problem."""
    rng = np.random.default_rng(seed)
    points, weights = rng.normal(size=(6, 3)), rng.uniform(0.1, 2, size=6)
    total = sum(coherence.solve_consensus(points[:, [axis]], weights, 0.4, *TIGHT).optimum for axis in range(3))
    closed = sum(oracle.solve_in_one_dimension(points[:, axis], weights, 0.4) for axis in range(3))
    assert abs(total - closed) <= 1e-6 * weights.sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.01, 100))
def test_scaling_the_weights_scales_the_optimum_only(seed: int, factor: float) -> None:
    points, weights, kappa = draw(seed)
    one = coherence.solve_consensus(points, weights, kappa, 1e-9, 5_000)
    other = coherence.solve_consensus(points, weights * factor, kappa, 1e-9, 5_000)
    np.testing.assert_allclose(other.centre, one.centre, atol=1e-6)
    np.testing.assert_allclose(other.optimum, factor * one.optimum, rtol=1e-6, atol=1e-9)


def test_zero_weight_has_no_say() -> None:
    points = np.vstack([np.eye(3), [[100.0, 0, 0]]])
    found = coherence.solve_consensus(points, np.array([1.0, 1, 1, 0]), 0.5, *TIGHT)
    alone = coherence.solve_consensus(np.eye(3), np.ones(3), 0.5, *TIGHT)
    np.testing.assert_allclose(found.centre, alone.centre, atol=1e-8)


def test_one_outlier_cannot_drag_the_centre() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(6, 8)) * 0.01
    for distance in (10.0, 1e3, 1e6):
        points = np.vstack([honest, np.full((1, 8), distance)])
        found = coherence.solve_consensus(points, np.ones(7), 0.1, 1e-9, 20_000)
        assert np.linalg.norm(found.centre) < 0.1


@pytest.mark.parametrize("limit", [1, 2])
def test_too_few_iterations_are_reported(limit: int) -> None:
    points, weights, kappa = draw(5)
    found = coherence.solve_consensus(points, weights, kappa, 1e-9, limit)
    assert (found.iterations, found.converged) == (limit, False)
    assert max(found.primal_residual, found.dual_residual) > 1e-9


def test_residuals_are_within_the_tolerance_at_the_stop() -> None:
    for seed in range(20):
        points, weights, kappa = draw(seed)
        found = coherence.solve_consensus(points, weights, kappa, 1e-8, 20_000)
        size = np.sqrt((weights / weights.sum()) @ (points**2).sum(axis=1))
        assert found.primal_residual <= 1e-8 * (np.sqrt(points.shape[1]) + size)
        assert found.dual_residual <= 1e-8 * (np.sqrt(points.shape[1]) + kappa + size)


@pytest.mark.parametrize("kappa", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_orthogonal_optimum_is_that_of_one_unknown(count: int, kappa: float) -> None:
    found = coherence.solve_orthogonal(np.ones(count), kappa, *TIGHT)
    assert abs(found - oracle.solve_orthogonal(count, kappa)) < 1e-7


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 7), st.sampled_from([0.1, 0.5, 2.0]))
def test_coherence_is_in_range_and_rotates_with_the_points(seed: int, count: int, kappa: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 6))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    weights = rng.uniform(0.1, 1, size=count)
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    orthogonal = coherence.solve_orthogonal(weights, kappa, 1e-9, 5_000)
    values = [
        coherence.measure_coherence(coherence.solve_consensus(x, weights, kappa, 1e-9, 5_000).optimum, orthogonal)
        for x in (points, points @ turn)
    ]
    assert 0 <= values[0] <= 1
    assert abs(values[0] - values[1]) < 1e-5


def test_coherence_of_the_extremes() -> None:
    weights = np.array([1.0, 2.0, 0.5])
    orthogonal = coherence.solve_orthogonal(weights, 0.5, *TIGHT)
    same = coherence.solve_consensus(np.tile(np.eye(3)[0], (3, 1)), weights, 0.5, *TIGHT).optimum
    apart = coherence.solve_consensus(np.eye(5)[2:], weights, 0.5, *TIGHT).optimum
    assert coherence.measure_coherence(same, orthogonal) == pytest.approx(1)
    assert coherence.measure_coherence(apart, orthogonal) == pytest.approx(0, abs=1e-6)
    assert coherence.measure_coherence(2 * orthogonal, orthogonal) == 0
    assert coherence.measure_coherence(0.0, 0.0) == 1
