"""The learned estimate: its features, and that it learns what the outcomes say."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.stages.cache.correctness import FEATURES, Correctness, read_features

COSINES = st.lists(st.floats(min_value=-1.0, max_value=1.0), min_size=1, max_size=12).map(
    lambda each: sorted(each, reverse=True)
)


@settings(max_examples=40, deadline=None)
@given(COSINES, COSINES | st.just([]), st.floats(min_value=0.0, max_value=1.0))
def test_features_are_finite_and_complete(own: list[float], others: list[float], probability: float) -> None:
    features = read_features(own, others, probability=probability, record=(3, 1))
    assert len(features) == len(FEATURES)
    assert all(math.isfinite(each) for each in features)


def test_features_by_hand() -> None:
    features = dict(zip(FEATURES, read_features([0.9, 0.8], [0.7], probability=0.75, record=(5, 2)), strict=True))
    assert features["cosine"] == 0.9
    assert features["margin"] == pytest.approx(0.2)
    assert features["votes_wide"] == pytest.approx(math.log((1.0 + math.exp(-2.0)) / math.exp(-4.0)))
    assert features["kin"] == pytest.approx(math.log(2.0))
    assert features["pair"] == pytest.approx(math.log(3.0))
    assert features["record"] == 0.25
    alone = dict(zip(FEATURES, read_features([0.9], [], probability=1.0, record=(0, 0)), strict=True))
    assert (alone["margin"], alone["votes_wide"], alone["pair"], alone["record"]) == (0.9, 5.0, 5.0, 0.0)


def sample(rng: random.Random) -> tuple[float, ...]:
    own = sorted([rng.uniform(0.5, 1.0) for _ in range(3)], reverse=True)
    return read_features(own, [rng.uniform(0.3, 0.9)], probability=rng.random(), record=(0, 0))


def test_it_learns_a_rule_and_becomes_calibrated() -> None:
    rng, model = random.Random(1), Correctness()
    truth = np.array([-1.0, 2.0, 10.0, 0.0, 0.0, 0.0, 0.5, 0.0])

    def right(features: tuple[float, ...]) -> bool:
        return rng.random() < 1.0 / (1.0 + math.exp(-float(truth @ np.array(features))))

    for _ in range(1500):
        features = sample(rng)
        model = model.learn(features, same=right(features))
    fresh = [sample(rng) for _ in range(1500)]
    outcomes = [right(features) for features in fresh]
    wrong = [model.probability_wrong(features) for features in fresh]
    assert np.mean(wrong) == pytest.approx(1.0 - np.mean(outcomes), abs=0.04)
    worst = [same for same, error in zip(outcomes, wrong, strict=True) if error > 0.3]
    best = [same for same, error in zip(outcomes, wrong, strict=True) if error < 0.05]
    assert np.mean(best) > 0.93
    assert np.mean(worst) < 0.7
    assert model.outcomes == 1500


def test_one_step_is_the_kalman_step_of_logistic_regression() -> None:
    model, features = Correctness(), sample(random.Random(2))
    x, mean, covariance = np.array(features), np.array(model.mean), np.array(model.covariance)
    predicted = 1.0 / (1.0 + math.exp(-float(mean @ x)))
    precision = np.linalg.inv(covariance) + 2.0 * predicted * (1.0 - predicted) * np.outer(x, x)
    posterior = np.linalg.inv(precision)
    learned = model.learn(features, same=False, weight=2.0)
    np.testing.assert_allclose(learned.covariance, posterior, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(learned.mean, mean + posterior @ x * 2.0 * (0.0 - predicted), rtol=1e-9)


@given(st.integers(0, 1000), st.booleans())
@settings(max_examples=50, deadline=None)
def test_an_outcome_moves_the_estimate_its_way(seed: int, same: bool) -> None:
    model, features = Correctness(), sample(random.Random(seed))
    before, after = model._height(features), model.learn(features, same=same)._height(features)
    assert (after > before) is same


def test_a_bad_record_and_a_rival_make_it_doubt() -> None:
    model = Correctness()
    good = read_features([0.95, 0.9], [0.4], probability=0.9, record=(0, 0))
    bad = read_features([0.95, 0.9], [0.4], probability=0.9, record=(4, 4))
    close = read_features([0.95, 0.9], [0.94], probability=0.9, record=(0, 0))
    assert model.probability_wrong(good) < model.probability_wrong(bad)
    assert model.probability_wrong(good) < model.probability_wrong(close)
