"""What a reply's headers say of the provider's rate limits.

OpenAI and compatible servers: ``x-ratelimit-remaining-requests: 0`` with ``x-ratelimit-reset-requests: 6m0s``.
Anthropic: ``anthropic-ratelimit-requests-remaining: 0`` with ``anthropic-ratelimit-requests-reset``, an instant (RFC
3339).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_rest"]

_PAIRS: Final = (
    *((f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}") for kind in ("requests", "tokens")),
    *(
        (f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset")
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
    ),
)
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS: Final[Mapping[str, float]] = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def read_rest(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds for which no call is left, by the headers of a reply.

    Args:
        headers: Of the reply; names in small letters.
        now: Instant to count from; the present by default.

    Returns:
        The longest rest of the limits that are used up, at least 0; ``None`` when none is, or none is told of.
    """
    rests = [
        rest
        for remaining, reset in _PAIRS
        if _is_used_up(headers.get(remaining)) and (rest := _read_reset(headers.get(reset) or "", now)) is not None
    ]
    return max(rests, default=None)


def _is_used_up(remaining: str | None) -> bool:
    try:
        return remaining is not None and float(remaining) <= 0.0
    except ValueError:
        return False


def _read_reset(text: str, now: datetime | None) -> float | None:
    """A duration (``1s``, ``6m0s``, ``120ms``, plain seconds) or an instant, as seconds from now."""
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    try:
        seconds = float(text)
    except ValueError:
        return _until(text, now)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(text: str, now: datetime | None) -> float | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    instant = instant.replace(tzinfo=instant.tzinfo or UTC)
    return max(0.0, (instant - (now or datetime.now(UTC))).total_seconds())
