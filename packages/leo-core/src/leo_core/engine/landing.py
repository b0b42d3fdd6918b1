"""Something that happens once, for which threads, and tasks of any event loop, can wait."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Landing"]


class Landing:
    """The end of a request that others wait for.

    A waiter who gives up, or whose event loop is gone, disturbs nobody. Setting it takes no lock that a waiter could
    hold, so that it may be done from anywhere, a destructor included.

    Attributes:
        landed: ``None`` until it happened, then whether the answer is where the waiters find it.
    """

    def __init__(self) -> None:
        self._wake: deque[Callable[[], None]] = deque()
        self.landed: bool | None = None

    def set(self, *, landed: bool) -> None:
        """Let it happen, and wake all who wait; only the first time counts."""
        if self.landed is None:
            self.landed = landed
        with suppress(IndexError):
            while True:
                self._wake.popleft()()

    def wait(self, seconds: float) -> bool | None:
        """Wait in this thread, at most so long; returns :attr:`landed`."""
        gate = threading.Lock()
        gate.acquire()
        self._wake.append(lambda: _open(gate))
        if self.landed is None:  # looked at after the note was left, so that none is missed
            gate.acquire(timeout=max(seconds, 0.0))
        return self.landed

    async def await_on_loop(self, seconds: float) -> bool | None:
        """:meth:`wait` without blocking the event loop."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._wake.append(lambda: _tell(loop, done))
        if self.landed is None:
            await asyncio.wait((done,), timeout=max(seconds, 0.0))
        return self.landed


def _open(gate: threading.Lock) -> None:
    with suppress(RuntimeError):  # it is open: whoever waited there has left
        gate.release()


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[None]) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
        loop.call_soon_threadsafe(lambda: None if done.done() else done.set_result(None))
