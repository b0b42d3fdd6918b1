"""An alarm when members begin to answer differently, and a trial of their records."""

from __future__ import annotations

from itertools import combinations
from math import lgamma, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.records import Observation, Route
from leo_core.stages.consensus.audit import AuditState, find_audit_chance
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.consensus.observations import observe_audit
from leo_core.stages.consensus.trust import TrustState, count_audits, estimate, estimate_in_dispute, update_trust
from leo_core.stages.consensus.watch import (
    ALARM,
    AUDITS_AHEAD,
    LEAST,
    REPLACED,
    TRIAL,
    WINDOW,
    PairWatch,
    Watch,
    count_audit,
    lowers,
    watch_outcome,
    watch_votes,
)
from leo_core.stages.route.observations import observe_route

CONFIG = ConsensusConfig()
MEMBERS = ("a", "b", "c", "d", "e")
PRIOR = (CONFIG.prior_right, CONFIG.prior_wrong)


def vote(classes: dict[str, int]) -> Observation:
    return observe_route(tenant="t", at=0.0, route=Route.CONSENSUS, region=-1, right=None, classes=classes)


def judge(member: str, *, right: bool, valid: bool = True) -> Observation:
    return observe_audit(member=member, region=-1, agreement=float(right), valid=valid, tenant="t", at=0.0)


def audited() -> Observation:
    return observe_route(tenant="t", at=0.0, route=Route.CONSENSUS, region=-1, right=True, audited=True)


def answer(random: np.random.Generator, *, asleep: bool = True) -> dict[str, int]:
    """Right answers have class 0; a and b agree on a wrong one once they are awake."""
    found = {member: 0 if random.random() < 0.7 else int(random.integers(1, 6)) for member in MEMBERS}
    return found if asleep else found | {"a": 9, "b": 9}


def fold(state: TrustState, *observations: Observation) -> TrustState:
    for each in observations:
        state = update_trust(state, each, CONFIG)
    return state


def find_deviation(history: list[bool]) -> float | None:
    before, recent = history[:-WINDOW], history[-WINDOW:]
    if len(before) < LEAST:
        return None
    share = (sum(before) + 0.5) / (len(before) + 1.0)
    variance = share * (1 - share) * (1 / WINDOW + 1 / len(before)) + 1e-4
    return float((np.mean(recent) - share) / np.sqrt(variance))


@given(st.lists(st.booleans(), max_size=120))
def test_a_pair_is_compared_with_its_own_past(history: list[bool]) -> None:
    pair = PairWatch()
    for agrees in history:
        pair = pair.add(agrees)
    expected = find_deviation(history)
    assert pair.deviation() == (None if expected is None else pytest.approx(expected))
    assert pair.agreed + sum(pair.recent) == sum(history)
    assert len(pair.recent) == min(len(history), WINDOW)


@pytest.mark.parametrize("votes", [LEAST + WINDOW - 1, LEAST + WINDOW, LEAST + WINDOW + 1, 3 * (LEAST + WINDOW)])
def test_a_pair_needs_enough_votes_before_the_window(votes: int) -> None:
    pair, history = PairWatch(), [number % 3 == 0 for number in range(votes)]
    for agrees in history:
        pair = pair.add(agrees)
    expected = find_deviation(history)
    assert (expected is None) == (votes < LEAST + WINDOW)
    assert pair.deviation() == (None if expected is None else pytest.approx(expected))


@settings(max_examples=25)
@given(st.integers(0, 1000))
def test_members_that_wake_set_off_an_alarm_within_a_window(seed: int) -> None:
    random, watch = np.random.default_rng(seed), Watch()
    for _ in range(500):
        watch = watch_votes(watch, answer(random), {})
        if min((pair.votes for pair in watch.pairs.values()), default=0) >= 2 * LEAST:  # after a false alarm, too
            break
    alarms = watch.alarms
    for _ in range(WINDOW):
        watch = watch_votes(watch, answer(random, asleep=False), {})
    assert watch.alarms > alarms
    assert set(watch.trial or ()) == set(MEMBERS)


def test_false_alarms_are_rare_on_steady_committees() -> None:
    alarms = 0
    for seed in range(20):
        random, watch = np.random.default_rng(seed), Watch()
        for _ in range(800):
            watch = watch_votes(watch, answer(random), {})
        alarms += watch.alarms
    assert alarms <= 4


def test_the_alarm_is_that_of_wilson_and_hilferty() -> None:
    """The first vote at which some member's χ² is out is the first alarm, computed from the whole history."""
    random, watch = np.random.default_rng(3), Watch()
    histories: dict[tuple[str, str], list[bool]] = {pair: [] for pair in combinations(MEMBERS, 2)}
    for number in range(200):
        classes = answer(random, asleep=number < 80)
        for (one, two), history in histories.items():
            history.append(classes[one] == classes[two])
        watch = watch_votes(watch, classes, {})
        scores = []
        for member in MEMBERS:
            squares = [(find_deviation(each) or 0.0) ** 2 for pair, each in histories.items() if member in pair]
            spread = 2.0 / (9.0 * len(squares))
            scores.append(((sum(squares) / len(squares)) ** (1 / 3) - 1 + spread) / spread**0.5)
        assert (watch.alarms > 0) == (max(scores) > ALARM)
        if watch.alarms:
            return
    pytest.fail("no alarm")


