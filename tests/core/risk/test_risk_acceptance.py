"""Acceptance on audited answers: exact tests, thresholds that hold, drift."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kstwobign

from leo_core.errors import ConfigError
from leo_core.records import Draft, Message, Observation, Request
from leo_core.stages.risk.acceptance import (
    AcceptanceState,
    Outcome,
    _count_allowed,
    find_accepted,
    measure_ks,
    update_acceptance,
)
from leo_core.stages.risk.answer import measure_form, score_answer
from leo_core.stages.risk.config import RiskConfig
from leo_core.stages.risk.state import RiskState, update_risk

CONFIG = RiskConfig()
SUM = "Tom has 3 boxes with 4 apples each and eats 2. How many apples are left?"
RIGHT = "3 * 4 = 12 apples. 12 - 2 = 10 apples are left. The answer is 10."


def audited(values, wrong, weights=None):
    weights = np.ones(len(values)) if weights is None else weights
    return AcceptanceState(
        outcomes=tuple(Outcome(float(v), bool(w), float(g)) for v, w, g in zip(values, wrong, weights, strict=True))
    )


def score(acceptance=None, **facts):
    request = Request(messages=(Message(role="user", content=SUM),))
    draft = Draft(member="small", model="m", message=Message(role="assistant", content=RIGHT))
    return score_answer(request, draft, config=facts.pop("config", CONFIG), acceptance=acceptance, **facts)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("level", [0.0125, 0.1])
def test_critical_numbers_are_those_of_the_binomial_law(share, level):
    allowed = _count_allowed(share, level, 300)
    for count in range(301):
        tails = binom.cdf(np.arange(-1, count + 1), count, share)
        assert allowed[count] == np.flatnonzero(tails <= level)[-1] - 1


def test_nothing_is_decided_before_flawless_answers_would_pass():
    needed = math.ceil(math.log(0.05 / 4) / math.log(0.95))
    few = audited(np.linspace(0, 0.01, needed - 1), np.zeros(needed - 1))
    assert find_accepted(few, 0.05, CONFIG) == (0.05, "shipped")
    enough = audited(np.linspace(0, 0.01, needed), np.zeros(needed))
    assert find_accepted(enough, 0.05, CONFIG) == (0.01, "audited")
    assert find_accepted(audited(np.linspace(0, 0.01, needed), np.ones(needed)), 0.05, CONFIG) == (-1.0, "audited")


@pytest.mark.parametrize("max_error", [0.0, 1.0])
def test_errors_that_cannot_be_tested_are_left_to_the_shipped_model(max_error):
    assert find_accepted(audited(np.zeros(500), np.zeros(500)), max_error, CONFIG) == (max_error, "shipped")


def test_the_threshold_keeps_its_promise_and_is_of_use():
    """Scores that are calibrated, scores that are too bold, and scores that say nothing: 300 draws of each."""
    random = np.random.default_rng(3)
    for stretch, least in ((1.0, 0.3), (4.0, 0.0), (0.25, 0.3)):
        broken, shares = 0, []
        for _ in range(300):
            true = random.beta(0.4, 2.5, size=500)
            scores = np.clip(true / stretch, 0, 1)
            state = audited(scores, random.random(500) < true)
            threshold, _basis = find_accepted(state, 0.1, CONFIG)
            fresh = random.beta(0.4, 2.5, size=20_000)
            inside = np.clip(fresh / stretch, 0, 1) <= threshold
            shares.append(inside.mean())
            broken += bool(inside.any()) and fresh[inside].mean() > 0.1
        assert broken <= 0.05 * 300 + 2 * math.sqrt(300 * 0.05 * 0.95)
        assert np.mean(shares) >= least


def find_slowly(values, wrong, max_error, confidence):
    """The definition, for audits of equal weight: four starts, every threshold, until the first that fails."""
    order = np.argsort(values, kind="stable")
    values, wrong = np.array(values)[order], np.array(wrong)[order]
    level, last = (1 - confidence) / 4, len(values) - 1
    first = next((n for n in range(last + 1) if binom.cdf(0, n + 1, max_error) <= level), None)
    if first is None:
        return None
    best = -1.0
    for start in [first + (last - first) * each // 4 for each in range(4)]:
        for threshold in np.unique(values[start:]):
            inside = values <= threshold
            if binom.cdf(wrong[inside].sum(), inside.sum(), max_error) > level:
                break
            best = max(best, threshold)
    return best


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 100), st.sampled_from([0.1, 0.3]), st.floats(0.5, 6))
def test_the_threshold_is_that_of_the_definition(seed, count, max_error, shape):
    random = np.random.default_rng(seed)
    values = random.integers(0, 60, size=count) / 60
    wrong = random.random(count) < values**shape * random.random()
    threshold, basis = find_accepted(audited(values, wrong), max_error, CONFIG)
    slow = find_slowly(values, wrong, max_error, CONFIG.accept_confidence)
    assert (threshold, basis) == ((max_error, "shipped") if slow is None else (pytest.approx(slow), "audited"))


def test_equal_scores_are_accepted_together_or_not_at_all():
    wrong = np.zeros(400)
    wrong[200:] = 1
    assert find_accepted(audited(np.full(400, 0.02), wrong), 0.05, CONFIG) == (-1.0, "audited")
    assert find_accepted(audited(np.full(400, 0.02), np.zeros(400)), 0.05, CONFIG) == (0.02, "audited")


def test_weights_count_like_so_many_equal_audits_and_never_for_more():
    values, wrong = np.linspace(0, 0.4, 400), np.random.default_rng(0).random(400) < np.linspace(0, 0.2, 400)
    plain = find_accepted(audited(values, wrong), 0.1, CONFIG)
    assert find_accepted(audited(values, wrong, np.full(400, 7.0)), 0.1, CONFIG) == plain
    heavy = np.ones(400)
    heavy[::50] = 10.0
    assert find_accepted(audited(values, np.zeros(400), heavy), 0.02, CONFIG)[1] == "shipped", "as good as 187 audits"
    assert find_accepted(audited(values, np.zeros(400)), 0.02, CONFIG)[1] == "audited"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_kolmogorov_smirnov_is_by_definition_and_by_scipys_law(first, second):
    distance, chance = measure_ks(first, second)
    places = np.unique([*first, *second])
    shares = [[np.mean(np.array(sample) <= place) for place in places] for sample in (first, second)]
    assert distance == pytest.approx(np.abs(np.subtract(*shares)).max(), abs=1e-12)
    scaled = distance * math.sqrt(len(first) * len(second) / (len(first) + len(second)))
    assert chance == pytest.approx(kstwobign.sf(scaled), abs=1e-6)


def outcome(risk, **facts):
    return {"route": "consensus", "region": 1, "right": None, "risk" if "audited" in facts else "form": risk} | facts


def test_audits_and_scores_are_kept_apart_and_no_longer_than_said():
    config = RiskConfig(outcomes_kept=3, drift_window=20)
    state = AcceptanceState.fresh()
    for number in range(5):
        state = update_acceptance(state, outcome(0.1 * number, audited=True, right=number % 2 == 0), config)
    assert [each.value for each in state.outcomes] == pytest.approx([0.2, 0.3, 0.4])
    assert [each.wrong for each in state.outcomes] == [False, True, False]
    assert not state.reference
    assert update_acceptance(state, {"route": "small", "right": True}, config) is state
    assert update_acceptance(state, outcome(0.1, audited=True), config) is state
    assert update_acceptance(state, outcome(0.1, audited=True, right=True, weight=0.0), config) is state


def test_a_change_of_traffic_sounds_the_alarm_and_makes_acceptance_careful():
    random = np.random.default_rng(1)
    state = audited(np.linspace(0, 0.2, 400), np.zeros(400))
    for value in random.beta(1, 9, size=2000):
        state = update_acceptance(state, outcome(float(value)), CONFIG)
    assert state.alarms == 0
    assert find_accepted(state, 0.1, CONFIG)[1] == "audited"
    for value in random.beta(3, 5, size=200):
        state = update_acceptance(state, outcome(float(value)), CONFIG)
    assert state.alarms == 1
    assert not state.outcomes
    assert find_accepted(state, 0.1, CONFIG) == (0.1, "conservative")
    careful = score(state, max_error=score().value + 1e-6)
    assert (score(max_error=score().value + 1e-6).action, careful.action) == ("accept", "escalate")
    assert careful.basis == "conservative"
    for value in random.beta(3, 5, size=2000):
        state = update_acceptance(state, outcome(float(value)), CONFIG)
    assert state.alarms == 1, "the new traffic is what later scores are compared with"


def test_false_alarms_are_as_rare_as_said():
    random, alarms = np.random.default_rng(5), 0
    config = RiskConfig(drift_level=0.05, drift_window=50)
    for _ in range(400):
        state = AcceptanceState.fresh()
        for value in random.random(100):
            state = update_acceptance(state, outcome(float(value)), config)
        alarms += state.alarms
    assert alarms <= 0.05 * 400 + 2 * math.sqrt(400 * 0.05 * 0.95)


def test_what_is_learned_about_members_is_no_change_of_traffic():
    unknown, known = score(), score(trust=0.99)
    assert known.value < unknown.value
    assert measure_form(known) == pytest.approx(measure_form(unknown))


def test_audits_loosen_and_tighten_what_is_accepted():
    value = score().value
    good = audited(np.full(400, value), np.zeros(400))
    bad = audited(np.full(400, value), np.ones(400))
    assert score(max_error=value / 2).action == "escalate"
    loosened = score(good, max_error=value / 2)
    assert (loosened.action, loosened.accepted, loosened.basis) == ("accept", value, "audited")
    tightened = score(bad, max_error=0.5)
    assert (tightened.action, tightened.accepted, tightened.basis) == ("escalate", 0.0, "audited")


def test_the_state_folds_audits_of_every_route():
    state = RiskState.fresh()
    for body in (outcome(0.3), outcome(0.3, audited=True, right=False, route="large")):
        state = update_risk(state, Observation(kind="route", tenant="t", body=body, at=0.0), CONFIG)
    assert state.acceptance.reference == (0.3,)
    assert state.acceptance.outcomes == (Outcome(0.3, wrong=True),)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("accept_confidence", 1.0), ("drift_level", 0.0), ("outcomes_kept", 0), ("drift_window", 19)],
)
def test_settings_out_of_range_are_refused(setting, value):
    with pytest.raises(ConfigError, match=setting):
        RiskConfig(**{setting: value})
