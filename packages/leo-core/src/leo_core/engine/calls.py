"""Calling a member once, whole or live. What goes wrong becomes a ``Failure``, never an exception."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from leo_core.engine.aside import Pump
from leo_core.engine.request_form import check_json
from leo_core.engine.tracing import awatch, begin_call, watch
from leo_core.errors import LEOError, MalformedReplyError, ProviderError, ProviderTimeoutError, RequestError
from leo_core.ports import Retriable
from leo_core.records import Draft, Failure
from leo_core.telemetry.tracer import NO_SPAN

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

    from leo_core.engine.gates import Pass
    from leo_core.ports import Model
    from leo_core.records import Chunk, Request

__all__ = ["Relay", "acall", "call", "grace_s", "late"]

_GRACE_S: Final = 0.05
_GRACE_SHARE: Final = 0.05


def call(model: Model, request: Request) -> Draft | Failure:
    """Ask one member."""
    return watch(begin_call(model, request), lambda: _call(model, request))


async def acall(model: Model, request: Request) -> Draft | Failure:
    """Ask one member on the event loop."""
    return await awatch(begin_call(model, request), _acall(model, request))


def _call(model: Model, request: Request) -> Draft | Failure:
    started = time.perf_counter()
    try:
        return _sound(model, _once(model).generate(request), started)
    except Exception as error:  # noqa: BLE001 - a member may raise anything; the pipeline decides what it means
        return _failure(model, error, started)


async def _acall(model: Model, request: Request) -> Draft | Failure:
    started = time.perf_counter()
    try:
        return _sound(model, await _once(model).agenerate(request), started)
    except Exception as error:  # noqa: BLE001 - as above
        return _failure(model, error, started)


def grace_s(allowed_s: float) -> float:
    """How much longer than allowed a member's own end is waited for: it says more than "too late"."""
    return min(_GRACE_S, _GRACE_SHARE * allowed_s)


def late(model: Model, request: Request, started: float) -> Failure:
    """The failure of a call that did not end within the time allowed."""
    provider, allowed = model.id.partition(":")[0], request.constraints.max_latency_s or 0.0
    message = f"{model.id} gave no answer within the {allowed:.3g} s allowed"
    return _failure(model, ProviderTimeoutError(message, provider=provider, model=model.id), started)


class Relay:
    """A member's stream on its way to the caller.

    Args:
        model: The member.
        request: What it is asked, with the time allowed.
        entry: Leave to ask it, or why it is not asked; ``None`` for a call that no gate counts.

    Attributes:
        reply: What the pipeline is sent when the stream has ended: the complete draft, or a failure.
        shown: Whether anything was passed on.
    """

    def __init__(self, model: Model, request: Request, entry: Pass | Failure | None = None) -> None:
        self._model, self._request, self._entry = model, request, entry
        self._started = time.perf_counter()
        self._text: list[str] = []
        self._ended = False
        self._span = NO_SPAN
        self.shown = False
        self.reply: Draft | Failure = (
            entry if isinstance(entry, Failure) else _failure(model, _unfinished(model), self._started)
        )

    def chunks(self) -> Generator[Chunk, None, None]:
        """The member's chunks, without the closing draft."""
        if isinstance(self._entry, Failure):
            return
        self._span = begin_call(self._model, self._request, stream=True)
        try:
            with self._span.active():
                opened = iter(self._open())
            with _closing(opened) as chunks:
                while (chunk := self._next(chunks)) is not None:
                    if self._take(chunk):
                        yield replace(chunk, draft=None)
            self._ended = True
        except Exception as error:  # noqa: BLE001 - as in call
            self._fail(error)
        finally:
            self._settle()

    async def achunks(self) -> AsyncGenerator[Chunk, None]:
        """The same on the event loop."""
        if isinstance(self._entry, Failure):
            return
        self._span = begin_call(self._model, self._request, stream=True)
        try:
            async with _aclosing(_once(self._model).astream(self._request)) as chunks:
                while (chunk := await self._anext(chunks)) is not None:
                    if self._take(chunk):
                        yield replace(chunk, draft=None)
            self._ended = True
        except Exception as error:  # noqa: BLE001 - as in call
            self._fail(error)
        finally:
            self._settle()

    def _open(self) -> Iterator[Chunk]:
        """The member's own chunks; where time is limited, read by another thread."""
        left = self._left_s
        model, request = _once(self._model), self._request
        return model.stream(request) if left is None else Pump(lambda: model.stream(request), left, self._late)

    def _next(self, chunks: Iterator[Chunk]) -> Chunk | None:
        with self._span.active():
            return next(chunks, None)

    async def _anext(self, chunks: AsyncIterator[Chunk]) -> Chunk | None:
        left = self._left_s
        if left is None:
            with self._span.active():
                return await anext(chunks, None)
        limit = asyncio.timeout(left)
        try:
            with self._span.active():
                async with limit:
                    return await anext(chunks, None)
        except TimeoutError as error:
            if limit.expired():
                raise self._late() from error
            raise

    @property
    def _left_s(self) -> float | None:
        allowed = self._request.constraints.max_latency_s
        return None if allowed is None else max(self._started + allowed + grace_s(allowed) - time.perf_counter(), 0.0)

    def _late(self) -> LEOError:
        """The error of a stream that did not go on within the time allowed."""
        return late(self._model, self._request, self._started).error

    def _settle(self) -> None:
        if self._entry is not None and not isinstance(self._entry, Failure):
            self._entry.settle(self.reply if self._ended else None)
        self._span.end(self.reply if self._ended else None)

    def _take(self, chunk: Chunk) -> bool:
        """Take note of a chunk; tell whether there is something in it to pass on."""
        if chunk.draft is not None:
            self.reply = _sound(self._model, chunk.draft, self._started)
        visible = bool(chunk.text or chunk.tool_calls or chunk.blocks)
        if visible:
            if not self.shown:
                self._span.first_chunk()
            self.shown = True
            self._text.append(chunk.text)
        else:
            visible = chunk.native is not None
        return visible

    def _fail(self, error: Exception) -> None:
        self._ended = True
        shown = "".join(self._text)
        self.reply = _failure(self._model, error, self._started, shown=shown or (" " if self.shown else ""))


