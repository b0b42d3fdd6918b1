"""Token buckets and rests: what leaves them in a time, and that the waits they name are right."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.stages.resilience.circuit import LONGEST_REST_S
from leo_core.stages.resilience.config import RateLimit
from leo_core.stages.resilience.pace import Pace, correct, find_wait, rest, spend

LIMIT = RateLimit(requests_per_minute=60.0, tokens_per_minute=6_000.0)


def test_a_minutes_worth_goes_at_once_and_then_one_a_second():
    pace = Pace()
    for _ in range(60):
        assert find_wait(pace, 10.0, 0.0, LIMIT) == 0.0
        pace = spend(pace, 10.0, 0.0, LIMIT)
    assert find_wait(pace, 10.0, 0.0, LIMIT) == pytest.approx(1.0)
    assert find_wait(pace, 10.0, 1.0, LIMIT) == 0.0


def test_tokens_are_waited_for_and_corrected():
    pace = spend(Pace(), 5_000.0, 0.0, LIMIT)
    assert find_wait(pace, 2_000.0, 0.0, LIMIT) == pytest.approx(10.0), "1,000 are missing, 100 come a second"
    pace = correct(pace, 5_000.0, 400.0, 0.0, LIMIT)
    assert find_wait(pace, 2_000.0, 0.0, LIMIT) == 0.0
    pace = correct(pace, 0.0, 9_000.0, 0.0, LIMIT)
    assert find_wait(pace, 100.0, 0.0, LIMIT) == pytest.approx((9_400.0 + 100.0 - 6_000.0) / 100.0)


def test_a_call_too_large_for_the_bucket_waits_for_a_full_one():
    assert find_wait(Pace(), 50_000.0, 0.0, LIMIT) == 0.0
    pace = spend(Pace(), 50_000.0, 0.0, LIMIT)
    assert find_wait(pace, 1.0, 0.0, LIMIT) == pytest.approx((50_001.0 - 6_000.0) / 100.0)


def test_without_a_limit_only_the_providers_own_word_holds_up():
    assert spend(Pace(), 1e9, 0.0, None) == Pace()
    pace = rest(Pace(), 7.0, 100.0)
    assert find_wait(pace, 1.0, 103.0, None) == 4.0
    assert find_wait(rest(pace, 1.0, 103.0), 1.0, 103.0, None) == 4.0, "a shorter rest does not end a longer one"
    assert find_wait(rest(Pace(), 1e12, 0.0), 1.0, 0.0, None) == LONGEST_REST_S


@settings(deadline=None)
@given(
    st.floats(0.5, 500.0),
    st.floats(10.0, 1e5),
    st.lists(st.tuples(st.floats(0.0, 20.0), st.floats(1.0, 2e4)), min_size=1, max_size=60),
)
def test_no_window_sees_more_than_a_bucket_and_what_flowed_in(requests, tokens, calls):
    """And a wait, waited out, is long enough: the call is let through then."""
    limit = RateLimit(requests_per_minute=requests, tokens_per_minute=tokens)
    pace, now, passed = Pace(), 0.0, []
    for pause, size in calls:
        now += pause
        now += find_wait(pace, size, now, limit)
        assert find_wait(pace, size, now, limit) <= 1e-6
        pace = spend(pace, size, now, limit)
        passed.append((now, size))
    for first in range(len(passed)):
        window = passed[first:]
        span = window[-1][0] - window[0][0]
        assert len(window) <= max(requests, 1.0) + requests * span / 60.0 + 1e-3 * len(window)
        before_last = sum(size for _, size in window[:-1])
        assert before_last <= tokens + tokens * span / 60.0 + max(size for _, size in window) + 1e-2 * len(window)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_limits_out_of_range_are_refused(wrong):
    for name in ("requests_per_minute", "tokens_per_minute"):
        with pytest.raises(ConfigError, match=name):
            RateLimit(**{name: wrong})
