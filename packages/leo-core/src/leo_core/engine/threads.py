"""Threads for what blocks, so that an event loop does not: LEO's own, since the loop's may all be waiting for LEO."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Threads", "run_together"]

T = TypeVar("T")
_MOST = 16


def run_together(jobs: Sequence[Callable[[], T]]) -> tuple[T, ...]:
    """The results of calls that are made at once, each in a thread with the caller's context variables."""
    if len(jobs) == 1:
        return (jobs[0](),)
    with ThreadPoolExecutor(min(len(jobs), _MOST) or 1, thread_name_prefix="leo-member") as pool:
        calls = [pool.submit(contextvars.copy_context().run, job) for job in jobs]
        return tuple(each.result() for each in calls)


class Threads:
    """A pool that starts with its first use and may be used again after :meth:`close`.

    A blocking call in one of the loop's default threads may wait for a task of the same loop; if that task needed a
    default thread too, a full pool would stop both.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    async def run(self, do: Callable[..., T], /, *arguments: object) -> T:
        """The result of a call in a thread, with the caller's context variables."""
        call = partial(contextvars.copy_context().run, do, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._get(), call)

    def close(self) -> None:
        """Let the threads end when what they do is done; idempotent."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)

    def start_anew(self) -> None:
        """Go on in a forked process, where the threads are not."""
        self._pool, self._lock = None, threading.Lock()

    def _get(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_MOST, thread_name_prefix="leo")
            return self._pool
