"""Renewing stale entries beside the requests: each one once at a time, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from leo_core.engine.background import Background
from leo_core.errors import LEOError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from leo_core.records import CacheEntry, Json

__all__ = ["Renewals"]

_log = logging.getLogger("leo_core")
_MOST_WAITING = 64
_REST_S = 10.0


class Renewals:
    """Runs renewals in order, apart from what is written after answers, so that a slow model delays no write.

    Args:
        notify: Hears of what failed.
        rest_s: For how long an entry whose renewal failed is left alone.
    """

    def __init__(self, notify: Callable[[str, Mapping[str, Json]], None], *, rest_s: float = _REST_S) -> None:
        self._notify, self._rest_s = notify, rest_s
        self._background = Background(lambda job: job(), capacity=_MOST_WAITING)
        self._lock = threading.Lock()
        self._running: set[tuple[str, str]] = set()
        self._resting: dict[tuple[str, str], float] = {}

    def submit(self, entry: CacheEntry, job: Callable[[], object]) -> None:
        """Renew an entry; nothing happens while it is being renewed, rests, or too many others wait."""
        key = (entry.tenant, entry.id)
        with self._lock:
            if key in self._running or self._resting.get(key, 0.0) > time.monotonic():
                return
            self._running.add(key)
        try:
            taken = self._background.try_submit(lambda: self._run(key, job))
        except RuntimeError:  # closed meanwhile
            taken = False
        if not taken:
            with self._lock:
                self._running.discard(key)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until every renewal is done; tells whether it was in time."""
        return self._background.flush(timeout_s)

    def close(self) -> None:
        """Finish what runs and waits, then stop; idempotent."""
        self._background.close()

    def start_anew(self) -> None:
        """Go on in a forked process; what is being renewed is the parent's."""
        self._background.start_anew()
        self._lock = threading.Lock()
        self._running = set()

    def _run(self, key: tuple[str, str], job: Callable[[], object]) -> None:
        try:
            job()
        except LEOError as error:
            _log.debug("an entry could not be renewed", exc_info=error)
            self._notify("cache.renewal_failed", {"entry_id": key[1], "error": type(error).__name__})
            self._rest(key)
        finally:
            with self._lock:
                self._running.discard(key)

    def _rest(self, key: tuple[str, str]) -> None:
        now = time.monotonic()
        with self._lock:
            self._resting = {each: until for each, until in self._resting.items() if until > now}
            self._resting[key] = now + self._rest_s
