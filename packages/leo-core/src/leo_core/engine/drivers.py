"""Running a pipeline: synchronously, asynchronously, and streaming either way.

A driver sends the world's reply for each effect back into the pipeline until it returns. What an effect means is
the world's business (:mod:`leo_core.engine.world`); how to wait for it is the driver's.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import aclosing, closing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from leo_core.engine.aside import start_aside
from leo_core.engine.effects import CallMember, Hedge, Show, ShowRevealed, Together
from leo_core.privacy.personal.stream_redaction import StreamRevealer
from leo_core.records import Chunk, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator

    from leo_core.engine.effects import Effect, Pipeline
    from leo_core.engine.world import World
    from leo_core.records import Answer, Message

__all__ = ["arun", "astream", "chunk_message", "run", "stream"]

T = TypeVar("T")
_PIECES = re.compile(r"\s*\S+\s*")


class _Steps:
    """A pipeline, one effect at a time. ``effect`` is the one that waits for a reply; ``None`` when it is done."""

    def __init__(self, pipeline: Pipeline[Any]) -> None:
        self._pipeline = pipeline
        self.result: Any = None
        self.effect: Effect[Any] | None = None
        self.reply(None)

    def reply(self, value: object) -> None:
        """Send the reply for the effect."""
        try:
            self.effect = self._pipeline.send(value)
        except StopIteration as stop:
            self.effect, self.result = None, stop.value

    def fail(self, error: BaseException) -> None:
        """Throw an error into the pipeline where it waits."""
        try:
            self.effect = self._pipeline.throw(error)
        except StopIteration as stop:
            self.effect, self.result = None, stop.value

    def close(self) -> None:
        """Abandon the pipeline."""
        self._pipeline.close()


def run(pipeline: Pipeline[T], world: World) -> T:
    """Run a pipeline synchronously."""
    perform = world.perform
    try:
        effect = next(pipeline)
        while True:
            try:
                reply = perform(effect)
            except Exception as error:  # noqa: BLE001 - every error goes into the pipeline, which may handle it
                effect = pipeline.throw(error)
            else:
                effect = pipeline.send(reply)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        pipeline.close()


async def arun(pipeline: Pipeline[T], world: World) -> T:
    """Run a pipeline on the event loop, which it never blocks."""
    with closing(_Steps(pipeline)) as steps:
        while steps.effect is not None:
            await _astep(steps, steps.effect, world)
        result: T = steps.result
        return result


def stream(pipeline: Pipeline[Answer], world: World) -> Generator[Chunk, None, None]:
    """Run a pipeline and yield what it shows; the last chunk carries the answer."""
    with closing(_Steps(pipeline)) as steps:
        yield from _show(steps, world, _Screen())
        yield Chunk(answer=steps.result)


async def astream(pipeline: Pipeline[Answer], world: World) -> AsyncGenerator[Chunk, None]:
    """Run a pipeline on the event loop and yield what it shows; the last chunk carries the answer."""
    with closing(_Steps(pipeline)) as steps:
        async with aclosing(_ashow(steps, world, _Screen())) as chunks:
            async for chunk in chunks:
                yield chunk
        yield Chunk(answer=steps.result)


class _Screen:
    """What a caller who is streaming has seen so far."""

    def __init__(self) -> None:
        self.revealer = StreamRevealer({})
        self.shown = False

    def show(self, effect: Show) -> Iterator[Chunk]:
        """A settled message, unless it was seen live; after a correction, where it takes the place of what was."""
        if effect.correction is not None:
            yield from self.revealer.feed(Chunk(correction=effect.correction))
        if effect.correction is not None or not self.shown:
            yield from self.revealer.feed_all(chunk_message(effect.message))
        self.shown = True


def _show(steps: _Steps, world: World, screen: _Screen) -> Generator[Chunk, None, None]:
    """Run a pipeline to its end and yield what it shows."""
    while (effect := steps.effect) is not None:
        live = _live_call(effect)
        if live is not None:
            relay = world.open_relay(live)
            with closing(relay.chunks()) as chunks:
                yield from screen.revealer.feed_all(chunks)
            screen.shown = screen.shown or relay.shown
            steps.reply((relay.reply,) if isinstance(effect, Hedge) else relay.reply)
        elif isinstance(effect, Show):
            yield from screen.show(effect)
            steps.reply(None)
        elif isinstance(effect, ShowRevealed):
            screen.revealer = StreamRevealer(effect.values)
            steps.reply(None)
        elif isinstance(effect, Together) and effect.lead is not None:
            yield from _show_beside(steps, effect, effect.lead, world, screen)
        else:
            _step(steps, effect, world)


async def _ashow(steps: _Steps, world: World, screen: _Screen) -> AsyncGenerator[Chunk, None]:
    """:func:`_show` on the event loop."""
    while (effect := steps.effect) is not None:
        live = _live_call(effect)
        if live is not None:
            relay = world.open_relay(live)
            async with aclosing(_afeed_all(screen.revealer, relay.achunks())) as chunks:
                async for chunk in chunks:
                    yield chunk
            screen.shown = screen.shown or relay.shown
            steps.reply((relay.reply,) if isinstance(effect, Hedge) else relay.reply)
        elif isinstance(effect, Show):
            for chunk in screen.show(effect):
                yield chunk
            steps.reply(None)
        elif isinstance(effect, ShowRevealed):
            screen.revealer = StreamRevealer(effect.values)
            steps.reply(None)
        elif isinstance(effect, Together) and effect.lead is not None:
            async with aclosing(_ashow_beside(steps, effect, effect.lead, world, screen)) as chunks:
                async for chunk in chunks:
                    yield chunk
        else:
            await _astep(steps, effect, world)


def _show_beside(
    steps: _Steps, effect: Together[Any], lead: int, world: World, screen: _Screen
) -> Generator[Chunk, None, None]:
    """Run pipelines at once, each of the others in a thread of its own, and yield what the leading one shows."""
    try:
        others = [start_aside(partial(run, job(), world)) for job in _others(effect, lead)]
        with closing(_Steps(effect.jobs[lead]())) as leading:
            yield from _show(leading, world, screen)
        replies = [each.result() for each in others]
        replies.insert(lead, leading.result)
    except Exception as error:  # noqa: BLE001 - every error goes into the pipeline, which may handle it
        steps.fail(error)
    else:
        steps.reply(tuple(replies))


async def _ashow_beside(
    steps: _Steps, effect: Together[Any], lead: int, world: World, screen: _Screen
) -> AsyncGenerator[Chunk, None]:
    """The same on the event loop; the others are cancelled when nobody waits for them any more."""
    others = [asyncio.create_task(arun(job(), world)) for job in _others(effect, lead)]
    try:
        with closing(_Steps(effect.jobs[lead]())) as leading:
            async with aclosing(_ashow(leading, world, screen)) as chunks:
                async for chunk in chunks:
                    yield chunk
        replies = [await each for each in others]
        replies.insert(lead, leading.result)
    except Exception as error:  # noqa: BLE001 - as above
        steps.fail(error)
    else:
        steps.reply(tuple(replies))
    finally:
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _others(effect: Together[T], lead: int) -> Iterator[Callable[[], Pipeline[T]]]:
    return (job for place, job in enumerate(effect.jobs) if place != lead)


async def _afeed_all(revealer: StreamRevealer, chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
    """:meth:`StreamRevealer.feed_all` for chunks that are waited for."""
    async with aclosing(chunks) as raw:
        async for chunk in raw:
            for piece in revealer.feed(chunk):
                yield piece
    for piece in revealer.end():
        yield piece


def chunk_message(message: Message) -> Iterator[Chunk]:
    """A settled message in pieces: text by words, then other blocks, then tool calls.

    The pieces put together are the message.
    """
    if isinstance(message.content, str):
        for piece in _PIECES.findall(message.content) or ([message.content] if message.content else []):
            yield Chunk(text=piece)
    else:
        for block in message.content:
            if block.get("type") == "text" and set(block) <= {"type", "text"}:
                yield Chunk(text=str(block["text"]))
            else:
                yield Chunk(blocks=(block,))
    if message.tool_calls:
        yield Chunk(
            tool_calls=tuple(
                ToolCallDelta(index=index, id=call.id, name=call.name, arguments=json.dumps(dict(call.arguments)))
                for index, call in enumerate(message.tool_calls)
            )
        )


def _live_call(effect: Effect[Any]) -> CallMember | None:
    """The call of a member whose tokens are shown as they come. It is not hedged: two streams cannot both be shown."""
    call = effect.first if isinstance(effect, Hedge) else effect
    return call if isinstance(call, CallMember) and call.live else None


def _step(steps: _Steps, effect: Effect[Any], world: World) -> None:
    try:
        reply = world.perform(effect)
    except Exception as error:  # noqa: BLE001 - every error goes into the pipeline, which may handle it
        steps.fail(error)
    else:
        steps.reply(reply)


async def _astep(steps: _Steps, effect: Effect[Any], world: World) -> None:
    try:
        reply = await world.aperform(effect)
    except Exception as error:  # noqa: BLE001 - as above
        steps.fail(error)
    else:
        steps.reply(reply)
