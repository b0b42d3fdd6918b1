"""The cache fails open: a store that is out costs the hit, never the answer."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from leo_core.errors import KeyDestroyedError, KeyDisabledError, StorageError, StoreLockedError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StoreGuard"]

T = TypeVar("T")
_log = logging.getLogger("leo_core")
_PASSING = (StoreUnavailableError, StoreLockedError, OSError)
"""Failures after which the same operation may do well later."""
_OF_ONE_TENANT = (KeyDestroyedError, KeyDisabledError)
"""Causes that say something of one tenant's keys, and nothing of the store: others go on."""
_READS = frozenset({"get_exact", "search", "observations", "load_state", "open_for"})
"""Operations that may work while others do not: a locked file can be read."""


class StoreGuard:
    """A circuit breaker around the store.

    Failures in a row stop further tries for a while. Then one operation is let through, while the others go on without
    the store: when it fails the store rests again, and when it does well the others are let through too.

    An outage begins with a failure and ends when a write does well, or, where nothing but reads failed, a read. Each
    end is logged once.

    Args:
        on_failure: Hears of each failure: the operation's name and the error.
        on_recovery: Hears of the end of each outage.
        on_contact: Hears of each operation that does well right after one that did not.
        trip_after: Failures in a row after which the store is left alone.
        rest_s: For how long.

    Attributes:
        failures: Operations that failed.
        skipped: Operations that were not tried because the store was resting.
        outages: Outages so far.
    """

    def __init__(
        self,
        on_failure: Callable[[str, Exception], None],
        on_recovery: Callable[[], None] = lambda: None,
        on_contact: Callable[[], None] = lambda: None,
        *,
        trip_after: int = 3,
        rest_s: float = 5.0,
    ) -> None:
        self._on_failure, self._on_recovery, self._on_contact = on_failure, on_recovery, on_contact
        self._trip_after, self._rest_s = trip_after, rest_s
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._resting_until = 0.0
        self._trying = False
        self._out: set[str] = set()
        self._before = (0, 0)
        self.failures = 0
        self.skipped = 0
        self.outages = 0

    def attempt(self, operation: str, do: Callable[[], T], otherwise: T) -> T:
        """The result of an operation, or ``otherwise`` when it fails or the store rests."""
        if not self._enter():
            return otherwise
        try:
            return self._run(operation, do)
        except (StorageError, OSError) as error:
            self.note(operation, error)
            return otherwise

    def settle(self, operation: str, do: Callable[[], object]) -> bool:
        """Do an operation; tells whether it is settled: done, or refused for good. Otherwise it may be tried later."""
        if not self._enter():
            return False
        try:
            self._run(operation, do)
        except (StorageError, OSError) as error:
            self.note(operation, error)
            return not isinstance(error, _PASSING)
        return True

    def wake(self) -> None:
        """Try the store again at the next operation, even if it rests."""
        self._resting_until = 0.0

    def note(self, operation: str, error: Exception) -> None:
        """Count a failure of the store; one of a tenant's own keys does not stop the others."""
        if isinstance(error.__cause__, _OF_ONE_TENANT):
            with self._lock:
                self.failures += 1
            _log.debug("no %s for a tenant without keys (%s)", operation, error)
            self._on_failure(operation, error)
            return
        with self._lock:
            first = not self._out
            if first:
                self.outages += 1
                self._before = (self.failures, self.skipped)
            self._out.add(_kind(operation))
            self.failures += 1
            self._in_a_row += 1
            if self._in_a_row >= self._trip_after:
                self._resting_until = time.monotonic() + self._rest_s
        level = logging.WARNING if first else logging.DEBUG
        _log.log(level, "the store failed at %s (%s); answers go on without it", operation, error)
        self._on_failure(operation, error)

    def _enter(self) -> bool:
        """Whether an operation may be tried: always, but in an outage one at a time, and none while the store rests."""
        with self._lock:
            if self._in_a_row < self._trip_after:
                return True
            if self._trying or time.monotonic() < self._resting_until:
                self.skipped += 1
                return False
            self._trying = True
            return True

    def _run(self, operation: str, do: Callable[[], T]) -> T:
        failures = self.failures
        try:
            result = do()
        finally:
            self._trying = False
        if self._out:
            self._welcome(operation, failures)
        return result

    def _welcome(self, operation: str, failures: int) -> None:
        """Note that an operation did well in an outage: not one that began before the last failure."""
        with self._lock:
            if failures != self.failures:
                return
            contact, self._in_a_row = self._in_a_row > 0, 0
            before = bool(self._out)
            self._out -= {"read", _kind(operation)}
            over = before and not self._out
            failed, skipped = self.failures - self._before[0], self.skipped - self._before[1]
        if over:
            _log.warning("the store works again; %d operations failed and %d were left out", failed, skipped)
            self._on_recovery()
        if contact:
            self._on_contact()


def _kind(operation: str) -> str:
    return "read" if operation in _READS else "write"
