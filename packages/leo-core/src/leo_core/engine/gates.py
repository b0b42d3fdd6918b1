"""The gates before the members: who may be asked now, by its circuit and by its rate limits.

The states are folded by :mod:`leo_core.stages.resilience`; here they are kept, one per member, behind one lock.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leo_core.errors import CircuitOpenError, LimitReachedError
from leo_core.records import Draft, Failure
from leo_core.stages.resilience import pace as paces
from leo_core.stages.resilience.circuit import Circuit, find_rest, read_outcome, settle, try_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from leo_core.ports import Clock, Model
    from leo_core.records import Json, Request
    from leo_core.stages.resilience.config import ResilienceConfig

__all__ = ["Gates", "Pass"]

_KEPT = 200
"""Latencies of a member that are remembered."""
_LEAST = 20
"""Latencies that it takes to speak of a 95th percentile."""


@dataclass(slots=True)
class _Gate:
    """What is known of one member."""

    circuit: Circuit = field(default_factory=Circuit)
    pace: paces.Pace = field(default_factory=paces.Pace)
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))


class Gates:
    """Lets calls of members through, and learns from how they end. Safe to share between threads and tasks.

    Args:
        config: Settings.
        clock: Tells the time; only :meth:`~leo_core.ports.Clock.monotonic` is read.
        notify: Hears of circuits that open and close.
    """

    def __init__(
        self, config: ResilienceConfig, clock: Clock, notify: Callable[[str, Mapping[str, Json]], None]
    ) -> None:
        self._config, self._clock, self._notify = config, clock, notify
        self._gates: dict[str, _Gate] = {}
        self._lock = threading.Lock()

    def enter(self, model: Model, request: Request, *, hedge: bool = False) -> Pass | Failure:
        """Let a call through, or say why it is not made: ``CircuitOpenError``, ``LimitReachedError``.

        Whoever gets a pass settles it.
        """
        limit = self._config.limits.get(model.id)
        tokens = _estimated_tokens(model, request) if limit is not None else 0.0
        with self._lock:
            now = self._clock.monotonic()
            gate = self._gates.get(model.id) or self._gates.setdefault(model.id, _Gate())
            rest_s = find_rest(gate.circuit, now) if self._config.breaker else None
            if rest_s is not None:
                message = f"{model.id} is left alone: {gate.circuit.in_a_row} calls in a row failed"
                return _refuse(model, CircuitOpenError, message, rest_s, hedge=hedge)
            wait_s = paces.find_wait(gate.pace, tokens, now, limit)
            if wait_s > 0.0:
                message = f"the rate limit of {model.id} leaves no call for {wait_s:.3g} s"
                return _refuse(model, LimitReachedError, message, wait_s, hedge=hedge)
            tries = not gate.circuit.closed
            gate.circuit = try_out(gate.circuit, now, self._config)
            gate.pace = paces.spend(gate.pace, tokens, now, limit)
        allowed_s = request.constraints.max_latency_s
        return Pass(lambda reply: self._settle(model.id, reply, tokens=tokens, tries=tries, allowed_s=allowed_s))

    def typical_s(self, member: str) -> float | None:
        """Seconds within which 95 of 100 of the member's last answers came; ``None`` while there are too few."""
        with self._lock:
            gate = self._gates.get(member)
            latencies = sorted(gate.latencies) if gate is not None else []
        return latencies[-(-len(latencies) * 95 // 100) - 1] if len(latencies) >= _LEAST else None

    def _settle(
        self, member: str, reply: Draft | Failure | None, *, tokens: float, tries: bool, allowed_s: float | None
    ) -> None:
        error = reply.error if isinstance(reply, Failure) else None
        outcome = "silent" if reply is None else read_outcome(error, allowed_s=allowed_s)
        asked_s = getattr(error, "retry_after_s", None)
        with self._lock:
            now = self._clock.monotonic()
            gate, limit = self._gates[member], self._config.limits.get(member)
            before = gate.circuit
            if self._config.breaker:
                gate.circuit = settle(before, outcome, now, self._config, tried=tries, retry_after_s=asked_s)
            after = gate.circuit
            if asked_s:
                gate.pace = paces.rest(gate.pace, asked_s, now)
            if isinstance(reply, Draft):
                gate.latencies.append(reply.latency_s)
                used = float(reply.usage.input_tokens + reply.usage.output_tokens)
                gate.pace = paces.correct(gate.pace, tokens, used, now, limit)
                if reply.rest_s:
                    gate.pace = paces.rest(gate.pace, reply.rest_s, now)
        if before.closed and not after.closed:
            rest_s = find_rest(after, now)
            self._notify("circuit.opened", {"member": member, "in_a_row": after.in_a_row, "rest_s": rest_s})
        elif after.closed and not before.closed:
            self._notify("circuit.closed", {"member": member})


class Pass:
    """Leave to make one call."""

    __slots__ = ("_lock", "_settle")

    def __init__(self, settle: Callable[[Draft | Failure | None], None]) -> None:
        self._settle: Callable[[Draft | Failure | None], None] | None = settle
        self._lock = threading.Lock()

    def settle(self, reply: Draft | Failure | None) -> None:
        """Say how the call ended, ``None`` for a call that was given up on the way; only the first time counts."""
        with self._lock:
            settle, self._settle = self._settle, None
        if settle is not None:
            settle(reply)


def _estimated_tokens(model: Model, request: Request) -> float:
    try:
        usage = model.estimate(request)
    except Exception:  # noqa: BLE001 - a member may raise anything; when it is called that becomes its failure
        return 0.0
    return float(usage.input_tokens + usage.output_tokens)


def _refuse(
    model: Model, kind: type[CircuitOpenError | LimitReachedError], message: str, rest_s: float, *, hedge: bool
) -> Failure:
    provider = model.id.partition(":")[0]
    return Failure(
        member=model.id, error=kind(message, provider=provider, model=model.id, retry_after_s=rest_s), hedge=hedge
    )
