"""What an LLM announces while it is asked."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation import get_dispatcher
from pydantic import PrivateAttr

if TYPE_CHECKING:
    from llama_index.core.instrumentation.events import BaseEvent

__all__ = ["AskedLimiter", "EventRecorder", "record_events"]


class EventRecorder(BaseEventHandler):
    """Keeps every event that it hears; as a context manager, everything that happens inside the block."""

    _events: list[BaseEvent] = PrivateAttr(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        """Name of the class."""
        return "EventRecorder"

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Keep an event."""
        self._events.append(event)

    @property
    def events(self) -> list[Any]:
        """The events, in order."""
        return list(self._events)

    @property
    def names(self) -> Counter[str]:
        """How often each kind of event came, by the name of its class."""
        return Counter(type(event).__name__ for event in self._events)

    def __enter__(self) -> Self:
        get_dispatcher().add_event_handler(self)
        return self

    def __exit__(self, *_: object) -> None:
        root = get_dispatcher()
        root.event_handlers = [handler for handler in root.event_handlers if handler is not self]


def record_events() -> EventRecorder:
    """A recorder of what is announced inside a ``with`` block."""
    return EventRecorder()


class AskedLimiter:
    """A rate limiter that lets everything pass and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def acquire(self) -> None:
        """Count a request."""
        self.asked += 1

    async def async_acquire(self) -> None:
        """Count an asynchronous request."""
        self.asked += 1
