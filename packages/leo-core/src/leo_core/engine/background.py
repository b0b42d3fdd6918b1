"""Work off the request's path: one thread, a bounded queue, back-pressure, and a clean flush."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Background"]

_log = logging.getLogger("leo_core")
_FORK_WAIT_S = 2.0
"""Longest that a fork waits for the running job."""
_GRACE_S = 0.002
"""How long a thread that was idle leaves those alone who gave it a job: they are about to return an answer. On one core
an event loop, which lets go of the interpreter's lock for a moment, would get it back when the job is done."""


class Background:
    """Runs jobs in order in a thread that starts with the first of them.

    A thread that was idle begins 2 ms later, unless somebody waits for it by then.

    Args:
        run: Runs one job; an exception that escapes it is logged and counted, and the next job goes on.
        capacity: Jobs that may wait. Past that :meth:`submit` blocks and :meth:`try_submit` refuses.

    Attributes:
        failures: Jobs that ended with an exception.
    """

    def __init__(self, run: Callable[[Callable[[], object]], object], *, capacity: int = 1024) -> None:
        self._run = run
        self._capacity = capacity
        self._jobs: deque[Callable[[], object]] = deque()
        self._changed = threading.Condition()
        self._queued = self._queued_inside = self._done = self._waited_for = 0
        self._busy = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._at_exit = partial(_close_if_alive, weakref.ref(self))
        self.failures = 0

    @property
    def closed(self) -> bool:
        """Whether no job is taken any more."""
        return self._closed

    def try_submit(self, job: Callable[[], object]) -> bool:
        """Queue a job if there is room.

        Raises:
            RuntimeError: After :meth:`close`.
        """
        with self._changed:
            if len(self._jobs) >= self._capacity:
                return False
            self._put(job)
            return True

    def submit(self, job: Callable[[], object]) -> None:
        """Queue a job, waiting for room if need be. A job submitted from the background thread never waits."""
        with self._changed:
            inside = threading.current_thread() is self._thread
            self._changed.wait_for(lambda: inside or self._closed or len(self._jobs) < self._capacity)
            self._put(job)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until everything queued so far is done, and what that queued; tells whether it was in time.

        What others queue meanwhile is not waited for: under steady traffic there may always be some.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            self._waited_for += 1
            self._changed.notify_all()
            try:
                return self._wait_until_done(self._queued, until) and self._wait_until_done(self._queued_inside, until)
            finally:
                self._waited_for -= 1

    def close(self, timeout_s: float | None = None) -> bool:
        """Finish what is queued, then stop; idempotent. Tells whether it was in time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        atexit.unregister(self._at_exit)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)
            return not thread.is_alive()
        return True

    def pause(self) -> None:
        """Let the running job end and no other begin until :meth:`resume`: the process is about to fork."""
        self._changed.acquire()
        if threading.current_thread() is not self._thread:
            self._changed.wait_for(lambda: not self._busy, _FORK_WAIT_S)

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._changed.release()

    def start_anew(self) -> None:
        """Go on in a forked process, where the thread and its jobs are not: they are the parent's."""
        self._jobs, self._changed = deque(), threading.Condition()
        self._queued = self._queued_inside = self._done = self._waited_for = 0
        self._busy, self._thread = False, None

    def _wait_until_done(self, number: int, until: float | None) -> bool:
        left = None if until is None else max(0.0, until - time.monotonic())
        return self._changed.wait_for(lambda: self._done >= number, left)

    def _put(self, job: Callable[[], object]) -> None:
        if self._closed:
            message = "this LEO is closed"
            raise RuntimeError(message)
        self._jobs.append(job)
        self._queued += 1
        if threading.current_thread() is self._thread:
            self._queued_inside = self._queued
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="leo-background", daemon=True)
            self._thread.start()
            atexit.register(self._at_exit)
        self._changed.notify_all()

    def _is_urgent(self) -> bool:
        return self._closed or self._waited_for > 0 or len(self._jobs) >= self._capacity

    def _work(self) -> None:
        idle = True
        while True:
            with self._changed:
                if idle or not self._jobs:
                    self._changed.wait_for(lambda: self._jobs or self._closed)
                    self._changed.wait_for(self._is_urgent, _GRACE_S)
                if not self._jobs:
                    return
                job = self._jobs.popleft()
                self._busy, idle = True, False
                self._changed.notify_all()
            try:
                self._run(job)
            except BaseException:  # noqa: BLE001 - logged with its traceback; the next job must go on, whatever it was
                self.failures += 1
                _log.exception("a background job of LEO failed")
            finally:
                with self._changed:
                    self._busy = False
                    self._done += 1
                    self._changed.notify_all()


def _close_if_alive(reference: weakref.ref[Background]) -> None:
    background = reference()
    if background is not None:
        background.close(timeout_s=10.0)