@contextmanager
def _closing(chunks: Iterator[Chunk]) -> Iterator[Iterator[Chunk]]:
    """Close the chunks at the end, where they can be closed: a generator then releases its connection."""
    try:
        yield chunks
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


@asynccontextmanager
async def _aclosing(chunks: AsyncIterator[Chunk]) -> AsyncIterator[AsyncIterator[Chunk]]:
    """The same for asynchronous chunks."""
    try:
        yield chunks
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


def _once(model: Model) -> Model:
    """The member, making each call once: a member that retries by itself leaves that to the pipeline."""
    if not hasattr(model, "once"):  # told ten times as fast
        return model
    return model.once() if isinstance(model, Retriable) else model


def _unfinished(model: Model) -> MalformedReplyError:
    provider = model.id.partition(":")[0]
    return MalformedReplyError("the stream ended without a complete reply", provider=provider, model=model.id)


def _sound(model: Model, draft: Draft, started: float) -> Draft:
    """The draft, timed, and with a cost that is a cost: one that is negative or no number is unknown.

    Raises:
        MalformedReplyError: It is no draft, or its message is not JSON, so that it could be neither kept nor signed.
    """
    provider = model.id.partition(":")[0]
    if not isinstance(draft, Draft):
        message = f"{model.id} returned a {type(draft).__name__}, not a Draft"
        raise MalformedReplyError(message, provider=provider, model=model.id)
    try:
        for part in (draft.message.content, *(call.arguments for call in draft.message.tool_calls)):
            if not isinstance(part, str):
                check_json(part, f"the reply of {model.id}")
    except RequestError as error:
        raise MalformedReplyError(str(error), provider=provider, model=model.id) from error
    usage = draft.usage
    if usage.cost_usd is not None and not 0.0 <= usage.cost_usd < math.inf:
        usage = replace(usage, cost_usd=None)
    if usage is draft.usage and draft.latency_s:
        return draft
    return replace(draft, usage=usage, latency_s=draft.latency_s or time.perf_counter() - started)


def _failure(model: Model, error: Exception, started: float, *, shown: str = "") -> Failure:
    if not isinstance(error, LEOError):
        provider = model.id.partition(":")[0]
        wrapped = ProviderError(f"{model.id} raised {type(error).__name__}", provider=provider, model=model.id)
        wrapped.__cause__ = error
        error = wrapped
    return Failure(member=model.id, error=error, shown=shown, latency_s=time.perf_counter() - started)
