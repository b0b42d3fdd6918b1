"""The bound on wrong hits holds at all times, whoever chooses the hits, and agrees with its definition."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.stages.cache.evidence import NO_CHARGE, RATES, charge_of, most_wrong_hits

RATE = st.floats(min_value=0.05, max_value=0.99)


def add(*charges: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sum(parts) for parts in zip(NO_CHARGE, *charges, strict=True))


def wealth(charges: tuple[int, ...], least_rate: float, wrong: float) -> float:
    """The mixture by its definition, term by term."""
    weights = [1.0 / (1.0 + ((step - 8) / 2) ** 2) for step in range(len(NO_CHARGE))]
    total = 0.0
    for step, (weight, charge) in enumerate(zip(weights, charges, strict=True)):
        factor = 0.75 * 4.0 / 1.5**step
        if factor <= -math.log1p(-least_rate) + 1e-9:
            total += weight / sum(weights) * math.exp(factor * wrong - charge / 1e6)
    return total


@given(RATE)
@settings(max_examples=40, deadline=None)
def test_every_factor_is_fair(rate: float) -> None:
    """E[factor of a wrong hit] = 1: served with 1 − π it multiplies by e^λ, caught with π by e^−charge."""
    for step, charge in enumerate(charge_of(rate)):
        factor = 0.75 * 4.0 / 1.5**step
        if factor <= -math.log1p(-rate):
            mean = (1.0 - rate) * math.exp(factor) + rate * math.exp(-charge / 1e6)
            assert mean == pytest.approx(1.0, abs=1e-5)
            assert mean <= 1.0 + 1e-12


@given(st.lists(RATE, max_size=8), st.sampled_from([0.8, 0.95, 0.999]))
@settings(max_examples=60, deadline=None)
def test_the_bound_is_where_the_mixture_reaches_the_level(rates: list[float], confidence: float) -> None:
    least, charges = min(rates, default=0.5), add(*(charge_of(rate) for rate in rates))
    bound = most_wrong_hits(charges, least, confidence)
    assert wealth(charges, least, bound) == pytest.approx(1.0 / (1.0 - confidence), rel=1e-5)


@given(st.lists(RATE, max_size=6), RATE)
@settings(max_examples=60, deadline=None)
def test_the_bound_grows_with_what_was_caught_and_with_the_confidence(rates: list[float], more: float) -> None:
    least, charges = min([*rates, more]), add(*(charge_of(rate) for rate in rates))
    bound = most_wrong_hits(charges, least, 0.95)
    assert most_wrong_hits(add(charges, charge_of(more)), least, 0.95) >= bound
    assert most_wrong_hits(charges, least, 0.99) > bound
    assert most_wrong_hits(charges, least / 2, 0.95) >= bound - 1e-9


def test_nothing_is_known_below_the_grid() -> None:
    assert most_wrong_hits(NO_CHARGE, 1e-9, 0.95) == math.inf
    assert 0.0 < most_wrong_hits(NO_CHARGE, 1.0, 0.5) < 2.0
    assert all(one > two for one, two in pairwise(RATES))


def test_it_is_near_the_unbiased_estimate_when_much_was_caught() -> None:
    """A thousand caught at π = 1/2 mean a thousand served; the bound lies above by a few deviations (√2000 = 45)."""
    bound = most_wrong_hits(tuple(1000 * each for each in charge_of(0.5)), 0.5, 0.95)
    assert 1000.0 < bound < 1000.0 + 5 * math.sqrt(2000.0)


def adversary(run: random.Random, kind: str, wrong: int, caught: int, at: int) -> float:
    """An exploring rate for the next wrong hit, chosen by one who sees everything so far."""
    if kind == "steady":
        return 0.2
    if kind == "falling":
        return max(0.05, 1.0 / (1.0 + 0.02 * at))
    if kind == "after luck":
        return 0.1 if wrong > 6 * (caught + 1) else 0.6
    return run.choice([0.1, 0.3, 0.9])


def count_escapes(kind: str, runs: int, share: float = 1.0) -> int:
    """Runs in which the wrong hits ever exceed a share of the bound at confidence 0.8; only wrong hits are offered."""
    escaped = 0
    for seed in range(runs):
        run = random.Random(seed)
        charges, least, wrong, caught = NO_CHARGE, 1.0, 0, 0
        for at in range(60):
            rate = adversary(run, kind, wrong, caught, at)
            least = min(least, rate)
            if run.random() < rate:
                caught, charges = caught + 1, add(charges, charge_of(rate))
            else:
                wrong += 1
            if wrong > share * most_wrong_hits(charges, least, 0.8):
                escaped += 1
                break
    return escaped


@pytest.mark.parametrize("kind", ["steady", "falling", "after luck", "mixed"])
def test_the_bound_holds_at_all_times_against_adversaries(kind: str) -> None:
    """The rates are chosen from the past; at most 20 % of the runs may escape, give or take two deviations."""
    assert count_escapes(kind, 100) <= 0.2 * 100 + 2.0 * math.sqrt(0.2 * 0.8 * 100)


def test_a_bound_half_as_large_would_not_hold() -> None:
    assert count_escapes("steady", 60, share=0.5) > 0.2 * 60 + 2.0 * math.sqrt(0.2 * 0.8 * 60)
