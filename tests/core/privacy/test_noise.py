"""Draws against the exact probabilities, by chi-square; the seeds are for the tests alone."""

from __future__ import annotations

import math
import random
from collections import Counter
from fractions import Fraction

import pytest
from scipy.stats import chisquare

from leo_core.errors import ConfigError
from leo_core.privacy.publishing.mechanisms import DiscreteGaussian, DiscreteLaplace, Gaussian
from leo_core.privacy.publishing.noise import _happens, add_noise, draw_discrete_gaussian, draw_discrete_laplace

DRAWS = 20_000


def p_value(draws, weight):
    """Chi-square of draws against weights over the whole numbers; cells with few expected draws are put together."""
    span = range(-2000, 2001)
    weights = {k: weight(k) for k in span}
    total = math.fsum(weights.values())
    inner = [k for k in span if DRAWS * weights[k] / total >= 10]
    counts = Counter(draws)
    seen = [counts[k] for k in inner]
    expected = [len(draws) * weights[k] / total for k in inner]
    rest = len(draws) - sum(expected)
    if rest > 1:
        seen, expected = [*seen, len(draws) - sum(seen)], [*expected, rest]
    scale = sum(seen) / sum(expected)
    return chisquare(seen, [each * scale for each in expected]).pvalue


@pytest.mark.parametrize("sigma", [Fraction(1, 2), Fraction(7, 5), Fraction(10)])
def test_discrete_normal_draws_have_their_probabilities(sigma):
    below = random.Random(f"normal {sigma}").randrange
    draws = [draw_discrete_gaussian(sigma**2, below=below) for _ in range(DRAWS)]
    assert p_value(draws, lambda k: math.exp(-(k**2) / (2 * float(sigma) ** 2))) > 1e-3
    wrong = float(sigma) * 1.1
    assert p_value(draws, lambda k: math.exp(-(k**2) / (2 * wrong**2))) < 1e-6


@pytest.mark.parametrize("scale", [Fraction(1, 3), Fraction(8, 5), Fraction(12)])
def test_discrete_laplace_draws_have_their_probabilities(scale):
    below = random.Random(f"laplace {scale}").randrange
    draws = [draw_discrete_laplace(scale, below=below) for _ in range(DRAWS)]
    assert p_value(draws, lambda k: math.exp(-abs(k) / float(scale))) > 1e-3
    wrong = float(scale) * 1.1
    assert p_value(draws, lambda k: math.exp(-abs(k) / wrong)) < 1e-6


@pytest.mark.parametrize("ratio", [Fraction(0), Fraction(1, 3), Fraction(1), Fraction(5, 2)])
def test_coins_of_exponential_bias(ratio):
    below = random.Random(5).randrange
    heads = sum(_happens(ratio.numerator, ratio.denominator, below) for _ in range(DRAWS))
    chance = math.exp(-ratio)
    assert abs(heads - DRAWS * chance) <= 4 * math.sqrt(DRAWS * chance * (1 - chance))


def test_noise_is_added_to_the_figure_and_comes_from_the_system():
    for mechanism in (DiscreteGaussian(sigma=3.5), DiscreteLaplace(scale=2.5)):
        draws = [add_noise(1000, mechanism) for _ in range(200)]
        assert len(set(draws)) > 5
        assert all(isinstance(each, int) and abs(each - 1000) < 100 for each in draws)
    first, again = ([add_noise(7, DiscreteGaussian(sigma=9), below=random.Random(1).randrange)] for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("value", "mechanism"),
    [(1.5, DiscreteGaussian(sigma=1)), (True, DiscreteGaussian(sigma=1)), (1, Gaussian(sigma=1))],
)
def test_what_is_not_whole_is_refused(value, mechanism):
    with pytest.raises(ConfigError):
        add_noise(value, mechanism)
    with pytest.raises(ConfigError, match="greater than 0"):
        draw_discrete_gaussian(Fraction(0))
