"""The promise holds on every kind of stream, honest scores or not, and hits are served where they are good."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import StoreMismatchError
from leo_core.records import CacheDecision, Observation
from leo_core.stages.cache.config import CacheConfig
from leo_core.stages.cache.correctness import FEATURES
from leo_core.stages.cache.evidence import NO_CHARGE
from leo_core.stages.cache.observations import observe_explored, observe_feedback, observe_served
from leo_core.stages.cache.promise import (
    PromiseState,
    bound_wrong_hits,
    is_barred,
    judge_hit,
    record_of,
    update_promise,
)

PLAIN = (1.0,) + (0.0,) * (len(FEATURES) - 1)
READY = PromiseState(requests=5000, explored=500)


def decide(
    action: str, *, risk: float = 0.01, rate: float = 1.0, entry: str = "e", features: tuple[float, ...] = PLAIN
) -> CacheDecision:
    return CacheDecision(
        action=action, kind="semantic", entry_id=entry, error_bound=risk, explore_rate=rate, features=features
    )


def request(decision: CacheDecision) -> Observation:
    return observe_served(decision, tenant="t", at=0.0)


def outcome(decision: CacheDecision, *, same: bool | None) -> Observation:
    return observe_explored(decision, same=same, tenant="t", at=0.0)


MISS = request(CacheDecision(action="miss"))


def fold(*observations: Observation, state: PromiseState | None = None) -> PromiseState:
    state = state or PromiseState.fresh()
    for each in observations:
        state = update_promise(state, each, CacheConfig())
    return state


@dataclass
class Run:
    hits: int = 0
    wrong: int = 0
    broken: bool = False
    state: PromiseState = field(default_factory=PromiseState)


Traffic = Callable[[random.Random, int, Run], tuple[float, float]]
"""(estimated, true) probability that the candidate of a request is wrong."""


def play(config: CacheConfig, traffic: Traffic, length: int, seed: int) -> Run:
    """A stream of would-be hits through the promise alone; outcomes are known at once."""
    rng, run = random.Random(seed), Run()
    for at in range(1, length + 1):
        risk, rate_wrong = traffic(rng, at, run)
        wrong = rng.random() < rate_wrong
        terms = judge_hit(run.state, risk, config)
        decision = decide(
            "serve" if terms.kept and rng.random() >= terms.rate else "explore", risk=risk, rate=terms.rate
        )
        run.state = update_promise(run.state, request(decision), config)
        if decision.hit:
            run.hits, run.wrong = run.hits + 1, run.wrong + wrong
        else:
            run.state = update_promise(run.state, outcome(decision, same=not wrong), config)
        run.broken |= run.wrong > config.max_wrong_hits * at + 1e-9
    return run


def honest(rng: random.Random, _at: int, _run: Run) -> tuple[float, float]:
    risk = rng.random() ** 6
    return risk, risk


def lying(rng: random.Random, _at: int, _run: Run) -> tuple[float, float]:
    """What looks best is worst."""
    risk = 10.0 ** rng.uniform(-4.0, -1.0)
    return risk, 0.5 if risk < 0.001 else 0.0


def drifting(rng: random.Random, at: int, _run: Run) -> tuple[float, float]:
    """Right for a long time, then wrong every second time, with the same estimates."""
    return 0.002, 0.0 if at < 400 else 0.5


def turning(rng: random.Random, _at: int, run: Run) -> tuple[float, float]:
    """Sends wrong candidates when it sees that the promise explores little."""
    return 0.001, 0.9 if run.state.least_rate < 0.5 else 0.0


def always_wrong(_rng: random.Random, _at: int, _run: Run) -> tuple[float, float]:
    """One bad entry, hit again and again."""
    return 0.001, 1.0


TRAFFIC = [honest, lying, drifting, turning, always_wrong]


@pytest.mark.parametrize("traffic", TRAFFIC, ids=lambda each: each.__name__)
def test_the_promise_holds_at_all_times_whatever_the_traffic(traffic: Traffic) -> None:
    """With confidence 0.8, at most a fifth of the runs may break it, give or take two deviations."""
    config = CacheConfig(max_wrong_hits=0.05, confidence=0.8)
    runs = [play(config, traffic, 700, seed) for seed in range(12)]
    assert sum(run.broken for run in runs) <= 0.2 * 12 + 2.0 * math.sqrt(0.2 * 0.8 * 12)
    assert sum(run.hits for run in runs) > 0


def test_good_traffic_is_served_and_the_allowance_is_used() -> None:
    run = play(CacheConfig(max_wrong_hits=0.05), honest, 2000, 1)
    assert run.hits > 500
    assert 0 < run.wrong <= bound_wrong_hits(run.state, CacheConfig()) <= 0.05 * 2000


def test_after_a_drift_nothing_more_is_served_than_the_allowance_bears() -> None:
    run = play(CacheConfig(max_wrong_hits=0.05), drifting, 1500, 3)
    assert not run.broken
    assert run.state.caught > 0


def test_zero_turns_semantic_hits_off() -> None:
    terms = judge_hit(READY, 1e-6, CacheConfig(max_wrong_hits=0.0))
    assert not terms.kept
    assert "max_wrong_hits is 0" in terms.why


def test_nothing_is_served_without_real_outcomes() -> None:
    config = CacheConfig(max_wrong_hits=0.5)
    state = fold(*[MISS] * 500, *[outcome(decide("explore"), same=True)] * 9)
    assert judge_hit(state, 0.001, config).why == "only 9 of 10 outcomes explored"
    assert judge_hit(fold(outcome(decide("explore"), same=True), state=state), 0.001, config).kept


def test_the_rate_falls_as_the_allowance_grows_and_rises_with_the_risk() -> None:
    config = CacheConfig(max_wrong_hits=0.01)
    rates = [judge_hit(replace(READY, requests=many), 0.0, config).rate for many in (300, 1000, 10_000, 1_000_000)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.02, rel=0.5)
    risky = [judge_hit(READY, risk, config).rate for risk in (0.001, 0.05, 0.09, 0.0999)]
    assert risky == sorted(risky)
    assert risky[-1] > 2 * risky[0]


def test_the_reasons_and_figures() -> None:
    config = CacheConfig(max_wrong_hits=0.01)
    early = judge_hit(replace(READY, requests=20), 0.001, config)
    assert not early.kept
    assert "21 requests allow 0.2" in early.why
    kept = judge_hit(READY, 0.001, config)
    assert kept.kept
    assert kept.wrong_hits <= kept.allowed == pytest.approx(50.01)
    assert kept.why == "estimated error 0.0010 is within the allowance 0.1000"
    assert not judge_hit(READY, 0.1, config).kept
    assert "not below the allowance" in judge_hit(READY, 0.2, config).why


def test_a_hit_more_likely_wrong_than_right_is_served_only_where_that_is_asked_for() -> None:
    large = CacheConfig(max_wrong_hits=0.3)
    assert judge_hit(READY, 0.45, large).kept
    assert not judge_hit(READY, 0.55, large).kept
    assert judge_hit(READY, 0.55, replace(large, max_hit_error=0.8)).kept


def test_what_is_expected_to_be_spent_lowers_the_price() -> None:
    config = CacheConfig(max_wrong_hits=0.01)
    frugal = fold(*[request(decide("explore", risk=0.5))] * 200, state=READY)
    risky = fold(*[request(decide("explore", risk=0.03))] * 200, state=READY)
    assert judge_hit(frugal, 0.01, config).price == 0.1
    assert judge_hit(risky, 0.01, config).price < 0.04


def test_a_caught_hit_costs_and_a_right_one_is_taken_back() -> None:
    explored = decide("explore", rate=0.25)
    before = fold(MISS)
    charged = fold(request(explored), state=before)
    assert charged.charges > before.charges
    assert charged.least_rate == 0.25
    assert fold(outcome(explored, same=True), state=charged).charges == NO_CHARGE
    assert fold(outcome(explored, same=None), state=charged).charges == NO_CHARGE
    caught = fold(outcome(explored, same=False), state=charged)
    assert caught.charges == charged.charges
    assert caught.caught == 3_000_000


def test_a_served_hit_is_counted_but_not_charged() -> None:
    state = fold(request(decide("serve", rate=0.25)))
    assert (state.served, state.charges, state.least_rate) == (1, NO_CHARGE, 0.25)
    assert bound_wrong_hits(state, CacheConfig()) <= 1.0


def test_a_candidate_that_could_not_be_served_teaches_and_costs_nothing() -> None:
    explored = decide("explore", rate=1.0)
    state = fold(request(explored), outcome(explored, same=False))
    assert (state.charges, state.least_rate, state.explored) == (NO_CHARGE, 1.0, 1)
    assert state.model.outcomes == 1


@given(st.permutations(range(6)))
@settings(max_examples=30, deadline=None)
def test_other_processes_may_be_folded_in_any_order(order: list[int]) -> None:
    one, two = decide("explore", rate=0.3), decide("explore", rate=0.7)
    observations = [request(one), outcome(one, same=True), request(two), outcome(two, same=False), MISS, MISS]
    state, shuffled = fold(*observations), fold(*(observations[at] for at in order))
    same = ("requests", "served", "explored", "charges", "least_rate", "caught")
    assert all(getattr(state, name) == getattr(shuffled, name) for name in same)


def test_records_of_entries_and_feedback() -> None:
    explored = decide("explore")
    assert record_of(fold(outcome(explored, same=True)), "e") == (0, 0)
    state = fold(outcome(explored, same=False), outcome(explored, same=True))
    assert record_of(state, "e") == (2, 1)
    assert not is_barred(state, "e")
    told = fold(observe_feedback(decide("serve"), wrong=True, tenant="t", at=0.0), state=state)
    assert is_barred(told, "e")
    assert told.model.outcomes == state.model.outcomes + 1
    assert fold(observe_feedback(decide("serve"), wrong=False, tenant="t", at=0.0), state=state) == state


def test_the_records_stay_bounded() -> None:
    state = fold(*(outcome(decide("explore", entry=str(number)), same=False) for number in range(1100)))
    assert len(state.records) == 1024
    assert record_of(state, "0") == (0, 0)
    assert record_of(state, "1099") == (1, 1)


def test_foreign_and_old_observations_change_nothing_that_counts() -> None:
    state = PromiseState.fresh()
    assert fold(Observation(kind="route", tenant="t", body={}, at=0.0)) == state
    assert fold(Observation(kind="cache", tenant="t", body={"bin": 3, "same": True, "entry": "e"}, at=0.0)) == state
    exact = CacheDecision(action="serve", kind="exact", entry_id="e")
    assert fold(request(exact)) == replace(state, requests=1, watched=1)


def test_state_survives_bytes() -> None:
    explored = decide("explore", rate=0.4)
    state = fold(request(explored), outcome(explored, same=False), request(decide("serve", rate=0.2)), MISS)
    assert PromiseState.from_bytes(state.to_bytes()) == state
    with pytest.raises(StoreMismatchError, match="version 2"):
        PromiseState.from_bytes(state.to_bytes().replace(b'"version":2', b'"version":1'))


def test_the_risks_are_forgotten_by_halves() -> None:
    state = replace(READY, watched=8191, risks=(8,) * len(READY.risks))
    state = fold(MISS, state=state)
    assert state.watched == 4096
    assert state.risks == (4,) * len(READY.risks)
