"""What is found about an answer and the sources that it was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from leo_core.records.values import Json

__all__ = ["Grounding", "InjectionRisk", "Objection", "SentenceSupport", "Source", "SourceSpan"]


@dataclass(frozen=True, slots=True)
class Source:
    """A text that an answer may stand on.

    Attributes:
        id: Its name: a node id, a document id, a number.
        text: The text.
    """

    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpan:
    """A passage that bears a sentence out.

    Attributes:
        source_id: Of the source.
        start: Its first character in the source's text.
        end: The character after it.
        share: Share of the sentence's content, weighted by how rare its words are, that this passage and those
            before it hold, in [0, 1].
    """

    source_id: str
    start: int
    end: int
    share: float


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a sentence may not stand on the sources.

    Attributes:
        kind: ``numbers`` and ``names``: these stand in no source; ``words``: content words that stand in none;
            ``negation``: one of sentence and passage is negated; ``opposites``: a word and its opposite in the passage.
        found: The words or figures, as the sentence has them (``opposites``: and as the passage has it).
    """

    kind: Literal["numbers", "names", "words", "negation", "opposites"]
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceSupport:
    """A sentence of an answer and what it stands on.

    Attributes:
        start: Its first character in the answer.
        end: The character after it.
        risk: Calibrated P(the sources do not support it), in [0, 1].
        spans: The passages that bear it out best, the best one first; empty where nothing has a word in common.
        objections: What speaks against it.
    """

    start: int
    end: int
    risk: float
    spans: tuple[SourceSpan, ...] = ()
    objections: tuple[Objection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """An answer and what it stands on.

    Attributes:
        risk: Calibrated P(the sources do not support the answer as a whole), in [0, 1]; 0 for an answer without a
            sentence, which claims nothing.
        sentences: Its sentences in order.
    """

    risk: float
    sentences: tuple[SentenceSupport, ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """The same in plain values."""
        return {
            "risk": self.risk,
            "sentences": [
                {
                    "start": sentence.start,
                    "end": sentence.end,
                    "risk": sentence.risk,
                    "spans": [
                        {"source_id": span.source_id, "start": span.start, "end": span.end, "share": span.share}
                        for span in sentence.spans
                    ],
                    "objections": [{"kind": each.kind, "found": list(each.found)} for each in sentence.objections],
                }
                for sentence in self.sentences
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionRisk:
    """Whether a text gives orders to the model that reads it.

    Attributes:
        risk: Calibrated P(it does), in [0, 1].
        start: First character of the passage that looks most like it.
        end: The character after it.
        signs: Names of what was found there.
    """

    risk: float
    start: int = 0
    end: int = 0
    signs: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """The same in plain values."""
        return {"risk": self.risk, "start": self.start, "end": self.end, "signs": list(self.signs)}
