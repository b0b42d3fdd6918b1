"""Texts as they are compared: an answer's sentence as a claim, the sources as passages."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from leo_core.stages.grounding.sentences import split_sentences
from leo_core.stages.grounding.words import STOP_WORDS, read_numbers, read_tokens
from leo_core.stages.marks import blank_citations

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from leo_core.records import Source

__all__ = ["Claim", "Facts", "Knowledge", "Passage", "Reading", "read_claim", "read_passages"]

_LONGEST = 80
"""Words after which a sentence of a source without an end (a table, a list) is cut."""


class Facts(Protocol):
    """What a text says in figures, and whether it denies."""

    @property
    def values(self) -> frozenset[str]:
        """Numbers, spelled ones too, as canonical text."""

    @property
    def negated(self) -> bool:
        """Whether the text holds an odd number of negations."""


class Knowledge(Protocol):
    """What the grounding needs to know of words."""

    def stem(self, word: str) -> str:
        """A word without its endings."""

    def weigh(self, stem: str) -> float:
        """How rare a word is: its inverse document frequency, above 0."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit rows, float32, shape ``(len(texts), d)``."""

    def read_facts(self, text: str) -> Facts:
        """Numbers and negation of a text."""

    def find_opposites(self, one: str, other: str) -> tuple[str, str] | None:
        """A word of each text that is the opposite of the other."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """Words of a text as they are compared.

    Attributes:
        words: As written, folded, in order.
        stems: Their stems, in order.
        content: Content stems with the word they stand for, in order of appearance.
        numbers: Numbers, as written.
        names: Stems of words that are capitalised inside the text.
    """

    words: tuple[str, ...]
    stems: tuple[str, ...]
    content: dict[str, str]
    numbers: frozenset[str]
    names: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Claim:
    """A sentence of an answer: its span, its text with spaces for what claims nothing, and its words."""

    start: int
    end: int
    text: str
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passage:
    """A sentence of a source: where it stands, its text and its words.

    Attributes:
        source: Number of the source.
        start: Its first character in the source's text.
        end: The character after it.
        text: The text, with spaces for its citations.
        reading: Its words.
    """

    source: int
    start: int
    end: int
    text: str
    reading: Reading


def read_claim(text: str, start: int, end: int, knowledge: Knowledge) -> Claim:
    """The sentence [start, end) of an answer."""
    sentence = text[start:end]
    return Claim(start=start, end=end, text=sentence, reading=read(sentence, knowledge))


def read_passages(sources: Sequence[Source], knowledge: Knowledge) -> list[Passage]:
    """The sentences of all sources, in order; very long ones are cut."""
    passages = []
    for number, source in enumerate(sources):
        said = blank_citations(source.text)
        for start, end in split_sentences(source.text):
            tokens = read_tokens(said[start:end])
            cuts = [0, *(start_of.start for start_of in tokens[_LONGEST::_LONGEST]), end - start]
            for begin, stop in pairwise(cuts):
                length = len(source.text[start + begin : start + stop].rstrip())
                text = said[start + begin : start + begin + length]
                passages.append(
                    Passage(
                        source=number,
                        start=start + begin,
                        end=start + begin + length,
                        text=text,
                        reading=read(text, knowledge),
                    )
                )
    return passages


def read(text: str, knowledge: Knowledge) -> Reading:
    """Words, stems, numbers and names of a text."""
    tokens = read_tokens(text)
    words = tuple(token.text for token in tokens)
    stems = tuple(knowledge.stem(word) for word in words)
    content: dict[str, str] = {}
    for stem, word in zip(stems, words, strict=True):
        if word not in STOP_WORDS:
            content.setdefault(stem, word)
    names = {
        stem
        for stem, token in zip(stems[1:], tokens[1:], strict=True)
        if token.capital and token.text not in STOP_WORDS
    }
    return Reading(
        words=words,
        stems=stems,
        content=content,
        numbers=frozenset(read_numbers(tokens)),
        names=frozenset(names),
    )
