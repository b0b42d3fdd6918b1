"""The benchmark of promotion: its fields, its peers, and that a seed gives the same figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import beta
from typer.testing import CliRunner

from leo_core.cli.app import app
from leo_core.evaluation.metrics import clopper_pearson
from leo_core.evaluation.promotion_bench import PromotionSettings, Stream, _count_naive, _find_fixed, run_promotion

SMALL = PromotionSettings(streams=6, trials=60, seed=4)


@pytest.mark.parametrize(("successes", "trials"), [(0, 40), (1, 40), (13, 40), (40, 40), (19, 1000)])
def test_the_exact_interval_is_that_of_the_beta_quantiles(successes, trials):
    low, high = clopper_pearson(successes, trials)
    assert low == pytest.approx(beta.ppf(0.025, successes, trials - successes + 1) if successes else 0.0, abs=1e-9)
    assert high == pytest.approx(
        beta.ppf(0.975, successes + 1, trials - successes) if successes < trials else 1.0, abs=1e-9
    )


def test_counts_that_make_no_proportion_are_refused():
    with pytest.raises(ValueError, match="no proportion"):
        clopper_pearson(3, 2)


def test_a_seed_gives_the_same_figures_and_every_kind_of_stream_is_there():
    result = run_promotion(SMALL)
    assert run_promotion(SMALL) == result
    assert result["simulated"] is True
    assert {(row["base"], row["paired"], row["drift"]) for row in result["nulls"]} == {
        (base, paired, drift)
        for paired in (True, False)
        for base, drift in ((0.5, False), (0.8, False), (0.95, False), (0.7, True))
    }
    assert all(row["false"] <= SMALL.streams for row in result["nulls"])
    assert [row["paired"] for row in result["gains"]] == [True, False]
    assert result["declines"]["baseline"] > result["declines"]["error"]


def test_a_difference_that_is_not_found_in_time_is_said_not_to_be_found():
    row = run_promotion(SMALL)["gains"][0]
    assert (row["median"] is None) == (row["found"] <= SMALL.streams / 2)


def test_the_timeline_rises_and_ends_where_streams_are_no_longer_found():
    for row in run_promotion(PromotionSettings(streams=20, trials=150, gain=0.15, seed=4))["gains"]:
        known = [trial for trial in row["timeline"] if trial is not None]
        assert len(row["timeline"]) == 20
        assert known == sorted(known)
        assert row["timeline"][: len(known)] == known
        assert len(known) == row["found"]


def test_the_naive_test_promotes_what_is_plainly_better_and_not_what_is_plainly_worse():
    heads = np.tile([True, False], 50)
    right, wrong = np.ones(100, bool), np.zeros(100, bool)
    right[::7], wrong[::7] = False, True
    for paired in (True, False):
        stream = Stream(base=0.5, paired=paired)
        assert _count_naive(stream, (wrong, right, heads), 0.05)
        assert not _count_naive(stream, (right, wrong, heads), 0.05)


def test_one_look_needs_fewer_trials_where_both_are_shown():
    paired, single = (_find_fixed(Stream(base=0.8, gain=0.05, paired=each), 0.0125, 0.9) for each in (True, False))
    assert 0 < paired < single


def test_the_command_prints_what_it_simulated():
    words = ["bench", "promotion", "--streams", "3", "--trials", "40"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0
    assert "simulated: 3 streams of 40 trials" in " ".join(shown.stdout.split())
    facts = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert facts["benchmark"] == "promotion"
