"""The accountings against Google's dp-accounting, against sums over all outcomes, and against their own definitions."""

from __future__ import annotations

import math
from itertools import pairwise

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld import PLDAccountant
from dp_accounting.pld.privacy_loss_distribution import (
    from_discrete_gaussian_mechanism,
    from_discrete_laplace_mechanism,
)
from dp_accounting.rdp import RdpAccountant
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.privacy.publishing.composition import (
    compose,
    find_sigma,
    gaussian_delta,
    gaussian_epsilon,
    renyi_epsilon,
    zcdp_epsilon,
)
from leo_core.privacy.publishing.mechanisms import DiscreteGaussian, DiscreteLaplace, Gaussian, Laplace, read_mechanism

ORDERS = [1 + 2.0**power for power in np.arange(-10, 14, 0.05)]


def within_one_percent(ours, theirs):
    assert ours == pytest.approx(theirs, rel=0.01, abs=1e-9)


@pytest.mark.parametrize("sigma", [2.0, 4.0, 10.0, 20.0])
@pytest.mark.parametrize("count", [1, 10, 100, 1000])
def test_normal_noise_agrees_with_dp_accounting(sigma, count):
    event = dp_accounting.SelfComposedDpEvent(dp_accounting.GaussianDpEvent(sigma), count)
    rdp = RdpAccountant(orders=ORDERS).compose(event)
    composed = dp_accounting.GaussianDpEvent(sigma / math.sqrt(count))
    releases = [(Gaussian(sigma=3 * sigma, sensitivity=3.0), count)]
    coarse = zcdp_epsilon(count / (2 * sigma**2), 1e-9) / 20_000  # its grid, so that it does not take minutes
    pld = PLDAccountant(value_discretization_interval=coarse).compose(composed)
    for delta in (1e-5, 1e-7, 1e-9):
        within_one_percent(compose(releases, delta, "rdp").epsilon, rdp.get_epsilon(delta))
        exact = compose(releases, delta)
        assert exact.by == "exact"
        within_one_percent(exact.epsilon, pld.get_epsilon(delta))


@pytest.mark.parametrize(("scale", "count"), [(1.0, 1), (5.0, 10), (50.0, 1000), (20.0, 20)])
def test_laplace_noise_agrees_with_dp_accounting(scale, count):
    event = dp_accounting.SelfComposedDpEvent(dp_accounting.LaplaceDpEvent(scale), count)
    theirs = RdpAccountant(orders=ORDERS).compose(event).get_epsilon(1e-6)
    ours = compose([(Laplace(scale=scale), count)], 1e-6, "rdp").epsilon
    within_one_percent(ours, theirs)
    assert compose([(Laplace(scale=scale), count)], 1e-6).epsilon <= count / scale * (1 + 1e-12)


@pytest.mark.parametrize("sigma", [5.0, 30.0])
@pytest.mark.parametrize("scale", [10.0, 60.0])
@pytest.mark.parametrize("counts", [(1, 1), (20, 5), (100, 50)])
def test_mixed_noise_agrees_with_dp_accounting(sigma, scale, counts):
    normal, laplace = counts
    rdp = RdpAccountant(orders=ORDERS)
    rdp.compose(dp_accounting.GaussianDpEvent(sigma), normal).compose(dp_accounting.LaplaceDpEvent(scale), laplace)
    releases = [(Gaussian(sigma=sigma), normal), (Laplace(scale=2 * scale, sensitivity=2.0), laplace)]
    for delta in (1e-5, 1e-9):
        within_one_percent(compose(releases, delta, "rdp").epsilon, rdp.get_epsilon(delta))
        assert compose(releases, delta).epsilon <= compose(releases, delta, "rdp").epsilon * (1 + 1e-12)


@pytest.mark.parametrize(("sigma", "count"), [(4.0, 1), (10.0, 20), (20.0, 100)])
def test_discrete_normal_noise_is_charged_like_normal_noise_and_never_too_little(sigma, count):
    """Its Rényi bounds are those of normal noise; dp-accounting's own distribution of its loss lies a little below."""
    event = dp_accounting.SelfComposedDpEvent(dp_accounting.GaussianDpEvent(sigma), count)
    theirs = RdpAccountant(orders=ORDERS).compose(event)
    loss = from_discrete_gaussian_mechanism(sigma, pessimistic_estimate=False).self_compose(count)
    for delta in (1e-5, 1e-7):
        ours = compose([(DiscreteGaussian(sigma=sigma), count)], delta).epsilon
        within_one_percent(ours, theirs.get_epsilon(delta))
        assert loss.get_epsilon_for_delta(delta) <= ours <= 1.12 * loss.get_epsilon_for_delta(delta)