def wake(seed: int = 0) -> TrustState:
    """Members with a good record, and an alarm."""
    random, state = np.random.default_rng(seed), TrustState.fresh()
    for number in range(100):
        state = fold(state, vote(answer(random)))
        if number % 3 == 0:
            state = fold(state, *(judge(member, right=number % 12 != 0) for member in MEMBERS), audited())
    for _ in range(WINDOW):
        state = fold(state, vote(answer(random, asleep=False)))
        if state.watch.alarms:
            return state
    pytest.fail("no alarm")


def test_on_alarm_nothing_is_believed_but_audits_are_drawn_ahead_and_members_count_as_unknown() -> None:
    state = wake()
    assert estimate(state, "a", -1, CONFIG).mean > 0.7
    assert [count_audits(state, member) for member in MEMBERS] == [0.0] * 5
    assert state.watch.ahead == AUDITS_AHEAD
    calm = AuditState(requests=800, audits=40)
    assert find_audit_chance(calm, 0.05, None, [30.0], CONFIG) == 0.0
    assert find_audit_chance(calm, 0.05, None, [0.0], CONFIG, alarm=state.watch.ahead) == pytest.approx(0.8)
    for number in range(1, TRIAL + 1):
        state = fold(state, judge("c", right=True), audited())
        assert state.watch.ahead == max(AUDITS_AHEAD - number, 0)
    assert state.watch.trial is None
    assert count_audits(state, "c") > AUDITS_AHEAD


def test_a_member_that_turned_bad_loses_its_record_in_a_few_audits_and_others_keep_theirs() -> None:
    state = wake()
    before = {member: estimate(state, member, -1, CONFIG).mean for member in MEMBERS}
    for _ in range(4):
        state = fold(state, judge("a", right=False), judge("c", right=True), audited())
        if "a" in state.watch.replaced:
            break
    assert estimate(state, "a", -1, CONFIG).mean < 0.5 < before["a"]
    assert estimate_in_dispute(state, "a", -1, CONFIG).mean < 0.5
    assert estimate(state, "c", -1, CONFIG).mean >= before["c"]
    assert state.watch.replaced == {"a"}


def test_the_record_falls_at_the_stated_bayes_factor() -> None:
    def log_beta(a: float, b: float) -> float:
        return lgamma(a) + lgamma(b) - lgamma(a + b)

    watch = Watch(trial={"a": (30.0, 10.0, 0.0, 0.0)})
    for bad in range(1, 6):
        watch = watch_outcome(watch, "a", 0.0, PRIOR)
        right, wrong = 30.0 + PRIOR[0], 10.0 + PRIOR[1]
        factor = log_beta(1, 1 + bad) - log_beta(1, 1) - log_beta(right, wrong + bad) + log_beta(right, wrong)
        assert ("a" in watch.replaced) == (factor > log(REPLACED))
    assert "a" in watch.replaced


def test_where_it_is_calm_audits_try_nobody_and_an_invalid_receipt_counts_as_wrong() -> None:
    state = fold(TrustState.fresh(), *[judge("a", right=False)] * 30, audited())
    assert state.watch == Watch()
    state = fold(wake(), *[judge("a", right=True, valid=False)] * 4)
    assert "a" in state.watch.replaced


def test_audits_of_members_that_answered_alone_do_not_use_up_the_alarm() -> None:
    alone = observe_route(tenant="t", at=0.0, route=Route.SMALL, region=-1, right=True, audited=True)
    state = wake()
    assert fold(state, *[alone] * TRIAL).watch == state.watch
    assert fold(state, audited()).watch.audits == 1


def test_an_audit_without_weight_tries_nobody() -> None:
    state = wake()
    nothing = observe_audit(member="a", region=-1, agreement=0.0, valid=True, weight=0.0, tenant="t", at=0.0)
    assert fold(state, *[nothing] * 9).watch == state.watch


@given(st.tuples(*[st.floats(0, 50)] * 2), st.tuples(*[st.floats(0, 20)] * 2), st.tuples(*[st.floats(0.1, 9)] * 2))
def test_lowers_tells_whether_the_share_falls(
    old: tuple[float, float], new: tuple[float, float], prior: tuple[float, float]
) -> None:
    left = (prior[0] + new[0]) / (sum(prior) + sum(new))
    both = (prior[0] + new[0] + old[0]) / (sum(prior) + sum(new) + sum(old))
    if abs(left - both) > 1e-9:
        assert lowers(old, new, prior) == (left < both)


def test_what_was_good_in_a_region_is_nobodys_and_what_was_bad_stays() -> None:
    state = wake()
    counts = {**state.counts, ("a", 7): (12.0, 3.0)}
    state = TrustState(counts, state.watch)
    state = fold(state, *[judge("a", right=False)] * 5)
    assert state.counts["a", 7] == (0.0, 3.0)


def test_members_that_are_not_asked_are_not_compared() -> None:
    watch = Watch()
    for _ in range(60):
        watch = watch_votes(watch, {"a": 1, "b": 1}, {})
    assert list(watch.pairs) == [("a", "b")]
    assert watch_votes(watch, {"c": 1}, {}).pairs == watch.pairs
    assert count_audit(watch) is watch
