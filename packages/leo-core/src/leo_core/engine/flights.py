"""Single flight: of equal requests at the same time one is answered by the members, the others by its answer.

Inside the process the requests meet in a table; between processes, in a lease of the store, where it has any
(:class:`leo_core.ports.Leases`). Whoever leads holds a :class:`Turn` and ends it; whoever follows waits for that, at
most ``wait_s``, and looks the cache up again. Nothing waits for ever: a leader that fails or is cancelled hands over
to one of its followers, the lease of a process that died expires, and past ``wait_s`` a request goes its own way.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeoutError
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leo_core.engine.store_guard import StoreGuard
    from leo_core.engine.threads import Threads
    from leo_core.ports import Leases

__all__ = ["Flights", "Turn"]

_POLL_S = (0.01, 0.1)
"""First and longest pause between two looks at another process's lease; each is varied by half."""


class Turn:
    """A request's place among equal ones. As a context it ends with the block: landed, or failed with an error.

    Args:
        waited: Whether an equal request was waited for, so that the cache may know the answer by now.
        end: What to do at the end, told whether the answer landed; ``None`` for a request that leads nothing.
    """

    __slots__ = ("_end", "_lock", "waited")

    def __init__(self, *, waited: bool = False, end: Callable[[bool], None] | None = None) -> None:
        self.waited = waited
        self._end = end
        self._lock = threading.Lock()

    @property
    def leads(self) -> bool:
        """Whether others may be waiting for this one."""
        return self._end is not None

    def end(self, *, landed: bool) -> None:
        """Let the others go on; idempotent.

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


@dataclass(frozen=True, slots=True)
class _Flight:
    """A request that leads: who runs it, and whether it landed once that is known."""

    leader: tuple[int, int]
    landed: Future[bool] = field(default_factory=Future)


class Flights:
    """Where equal requests meet.

    Args:
        wait_s: Longest wait for another's answer, in seconds, and the life of a lease; 0 lets everyone go alone.
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
        self._lock = threading.Lock()
        self._flights: dict[str, _Flight] = {}

    def join(self, key: str, *, wait_s: float | None = None) -> Turn:
        """Lead, or wait until the one that leads is done.

        Args:
            key: The same for equal requests, and only for them.
            wait_s: A shorter wait than the usual one.
        """
        deadline = time.monotonic() + self._bound(wait_s)
        waited = False
        while (flight := self._enter(key)) is not None:
            if flight.leader == _whoever_runs() or _on_event_loop():
                return Turn(waited=waited)  # it would wait for itself, or keep the leader from going on
            waited = True
            if _await(flight, deadline - time.monotonic()) is not False:
                return Turn(waited=True)
        owner = secrets.token_hex(8)
        try:
            for pause_s in _pauses():
                if self._acquire(key, owner) or time.monotonic() >= deadline:
                    break
                waited = True
                time.sleep(pause_s)
        except BaseException:
            self._leave(key, owner, landed=False)
            raise
        return Turn(waited=waited, end=lambda landed: self._leave(key, owner, landed=landed))

    async def ajoin(self, key: str, *, wait_s: float | None = None) -> Turn:
        """:meth:`join` without blocking the event loop."""
        deadline = time.monotonic() + self._bound(wait_s)
        waited = False
        while (flight := self._enter(key)) is not None:
            if flight.leader == _whoever_runs():
                return Turn(waited=waited)
            waited = True
            if await _aawait(flight, deadline - time.monotonic()) is not False:
                return Turn(waited=True)
        owner = secrets.token_hex(8)
        try:
            for pause_s in _pauses():
                if await self._aacquire(key, owner) or time.monotonic() >= deadline:
                    break
                waited = True
                await asyncio.sleep(pause_s)
        except BaseException:
            self._leave(key, owner, landed=False)
            raise
        return Turn(waited=waited, end=lambda landed: self._leave(key, owner, landed=landed))

    # ------------------------------------------------------------------------------------------------- private

    def _bound(self, wait_s: float | None) -> float:
        return self._wait_s if wait_s is None else max(0.0, min(wait_s, self._wait_s))

    def _enter(self, key: str) -> _Flight | None:
        """The flight to wait for; ``None`` when this one leads from now on."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                self._flights[key] = _Flight(_whoever_runs())
            return flight

    def _leave(self, key: str, owner: str, *, landed: bool) -> None:
        with self._lock:
            flight = self._flights.pop(key)
        flight.landed.set_result(landed)
        leases = self._leases
        if leases is not None:  # behind the answer on its way to the store; a lease that stays expires
            release = partial(leases.release_lease, _hash(key), owner)
            self._submit(lambda: self._guard.attempt("release_lease", release, None))

    def _acquire(self, key: str, owner: str) -> bool:
        leases = self._leases
        if leases is None:
            return True
        acquire = partial(leases.acquire_lease, _hash(key), owner, now=time.time(), life_s=self._wait_s)
        return self._guard.attempt("acquire_lease", acquire, otherwise=True)

    async def _aacquire(self, key: str, owner: str) -> bool:
        return self._leases is None or await self._threads.run(self._acquire, key, owner)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _whoever_runs() -> tuple[int, int]:
    """The thread, and the task on its event loop."""
    return threading.get_ident(), id(asyncio.current_task()) if _on_event_loop() else 0


def _on_event_loop() -> bool:
    return asyncio._get_running_loop() is not None  # noqa: SLF001 - the documented twin raises instead of telling


def _await(flight: _Flight, timeout_s: float) -> bool | None:
    """Whether the flight landed; ``None`` when the time is up."""
    try:
        return flight.landed.result(max(timeout_s, 0.0))
    except WaitTimeoutError:
        return None


async def _aawait(flight: _Flight, timeout_s: float) -> bool | None:
    landed = asyncio.wrap_future(flight.landed)
    done, _ = await asyncio.wait([landed], timeout=max(timeout_s, 0.0))  # never cancels what is shared
    return landed.result() if done else None


def _pauses() -> Iterator[float]:
    """Growing pauses without end, each varied so that waiting processes do not look at the same moment."""
    pause_s, longest_s = _POLL_S
    while True:
        yield pause_s * random.uniform(0.5, 1.5)  # noqa: S311 - spreads looks, guards nothing
        pause_s = min(1.5 * pause_s, longest_s)
