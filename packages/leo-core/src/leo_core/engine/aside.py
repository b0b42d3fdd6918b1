"""Work beside the caller, in a thread of its own that may be left to itself."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Pump", "start_aside"]

T = TypeVar("T")
_END: Final = object()


def start_aside(do: Callable[[], T]) -> Future[T]:
    """Begin a call in a thread, with the caller's context variables. The thread keeps no process from ending."""
    future: Future[T] = Future()
    context = copy_context()

    def work() -> None:
        try:
            future.set_result(context.run(do))
        except BaseException as error:  # noqa: BLE001 - whoever waits for the result gets it
            future.set_exception(error)

    threading.Thread(target=work, daemon=True, name="leo-member").start()
    return future


class Pump(Generic[T]):
    """A blocking iterator that another thread reads, so that whoever wants its items waits no longer than it may.

    Args:
        open_items: Makes the iterator, in that thread.
        allowed_s: Seconds after which there is nothing more to wait for.
        late: Makes the error that is raised then.
    """

    def __init__(self, open_items: Callable[[], Iterator[T]], allowed_s: float, late: Callable[[], Exception]) -> None:
        self._until, self._late = time.monotonic() + allowed_s, late
        self._items: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._stopped = False
        start_aside(lambda: self._run(open_items))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            item, error = self._items.get(timeout=max(self._until - time.monotonic(), 0.0))
        except queue.Empty as empty:
            raise self._late() from empty
        if error is not None:
            raise error
        if item is _END:
            raise StopIteration
        result: T = item
        return result

    def close(self) -> None:
        """Let the thread close the iterator as soon as it has an item, or an error, in hand."""
        self._stopped = True

    def _run(self, open_items: Callable[[], Iterator[T]]) -> None:
        try:
            items = open_items()
            try:
                for item in items:
                    self._items.put((item, None))
                    if self._stopped:
                        break
            finally:
                close = getattr(items, "close", None)
                if close is not None:
                    close()
        except BaseException as error:  # noqa: BLE001 - whoever reads gets it
            self._items.put((None, error))
        else:
            self._items.put((_END, None))
