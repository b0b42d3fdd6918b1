"""Calls of members as the world makes them: through their gates, within the time allowed, twice where that is asked.

A call with a deadline ends at it, whatever the member does. On an event loop it is cancelled; a thread cannot be, so
there it is left to itself: nobody waits for it, and how it ends is still learned from.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from leo_core.engine.aside import start_aside
from leo_core.engine.calls import Relay, acall, call, grace_s, late
from leo_core.errors import CallAbandonedError
from leo_core.records import Draft, Failure, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from leo_core.engine.effects import CallMember, Hedge
    from leo_core.engine.gates import Gates, Pass
    from leo_core.ports import Model
    from leo_core.records import Json, Request

__all__ = ["MemberCalls"]

_LEAST_S: Final = 0.01
"""With less time left no second copy is made."""
_CANCEL_S: Final = 0.05
"""How long a cancelled call is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """One of the two copies of a hedged call."""

    model: Model
    request: Request
    entry: Pass
    started: float
    hedge: bool

    def end_late(self) -> Failure:
        """The failure of a copy that did not end in time."""
        failure = replace(late(self.model, self.request, self.started), hedge=self.hedge)
        self.entry.settle(failure)
        return failure

    def abandon(self, reply: Draft | Failure | None) -> Failure:
        """What is noted of a copy when the other one has answered; ``None`` for one that is still under way."""
        if isinstance(reply, Failure):
            return replace(reply, hedge=self.hedge)
        provider = self.model.id.partition(":")[0]
        message = f"the other copy of this call of {self.model.id} answered first"
        return Failure(
            member=self.model.id,
            error=CallAbandonedError(message, provider=provider, model=self.model.id),
            latency_s=time.perf_counter() - self.started,
            hedge=self.hedge,
            usage=_estimate(self.model, self.request) if reply is None else reply.usage,
        )


class MemberCalls:
    """Calls members.

    Args:
        gates: Through which every call goes.
        notify: Hears of hedges.
    """

    def __init__(self, gates: Gates, notify: Callable[[str, Mapping[str, Json]], None]) -> None:
        self._gates, self._notify = gates, notify

    # ------------------------------------------------------------------------------------------------- one

    def call(self, effect: CallMember) -> Draft | Failure:
        """Ask one member."""
        entry = self._gates.enter(effect.model, effect.request)
        if isinstance(entry, Failure):
            return entry
        if effect.request.constraints.max_latency_s is None:
            return _make(effect, entry)
        copy = _copy(effect, entry)
        future = start_aside(lambda: _make(effect, entry))
        done, _ = concurrent.futures.wait((future,), timeout=_left(copy))
        return future.result() if done else copy.end_late()

    async def acall(self, effect: CallMember) -> Draft | Failure:
        """Ask one member on the event loop."""
        entry = self._gates.enter(effect.model, effect.request)
        return entry if isinstance(entry, Failure) else await _amake(_copy(effect, entry))

    def relay(self, effect: CallMember) -> Relay:
        """A live call whose chunks go to the caller."""
        return Relay(effect.model, effect.request, self._gates.enter(effect.model, effect.request))

    # ------------------------------------------------------------------------------------------------- two

    def hedge(self, effect: Hedge) -> tuple[Draft | Failure, ...]:
        """Ask one member, and after a while a second one; the reply that counts comes first."""
        opened = self._gates.enter(effect.first.model, effect.first.request)
        if isinstance(opened, Failure):
            return (opened,)
        first = _copy(effect.first, opened)
        future = start_aside(lambda: _make(effect.first, opened))
        done, _ = concurrent.futures.wait((future,), timeout=self._patience(effect, first))
        second = None if done else self._second(effect, first)
        if not isinstance(second, _Copy):
            concurrent.futures.wait((future,), timeout=_left(first))
            return (future.result() if future.done() else first.end_late(), *_refused(second))
        other = start_aside(lambda: _make(effect.second, second.entry))
        running = {future: first, other: second}
        pending = set(running)
        while pending:
            done, pending = concurrent.futures.wait(
                pending, timeout=_left(first), return_when=concurrent.futures.FIRST_COMPLETED
            )
            if not done or any(isinstance(each.result(), Draft) for each in done):
                break
        return _decide((copy, each.result() if each.done() else None) for each, copy in running.items())

    async def ahedge(self, effect: Hedge) -> tuple[Draft | Failure, ...]:
        """:meth:`hedge` on the event loop; the copy that lost is cancelled."""
        opened = self._gates.enter(effect.first.model, effect.first.request)
        if isinstance(opened, Failure):
            return (opened,)
        first = _copy(effect.first, opened)
        task = asyncio.create_task(_amake(first))
        running = {task: first}
        try:
            done, _ = await asyncio.wait((task,), timeout=self._patience(effect, first))
            second = None if done else self._second(effect, first)
            if not isinstance(second, _Copy):
                return (await task, *_refused(second))
            running[asyncio.create_task(_amake(second))] = second
            pending = set(running)
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if any(isinstance(each.result(), Draft) for each in done):
                    break
            return _decide((copy, each.result() if each.done() else None) for each, copy in running.items())
        finally:
            await _cancel(each for each in running if not each.done())

    def _patience(self, effect: Hedge, first: _Copy) -> float | None:
        """Seconds until the second copy is made."""
        after = effect.after_s if effect.after_s is not None else self._gates.typical_s(effect.first.model.id)
        left = _left(first)
        return left if after is None else (after if left is None else min(after, left))

    def _second(self, effect: Hedge, first: _Copy) -> _Copy | Failure | None:
        """The second copy, or why it is not made; ``None`` when there is no time for it."""
        left = _left(first)
        if left is not None and left <= _LEAST_S:
            return None
        request = effect.second.request
        if left is not None:
            request = request.with_constraints(max_latency_s=left - grace_s(left))
        call = replace(effect.second, request=request)
        entry = self._gates.enter(call.model, call.request, hedge=True)
        if isinstance(entry, Failure):
            return entry
        self._notify("member.hedged", {"member": first.model.id, "to": call.model.id})
        return _copy(call, entry, hedge=True)


