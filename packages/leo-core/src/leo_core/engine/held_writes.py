"""Writes that wait for the end of a store's outage: bounded, in order, and counted when they are given up."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from leo_core.engine.store_guard import StoreGuard

__all__ = ["HeldWrites"]


@dataclass(frozen=True, slots=True)
class _Write:
    operation: str
    do: Callable[[], object]
    removes: str | None


class HeldWrites:
    """Writes to the store; what an outage prevents is done after it, in the order given.

    A write has to be harmless when it is done twice: of one that failed nobody knows whether it was done. Past the
    capacity the oldest is dropped, removals last: an entry that was to go would be served again.

    Args:
        guard: Runs them.
        on_drop: Hears of each dropped write: the operation's name.
        capacity: Most writes that wait.

    Attributes:
        dropped: Writes given up.
    """

    def __init__(self, guard: StoreGuard, on_drop: Callable[[str], None], *, capacity: int = 1024) -> None:
        self._guard, self._on_drop, self._capacity = guard, on_drop, capacity
        self._lock = threading.Lock()
        self._draining = threading.Lock()
        self._held: deque[_Write] = deque()
        self.dropped = 0

    def __len__(self) -> int:
        """Writes that wait."""
        return len(self._held)

    def awaits_removal(self, entry_id: str) -> bool:
        """Whether the entry is to be removed as soon as the store works again; until then it must not be served."""
        if not self._held:
            return False
        with self._lock:
            return any(write.removes == entry_id for write in self._held)

    def write(self, operation: str, do: Callable[[], object], *, removes: str | None = None) -> None:
        """Do a write now, or after the outage.

        Args:
            operation: Its name.
            do: Does it.
            removes: Id of the entry that it removes, if it does.
        """
        write = _Write(operation, do, removes)
        if not (self.drain() and self._guard.settle(operation, do)):
            self._hold(write)

    def drain(self) -> bool:
        """Do what waits, until the store fails; tells whether nothing waits any more."""
        if not self._held:
            return True
        with self._draining:
            while True:
                with self._lock:
                    write = self._held[0] if self._held else None
                if write is None:
                    return True
                if not self._guard.settle(write.operation, write.do):
                    return False
                with self._lock:
                    if self._held and self._held[0] is write:
                        self._held.popleft()

    def _hold(self, write: _Write) -> None:
        with self._lock:
            self._held.append(write)
            if len(self._held) <= self._capacity:
                return
            dropped = next((each for each in self._held if each.removes is None), self._held[0])
            self._held.remove(dropped)
            self.dropped += 1
        self._on_drop(dropped.operation)
