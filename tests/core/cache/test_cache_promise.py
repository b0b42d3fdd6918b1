"""The promise holds on every kind of stream, and hits are served when bins are good."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import StoreMismatchError
from leo_core.records import CacheDecision, Observation
from leo_core.stages.cache.bins import BINS, bin_of
from leo_core.stages.cache.config import CacheConfig
from leo_core.stages.cache.evidence import Counts, error_bound, most_wrong_hits
from leo_core.stages.cache.observations import observe_explored, observe_feedback, observe_served
from leo_core.stages.cache.promise import PromiseState, faults_of, judge_hit, update_promise

TOP = len(BINS) - 1
GOOD = (0.9, 0.7, 0.4, 0.2, 0.02, 0.01, 0.005, 0.002)
STREAMS = {
    "good": GOOD,
    "bad at the top": (0.0, 0.0, 0.0, 0.01, 0.02, 0.05, 0.3, 0.9),
    "worst just below the top": (0.0, 0.0, 0.0, 0.0, 0.3, 0.2, 0.1, 0.0),
    "all near the cap": (0.07,) * 8,
    "all at one in twenty": (0.05,) * 8,
}


@dataclass
class Run:
    hits: int = 0
    wrong: int = 0
    broken: bool = False
    first: int = 0
    state: PromiseState = field(default_factory=PromiseState)


def outcome(at: int, *, same: bool, entry: str = "e") -> Observation:
    decision = CacheDecision(action="explore", kind="semantic", entry_id=entry, score_bin=at)
    return observe_explored(decision, same=same, tenant="t", at=0.0)


def served(at: int) -> Observation:
    hit = CacheDecision(action="serve", kind="semantic", entry_id="e", score_bin=at, error_bound=0.01)
    return observe_served(hit if at >= 0 else CacheDecision(action="miss"), tenant="t", at=0.0)


def play(config: CacheConfig, rates: tuple[float, ...], length: int, seed: int, later: tuple[float, ...] = ()) -> Run:
    """A stream whose requests fall on all bins alike; ``later`` holds in its second half."""
    rng, run = random.Random(seed), Run()
    for t in range(1, length + 1):
        at = rng.randrange(2, TOP + 1)
        bad = rng.random() < (later if later and 2 * t > length else rates)[at]
        serve = judge_hit(run.state, at, config).kept and rng.random() >= config.explore_rate
        if serve:
            run.hits, run.wrong, run.first = run.hits + 1, run.wrong + bad, run.first or t
        else:
            run.state = update_promise(run.state, outcome(at, same=not bad), config)
        run.state = update_promise(run.state, served(at if serve else -1), config)
        run.broken |= run.wrong > config.max_wrong_hits * t + 1e-9
    return run


@pytest.mark.parametrize("delta", [0.01, 0.02, 0.05])
def test_the_promise_holds_at_all_times_in_95_of_100_seeds(delta: float) -> None:
    config = CacheConfig(max_wrong_hits=delta)
    streams = list(STREAMS.values())
    runs = [play(config, streams[seed % len(streams)], 350, seed) for seed in range(200)]
    assert sum(run.broken for run in runs) <= 10


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_the_promise_holds_on_long_streams(name: str) -> None:
    runs = [play(CacheConfig(max_wrong_hits=0.02), STREAMS[name], 1500, seed) for seed in range(4)]
    assert not any(run.broken for run in runs)


def test_a_bad_bin_under_good_ones_does_not_break_the_promise_without_a_cap() -> None:
    rates = STREAMS["worst just below the top"]
    run = play(CacheConfig(max_wrong_hits=0.01, max_hit_error=1.0), rates, 1500, 1)
    assert run.hits > 0
    assert not run.broken


@pytest.mark.parametrize("delta", [0.01, 0.02, 0.05])
def test_good_bins_are_served_within_300_requests(delta: float) -> None:
    runs = [play(CacheConfig(max_wrong_hits=delta), GOOD, 300, seed) for seed in range(10)]
    assert all(run.hits > 0 for run in runs)
    assert min(run.first for run in runs) > 5


def test_zero_turns_semantic_hits_off() -> None:
    config = CacheConfig(max_wrong_hits=0.0)
    state = fold([outcome(TOP, same=True)] * 200 + [served(-1)] * 200, config)
    terms = judge_hit(state, TOP, config)
    assert not terms.kept
    assert "max_wrong_hits is 0" in terms.why


def fold(observations: list[Observation], config: CacheConfig) -> PromiseState:
    state = PromiseState.fresh()
    for each in observations:
        state = update_promise(state, each, config)
    return state


def test_nothing_is_served_without_real_outcomes() -> None:
    config = CacheConfig(max_wrong_hits=0.5, max_hit_error=1.0)
    state = fold([served(-1)] * 10_000 + [outcome(TOP, same=True)] * 4, config)
    assert judge_hit(state, TOP, config).why == "only 4 of 5 outcomes explored at this score or above"
    state = update_promise(state, outcome(TOP, same=True), config)
    assert judge_hit(state, TOP, config).kept
    assert judge_hit(fold([served(-1)] * 10_000 + [outcome(TOP, same=True)] * 9, config), 5, config).kept


def test_the_reasons_and_figures() -> None:
    config = CacheConfig()
    assert "above max_hit_error" in judge_hit(fold([outcome(TOP, same=True)] * 6, config), TOP, config).why
    rich = [outcome(TOP, same=True)] * 100
    early = judge_hit(fold(rich, config), TOP, config)
    assert "above the allowance" in early.why
    late = judge_hit(fold(rich + [served(-1)] * 400, config), TOP, config)
    assert late.kept
    assert late.allowance is not None
    assert late.error_bound <= late.allowance
    assert late.error_bound <= config.max_hit_error


def test_better_bins_that_need_the_whole_promise_go_first() -> None:
    config = CacheConfig()
    outcomes = [outcome(TOP, same=True)] * 400 + [outcome(3, same=True)] * 60 + [outcome(3, same=False)]
    state = fold(outcomes + [served(-1)] * 500, config)
    assert judge_hit(state, TOP, config).kept
    busy = replace(state, seen=(*state.seen[:TOP], 5000))
    assert "kept for hits" in judge_hit(busy, 3, config).why
    assert judge_hit(busy, TOP, config).kept


def test_drift_stops_serving_and_it_is_learned_again() -> None:
    config = CacheConfig(max_wrong_hits=0.05, explore_rate=0.2)
    calm = fold([outcome(TOP, same=True)] * 300 + [served(-1)] * 500 + [served(TOP)] * 50, config)
    state = calm
    for _ in range(40):
        state = update_promise(state, outcome(TOP, same=False), config)
        if state.epoch:
            break
    assert state.epoch == 1
    assert state.carried > 0
    assert sum(state.explored) == 0
    assert "wrong more often" in judge_hit(state, TOP, config).why
    again = state
    for _ in range(config.recovery + 300):
        again = update_promise(again, outcome(TOP, same=True), config)
    for _ in range(4000):
        again = update_promise(again, served(-1), config)
    assert again.why_halted == ""
    assert judge_hit(again, TOP, config).kept


def test_calm_streams_do_not_alarm() -> None:
    runs = [play(CacheConfig(max_wrong_hits=0.05), STREAMS["all at one in twenty"], 800, seed) for seed in range(5)]
    assert sum(run.state.epoch for run in runs) == 0


def test_a_sudden_turn_is_seen() -> None:
    config = CacheConfig(max_wrong_hits=0.05, explore_rate=0.3)
    runs = [play(config, (0.0,) * 8, 2000, seed, later=(0.6,) * 8) for seed in range(4)]
    assert all(run.state.epoch >= 1 for run in runs)


def test_faults_count_at_high_scores_and_feedback_settles_it() -> None:
    config = CacheConfig()
    state = fold([outcome(1, same=False), outcome(TOP, same=False), outcome(TOP, same=True)], config)
    assert faults_of(state, "e") == 1
    assert faults_of(state, "other") == 0
    told = update_promise(state, observe_feedback(entry_id="e", wrong=True, tenant="t", at=0.0, score_bin=TOP), config)
    assert faults_of(told, "e") == 3
    assert told.wrong[TOP] == state.wrong[TOP] + 1
    unbinned = update_promise(state, observe_feedback(entry_id="e", wrong=True, tenant="t", at=0.0), config)
    assert unbinned.wrong == state.wrong
    assert update_promise(state, observe_feedback(entry_id="e", wrong=False, tenant="t", at=0.0), config) == state


def test_other_observations_and_unbinned_outcomes_change_nothing() -> None:
    config, state = CacheConfig(), PromiseState.fresh()
    assert update_promise(state, Observation(kind="route", tenant="t", body={}, at=0.0), config) is state
    assert update_promise(state, outcome(-1, same=False), config) == state
    assert update_promise(state, outcome(99, same=True), config) == state


def test_exact_hits_count_as_requests_only() -> None:
    hit = CacheDecision(action="serve", kind="exact", entry_id="e")
    state = update_promise(PromiseState(), observe_served(hit, tenant="t", at=0.0), CacheConfig())
    assert (state.requests, sum(state.served)) == (1, 0)


def test_state_survives_bytes() -> None:
    config = CacheConfig()
    state = fold([outcome(TOP, same=False), served(TOP), served(-1), outcome(3, same=True)], config)
    assert PromiseState.from_bytes(state.to_bytes()) == state
    with pytest.raises(StoreMismatchError, match="version 1"):
        PromiseState.from_bytes(state.to_bytes().replace(b'"version":1', b'"version":2'))


# ------------------------------------------------------------------------------------------------ evidence


def counts(explored: int, wrong: int, hits: int = 0, stake: float = 0.9) -> Counts:
    return Counts(explored=explored, wrong=wrong, served=hits, alpha=0.5, beta=9.5, stake=stake)


@given(st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_error_bound_lies_above_the_frequency_and_falls_with_evidence(n: int, k: int) -> None:
    k = min(k, n)
    bound = error_bound(counts(n, k), confidence=0.95)
    assert (k / n if n else 0.0) <= bound <= 1.0
    assert error_bound(counts(n + 50, k), confidence=0.95) <= bound + 1e-3
    assert error_bound(counts(n, k), confidence=0.99) >= bound - 1e-3


def test_error_bound_is_valid_at_all_times() -> None:
    missed = 0
    for seed in range(300):
        rng, wrong = random.Random(seed), 0
        for n in range(1, 120):
            wrong += rng.random() < 0.2
            if n % 5 == 0 and error_bound(counts(n, wrong), confidence=0.9) < 0.2:
                missed += 1
                break
    assert missed <= 0.1 * 300


def _brute(bins: tuple[Counts, ...], wrong: float, steps: int = 400) -> float:
    """Least log-evidence of one served bin by trying all rates."""
    from math import lgamma, log

    (bin_,) = bins
    best = float("inf")
    for at in range(1, steps):
        p = at / steps
        expected = bin_.served * p
        gamma = log(0.5) + lgamma(1 + wrong) - (1 + wrong) * log(0.5 + expected) + expected
        likelihood = bin_.wrong * log(p) + (bin_.explored - bin_.wrong) * log(1 - p)
        best = min(best, gamma - likelihood + log(bin_.stake) + bin_.log_mixture)
    return best


@pytest.mark.parametrize(("n", "k", "s"), [(100, 2, 50), (60, 0, 20), (300, 20, 300), (30, 5, 10), (50, 50, 5)])
def test_most_wrong_hits_agrees_with_trying_all_rates(n: int, k: int, s: int) -> None:
    bins = (counts(n, k, s),)
    found = most_wrong_hits(bins, confidence=0.95)
    threshold = 2.9957
    assert 0 < found <= s
    if found < s:
        assert _brute(bins, found * 1.03 + 0.1) > threshold
    assert _brute(bins, found * 0.97 - 0.1) < threshold


@given(st.integers(0, 200), st.integers(0, 20), st.integers(1, 100))
@settings(max_examples=40, deadline=None)
def test_most_wrong_hits_is_monotone(n: int, k: int, s: int) -> None:
    k = min(k, n)
    now = most_wrong_hits((counts(n, k, s), counts(50, 40)), confidence=0.95)
    assert now <= most_wrong_hits((counts(n, k, s + 20), counts(50, 40)), confidence=0.95) + 1e-2 * (1 + now)
    assert now <= most_wrong_hits((counts(n, k, s), counts(50, 40)), confidence=0.999) + 1e-2 * (1 + now)
    assert most_wrong_hits((counts(n, k),), confidence=0.95) == 0.0


def test_bins_cover_the_unit_interval() -> None:
    assert bin_of(0.0) == 0
    assert bin_of(1.0) == TOP
    assert [bin_of(each.low) for each in BINS] == list(range(len(BINS)))
    assert bin_of(-0.1) == 0