def _copy(effect: CallMember, entry: Pass, *, hedge: bool = False) -> _Copy:
    return _Copy(model=effect.model, request=effect.request, entry=entry, started=time.perf_counter(), hedge=hedge)


def _left(copy: _Copy) -> float | None:
    """Seconds for which a copy is still waited for; ``None`` for ever."""
    allowed = copy.request.constraints.max_latency_s
    return None if allowed is None else max(copy.started + allowed + grace_s(allowed) - time.perf_counter(), 0.0)


def _make(effect: CallMember, entry: Pass) -> Draft | Failure:
    reply = None
    try:
        reply = call(effect.model, effect.request)
    finally:
        entry.settle(reply)
    return reply


async def _amake(copy: _Copy) -> Draft | Failure:
    reply: Draft | Failure | None = None
    try:
        async with asyncio.timeout(_left(copy)):
            reply = await acall(copy.model, copy.request)
    except TimeoutError:
        return copy.end_late()
    finally:
        copy.entry.settle(reply)
    return reply


def _decide(ends: Iterable[tuple[_Copy, Draft | Failure | None]]) -> tuple[Draft | Failure, ...]:
    """The replies of both copies, the one that counts first: the first draft, or else the first copy's failure."""
    known = list(ends)
    winner = next((place for place, (_, reply) in enumerate(known) if isinstance(reply, Draft)), None)
    if winner is None:
        return tuple(copy.end_late() if reply is None else copy.abandon(reply) for copy, reply in known)
    won = known.pop(winner)[1]
    return (*(() if won is None else (won,)), *(copy.abandon(reply) for copy, reply in known))


def _refused(second: _Copy | Failure | None) -> tuple[Failure, ...]:
    return (second,) if isinstance(second, Failure) else ()


async def _cancel(tasks: Iterable[asyncio.Task[Draft | Failure]]) -> None:
    """Cancel what still runs, and see that it ends, for a moment at most."""
    left = list(tasks)
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_CANCEL_S)


def _estimate(model: Model, request: Request) -> Usage:
    """What a call may have used at most; of unknown cost where the member cannot say."""
    try:
        usage = model.estimate(request)
        cost = usage.cost_usd if usage.cost_usd is not None and 0.0 <= usage.cost_usd < math.inf else None
        return replace(usage, calls=1, cost_usd=cost)
    except Exception:  # noqa: BLE001 - a member may raise anything
        return Usage(calls=1, cost_usd=None)
