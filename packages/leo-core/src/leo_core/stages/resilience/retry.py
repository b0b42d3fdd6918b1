"""Whether a member is asked again, and after which wait.

Waits have full jitter: uniform between 0 and a bound that doubles (Brooker, "Exponential Backoff And Jitter", AWS
Architecture Blog, 2015), so that callers who failed together do not come back together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leo_core.errors import (
    CircuitOpenError,
    LimitReachedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)

if TYPE_CHECKING:
    from leo_core.errors import LEOError
    from leo_core.stages.resilience.config import ResilienceConfig

__all__ = ["SHORTEST_WAIT_S", "decide_wait", "may_repeat"]

SHORTEST_WAIT_S: Final = 0.001
"""Shortest wait for a rate limit."""

_PASSING = (ProviderUnavailableError, ProviderTimeoutError, RateLimitError)
"""Failures after which the same call is made again. Not a malformed reply: it was made, and is paid for."""


def may_repeat(error: LEOError, *, attempt: int, retries: int) -> bool:
    """Whether a call that ended so may be made again at all.

    Args:
        error: How it ended.
        attempt: Which attempt it was, from 1 on.
        retries: How many may follow the first one.
    """
    if isinstance(error, LimitReachedError):
        return True
    return isinstance(error, _PASSING) and not isinstance(error, CircuitOpenError) and attempt <= retries


def decide_wait(
    error: LEOError,
    *,
    attempt: int,
    waited_s: float,
    left_s: float | None,
    draw: float,
    config: ResilienceConfig,
) -> float | None:
    """Seconds to wait before a call that :func:`may_repeat` is made again; ``None`` when the wait would be too long.

    Args:
        error: How the call ended. Where the provider says how long to wait, it is waited at least so long.
        attempt: Which attempt it was, from 1 on.
        waited_s: What this call has spent waiting before.
        left_s: Seconds until the request's deadline; ``None`` without one.
        draw: Uniform in [0, 1).
        config: Settings.
    """
    asked = getattr(error, "retry_after_s", None)
    limited = isinstance(error, LimitReachedError)
    bound = min(config.backoff_s * 2.0 ** min(attempt - 1, 64), config.longest_backoff_s)
    wait = max(asked or 0.0, SHORTEST_WAIT_S) if limited else draw * bound + (asked or 0.0)
    if waited_s + wait > config.longest_wait_s or (left_s is not None and wait >= left_s):
        return None
    return wait
