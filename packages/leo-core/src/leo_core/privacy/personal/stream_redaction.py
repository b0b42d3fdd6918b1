"""Streams whose stand-ins give way to what they stand for, also where one is cut between two chunks."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from leo_core.privacy.personal.redaction import in_json, reveal, reveal_message
from leo_core.records import Chunk, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["StreamRevealer"]


class _Tail:
    """Text that comes in pieces; the end of it is held back for as long as it may be the beginning of a stand-in."""

    def __init__(self, forms: Mapping[str, str]) -> None:
        self._forms = forms
        self._pattern = re.compile("|".join(map(re.escape, forms)))
        self._starts = frozenset(form[:end] for form in forms for end in range(1, len(form)))
        self._longest = max(map(len, forms)) - 1
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown now."""
        text = self._held + piece
        kept = next((size for size in range(min(len(text), self._longest), 0, -1) if text[-size:] in self._starts), 0)
        self._held = text[len(text) - kept :]
        return self._pattern.sub(lambda found: self._forms[found[0]], text[: len(text) - kept])

    def end(self) -> str:
        """What was held back and became nothing."""
        held, self._held = self._held, ""
        return held


class StreamRevealer:
    """Chunks with what their stand-ins stand for; the pieces put together are the revealed message.

    Args:
        values: What each stand-in stands for; with none, chunks go through as they are.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._text = _Tail(values) if values else None
        self._calls: dict[int, _Tail] = {}

    def feed(self, chunk: Chunk) -> Iterator[Chunk]:
        """The chunks to show in the place of one."""
        if self._text is None:
            yield chunk
            return
        text = self._text.feed(chunk.text)
        if chunk.blocks or chunk.tool_calls or chunk.draft is not None or chunk.answer is not None:
            text += self._text.end()  # nothing is cut in two by what stands between its parts
        if chunk.draft is not None or chunk.answer is not None:
            yield from self._end_calls()
        shown = replace(
            chunk,
            text=text,
            tool_calls=tuple(self._reveal_call(piece) for piece in chunk.tool_calls),
            blocks=tuple(reveal(block, self._values) for block in chunk.blocks),
            correction=None
            if chunk.correction is None
            else replace(chunk.correction, message=reveal_message(chunk.correction.message, self._values)),
            native=None,
        )
        if shown != Chunk():
            yield shown

    def feed_all(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks to show in the place of all."""
        for chunk in chunks:
            yield from self.feed(chunk)
        yield from self.end()

    def end(self) -> Iterator[Chunk]:
        """What is left when nothing more comes."""
        if self._text is not None:
            rest = self._text.end()
            if rest:
                yield Chunk(text=rest)
            yield from self._end_calls()

    def _reveal_call(self, piece: ToolCallDelta) -> ToolCallDelta:
        tail = self._calls.get(piece.index)
        if tail is None:
            tail = self._calls[piece.index] = _Tail(in_json(self._values))
        return replace(piece, arguments=tail.feed(piece.arguments))

    def _end_calls(self) -> Iterator[Chunk]:
        rests = {index: tail.end() for index, tail in sorted(self._calls.items())}
        if any(rests.values()):
            pieces = (ToolCallDelta(index=index, arguments=rest) for index, rest in rests.items() if rest)
            yield Chunk(tool_calls=tuple(pieces))
