"""The facts of LEO's answers in ``response.metadata["leo"]`` of a query engine.

A response synthesizer keeps the text of an answer only, and it is the synthesizer that makes the response. It does
say when it begins and when it is done, through LlamaIndex's instrumentation, and the second event carries the very
response that the caller gets. So a small handler hangs on the synthesizers' own dispatcher: it opens a sheet at the
beginning, each ``LEOLLM`` that answers meanwhile writes its facts there, and the handler puts the sheet into the
response's metadata. The sheet travels in a context variable, so concurrent queries do not mix, also between threads and
tasks. Some synthesizers ask the LLM only while a streamed response is read; so the sheet lies open again at each step
of reading, and the facts are in the metadata when the stream ends.
"""

from __future__ import annotations

import threading
from contextlib import aclosing, closing, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.synthesis import SynthesizeEndEvent, SynthesizeStartEvent
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.events.span import SpanDropEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator, Mapping

    from llama_index.core.instrumentation.events import BaseEvent

    from leo_core.records import Json

__all__ = ["Sheet", "collect_answers", "current_sheet", "watch_synthesizers"]

_ROOM = "llama_index.core.response_synthesizers"
_SYNTHESIZERS = (f"{_ROOM}.base", f"{_ROOM}.generation")
"""Where synthesizers say that they begin and are done: the one that reads no nodes has a method of its own."""
_lock = threading.Lock()


class Sheet:
    """What LEO's answers during one synthesis have to say.

    Args:
        span_id: The synthesis.
        before: The sheet of the synthesis around it, if there is one.
    """

    def __init__(self, span_id: str | None, before: Sheet | None) -> None:
        self.span_id, self.before = span_id, before
        self._facts: list[Mapping[str, Json]] = []
        self._metadata: dict[str, Any] | None = None
        self._lock = threading.Lock()

    def add(self, facts: Mapping[str, Json]) -> None:
        """Write down the facts of an answer, here and around; a response that is there already gets them at once."""
        with self._lock:
            self._facts.append(facts)
            self._publish()
        if self.before is not None:
            self.before.add(facts)

    @property
    def facts(self) -> list[Mapping[str, Json]]:
        """What has been written down so far."""
        with self._lock:
            return list(self._facts)

    def attach(self, response: Any) -> None:
        """Put the facts, and those still to come, into the response's metadata."""
        if response.metadata is None:
            response.metadata = {}
        if isinstance(response, StreamingResponse):
            response.response_gen = _read(response.response_gen, self)
        elif isinstance(response, AsyncStreamingResponse):
            response.response_gen = _aread(response.response_gen, self)
        with self._lock:
            self._metadata = response.metadata
            self._publish()

    def _publish(self) -> None:
        if self._metadata is not None and self._facts:
            kept = self._metadata.get("leo", {})
            self._metadata["leo"] = {**kept, **self._facts[-1], "answers": list(self._facts)}


_SHEET: ContextVar[Sheet | None] = ContextVar("leo_sheet", default=None)


def current_sheet() -> Sheet | None:
    """The sheet of the synthesis under way in this context."""
    return _SHEET.get()


@contextmanager
def collect_answers() -> Iterator[Sheet]:
    """A sheet for all answers inside the block, whoever asks for them; those of streams come while they are read."""
    sheet = Sheet("collected", _SHEET.get())
    token = _SHEET.set(sheet)
    try:
        yield sheet
    finally:
        _SHEET.reset(token)


def _read(pieces: Generator[str, None, None], sheet: Sheet) -> Generator[str, None, None]:
    """The pieces of a stream, each made with the sheet open."""
    with closing(pieces):
        while True:
            token = _SHEET.set(sheet)
            try:
                piece = next(pieces, None)
            finally:
                _SHEET.reset(token)
            if piece is None:
                return
            yield piece


async def _aread(pieces: AsyncGenerator[str, None], sheet: Sheet) -> AsyncGenerator[str, None]:
    """The same for an asynchronous stream."""
    async with aclosing(pieces):
        while True:
            token = _SHEET.set(sheet)
            try:
                piece = await anext(pieces, None)
            finally:
                _SHEET.reset(token)
            if piece is None:
                return
            yield piece


class _SynthesisWatcher(BaseEventHandler):
    """Opens a sheet when a synthesis begins, and hands it over when it is done."""

    @classmethod
    def class_name(cls) -> str:
        """Name of the class."""
        return "LEOSynthesisWatcher"

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Take note of an event of a synthesizer."""
        sheet = _SHEET.get()
        if isinstance(event, SynthesizeStartEvent):
            _SHEET.set(Sheet(event.span_id, sheet))
        elif sheet is None or sheet.span_id != event.span_id:
            return
        elif isinstance(event, SynthesizeEndEvent):
            sheet.attach(event.response)
            _SHEET.set(sheet.before)
        elif isinstance(event, SpanDropEvent):
            _SHEET.set(sheet.before)


def watch_synthesizers() -> None:
    """Hang the handler on the synthesizers' dispatchers, once per process."""
    with _lock:
        for dispatcher in map(get_dispatcher, _SYNTHESIZERS):
            if not any(isinstance(handler, _SynthesisWatcher) for handler in dispatcher.event_handlers):
                dispatcher.add_event_handler(_SynthesisWatcher())
