"""How fast a member may be asked: token buckets, and the rests that its provider asks for.

A bucket holds a minute's worth and fills evenly, as providers' own do: in any T seconds at most ``limit · (1 + T/60)``
leave it. A call takes one request and the tokens that it is estimated to need; what it really used is corrected when
it has answered. A call that needs more tokens than a bucket can hold waits for a full one, and leaves a debt.

Every instant is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from leo_core.stages.resilience.circuit import LONGEST_REST_S

if TYPE_CHECKING:
    from leo_core.stages.resilience.config import RateLimit

__all__ = ["Pace", "correct", "find_wait", "rest", "spend"]

_MINUTE_S: Final = 60.0
_ROUNDING: Final = 1e-9
"""Share of a bucket that may be missing: a wait that was computed is long enough, whatever rounding does to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What is left of a member's limits.

    Attributes:
        requests: What the bucket of requests lacks, at ``at``; 0 is full.
        tokens: What the bucket of tokens lacks, at ``at``; may be more than the bucket holds.
        at: Instant of these figures.
        rest_until: Instant until which the provider asked to be left alone.
    """

    requests: float = 0.0
    tokens: float = 0.0
    at: float = 0.0
    rest_until: float = 0.0


def find_wait(pace: Pace, tokens: float, now: float, limit: RateLimit | None) -> float:
    """Seconds until a call with so many tokens may be made, at least 0."""
    waits = [0.0, pace.rest_until - now]
    if limit is not None:
        filled = _fill(pace, now, limit)
        waits.append(_wait(filled.requests, 1.0, limit.requests_per_minute))
        waits.append(_wait(filled.tokens, tokens, limit.tokens_per_minute))
    return max(waits)


def spend(pace: Pace, tokens: float, now: float, limit: RateLimit | None) -> Pace:
    """The pace after a call was begun."""
    if limit is None:
        return pace
    filled = _fill(pace, now, limit)
    return replace(filled, requests=filled.requests + 1.0, tokens=filled.tokens + tokens)


def correct(pace: Pace, estimated: float, used: float, now: float, limit: RateLimit | None) -> Pace:
    """The pace after it became known how many tokens a call used, where another number was estimated."""
    if limit is None:
        return pace
    filled = _fill(pace, now, limit)
    return replace(filled, tokens=max(0.0, filled.tokens + used - estimated))


def rest(pace: Pace, seconds: float, now: float) -> Pace:
    """The pace after a provider asked to be left alone for so many seconds; an hour at most is kept."""
    return replace(pace, rest_until=max(pace.rest_until, now + min(seconds, LONGEST_REST_S)))


def _fill(pace: Pace, now: float, limit: RateLimit) -> Pace:
    passed = max(0.0, now - pace.at)
    return replace(
        pace,
        requests=max(0.0, pace.requests - passed * (limit.requests_per_minute or 0.0) / _MINUTE_S),
        tokens=max(0.0, pace.tokens - passed * (limit.tokens_per_minute or 0.0) / _MINUTE_S),
        at=max(now, pace.at),
    )


def _wait(lacking: float, needed: float, per_minute: float | None) -> float:
    if per_minute is None:
        return 0.0
    missing = lacking + min(needed, per_minute) - per_minute
    return 0.0 if missing <= per_minute * _ROUNDING else missing * _MINUTE_S / per_minute
