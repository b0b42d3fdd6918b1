"""The promotion test: fair bets, Ville's bound on simulated streams, the watch on a default."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from leo_core.errors import ConfigError
from leo_core.stages.route.config import RouteConfig
from leo_core.stages.route.promotion import (
    BETS,
    Contest,
    Decline,
    find_level,
    has_won,
    measure_utility,
    settle_paired,
    settle_single,
    start_decline,
    watch_default,
)

CONFIG = RouteConfig()
UTILITIES = st.floats(0.0, 1.0)


@st.composite
def contests(draw):
    contest = Contest()
    for one, two in draw(st.lists(st.tuples(UTILITIES, UTILITIES), max_size=12)):
        contest = settle_paired(contest, one, two, right=one > two)
    return contest


def test_a_contest_starts_with_a_capital_of_one_spread_over_the_bets() -> None:
    assert Contest().wealth == pytest.approx(1.0)
    assert len(Contest().capital) == len(BETS)
    assert max(BETS) * 2.0 < 1.0


@given(contests(), UTILITIES, UTILITIES)
def test_a_trial_that_may_as_well_go_the_other_way_leaves_the_expected_wealth(contest, one, two) -> None:
    ways = [settle_paired(contest, *pair, right=True).wealth for pair in ((one, two), (two, one))]
    assert sum(ways) / 2.0 == pytest.approx(contest.wealth)
    assert min(ways) > 0.0


@given(contests(), UTILITIES)
def test_a_coin_between_equals_leaves_the_expected_wealth(contest, utility) -> None:
    ways = [settle_single(contest, utility, challenger=side, right=True).wealth for side in (True, False)]
    assert sum(ways) / 2.0 == pytest.approx(contest.wealth)
    assert min(ways) > 0.0


@given(contests(), UTILITIES, UTILITIES, UTILITIES)
def test_a_better_answer_of_the_challenger_never_lowers_its_wealth(contest, one, two, other) -> None:
    low, high = sorted((one, two))
    worse, better = (settle_paired(contest, each, other, right=True).wealth for each in (low, high))
    assert worse <= better * (1.0 + 1e-12)


def test_equal_answers_say_nothing() -> None:
    assert settle_paired(Contest(), 0.7, 0.7, right=True).wealth == pytest.approx(1.0)


@given(st.floats(0.0, 100.0), st.booleans(), st.floats(0.0, 10.0))
def test_utility_stays_inside_its_bounds_and_falls_with_the_cost(cost, right, loss) -> None:
    config = RouteConfig(loss_usd=loss)
    utility = measure_utility(cost, config, right=right)
    assert 0.0 <= utility <= 1.0
    assert utility <= measure_utility(cost / 2.0, config, right=right)
    assert utility >= measure_utility(cost, config, right=False)


def test_utility_is_right_times_loss_less_cost_rescaled() -> None:
    config = RouteConfig(loss_usd=0.05)
    for right, cost in ((True, 0.01), (False, 0.02), (True, 0.05), (False, 0.3)):
        plain = right * 0.05 - min(cost, 0.05)
        assert measure_utility(cost, config, right=right) == pytest.approx((plain + 0.05) / 0.10)


def test_four_challengers_share_the_level() -> None:
    assert find_level(CONFIG) == pytest.approx(0.05 / 4)
    won = replace(Contest(), capital=(math.log(81.0),) * len(BETS))
    assert has_won(won, find_level(CONFIG))
    assert not has_won(replace(won, capital=(math.log(79.9),) * len(BETS)), find_level(CONFIG))


def play(contest, paired, one, two, heads):
    value = (measure_utility(0.001, CONFIG, right=False), measure_utility(0.001, CONFIG, right=True))
    if paired:
        return settle_paired(contest, value[one], value[two], right=one)
    right = one if heads else two
    return settle_single(contest, value[right], challenger=heads, right=right)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(("base", "swing"), [(0.5, 0.0), (0.9, 0.0), (0.7, 0.25)])
def test_false_promotions_stay_within_the_level_however_often_one_looks(paired, base, swing) -> None:
    source = np.random.default_rng(20)
    streams, trials, level = 200, 300, 0.05
    promoted = 0
    for _ in range(streams):
        right = source.random((trials, 3)) < (base + np.linspace(-swing, swing, trials))[:, None]
        contest = Contest()
        for one, two, _ in right.tolist():
            contest = play(contest, paired, one, two, bool(source.random() < 0.5))
            if has_won(contest, level):
                promoted += 1
                break
    assert promoted <= binom.isf(1e-4, streams, level)


@pytest.mark.parametrize("paired", [True, False])
def test_a_true_difference_is_found(paired) -> None:
    source = np.random.default_rng(21)
    contest, trials = Contest(), 0
    while not has_won(contest, find_level(CONFIG)) and trials < 3000:
        one, two = source.random(2) < (0.9, 0.6)
        contest = play(contest, paired, bool(one), bool(two), bool(source.random() < 0.5))
        trials += 1
    assert has_won(contest, find_level(CONFIG))
    assert contest.trials == trials
    assert (contest.right + contest.wrong == trials) is paired


@given(st.floats(0.01, 0.95), st.floats(0.0, 20.0), st.floats(0.1, 1e4))
def test_the_watch_bets_fairly_at_the_baseline_and_never_below_zero(baseline, weight, evidence) -> None:
    decline = Decline(baseline=baseline, evidence=evidence)
    after = [watch_default(decline, CONFIG, wrong=wrong, weight=weight).evidence for wrong in (True, False)]
    assert min(after) > 0.0
    assert baseline * after[0] + (1.0 - baseline) * after[1] == pytest.approx(max(evidence, 1.0))


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_baseline_lies_above_the_error_seen(right, wrong) -> None:
    baseline = start_decline(Contest(right=right, wrong=wrong)).baseline
    assert 0.01 <= baseline <= 0.95
    if right and wrong and wrong / (right + wrong) < 0.9:
        assert baseline > wrong / (right + wrong)


def test_a_default_that_gets_worse_is_noticed_and_one_that_does_not_hardly_ever_is() -> None:
    source = np.random.default_rng(22)
    start = start_decline(Contest(right=450, wrong=50))

    def alarms(error, outcomes):
        decline = start
        for wrong in (source.random(outcomes) < error).tolist():
            decline = watch_default(decline, CONFIG, wrong=wrong)
            if decline.evidence >= CONFIG.false_alarm_after:
                return True
        return False

    worse = sum(alarms(0.3, 400) for _ in range(50))
    # the mean number of outcomes to a false alarm is at least 2,000, and what E[M] <= n says of any n is P <= n / A
    steady = sum(alarms(start.baseline, 100) for _ in range(200))
    assert worse >= 48
    assert steady <= binom.isf(1e-4, 200, 100 / CONFIG.false_alarm_after)


@pytest.mark.parametrize(
    "settings", [{"promotion_alpha": 0.0}, {"trial_rate": 1.5}, {"decline": 1.0}, {"false_alarm_after": 0.5}]
)
def test_settings_out_of_range_are_refused(settings) -> None:
    (name,) = settings
    with pytest.raises(ConfigError, match=name):
        RouteConfig(**settings)