@pytest.mark.parametrize(("scale", "count"), [(5.0, 1), (20.0, 10), (50.0, 100)])
def test_discrete_laplace_noise_is_never_charged_too_little(scale, count):
    loss = from_discrete_laplace_mechanism(1 / scale, pessimistic_estimate=False).self_compose(count)
    for delta in (1e-5, 1e-7):
        ours = compose([(DiscreteLaplace(scale=scale), count)], delta).epsilon
        exact = loss.get_epsilon_for_delta(delta)
        assert exact * (1 - 1e-6) <= ours <= 1.12 * exact


def test_the_figures_that_the_accountant_was_chosen_for():
    """Printed before any of this was written, by another implementation: zCDP, RDP and exact at δ = 1e-5."""
    printed = {(4, 1): (1.23, 1.01, 0.93), (10, 100): (5.30, 4.73, 4.38), (20, 1000): (8.84, 8.08, 7.51)}
    for (sigma, count), figures in printed.items():
        found = [compose([(Gaussian(sigma=sigma), count)], 1e-5, way).epsilon for way in ("zcdp", "rdp", "tightest")]
        assert [round(each, 2) for each in found] == list(figures)


def sum_over_outcomes(mass, order, shift, reach=4000):
    """Rényi divergence from its definition, over all whole numbers that matter."""
    total = sum(mass(k) ** order * mass(k - shift) ** (1 - order) for k in range(-reach, reach + 1))
    return math.log(total) / (order - 1)


@pytest.mark.parametrize("scale", [0.7, 3.0, 20.0])
@pytest.mark.parametrize("shift", [1, 2, 7])
@pytest.mark.parametrize("order", [1.1, 2.0, 5.5])
def test_discrete_laplace_has_the_divergence_of_its_definition(scale, shift, order):
    q = math.exp(-1 / scale)
    reach = min(1500, int(600 * scale / order / 2))
    expected = sum_over_outcomes(lambda k: (1 - q) / (1 + q) * q ** abs(k), order, shift, reach)
    found = DiscreteLaplace(scale=scale, sensitivity=shift).renyi(order)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("scale", "order"), [(1.0, 2.0), (2.0, 1.5), (5.0, 8.0)])
def test_laplace_has_the_divergence_of_its_definition(scale, order):
    from scipy.integrate import quad

    def power(x):
        return math.exp(-order * abs(x) / scale - (1 - order) * abs(x - 1) / scale) / (2 * scale)

    total = sum(quad(power, *ends)[0] for ends in ((-np.inf, 0), (0, 1), (1, np.inf)))
    assert Laplace(scale=scale).renyi(order) == pytest.approx(math.log(total) / (order - 1), rel=1e-7)


@pytest.mark.parametrize(("sigma", "shift", "order"), [(1.0, 1, 2.0), (3.0, 2, 5.0), (0.6, 1, 1.5)])
def test_discrete_normal_noise_is_bounded_by_what_it_is_charged(sigma, shift, order):
    weights = {k: math.exp(-k * k / (2 * sigma * sigma)) for k in range(-60, 61)}
    total = sum(weights.values())
    found = sum_over_outcomes(lambda k: weights.get(k, 0.0) / total or 1e-300, order, shift, 25)
    assert found <= DiscreteGaussian(sigma=sigma, sensitivity=shift).renyi(order) * (1 + 1e-9)


@pytest.mark.parametrize(("sigma", "shift", "delta"), [(2.0, 1, 1e-5), (5.0, 3, 1e-6), (1.0, 1, 1e-4)])
def test_what_discrete_normal_noise_is_charged_holds_outcome_by_outcome(sigma, shift, delta):
    """δ(ε) summed over all outcomes (Balle and Wang 2018, Theorem 5) is at most the δ that ε was asked at."""
    span = range(-200, 201)
    weights = np.array([math.exp(-k * k / (2 * sigma * sigma)) for k in span])
    one = weights / weights.sum()
    two = np.roll(one, shift)
    for releases in (1, 2):
        p, q = (one, two) if releases == 1 else (np.outer(one, one).ravel(), np.outer(two, two).ravel())
        epsilon = compose([(DiscreteGaussian(sigma=sigma, sensitivity=shift), releases)], delta).epsilon
        assert np.maximum(p - math.exp(epsilon) * q, 0).sum() <= delta


