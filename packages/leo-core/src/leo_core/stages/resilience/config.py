"""Settings of the calls to members."""

from __future__ import annotations

import math
from collections.abc import Mapping  # noqa: TC003 - the adapters' models are built from these fields
from dataclasses import dataclass, field
from typing import Literal

from leo_core.errors import ConfigError

__all__ = ["RateLimit", "ResilienceConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """What a provider allows a member, per minute.

    Attributes:
        requests_per_minute: Calls, greater than 0; ``None`` for no limit.
        tokens_per_minute: Tokens of prompts and replies together, greater than 0; ``None`` for no limit.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits that nothing could pass."""
        for name in ("requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None:
                _check(name, value, value > 0, "above 0, or None")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResilienceConfig:
    """When a member is asked again, when it is left alone, and when it is asked twice at once.

    Attributes:
        max_retries: How often a call that failed for a passing reason is made again, at least 0; ``None`` leaves it to
            each member: 2 for those of OpenAI and Anthropic (their ``max_retries``), none for members of your own.
        backoff_s: The first retry waits between 0 and so long, the next up to twice as long, and so on; ≥ 0.
        longest_backoff_s: But no longer than this; ≥ ``backoff_s``.
        longest_wait_s: Longest time that one call may spend waiting in all, for retries and for rate limits; ≥ 0. A
            request's deadline goes before it.
        breaker: Whether a member that keeps failing is left alone.
        failures_in_a_row: Failures in a row that open a member's circuit, at least 1.
        window_calls: Last calls of which a share opens it too, at least 2.
        failure_share: That share, in (0, 1].
        window_s: How long an outcome counts among the last calls; > 0.
        cool_down_s: How long an open circuit rests before one call tries the member; > 0. Each failed try doubles it.
        longest_cool_down_s: But no longer than this, unless the provider asks for more; ≥ ``cool_down_s``.
        limits: Rate limits that LEO keeps by itself, by id of the member; none by default.
        hedge_after_s: Seconds without an answer after which a second copy of the call is made, ≥ 0; ``"p95"`` takes
            the time within which 95 of 100 of the member's last answers came; ``None`` makes none.
        hedge_to: Who gets the second copy: the ``same`` member, or, where one member alone answers, the ``next`` one
            that a fall-back would ask.
    """

    max_retries: int | None = None
    backoff_s: float = 0.5
    longest_backoff_s: float = 8.0
    longest_wait_s: float = 10.0
    breaker: bool = True
    failures_in_a_row: int = 5
    window_calls: int = 20
    failure_share: float = 0.5
    window_s: float = 60.0
    cool_down_s: float = 10.0
    longest_cool_down_s: float = 120.0
    limits: Mapping[str, RateLimit] = field(default_factory=dict)
    hedge_after_s: float | Literal["p95"] | None = None
    hedge_to: Literal["same", "next"] = "same"

    def __post_init__(self) -> None:
        """Refuse settings outside their range.

        Raises:
            ConfigError: Names the setting, its value and its range.
        """
        if self.max_retries is not None:
            _check("max_retries", self.max_retries, self.max_retries >= 0, "at least 0, or None")
        _check("backoff_s", self.backoff_s, self.backoff_s >= 0, "at least 0")
        longer = self.longest_backoff_s >= self.backoff_s
        _check("longest_backoff_s", self.longest_backoff_s, longer, "at least backoff_s")
        _check("longest_wait_s", self.longest_wait_s, self.longest_wait_s >= 0, "at least 0")
        _check("failures_in_a_row", self.failures_in_a_row, self.failures_in_a_row >= 1, "at least 1")
        _check("window_calls", self.window_calls, self.window_calls >= 2, "at least 2")  # noqa: PLR2004 - the message says the same bound
        _check("failure_share", self.failure_share, 0 < self.failure_share <= 1, "in (0, 1]")
        _check("window_s", self.window_s, self.window_s > 0, "above 0")
        _check("cool_down_s", self.cool_down_s, self.cool_down_s > 0, "above 0")
        longer = self.longest_cool_down_s >= self.cool_down_s
        _check("longest_cool_down_s", self.longest_cool_down_s, longer, "at least cool_down_s")
        if isinstance(self.hedge_after_s, str):
            if self.hedge_after_s != "p95":
                message = f"resilience.hedge_after_s is {self.hedge_after_s!r}; it must be seconds, 'p95' or None"
                raise ConfigError(message)
        elif self.hedge_after_s is not None:
            _check("hedge_after_s", self.hedge_after_s, self.hedge_after_s >= 0, "at least 0, 'p95' or None")
        if self.hedge_to not in ("same", "next"):
            message = f"resilience.hedge_to is {self.hedge_to!r}; it must be 'same' or 'next'"
            raise ConfigError(message)


def _check(name: str, value: float, holds: bool, demand: str) -> None:  # noqa: FBT001 - whether it holds, from the line that says what
    """Raise ``ConfigError`` unless the value is finite and ``holds``."""
    if not (holds and math.isfinite(value)):
        message = f"resilience.{name} is {value!r}; it must be {demand}"
        raise ConfigError(message)
