"""Look-ups whose answer a framework has yet to bring: between ``lookup`` and ``update`` it asks the model itself.

A look-up that missed leads: equal ones wait until its answer comes. A framework does not say when its model failed, so
a turn also ends when whoever asked looks for something again, when the task, the thread or the ``Context.run`` that
asked is done, and, for those who wait, when their time is up. An adapter that does say it promises so: its turn does
not end when something is looked up between, such as by the model that it asks.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from leo_core.engine.flights import Turn, whoever_runs
from leo_core.records import CacheDecision

if TYPE_CHECKING:
    from leo_core.records import CacheEntry

__all__ = ["OpenLookups", "give_up_lookups"]

MOST_OPEN = 10_000

Key = tuple[str, str]
Open = tuple[CacheDecision, "CacheEntry | None", Turn]


class _Lifeline:
    """Ends a turn with the last context that knows of it: with the work in which it was taken."""

    def __init__(self, turn: Turn, *, promised: bool) -> None:
        self.turn, self.promised, self.asker = turn, promised, whoever_runs()

    def __del__(self) -> None:
        self.turn.end(landed=False)


_LIFELINES: ContextVar[tuple[_Lifeline, ...]] = ContextVar("leo_open_lookups", default=())


def give_up_lookups(done: tuple[object, int] | None = None) -> None:
    """No answer will come of what this thread or task has looked up without a promise; cheap where it has not.

    Args:
        done: A thread or task that is over: none will come of what it promised either.
    """
    if lines := _LIFELINES.get():
        asker = done or whoever_runs()
        for line in lines:
            if line.asker == asker and (done or not line.promised):
                line.turn.end(landed=False)


class OpenLookups:
    """What look-ups left for the update with the same key. Safe to share between threads and tasks."""

    def __init__(self) -> None:
        self._open: OrderedDict[Key, Open] = OrderedDict()
        self._lock = threading.RLock()  # a stream that is collected gives up wherever the collection happens
        self._watched: WeakSet[asyncio.Task[Any]] = WeakSet()

    def leave(
        self, key: Key, decision: CacheDecision, entry: CacheEntry | None, turn: Turn, *, promised: bool = False
    ) -> None:
        """Keep a look-up's outcome, and its turn until the update comes.

        A turn that is promised an end is held like that of a request: whoever holds it waits for no other.
        """
        turn.left = not promised
        dropped = []
        with self._lock:
            earlier = self._open.pop(key, None)
            if earlier is not None and not turn.leads:
                turn = earlier[2]  # asked past the longest wait: the update ends the turn of whoever leads
            elif earlier is not None:
                dropped.append(earlier[2])
            self._open[key] = (decision, entry, turn)
            while len(self._open) > MOST_OPEN:
                dropped.append(self._open.popitem(last=False)[1][2])
        for each in dropped:
            each.end(landed=False)
        if turn.leads:
            self._watch(turn, promised=promised)

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

    def _watch(self, turn: Turn, *, promised: bool) -> None:
        """End the turn when it is plain that no update will come; ending it twice does no harm."""
        others = (each for each in _LIFELINES.get() if each.turn.leads and each.turn is not turn)
        _LIFELINES.set((*others, _Lifeline(turn, promised=promised)))
        task = asyncio.current_task() if whoever_runs()[1] else None
        if task is not None and task not in self._watched:  # its context lives as long as anyone looks at its result
            self._watched.add(task)
            asker = whoever_runs()
            task.add_done_callback(lambda _: give_up_lookups(asker))
