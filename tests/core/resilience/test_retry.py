"""Whether and when a call is made again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core import LEOConfig
from leo_core.errors import (
    AuthenticationError,
    CircuitOpenError,
    ConfigError,
    InvalidRequestError,
    LimitReachedError,
    MalformedReplyError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)
from leo_core.stages.resilience.config import ResilienceConfig
from leo_core.stages.resilience.retry import SHORTEST_WAIT_S, decide_wait, may_repeat

CONFIG = ResilienceConfig()


def error(kind, retry_after_s=None):
    return kind("", provider="p", model="m", retry_after_s=retry_after_s)


def wait(failed, **changes):
    arguments = {"attempt": 1, "waited_s": 0.0, "left_s": None, "draw": 0.5, "config": CONFIG}
    return decide_wait(failed, **{**arguments, **changes})


@pytest.mark.parametrize("kind", [ProviderUnavailableError, ProviderTimeoutError, RateLimitError])
def test_what_may_pass_is_repeated_as_often_as_allowed(kind):
    assert [may_repeat(error(kind), attempt=attempt, retries=2) for attempt in (1, 2, 3)] == [True, True, False]


@pytest.mark.parametrize("kind", [AuthenticationError, InvalidRequestError, MalformedReplyError, CircuitOpenError])
def test_what_would_fail_again_or_was_paid_for_is_not_repeated(kind):
    assert not may_repeat(error(kind), attempt=1, retries=9)


def test_a_rate_limit_is_waited_for_whatever_the_number_of_retries():
    assert may_repeat(error(LimitReachedError), attempt=5, retries=0)
    assert wait(error(LimitReachedError, 3.0)) == 3.0
    assert wait(error(LimitReachedError, 0.0)) == SHORTEST_WAIT_S


def test_the_bound_of_the_jitter_doubles_up_to_the_longest():
    failed = error(ProviderUnavailableError)
    assert [wait(failed, attempt=attempt, draw=1.0) for attempt in (1, 2, 3, 6)] == [0.5, 1.0, 2.0, 8.0]
    assert wait(failed, draw=0.0) == 0.0


def test_what_the_provider_asks_for_is_the_least():
    assert wait(error(RateLimitError, 4.0), draw=0.0) == 4.0
    assert wait(error(RateLimitError, 4.0), draw=0.5) == 4.25


def test_no_wait_outlasts_the_budget_or_the_deadline():
    assert wait(error(RateLimitError, 4.0), waited_s=7.0) is None
    assert wait(error(RateLimitError, 4.0), left_s=4.2) is None
    assert wait(error(RateLimitError, 4.0), left_s=4.3) == 4.25


@settings(deadline=None)
@given(
    st.sampled_from([ProviderUnavailableError, RateLimitError, LimitReachedError]),
    st.none() | st.floats(0.0, 100.0),
    st.integers(1, 500),
    st.floats(0.0, 20.0),
    st.none() | st.floats(0.0, 20.0),
    st.floats(0.0, 0.999),
)
def test_every_wait_is_within_what_is_left_and_what_was_asked(kind, asked, attempt, waited_s, left_s, draw):
    found = wait(error(kind, asked), attempt=attempt, waited_s=waited_s, left_s=left_s, draw=draw)
    if found is not None:
        assert (asked or 0.0) <= found <= (asked or 0.0) + CONFIG.longest_backoff_s
        assert waited_s + found <= CONFIG.longest_wait_s
        assert left_s is None or found < left_s


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("max_retries", -1),
        ("backoff_s", -0.1),
        ("longest_backoff_s", 0.1),
        ("longest_wait_s", float("nan")),
        ("failures_in_a_row", 0),
        ("window_calls", 1),
        ("failure_share", 0.0),
        ("failure_share", 1.1),
        ("window_s", 0.0),
        ("cool_down_s", 0.0),
        ("longest_cool_down_s", 1.0),
        ("hedge_after_s", -1.0),
        ("hedge_after_s", "p99"),
        ("hedge_to", "other"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, wrong):
    with pytest.raises(ConfigError, match=name):
        ResilienceConfig(**{name: wrong})


def test_it_is_part_of_the_settings():
    assert LEOConfig().resilience == ResilienceConfig()
    assert LEOConfig().to_dict()["resilience"]["breaker"] is True
