"""Parts that are built when they are first needed."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from leo_core.engine.leo import LEO  # noqa: F401 - the type of what a LazyEngine holds

__all__ = ["Lazy", "LazyEngine"]

T = TypeVar("T")


class Lazy(Generic[T]):
    """Something that is built on first use. Copies and pickles of it start empty and build their own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value: T | None = None

    def __reduce__(self) -> tuple[type[Lazy[Any]], tuple[()]]:
        return type(self), ()

    @property
    def built(self) -> T | None:
        """The value, where it has been built."""
        return self._value

    def get(self, build: Callable[[], T]) -> T:
        """The value; built by the first caller while others wait."""
        if (value := self._value) is not None:
            return value
        with self._lock:
            if self._value is None:
                self._value = build()
            return self._value

    async def aget(self, build: Callable[[], T]) -> T:
        """:meth:`get` that builds off the event loop: building may touch the disk."""
        value = self._value
        return value if value is not None else await asyncio.to_thread(self.get, build)

    def take(self) -> T | None:
        """The value, if there is one; the next use builds a new one."""
        with self._lock:
            value, self._value = self._value, None
        return value


class LazyEngine(Lazy["LEO"]):
    """A LEO that is built on first use."""

    def close(self) -> None:
        """Close the LEO, if there is one; the next use builds a new one."""
        leo = self.take()
        if leo is not None:
            leo.close()

    def retire(self) -> None:
        """Let go of the LEO: it is closed when the calls that it serves have ended; the next use builds a new one."""
        leo = self.take()
        if leo is not None:
            leo.close_when_unused()
