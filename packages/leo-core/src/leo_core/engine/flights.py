"""Single flight: of equal requests at the same time one is answered by the members, the others by its answer.

Inside the process the requests meet in a table; between processes, in a lease of the store, where it has any
(:class:`leo_core.ports.Leases`). Whoever leads holds a :class:`Turn` and ends it; whoever follows waits for that and
looks the cache up again.

Nothing waits for ever, and no two requests for each other:

* a leader that fails or is cancelled hands over to one of its followers, and the lease of a process that died expires;
* past ``wait_s`` one of the followers takes over, and past twice that time, or after two leaders that failed, a request
  goes its own way, so that an upstream that is down keeps nobody in a queue;
* whoever holds a turn, in this context or one that it was started from, waits for no other turn.

How to wait is written once, as a generator; a thread and an event loop each run it in their own way.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from leo_core.engine.landing import Landing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from leo_core.engine.store_guard import StoreGuard
    from leo_core.engine.threads import Threads
    from leo_core.ports import Leases

__all__ = ["Flights", "Turn", "whoever_runs"]

_POLL_S = (0.01, 0.1)
"""First and longest pause between two looks at another process's lease; each is varied by half."""
_MOST_FAILED = 2
"""Leaders that a follower sees fail before it goes its own way."""
_MOST_KEPT = 1024
"""Flights from which on those that are over are swept out."""


