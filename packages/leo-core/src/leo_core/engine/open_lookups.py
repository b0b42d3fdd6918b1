"""Look-ups whose answer a framework has yet to bring: between ``lookup`` and ``update`` it asks the model itself.

A look-up that missed leads: equal ones wait until its answer comes. A framework does not say when its model failed, so
a turn also ends when the task that asked is done, when the thread that asked looks for something else, and, for those
who wait, when their time is up.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from leo_core.engine.flights import Turn
from leo_core.records import CacheDecision

if TYPE_CHECKING:
    from leo_core.records import CacheEntry

__all__ = ["OpenLookups"]

MOST_OPEN = 10_000

Key = tuple[str, str]
Open = tuple[CacheDecision, "CacheEntry | None", Turn]


class OpenLookups:
    """What look-ups left for the update with the same key. Safe to share between threads and tasks."""

    def __init__(self) -> None:
        self._open: OrderedDict[Key, Open] = OrderedDict()
        self._lock = threading.Lock()
        self._own = threading.local()

    def leave(self, key: Key, decision: CacheDecision, entry: CacheEntry | None, turn: Turn) -> None:
        """Keep a look-up's outcome, and its turn until the update comes."""
        dropped = []
        with self._lock:
            earlier = self._open.pop(key, None)
            if earlier is not None and not turn.leads:
                turn = earlier[2]  # asked again by whoever leads, as a retry does, or past the longest wait
            elif earlier is not None:
                dropped.append(earlier[2])
            self._open[key] = (decision, entry, turn)
            while len(self._open) > MOST_OPEN:
                dropped.append(self._open.popitem(last=False)[1][2])
        for each in dropped:
            each.end(landed=False)
        if turn.leads:
            self._watch(turn)

    def take(self, key: Key) -> Open:
        """What the look-up with this key left; a plain miss where there was none."""
        with self._lock:
            return self._open.pop(key, None) or (CacheDecision(action="miss"), None, Turn())

    def clear(self) -> None:
        """Forget everything; whoever waits goes on."""
        with self._lock:
            dropped, self._open = self._open, OrderedDict()
        for _, _, turn in dropped.values():
            turn.end(landed=False)

    def __len__(self) -> int:
        return len(self._open)

    def _watch(self, turn: Turn) -> None:
        """End the turn when it is plain that no update will come; ending it twice does no harm."""
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is not None:
            task.add_done_callback(lambda _: turn.end(landed=False))
            return
        earlier: Turn | None = getattr(self._own, "turn", None)
        self._own.turn = turn
        if earlier is not None and earlier is not turn:
            earlier.end(landed=False)
