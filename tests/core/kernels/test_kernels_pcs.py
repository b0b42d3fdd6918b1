"""Structural signals against their slow twin and on shapes of known dimension."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.kernels import pcs
from tests.oracles import pcs as oracle


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 3), st.sampled_from([1, 2, 4, 8, 16]))
def test_boxes_are_those_of_the_twin(seed: int, count: int, dimension: int, scale: int) -> None:
    points = np.random.default_rng(seed).integers(0, 17, size=(count, dimension)) / 16
    assert pcs.count_boxes(points, scale) == oracle.count_boxes(points, scale)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=8))
def test_theil_sen_is_that_of_scipy(values: list[float]) -> None:
    x, y = np.arange(len(values), dtype=np.float64), np.array(values)
    assert pcs.fit_theil_sen(x, y) == pytest.approx(oracle.fit_theil_sen(x, y), abs=1e-12)


def test_theil_sen_of_one_point_is_nan() -> None:
    assert math.isnan(pcs.fit_theil_sen(np.zeros(1), np.zeros(1)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(3, 40))
def test_reduced_points_are_those_of_the_twin(seed: int, count: int) -> None:
    points = np.random.default_rng(seed).normal(size=(count, 6)) * np.array([9, 5, 3, 1, 0.5, 0.2])
    reduced = pcs.reduce_points(points)
    np.testing.assert_allclose(reduced, oracle.reduce_points(points), atol=1e-7)
    assert reduced.min() >= 0
    assert reduced.max() == pytest.approx(1)
    assert reduced.shape == (count, 3)


@pytest.mark.parametrize("dimension", [1, 2])
def test_dimension_of_filled_shapes(dimension: int) -> None:
    flat = np.random.default_rng(0).uniform(size=(6_000, dimension))
    points = np.hstack([flat, np.zeros((6_000, 8 - dimension))])
    found = pcs.estimate_dimension(points)
    assert found.slope == pytest.approx(dimension, abs=0.3)
    assert found.enough
    assert list(found.counts) == sorted(found.counts)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 40))
def test_dimension_is_in_range_and_says_when_it_is_too_short(seed: int, count: int) -> None:
    found = pcs.estimate_dimension(np.random.default_rng(seed).normal(size=(count, 16)))
    assert 0 <= found.slope <= 3
    assert found.enough == (count >= 16)


def test_one_point_has_no_dimension_and_equal_points_have_zero() -> None:
    alone = pcs.estimate_dimension(np.ones((1, 4)))
    assert math.isnan(alone.slope)
    assert not alone.enough
    loop = pcs.estimate_dimension(np.tile(np.random.default_rng(0).normal(size=4), (30, 1)))
    assert (loop.slope, list(loop.counts)) == (0, [1, 1, 1, 1])


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random unit vectors."""
    rows = rng.normal(size=shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 4), st.integers(2, 20))
def test_largest_share_is_that_of_the_twin(seed: int, count: int, dimension: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    points, directions = rng.normal(size=(count, dimension)), unit(rng, 5, dimension)
    found = pcs.measure_largest_share(points, directions, bins)
    assert found == pytest.approx(oracle.measure_largest_share(points, directions, bins))
    assert 1 / count <= found <= 1


def test_a_loop_stands_out_and_noise_does_not() -> None:
    rng = np.random.default_rng(5)
    directions, null = unit(rng, 20, 3), rng.normal(size=(24, 40, 3))
    noise = [pcs.measure_concentration(rng.normal(size=(40, 3)), directions, null).z for _ in range(8)]
    assert abs(np.mean(noise)) < 1.5
    stuck = np.vstack([rng.normal(size=(10, 3)), np.tile(rng.normal(size=3), (30, 1))])
    loop = pcs.measure_concentration(stuck, directions, null)
    assert loop.share >= 0.75
    assert loop.z > 4


def test_concentration_without_a_varying_null_is_zero() -> None:
    rng = np.random.default_rng(0)
    found = pcs.measure_concentration(rng.normal(size=(1, 2)), unit(rng, 3, 2), rng.normal(size=(5, 1, 2)))
    assert found == (1.0, 0.0, False)


def rotate(rng: np.random.Generator, dimension: int) -> np.ndarray:
    """A random orthogonal matrix."""
    return np.linalg.qr(rng.normal(size=(dimension, dimension)))[0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(16, 50), st.floats(0.01, 100), st.floats(-50, 50))
def test_dimension_knows_neither_order_nor_turn_nor_size(seed: int, count: int, size: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 8)) * np.array([9, 5, 3, 1, 0.5, 0.2, 0.1, 0.05])
    moved = size * (points @ rotate(rng, 8))[rng.permutation(count)] + shift
    one, two = pcs.estimate_dimension(points), pcs.estimate_dimension(moved)
    # a point on the edge of a box may change sides by rounding
    assert np.abs(one.counts - two.counts).max() <= 1
    assert one.slope == pytest.approx(two.slope, abs=0.2)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(16, 50), st.floats(0.01, 100))
