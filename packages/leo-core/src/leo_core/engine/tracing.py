"""Following requests for the listeners that want it (:class:`~leo_core.telemetry.tracer.Tracer`).

The span of a request travels in the request itself (``Request.trace``), so that a call finds it in whatever thread,
task or background job it is made. Without such a listener nothing is followed and a request carries nothing.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from leo_core.errors import PersonalDataError
from leo_core.privacy.personal.redaction import cover_request
from leo_core.telemetry.tracer import NO_SPAN, LookupTracer, Span, Tracer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from leo_core.ports import Listener, Model
    from leo_core.privacy.personal.redaction_config import PersonalDataConfig
    from leo_core.records import Answer, Chunk, Draft, Failure, Request
    from leo_core.telemetry.tracer import LookedUp, Outcome

__all__ = ["Tracing", "afollow", "awatch", "begin_call", "follow", "watch"]

T = TypeVar("T")
R = TypeVar("R", bound="Answer | Draft | Failure | LookedUp")
_log = logging.getLogger("leo_core")


class Tracing:
    """Begins the spans of requests and look-ups.

    Args:
        listeners: All listeners; those that are tracers are asked.
        personal_data: What becomes of personal data: tracers see no more of it than members do.
    """

    def __init__(self, listeners: Sequence[Listener], personal_data: PersonalDataConfig) -> None:
        self._tracers = tuple(each for each in listeners if isinstance(each, Tracer))
        self._lookup_tracers = tuple(each for each in listeners if isinstance(each, LookupTracer))
        self._personal_data = personal_data

    def begin(self, request: Request, *, stream: bool = False) -> tuple[Request, Span]:
        """The request as it carries its span, and the span."""
        if not self._tracers:
            return request, NO_SPAN
        shown = self._cover(request)
        span = _begin(self._tracers, lambda tracer: tracer.begin_request(shown, stream=stream))
        return replace(request, trace=span), span

    def begin_lookup(self, request: Request) -> Span:
        """The span of a look-up; a request for members never has one."""
        if not self._lookup_tracers:
            return NO_SPAN
        shown = self._cover(request)
        return _begin(self._lookup_tracers, lambda tracer: tracer.begin_lookup(shown))

    def _cover(self, request: Request) -> Request:
        try:
            return cover_request(request, self._personal_data)[0]
        except PersonalDataError:  # it is going to be refused: nobody sees it
            return replace(request, messages=(), native=None)


def begin_call(model: Model, request: Request, *, stream: bool = False) -> Span:
    """The span of a call of a member, in that of its request."""
    span = request.trace
    return span.begin_call(model, request, stream=stream) if isinstance(span, Span) else NO_SPAN


def watch(span: Span, do: Callable[[], R]) -> R:
    """The result of a piece of work, done in the context of its span, which ends with it."""
    if span is NO_SPAN:
        return do()
    try:
        with span.active():
            result = do()
    except BaseException as error:
        span.end(error)
        raise
    span.end(result)
    return result


async def awatch(span: Span, work: Awaitable[R]) -> R:
    """:func:`watch` on the event loop."""
    if span is NO_SPAN:
        return await work
    try:
        with span.active():
            result = await work
    except BaseException as error:
        span.end(error)
        raise
    span.end(result)
    return result


def follow(span: Span, chunks: Generator[Chunk, None, None]) -> Generator[Chunk, None, None]:
    """The chunks of an answer, each made in the context of the span, of which the caller sees nothing."""
    outcome: Outcome = None
    try:
        while True:
            with span.active():
                chunk = next(chunks, None)
            if chunk is None:
                break
            outcome = chunk.answer or outcome
            yield chunk
    except GeneratorExit:
        raise
    except BaseException as error:
        outcome = error
        raise
    finally:
        with span.active():
            chunks.close()
        span.end(outcome)


async def afollow(span: Span, chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
    """:func:`follow` on the event loop."""
    outcome: Outcome = None
    try:
        while True:
            with span.active():
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            outcome = chunk.answer or outcome
            yield chunk
    except GeneratorExit:
        raise
    except BaseException as error:
        outcome = error
        raise
    finally:
        try:
            with span.active():
                await chunks.aclose()
        finally:
            span.end(outcome)


class _Spans(Span):
    """One span of each tracer. An error in one of them is logged and goes no further."""

    __slots__ = ("_spans",)

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = tuple(spans)

    def active(self) -> AbstractContextManager[object]:
        return _Contexts(self._spans)

    def begin_call(self, model: Model, request: Request, *, stream: bool) -> Span:
        return _begin(self._spans, lambda span: span.begin_call(model, request, stream=stream))

    def first_chunk(self) -> None:
        for span in self._spans:
            with _guarding(span):
                span.first_chunk()

    def end(self, outcome: Outcome) -> None:
        for span in self._spans:
            with _guarding(span):
                span.end(outcome)


class _Contexts:
    """The contexts of several spans, one in the other."""

    __slots__ = ("_entered", "_spans")

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans
        self._entered: list[AbstractContextManager[object]] = []

    def __enter__(self) -> None:
        for span in self._spans:
            with _guarding(span):
                context = span.active()
                context.__enter__()
                self._entered.append(context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for context in reversed(self._entered):
            with _guarding(context):
                context.__exit__(kind, error, trace)


def _begin(tracers: Sequence[T], begin: Callable[[T], Span]) -> Span:
    """The spans that begin, as one."""
    spans = []
    for tracer in tracers:
        with _guarding(tracer):
            spans.append(begin(tracer))
    return _Spans(spans)


@contextmanager
def _guarding(part: object) -> Generator[None]:
    """A block in which a tracer is asked: it may raise anything, and that goes no further."""
    try:
        yield
    except Exception:  # noqa: BLE001 - as it says
        _log.exception("the tracer %s failed", type(part).__name__)