class Turn:
    """A request's place among equal ones. As a context it ends with the block: landed, or failed with an error.

    Args:
        waited: Whether an equal request was waited for, so that the cache may know the answer by now.
        waited_s: Seconds that it took to get here.
        end: What to do at the end, told whether the answer landed; ``None`` for a request that leads nothing.

    Attributes:
        left: Whether its taker went on without it, so that it keeps nobody from waiting.
    """

    __slots__ = ("_end", "_lock", "left", "waited", "waited_s")

    def __init__(
        self, *, waited: bool = False, waited_s: float = 0.0, end: Callable[[bool], None] | None = None
    ) -> None:
        self.waited, self.waited_s, self.left = waited, waited_s, False
        self._end = end
        self._lock = threading.RLock()

    @property
    def leads(self) -> bool:
        """Whether others may be waiting for this one."""
        return self._end is not None

    def end(self, *, landed: bool) -> None:
        """Let the others go on; idempotent, never blocks, and may be called from anywhere.

        Args:
            landed: Whether the answer is where they find it; otherwise one of them leads.
        """
        with self._lock:
            end, self._end = self._end, None
        if end is not None:
            end(landed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.end(landed=kind is None)


_TURNS: ContextVar[tuple[Turn, ...]] = ContextVar("leo_turns", default=())
"""The turns that this context, or one that it was started from, has taken."""


@dataclass(frozen=True, slots=True)
class _Flight:
    """A request that leads: who runs it, until when it is waited for, and how it ended."""

    leader: tuple[object, int]
    until: float
    landing: Landing = field(default_factory=Landing)

    @property
    def over(self) -> bool:
        return self.landing.landed is not None or time.monotonic() >= self.until


@dataclass(frozen=True, slots=True)
class _Pause:
    """Wait for so many seconds, or for a landing; the reply is its ``landed``."""

    seconds: float
    landing: Landing = field(default_factory=Landing)


@dataclass(frozen=True, slots=True)
class _Ask:
    """Ask the store; the reply is what it says."""

    do: Callable[[], bool]


class Flights:
    """Where equal requests meet.

    Args:
        wait_s: Longest wait for one leader, in seconds, and the life of a lease; 0 lets everyone go alone.
        guard: Runs the store's operations; where one fails, the request leads as if there were no other process.
        submit: Queues work behind what is on its way to the store; tells whether it was taken.
        threads: Where the store is asked while an event loop goes on.
        leases: The store's leases; ``None`` where it has none: processes then do not wait for each other.
    """

    def __init__(
        self,
        *,
        wait_s: float,
        guard: StoreGuard,
        submit: Callable[[Callable[[], object]], bool],
        threads: Threads,
        leases: Leases | None = None,
    ) -> None:
        self._wait_s, self._guard, self._submit = wait_s, guard, submit
        self._threads, self._leases = threads, leases
        self._lock = threading.RLock()
        self._flights: dict[str, _Flight] = {}
        self._sweep_at = _MOST_KEPT

    def join(self, key: str, *, wait_s: float | None = None) -> Turn:
        """Lead, or wait until the one that leads is done.

        Args:
            key: The same for equal requests, and only for them.
            wait_s: A shorter wait than the usual one, for everything.
        """
        steps = self._join(key, wait_s, blocks=_on_event_loop())
        reply: Any = None
        while True:
            try:
                step = steps.send(reply)
                reply = step.do() if isinstance(step, _Ask) else step.landing.wait(step.seconds)
            except StopIteration as stop:
                turn: Turn = stop.value
                return turn
            except BaseException:
                steps.close()
                raise

    async def ajoin(self, key: str, *, wait_s: float | None = None) -> Turn:
        """:meth:`join` without blocking the event loop."""
        steps = self._join(key, wait_s, blocks=False)
        reply: Any = None
        while True:
            try:
                step = steps.send(reply)
                if isinstance(step, _Ask):
                    reply = await self._threads.run(step.do)
                else:
                    reply = await step.landing.await_on_loop(step.seconds)
            except StopIteration as stop:
                turn: Turn = stop.value
                return turn
            except BaseException:
                steps.close()
                raise

    def start_anew(self) -> None:
        """Go on in a forked process: those that lead are in the parent, where the store's leases say so."""
        self._flights, self._lock = {}, threading.RLock()

    # ------------------------------------------------------------------------------------------------- private

    def _join(self, key: str, wait_s: float | None, *, blocks: bool) -> Generator[_Pause | _Ask, Any, Turn]:
        """The steps of joining. ``blocks``: no task of this thread's event loop can go on meanwhile."""
        started = time.monotonic()
        deadline = started + (2 * self._wait_s if wait_s is None else max(0.0, min(wait_s, 2 * self._wait_s)))
        waited, failed = False, 0
        own = _Flight(whoever_runs(), started + self._wait_s)
        while (flight := self._enter(key, own)) is not own:
            now = time.monotonic()
            may_not = blocks or flight.leader == own.leader or _holds_a_turn()
            if may_not or failed >= _MOST_FAILED or now >= deadline:
                return Turn(waited=waited, waited_s=now - started)
            waited = True
            landed = yield _Pause(min(flight.until, deadline) - now, flight.landing)
            if landed:
                return Turn(waited=True, waited_s=time.monotonic() - started)
            failed += landed is False
            own = _Flight(own.leader, time.monotonic() + self._wait_s)
        name, owner = _hash(key), secrets.token_hex(8)
        try:
            for pause_s in _pauses():
                if (yield _Ask(partial(self._acquire, name, owner))) or time.monotonic() >= deadline:
                    break
                if blocks or _holds_a_turn():
                    break
                waited = True
                yield _Pause(pause_s)
        except BaseException:
            self._leave(key, own, name, owner, landed=False)
            raise
        turn = Turn(
            waited=waited,
            waited_s=time.monotonic() - started,
            end=lambda landed: self._leave(key, own, name, owner, landed=landed),
        )
        _TURNS.set((*(each for each in _TURNS.get() if each.leads and not each.left), turn))
        return turn

    def _enter(self, key: str, own: _Flight) -> _Flight:
        """The flight to wait for; ``own`` when that one leads from now on."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is None or flight.over:
                flight = self._flights[key] = own
                if len(self._flights) > self._sweep_at:
                    self._flights = {name: each for name, each in self._flights.items() if not each.over}
                    self._sweep_at = max(_MOST_KEPT, 2 * len(self._flights))
            return flight

    def _leave(self, key: str, own: _Flight, name: str, owner: str, *, landed: bool) -> None:
        with self._lock:
            if self._flights.get(key) is own:  # and not one that took over because this took too long
                del self._flights[key]
        leases = self._leases
        if leases is not None:  # behind the answer on its way to the store; a lease that stays expires
            release = partial(leases.release_lease, name, owner)
            self._submit(lambda: self._guard.attempt("release_lease", release, None))
        own.landing.set(landed=landed)

    def _acquire(self, name: str, owner: str) -> bool:
        leases = self._leases
        if leases is None:
            return True
        acquire = partial(leases.acquire_lease, name, owner, now=time.time(), life_s=self._wait_s)
        return self._guard.attempt("acquire_lease", acquire, otherwise=True)


class _Threads(threading.local):
    """A mark of each thread's own; its number may be given to another one when it has ended."""

    def __init__(self) -> None:
        self.mark = object()


_THREADS = _Threads()


def whoever_runs() -> tuple[object, int]:
    """The thread, and the task on its event loop."""
    return _THREADS.mark, id(asyncio.current_task()) if _on_event_loop() else 0


def _holds_a_turn() -> bool:
    return any(turn.leads and not turn.left for turn in _TURNS.get())


def _on_event_loop() -> bool:
    return asyncio._get_running_loop() is not None  # noqa: SLF001 - the documented twin raises instead of telling


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _pauses() -> Iterator[float]:
    """Growing pauses without end, each varied so that waiting processes do not look at the same moment."""
    pause_s, longest_s = _POLL_S
    while True:
        yield pause_s * random.uniform(0.5, 1.5)  # noqa: S311 - spreads looks, guards nothing
        pause_s = min(1.5 * pause_s, longest_s)
