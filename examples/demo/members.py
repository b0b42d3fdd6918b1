"""The three local members of the demo: two readers that work differently, and one that is faulty."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace

import numpy as np

from leo_core import Message, Request, load_embedder
from leo_core.providers.extractive import ExtractiveModel
from leo_core.records import Capabilities, Chunk, Draft, Json, Usage

__all__ = ["EmbeddingReader", "FaultyReader", "LexicalReader"]

SENTENCE = re.compile(r"(?<=[.!?])\s+")
HEADING = re.compile(r"^#.*$", re.MULTILINE)


class LexicalReader(ExtractiveModel):
    """Quotes the sentence of the context that shares most with the question. Its price tag is the demo's own."""

    def __init__(self, price_usd: float) -> None:
        super().__init__(id="reader")
        self._price_usd = price_usd

    def estimate(self, request: Request) -> Usage:
        """The price tag of every call."""
        return replace(super().estimate(request), cost_usd=self._price_usd)

    def price(self, usage: Usage) -> float:
        """The price tag of every call."""
        return self._price_usd

    def generate(self, request: Request) -> Draft:
        """The quote, with the price tag on it."""
        draft = super().generate(request)
        return replace(draft, usage=replace(draft.usage, cost_usd=self._price_usd))
