"""The three local members of the demo: two readers that work differently, and one that misreports.

All three really read: nothing is looked up in a table of prepared answers. What is declared, and not measured, are
their price tags: local readers cost nothing, so the demo says what it counts for them.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leo_core import Message, load_embedder
from leo_core.providers.context_reading import find_passage, split_sentences
from leo_core.providers.extractive import CANNOT_ANSWER, ExtractiveModel
from leo_core.providers.tokens import estimate_input_tokens, estimate_text_tokens
from leo_core.records import Capabilities, Chunk, Draft, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from leo_core import Request
    from leo_core.ports import Embedder, Model
    from leo_core.records import Json

__all__ = ["EmbeddingReader", "FaultyReader", "LexicalReader", "PriceTag", "misreport"]

EMPTY = Usage(output_tokens=64, calls=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTag:
    """What the demo counts for a member's tokens, in US dollars per million."""

    input_usd: float
    output_usd: float

    def __call__(self, usage: Usage) -> float:
        """The price of a usage, in US dollars."""
        return (usage.input_tokens * self.input_usd + usage.output_tokens * self.output_usd) / 1e6


class LexicalReader(ExtractiveModel):
    """Quotes the sentence of the context that shares the weightiest words with the question, or calls a tool."""

    def __init__(self, tag: PriceTag) -> None:
        super().__init__(id="lexical-reader")
        self._tag = tag

    def estimate(self, request: Request) -> Usage:
        """Tokens and price before the call."""
        usage = super().estimate(request)
        return replace(usage, cost_usd=self._tag(usage))

    def price(self, usage: Usage) -> float:
        """The price of a usage."""
        return self._tag(usage)

    def generate(self, request: Request) -> Draft:
        """The quote or the tool call, with its price."""
        draft = super().generate(request)
        return replace(draft, model=self.id, usage=replace(draft.usage, cost_usd=self._tag(draft.usage)))


class EmbeddingReader:
    """Quotes the sentence of the context whose embedding is nearest to the question's.

    Args:
        tag: Its price tag.
        pause_s: How long it waits after each streamed word, so that streaming can be seen. It really waits.
    """

    id = "embedding-reader"
    family = "embedding"
    capabilities = Capabilities(tools=False, structured_output=False, images=False, audio=False, files=False)

    def __init__(self, tag: PriceTag, *, pause_s: float = 0.0) -> None:
        self._tag, self._pause_s = tag, pause_s
        self._embedder: Embedder = load_embedder()

    @property
    def fingerprint(self) -> Mapping[str, Json]:
        """The method and its embedder."""
        return {"provider": "demo", "method": "nearest sentence", "embedder": str(self._embedder.fingerprint)}

    def estimate(self, request: Request) -> Usage:
        """Tokens and price before the call."""
        usage = replace(EMPTY, input_tokens=estimate_input_tokens(request))
        return replace(usage, cost_usd=self._tag(usage))

    def price(self, usage: Usage) -> float:
        """The price of a usage."""
        return self._tag(usage)

    def generate(self, request: Request) -> Draft:
        """The nearest sentence, word for word."""
        started = time.perf_counter()
        passage = find_passage(request)
        text = self._nearest(passage.question, split_sentences(passage.context))
        usage = Usage(input_tokens=estimate_input_tokens(request), output_tokens=estimate_text_tokens(text), calls=1)
        return Draft(
            member=self.id,
            model=self.id,
            message=Message(role="assistant", content=text),
            usage=replace(usage, cost_usd=self._tag(usage)),
            latency_s=time.perf_counter() - started,
        )

    async def agenerate(self, request: Request) -> Draft:
        """As :meth:`generate`, in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self.generate, request)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """As :meth:`generate`, word by word."""
        draft = self.generate(request)
        for word in re.findall(r"\S+\s*", draft.text):
            yield Chunk(text=word)
            time.sleep(self._pause_s)
        yield Chunk(draft=draft)

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """As :meth:`stream`, without blocking."""
        draft = await self.agenerate(request)
        for word in re.findall(r"\S+\s*", draft.text):
            yield Chunk(text=word)
            await asyncio.sleep(self._pause_s)
        yield Chunk(draft=draft)

    def close(self) -> None:
        """Nothing to release."""

    def _nearest(self, question: str, sentences: list[str]) -> str:
        if not sentences:
            return CANNOT_ANSWER
        rows = self._embedder.embed([question, *sentences])
        return sentences[int((rows[1:] @ rows[0]).argmax())]


class FaultyReader:
    """Reads like another member and then misreports: numbers come out different, and a "not" gets lost.

    Args:
        reader: Who it reads like.
        tag: Its price tag.
    """

    id = "faulty-reader"
    family = "faulty"

    def __init__(self, reader: Model, tag: PriceTag) -> None:
        self._reader, self._tag = reader, tag

    @property
    def capabilities(self) -> Capabilities:
        """Text only."""
        return replace(self._reader.capabilities, tools=False)

    @property
    def fingerprint(self) -> Mapping[str, Json]:
        """The reader that it spoils."""
        return {"provider": "demo", "method": "misreport", "reader": dict(self._reader.fingerprint)}

    def estimate(self, request: Request) -> Usage:
        """Tokens and price before the call."""
        usage = self._reader.estimate(request)
        return replace(usage, cost_usd=self._tag(usage))

    def price(self, usage: Usage) -> float:
        """The price of a usage."""
        return self._tag(usage)

    def generate(self, request: Request) -> Draft:
        """What the reader says, misreported."""
        return self._spoil(self._reader.generate(request))

    async def agenerate(self, request: Request) -> Draft:
        """As :meth:`generate`, without blocking."""
        return self._spoil(await self._reader.agenerate(request))

    def stream(self, request: Request) -> Iterator[Chunk]:
        """As :meth:`generate`, in one piece."""
        draft = self.generate(request)
        yield Chunk(text=draft.text)
        yield Chunk(draft=draft)

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """As :meth:`stream`, without blocking."""
        draft = await self.agenerate(request)
        yield Chunk(text=draft.text)
        yield Chunk(draft=draft)

    def close(self) -> None:
        """Nothing to release."""

    def _spoil(self, draft: Draft) -> Draft:
        return replace(
            draft,
            member=self.id,
            model=self.id,
            message=replace(draft.message, content=misreport(draft.text)),
            usage=replace(draft.usage, cost_usd=self._tag(draft.usage)),
        )


def misreport(text: str) -> str:
    """A text with its numbers raised by 3 and without its "not"."""
    return re.sub(r"\d+", lambda found: str(int(found.group()) + 3), re.sub(r"\b(?:not|cannot) ", "", text))
