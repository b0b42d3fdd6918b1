"""Calling members: one, several at once, or one live. What goes wrong becomes a ``Failure``, never an exception."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING

from leo_core.engine.request_form import check_json
from leo_core.errors import LEOError, MalformedReplyError, ProviderError, RequestError
from leo_core.records import Draft, Failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

    from leo_core.ports import Model
    from leo_core.records import Chunk, Request

__all__ = ["Relay", "acall", "acall_all", "call", "call_all"]

MOST_AT_ONCE = 16


def call(model: Model, request: Request) -> Draft | Failure:
    """Ask one member."""
    started = time.perf_counter()
    try:
        return _sound(model, model.generate(request), started)
    except Exception as error:  # noqa: BLE001 - a member may raise anything; the pipeline decides what it means
        return _failure(model, error, started)


async def acall(model: Model, request: Request) -> Draft | Failure:
    """Ask one member on the event loop."""
    started = time.perf_counter()
    try:
        return _sound(model, await model.agenerate(request), started)
    except Exception as error:  # noqa: BLE001 - as above
        return _failure(model, error, started)


def call_all(models: tuple[Model, ...], request: Request) -> tuple[Draft | Failure, ...]:
    """Ask several members at once, each in a thread of its own, with the caller's context variables."""
    if len(models) == 1:
        return (call(models[0], request),)
    with ThreadPoolExecutor(min(len(models), MOST_AT_ONCE), thread_name_prefix="leo-member") as pool:
        calls = [pool.submit(copy_context().run, call, model, request) for model in models]
        return tuple(each.result() for each in calls)


async def acall_all(models: tuple[Model, ...], request: Request) -> tuple[Draft | Failure, ...]:
    """Ask several members at once on the event loop."""
    return tuple(await asyncio.gather(*(acall(model, request) for model in models)))


class Relay:
    """A member's stream on its way to the caller.

    Attributes:
        reply: What the pipeline is sent when the stream has ended: the complete draft, or a failure.
        shown: Whether anything was passed on.
    """

    def __init__(self, model: Model, request: Request) -> None:
        self._model, self._request = model, request
        self._started = time.perf_counter()
        self._text: list[str] = []
        self.shown = False
        self.reply: Draft | Failure = _failure(model, _unfinished(model), self._started)

    def chunks(self) -> Generator[Chunk, None, None]:
        """The member's chunks, without the closing draft."""
        try:
            with _closing(self._model.stream(self._request)) as chunks:
                for chunk in chunks:
                    if self._take(chunk):
                        yield replace(chunk, draft=None)
        except Exception as error:  # noqa: BLE001 - as in call
            self._fail(error)

    async def achunks(self) -> AsyncGenerator[Chunk, None]:
        """The same on the event loop."""
        try:
            async with _aclosing(self._model.astream(self._request)) as chunks:
                async for chunk in chunks:
                    if self._take(chunk):
                        yield replace(chunk, draft=None)
        except Exception as error:  # noqa: BLE001 - as in call
            self._fail(error)

    def _take(self, chunk: Chunk) -> bool:
        """Take note of a chunk; tell whether there is something in it to pass on."""
        if chunk.draft is not None:
            self.reply = _sound(self._model, chunk.draft, self._started)
        visible = bool(chunk.text or chunk.tool_calls or chunk.blocks)
        if visible:
            self.shown = True
            self._text.append(chunk.text)
        else:
            visible = chunk.native is not None
        return visible

    def _fail(self, error: Exception) -> None:
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
    return replace(draft, usage=usage, latency_s=draft.latency_s or time.perf_counter() - started)


def _failure(model: Model, error: Exception, started: float, *, shown: str = "") -> Failure:
    if not isinstance(error, LEOError):
        provider = model.id.partition(":")[0]
        wrapped = ProviderError(f"{model.id} raised {type(error).__name__}", provider=provider, model=model.id)
        wrapped.__cause__ = error
        error = wrapped
    return Failure(member=model.id, error=error, shown=shown, latency_s=time.perf_counter() - started)
