"""Answers as LangChain's protocol events (``stream_events(version="v3")``), with a block of LEO's facts at the end.

LangChain's own bridge turns chunks into events. It closes all blocks when the message ends; where an answer is
corrected, LEO lets it end a part of the message early, so that what was shown is withdrawn before the answer begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.language_models._compat_bridge import achunks_to_events, chunks_to_events
from langchain_core.messages import LC_ID_PREFIX

from leo_langchain._blocks import CORRECTION_INDEX, withdrawn_block

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.outputs import ChatGenerationChunk
    from langchain_protocol.protocol import MessagesData

__all__ = ["awrite_events", "write_events"]


def write_events(
    chunks: Iterator[ChatGenerationChunk], run_manager: CallbackManagerForLLMRun | None
) -> Iterator[MessagesData]:
    """The events of the chunks of one answer."""
    parts, stitch, message_id = _Parts(), _Stitch(), _id_of(run_manager)

    def read() -> Iterator[ChatGenerationChunk]:
        yield from parts.take_waiting()
        if parts.ends:
            return
        for chunk in chunks:
            yield from parts.take(chunk)
            if parts.ends:
                return

    while parts.begin():
        for event in chunks_to_events(read(), message_id=message_id):
            yield from stitch.take(event, parts)


async def awrite_events(
    chunks: AsyncIterator[ChatGenerationChunk], run_manager: AsyncCallbackManagerForLLMRun | None
) -> AsyncIterator[MessagesData]:
    """:func:`write_events` on the event loop."""
    parts, stitch, message_id = _Parts(), _Stitch(), _id_of(run_manager)

    async def read() -> AsyncIterator[ChatGenerationChunk]:
        for chunk in parts.take_waiting():
            yield chunk
        if parts.ends:
            return
        async for chunk in chunks:
            for taken in parts.take(chunk):
                yield taken
            if parts.ends:
                return

    while parts.begin():
        async for event in achunks_to_events(read(), message_id=message_id):
            for stitched in stitch.take(event, parts):
                yield stitched


class _Parts:
    """The parts of a message: what is shown before a correction, the correction itself, and the answer after it."""

    def __init__(self) -> None:
        self._waiting: ChatGenerationChunk | None = None
        self._begun = False
        self.ends = False
        self.withdraws = False

    @property
    def goes_on(self) -> bool:
        """Whether another part follows the present one."""
        return self.ends

    def begin(self) -> bool:
        """Whether there is another part to read; begins it."""
        more = not self._begun or self.ends
        self._begun, self.ends, self.withdraws = True, False, False
        return more

    def take(self, chunk: ChatGenerationChunk) -> Iterator[ChatGenerationChunk]:
        """The chunk, unless it is a correction: that ends the part, and all that is in it is withdrawn."""
        if _is_correction(chunk):
            self._waiting, self.ends, self.withdraws = chunk, True, True
        else:
            yield chunk

    def take_waiting(self) -> Iterator[ChatGenerationChunk]:
        """The correction that ended the part before: a part of its own, so that its block is closed at once."""
        if self._waiting is not None:
            chunk, self._waiting, self.ends = self._waiting, None, True
            yield chunk


class _Stitch:
    """Puts the events of the parts of a message together: one beginning, one end, blocks counted through."""

    def __init__(self) -> None:
        self._started = False
        self._before = self._seen = 0

    def take(self, event: MessagesData, parts: _Parts) -> Iterator[MessagesData]:
        kind, changed = event["event"], cast("dict[str, Any]", dict(event))
        if kind == "message-start":
            if not self._started:
                yield event
            self._started = True
        elif kind == "message-finish":
            self._before += self._seen
            self._seen = 0
            if not parts.goes_on:
                yield event
        else:
            if kind == "content-block-start":
                self._seen += 1
            if kind == "content-block-finish" and parts.withdraws:
                changed["content"] = withdrawn_block(changed["content"])
            changed["index"] += self._before
            yield cast("MessagesData", changed)


def _is_correction(chunk: ChatGenerationChunk) -> bool:
    content = chunk.message.content
    return isinstance(content, list) and any(
        isinstance(block, dict) and block.get("index") == CORRECTION_INDEX for block in content
    )


def _id_of(run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None) -> str | None:
    """The id of the message, as LangChain gives it to a streamed one."""
    return None if run_manager is None else f"{LC_ID_PREFIX}-{run_manager.run_id}"
