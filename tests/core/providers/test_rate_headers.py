"""What the headers of a reply say of the provider's limits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from leo_core.providers.rate_headers import read_rest

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
OPENAI = ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")
OPENAI_TOKENS = ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens")
ANTHROPIC = ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1.0), ("6m0s", 360.0), ("120ms", 0.12), ("1h2m3.5s", 3_723.5), ("2d", 172_800.0), ("17", 17.0)],
)
def test_durations(text, seconds):
    assert read_rest(dict(zip(OPENAI, ("0", text), strict=True))) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"), [("2026-01-31T12:00:30Z", 30.0), ("2026-01-31T13:00:00+01:00", 0.0), ("2020-01-01", 0.0)]
)
def test_instants(text, seconds):
    assert read_rest(dict(zip(ANTHROPIC, ("0", text), strict=True)), NOW) == seconds


def test_the_longest_rest_of_the_limits_that_are_used_up():
    headers = {
        **dict(zip(OPENAI, ("0", "2s"), strict=True)),
        **dict(zip(OPENAI_TOKENS, ("0", "9s"), strict=True)),
        **dict(zip(ANTHROPIC, ("1", "2026-01-31T18:00:00Z"), strict=True)),
    }
    assert read_rest(headers, NOW) == 9.0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        dict(zip(OPENAI, ("12", "1s"), strict=True)),
        dict(zip(OPENAI, ("none", "1s"), strict=True)),
        dict(zip(OPENAI, ("0", "soon"), strict=True)),
        dict(zip(OPENAI, ("0", "inf"), strict=True)),
        {OPENAI[0]: "0"},
    ],
)
def test_nothing_is_made_up(headers):
    assert read_rest(headers, NOW) is None
