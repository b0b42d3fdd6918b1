"""The cache fails open: a store that is out costs the hit, never the answer."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from leo_core.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StoreGuard"]

T = TypeVar("T")
_log = logging.getLogger("leo_core")


class StoreGuard:
    """Runs store operations; failures are counted, logged once, and stop further tries for a while.

    Args:
        on_failure: Hears of each failure: the operation's name and the error.
        trip_after: Failures in a row after which the store is left alone.
        rest_s: For how long.

    Attributes:
        failures: Operations that failed.
        skipped: Operations that were not tried because the store was resting.
    """

    def __init__(
        self, on_failure: Callable[[str, Exception], None], *, trip_after: int = 3, rest_s: float = 5.0
    ) -> None:
        self._on_failure, self._trip_after, self._rest_s = on_failure, trip_after, rest_s
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._resting_until = 0.0
        self.failures = 0
        self.skipped = 0

    def attempt(self, operation: str, do: Callable[[], T], otherwise: T) -> T:
        """The result of an operation, or ``otherwise`` when it fails or the store rests."""
        if time.monotonic() < self._resting_until:
            with self._lock:
                self.skipped += 1
            return otherwise
        try:
            result = do()
        except (StorageError, OSError) as error:
            self._note(operation, error)
            return otherwise
        self._in_a_row = 0
        return result

    def wake(self) -> None:
        """Try the store again at the next operation, even if it rests."""
        self._resting_until = 0.0

    def _note(self, operation: str, error: Exception) -> None:
        with self._lock:
            self.failures += 1
            self._in_a_row += 1
            if self._in_a_row >= self._trip_after:
                self._resting_until = time.monotonic() + self._rest_s
            first = self.failures == 1
        level = logging.WARNING if first else logging.DEBUG
        _log.log(level, "the store failed at %s (%s); answers go on without it", operation, error)
        self._on_failure(operation, error)
