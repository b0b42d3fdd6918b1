"""A member's circuit as a fold over outcomes: when it opens, for how long, and who may try."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import (
    AuthenticationError,
    CallAbandonedError,
    ConfigError,
    InvalidRequestError,
    MalformedReplyError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)
from leo_core.stages.resilience.circuit import LONGEST_REST_S, Circuit, find_rest, read_outcome, settle, try_out
from leo_core.stages.resilience.config import ResilienceConfig

CONFIG = ResilienceConfig(failures_in_a_row=3, window_calls=6, cool_down_s=10.0, longest_cool_down_s=35.0)


def fold(outcomes, circuit=None, start=0.0, config=CONFIG):
    """The circuit after outcomes, a second apart."""
    circuit = circuit or Circuit()
    for second, outcome in enumerate(outcomes):
        circuit = settle(circuit, outcome, start + second, config)
    return circuit


def test_it_opens_at_the_last_failure_in_a_row_and_not_before():
    assert fold(["failed", "failed"]).closed
    circuit = fold(["failed", "failed", "failed"])
    assert not circuit.closed
    assert find_rest(circuit, 2.0) == 10.0
    assert find_rest(circuit, 11.5) == 0.5
    assert find_rest(circuit, 12.0) is None


def test_a_call_that_does_well_begins_the_row_anew():
    assert fold(["failed", "failed", "well", "failed", "failed"]).closed


def test_it_opens_when_half_of_a_full_window_failed():
    alternating = ["failed", "well"] * 2 + ["failed"]
    assert fold(alternating).closed, "five calls do not fill a window of six"
    assert fold([*alternating, "well"]).closed, "a call that did well opens nothing"
    assert not fold([*alternating, "well", "failed"]).closed


def test_old_outcomes_leave_the_window():
    circuit = fold(["failed", "well", "failed", "well", "failed", "well"])
    assert not settle(circuit, "failed", 6.0, CONFIG).closed
    assert settle(circuit, "failed", 6.0 + CONFIG.window_s, CONFIG).closed


def test_what_says_nothing_changes_nothing():
    circuit = fold(["failed", "failed"])
    assert settle(circuit, "silent", 5.0, CONFIG) == circuit


def test_half_open_one_call_tries_and_closes_it():
    circuit = try_out(fold(["failed"] * 3), 12.0, CONFIG)
    assert find_rest(circuit, 12.5) == 0.0, "the others go on without the member"
    assert settle(circuit, "well", 13.0, CONFIG) == circuit, "calls from before say nothing"
    assert settle(circuit, "well", 13.0, CONFIG, tried=True) == Circuit()


def test_a_failed_try_doubles_the_rest_up_to_the_longest():
    circuit, now, rests = fold(["failed"] * 3), 2.0, []
    for _ in range(4):
        rests.append(find_rest(circuit, now))
        now += rests[-1]
        circuit = settle(try_out(circuit, now, CONFIG), "failed", now, CONFIG, tried=True)
    assert rests == [10.0, 20.0, 35.0, 35.0]


def test_a_try_that_says_nothing_makes_room_for_the_next():
    circuit = try_out(fold(["failed"] * 3), 12.0, CONFIG)
    circuit = settle(circuit, "silent", 13.0, CONFIG, tried=True)
    assert find_rest(circuit, 13.0) is None


def test_a_try_that_never_ends_is_followed_by_another():
    circuit = try_out(fold(["failed"] * 3), 12.0, CONFIG)
    assert find_rest(circuit, 12.0 + CONFIG.longest_cool_down_s - 0.1) == 0.0
    assert find_rest(circuit, 12.0 + CONFIG.longest_cool_down_s) is None


def test_the_providers_own_word_lengthens_the_rest_up_to_an_hour():
    circuit = fold(["failed"] * 2)
    for asked, rest in ((5.0, 10.0), (50.0, 50.0), (1e9, LONGEST_REST_S)):
        assert find_rest(settle(circuit, "failed", 2.0, CONFIG, retry_after_s=asked), 2.0) == rest


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "well"),
        (InvalidRequestError("", provider="p", model="m"), "well"),
        (ProviderUnavailableError("", provider="p", model="m"), "failed"),
        (RateLimitError("", provider="p", model="m"), "failed"),
        (MalformedReplyError("", provider="p", model="m"), "failed"),
        (AuthenticationError("", provider="p", model="m"), "failed"),
        (ProviderTimeoutError("", provider="p", model="m"), "failed"),
        (ProviderError("", provider="p", model="m"), "silent"),
        (CallAbandonedError("", provider="p", model="m"), "silent"),
        (ConfigError("no key"), "silent"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_an_end_says_of_the_member(error, outcome):
    assert read_outcome(error) == outcome


def test_the_timeout_of_a_caller_in_a_hurry_says_nothing():
    late = ProviderTimeoutError("", provider="p", model="m")
    assert [read_outcome(late, allowed_s=allowed) for allowed in (0.2, 30.0)] == ["silent", "failed"]


CALLS = st.lists(
    st.tuples(st.sampled_from(["well", "failed", "silent"]), st.floats(0.0, 30.0), st.floats(0.0, 5.0)), max_size=60
)


@settings(deadline=None)
@given(CALLS)
def test_whatever_happens_an_open_circuit_lets_one_call_through_at_a_time(calls):
    """Calls take time; each starts when the gate lets it, and ends in order. Two folds of the same are equal."""
    circuits = [Circuit(), Circuit()]
    now, trying_until = 0.0, 0.0
    for outcome, pause, takes in calls:
        now += pause
        rest = find_rest(circuits[0], now)
        assert rest == find_rest(circuits[1], now)
        if rest is not None:
            assert rest >= 0.0
            continue
        tried = not circuits[0].closed
        if tried:
            assert now >= trying_until, "two tries at once"
        circuits = [try_out(each, now, CONFIG) for each in circuits]
        if tried:
            assert find_rest(circuits[0], now + min(takes, 1.0)) == 0.0
            trying_until = now + takes
        now += takes
        circuits = [settle(each, outcome, now, CONFIG, tried=tried) for each in circuits]
        assert circuits[0] == circuits[1]
        if not circuits[0].closed and circuits[0].trying_until is None and outcome == "failed":
            assert 0.0 < find_rest(circuits[0], now) <= CONFIG.longest_cool_down_s + 1e-9  # a difference of floats
