"""A member's circuit: the fold of its calls' outcomes that says whether it is asked.

Closed, every call is made. It opens after failures in a row, or when too large a share of the last calls failed; then
none is made until it has cooled down. After that it is half open: one call tries the member, the others go on without.
When the try does well the circuit is closed; when it fails, it cools down for twice as long. (Nygard, *Release It!*,
2nd ed., 2018, "Circuit Breaker".)

Every instant is handed in; two folds over the same outcomes at the same instants are equal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from leo_core.errors import (
    AuthenticationError,
    InvalidRequestError,
    MemberAbstainedError,
    ProviderError,
    ProviderTimeoutError,
)

if TYPE_CHECKING:
    from leo_core.errors import LEOError
    from leo_core.stages.resilience.config import ResilienceConfig

__all__ = [
    "LONGEST_REST_S",
    "SHORTEST_PATIENCE_S",
    "Circuit",
    "Outcome",
    "find_rest",
    "read_outcome",
    "settle",
    "try_out",
]

Outcome = Literal["well", "failed", "silent"]
"""What a call says of the member: that it works, that it does not, or nothing."""

LONGEST_REST_S: Final = 3_600.0
"""Longest rest that a provider's own word can bring."""

SHORTEST_PATIENCE_S: Final = 1.0
"""A timeout says nothing of a member that was allowed less than this: the caller was in a hurry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """What is known of a member's last calls.

    Attributes:
        recent: Instant of each of the last calls and whether it failed, oldest first; of a closed circuit.
        in_a_row: Failures since the last call that did well.
        open_until: Instant at which it has cooled down; ``None`` while it is closed.
        trying_until: Instant until which one call tries the member; ``None`` while none does.
        trips: Times that it opened since it was closed.
    """

    recent: tuple[tuple[float, bool], ...] = ()
    in_a_row: int = 0
    open_until: float | None = None
    trying_until: float | None = None
    trips: int = 0

    @property
    def closed(self) -> bool:
        """Whether every call is made."""
        return self.open_until is None


def find_rest(circuit: Circuit, now: float) -> float | None:
    """Seconds for which the member is not to be asked, at least 0; ``None`` when it may be asked now."""
    if circuit.open_until is None:
        return None
    if now < circuit.open_until:
        return circuit.open_until - now
    tried = circuit.trying_until is not None and now < circuit.trying_until
    return 0.0 if tried else None


def try_out(circuit: Circuit, now: float, config: ResilienceConfig) -> Circuit:
    """The circuit while a call is made: of one that has cooled down, it is the one call that tries the member.

    A try that never ends stands in the way of the next for as long as the longest cool-down.
    """
    if circuit.open_until is None:
        return circuit
    return replace(circuit, trying_until=now + config.longest_cool_down_s)


def settle(
    circuit: Circuit,
    outcome: Outcome,
    now: float,
    config: ResilienceConfig,
    *,
    tried: bool = False,
    retry_after_s: float | None = None,
) -> Circuit:
    """The circuit after a call.

    Args:
        circuit: Before.
        outcome: What the call says of the member.
        now: Instant, on a clock that never goes back.
        config: Settings.
        tried: Whether it was the one call that a half-open circuit lets through. Others, which began before the
            circuit opened, say nothing about an open one.
        retry_after_s: Seconds that the provider asked to wait; a circuit that opens rests at least so long (an hour at
            most).
    """
    if not circuit.closed:
        return _settle_try(circuit, outcome, now, config, retry_after_s) if tried else circuit
    if outcome == "silent":
        return circuit
    failed = outcome == "failed"
    young = [(at, bad) for at, bad in circuit.recent if now - at < config.window_s]
    recent = (*young, (now, failed))[-config.window_calls :]
    circuit = replace(circuit, recent=recent, in_a_row=circuit.in_a_row + 1 if failed else 0)
    if not failed:
        return circuit
    share = sum(bad for _, bad in recent) / config.window_calls
    full = len(recent) == config.window_calls
    if circuit.in_a_row >= config.failures_in_a_row or (full and share >= config.failure_share):
        return _open(circuit, now, config, retry_after_s)
    return circuit


def _settle_try(
    circuit: Circuit, outcome: Outcome, now: float, config: ResilienceConfig, retry_after_s: float | None
) -> Circuit:
    if outcome == "well":
        return Circuit()
    if outcome == "silent":
        return replace(circuit, trying_until=None)
    return _open(circuit, now, config, retry_after_s)


def _open(circuit: Circuit, now: float, config: ResilienceConfig, retry_after_s: float | None) -> Circuit:
    rest = min(config.cool_down_s * 2.0 ** min(circuit.trips, 64), config.longest_cool_down_s)
    rest = max(rest, min(retry_after_s or 0.0, LONGEST_REST_S))
    return Circuit(in_a_row=circuit.in_a_row, open_until=now + rest, trips=circuit.trips + 1)


def read_outcome(error: LEOError | None, *, allowed_s: float | None = None) -> Outcome:
    """What a call's end says of the member.

    A failure is what may pass (no connection, 5xx, 429, a timeout, a malformed reply), and refused credentials: the
    next call would be refused too. A refused request is an answer of a provider that works, and so is the word of a
    member that it does not know. Everything else, such as a
    missing key or an error of a member of your own, says nothing.

    Args:
        error: What went wrong; ``None`` when nothing did.
        allowed_s: Time that the call was allowed, in seconds; ``None`` for no limit.
    """
    if error is None or isinstance(error, InvalidRequestError | MemberAbstainedError):
        return "well"
    if isinstance(error, ProviderTimeoutError) and allowed_s is not None and allowed_s < SHORTEST_PATIENCE_S:
        return "silent"
    failed = isinstance(error, AuthenticationError) or (isinstance(error, ProviderError) and error.retryable)
    return "failed" if failed else "silent"