def test_concentration_knows_neither_order_nor_size(seed: int, count: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3))
    one, two = (
        pcs.measure_concentration(each, pcs.make_directions(), pcs.make_null(count))
        for each in (points, size * points[rng.permutation(count)])
    )
    assert one.enough
    assert abs(one.share - two.share) <= 1.5 / count  # as above
    assert one.z < 6


def test_null_is_met_by_what_has_no_structure(mode: str) -> None:
    rng = np.random.default_rng(8)
    for count in (16, 60) if mode == "compiled" else (16,):
        null = pcs.make_null(count)
        drawn = [
            pcs.measure_concentration(rng.normal(size=(count, 3)), pcs.make_directions(), null).z for _ in range(60)
        ]
        assert abs(np.mean(drawn)) < 0.6
        assert 0.5 < np.std(drawn) < 1.8
    orders = pcs.make_orders(80)
    drawn = [pcs.measure_compression(rng.integers(0, 12, 80), orders).z for _ in range(100)]
    assert abs(np.mean(drawn)) < 0.5
    assert 0.6 < np.std(drawn) < 1.6


@given(st.lists(st.integers(0, 3), max_size=30))
def test_phrases_are_those_of_the_twin(symbols: list[int]) -> None:
    ranks = np.unique(np.array(symbols, dtype=np.int64), return_inverse=True)[1].astype(np.int64)
    assert pcs.count_phrases(ranks) == oracle.count_phrases(symbols)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(2, 5))
def test_saying_it_again_adds_one_phrase_at_most(symbols: list[int], times: int) -> None:
    ranks = np.unique(np.array(symbols), return_inverse=True)[1].astype(np.int64)
    once, often = pcs.count_phrases(ranks), pcs.count_phrases(np.tile(ranks, times))
    assert once <= often <= once + 1
    assert 1 <= once <= len(symbols)


def test_phrases_of_known_sequences() -> None:
    assert pcs.count_phrases(np.zeros(0, dtype=np.int64)) == 0
    assert pcs.count_phrases(np.arange(9)) == 9
    assert pcs.count_phrases(np.zeros(9, dtype=np.int64)) == 2
    # Lempel and Ziv's own example: 0·001·10·100·1000·101
    assert pcs.count_phrases(np.array([int(bit) for bit in "0001101001000101"])) == 6


def test_a_repeated_sentence_stands_out() -> None:
    sentence = "the cost of sixteen glasses is found by pairing each full price with one at sixty percent of it"
    words = sentence.split()
    told = pcs.measure_compression(np.array(words), pcs.make_orders(len(words)))
    loop = pcs.measure_compression(np.array(words * 4), pcs.make_orders(4 * len(words)))
    assert abs(told.z) < 3
    assert loop.z < -8
    assert loop.ratio < told.ratio / 3
    assert told.enough
    short = pcs.measure_compression(np.array(["yes", "no"]), pcs.make_orders(2))
    assert short == (1.0, 0.0, False)