@given(st.floats(0.01, 20.0), st.floats(1e-9, 0.3))
def test_exact_epsilon_is_the_root_of_its_equation(mu, delta):
    epsilon = gaussian_epsilon(mu, delta)
    assert gaussian_delta(epsilon, mu) <= delta
    if epsilon:
        assert gaussian_delta(epsilon * (1 - 1e-6), mu) > delta * (1 - 1e-12)
    else:
        assert gaussian_delta(0.0, mu) <= delta


@given(st.floats(0.5, 100.0), st.integers(1, 500), st.floats(1e-10, 1e-3))
def test_the_accountings_are_in_their_order(sigma, count, delta):
    releases = [(Gaussian(sigma=sigma), count)]
    exact, rdp, zcdp = (compose(releases, delta, way).epsilon for way in ("tightest", "rdp", "zcdp"))
    assert exact <= rdp * (1 + 1e-9)
    assert rdp <= zcdp * (1 + 1e-9)


@given(
    st.lists(st.tuples(st.sampled_from(["gaussian", "laplace", "discrete_laplace"]), st.integers(2, 60)), max_size=5)
)
def test_more_releases_never_cost_less(kinds):
    made = [(read_mechanism(kind, float(noise), 1.0), 1) for kind, noise in kinds]
    costs = [compose(made[:count], 1e-6).epsilon for count in range(len(made) + 1)]
    assert costs[0] == 0.0
    assert all(one <= two * (1 + 1e-9) for one, two in pairwise(costs))


def test_mixed_releases_take_the_smallest_bound():
    mostly_normal = [(Gaussian(sigma=5), 10), (Laplace(scale=1e6), 1)]
    assert compose(mostly_normal, 1e-6).by == "mixed"
    assert compose([(Gaussian(sigma=50), 1), (Laplace(scale=20), 60)], 1e-6).by == "rdp"
    assert compose([(DiscreteGaussian(sigma=5), 1)], 1e-6).by == "rdp"
    assert compose([(Laplace(scale=10), 1)], 1e-9).by == "pure"
    assert compose([(Gaussian(sigma=5), 1)], 1e-13).by == "rdp"
    assert compose([], 1e-6).epsilon == 0.0


def test_find_sigma_is_the_smallest():
    for epsilon, count in ((0.5, 1), (1.0, 4), (8.0, 2)):
        sigma = find_sigma(epsilon, 1e-6, sensitivity=5.0, count=count)
        assert compose([(DiscreteGaussian(sigma=sigma, sensitivity=5.0), count)], 1e-6).epsilon <= epsilon
        less = DiscreteGaussian(sigma=sigma * 0.999, sensitivity=5.0)
        assert compose([(less, count)], 1e-6).epsilon > epsilon


def test_renyi_epsilon_holds_at_every_order_and_zcdp_is_its_formula():
    assert renyi_epsilon(lambda _: 0.0, 1e-6) == 0.0
    assert zcdp_epsilon(0.5, math.exp(-8)) == pytest.approx(0.5 + 2 * 2.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Gaussian(sigma=0.0), "sigma is 0.0"),
        (lambda: Gaussian(sigma=1.0, sensitivity=-1.0), "sensitivity is -1.0"),
        (lambda: Laplace(scale=math.inf), "scale is inf"),
        (lambda: Laplace(scale="1"), "scale is '1'"),
        (lambda: DiscreteLaplace(scale=1.0, sensitivity=1.5), "whole number"),
        (lambda: read_mechanism("cauchy", 1.0, 1.0), "no mechanism 'cauchy'"),
        (lambda: compose([], 1.0), "delta is 1.0"),
        (lambda: compose([(Gaussian(sigma=1.0), 1)], 0.1, "basic"), "accounting is 'basic'"),
        (lambda: find_sigma(0.0, 1e-6), "epsilon is 0.0"),
    ],
)
def test_bad_input_is_refused(make, words):
    with pytest.raises(ConfigError, match=words):
        make()
