"""The support of an answer by its sources, sentence by sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.records import Grounding, SentenceSupport, SourceSpan
from leo_core.stages.grounding.features import describe_claim
from leo_core.stages.grounding.model import describe_answer, shipped_logistic
from leo_core.stages.grounding.reading import read_claim, read_passages
from leo_core.stages.grounding.sentences import split_sentences
from leo_core.stages.grounding.support import Library
from leo_core.stages.marks import blank_citations, blank_list_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leo_core.records import Objection, Source
    from leo_core.stages.grounding.reading import Claim, Knowledge
    from leo_core.stages.grounding.support import Evidence

__all__ = ["Grounder", "ground_answer"]


class Grounder:
    """Sources, read once, that answers are held against.

    Args:
        sources: What an answer may stand on; without any, nothing is supported.
        question: What was asked. It helps to choose between passages, and a number or a name of it needs no source.
        knowledge: What is known of words.
    """

    def __init__(self, sources: Sequence[Source], *, question: str = "", knowledge: Knowledge) -> None:
        self._sources, self._knowledge = sources, knowledge
        self._library = Library(read_passages(sources, knowledge), question, knowledge)

    def judge(self, answer: str, *, start: int = 0) -> Grounding:
        """Which sentences of an answer the sources support, where, and how likely they do not.

        Args:
            answer: The answer.
            start: Where the first sentence begins that is judged; what comes before was judged already.
        """
        sentences, scores, sizes = [], [], []
        model = shipped_logistic("support", "sentence")
        for claim, evidence, features, objections in self.describe(answer, start=start):
            scores.append(model.log_odds(features))
            sizes.append(len(claim.reading.words))
            spans = tuple(
                SourceSpan(source_id=self._sources[p.source].id, start=p.start, end=p.end, share=share)
                for p, share in zip(evidence.passages, evidence.shares, strict=True)
            )
            risk = model.probability(features)
            sentences.append(
                SentenceSupport(start=claim.start, end=claim.end, risk=risk, spans=spans, objections=objections)
            )
        if not sentences:
            return Grounding(risk=0.0)
        whole = shipped_logistic("support", "answer").probability(describe_answer(scores, sizes))
        return Grounding(risk=whole, sentences=tuple(sentences))

    def describe(
        self, answer: str, *, start: int = 0
    ) -> Iterator[tuple[Claim, Evidence, dict[str, float], tuple[Objection, ...]]]:
        """The sentences of an answer with their best passages, features and objections.

        Citations and the numbers of a list's items claim nothing; a sentence of nothing else is passed over.
        """
        said = blank_list_numbers(blank_citations(answer))
        for begin, end in split_sentences(answer[start:]):
            claim = read_claim(said, start + begin, start + end, self._knowledge)
            if not claim.reading.words:
                continue
            evidence = self._library.find(claim)
            yield claim, evidence, *describe_claim(claim, evidence, self._library, self._knowledge)


def ground_answer(answer: str, sources: Sequence[Source], *, question: str = "", knowledge: Knowledge) -> Grounding:
    """One answer held against its sources; see :class:`Grounder`."""
    return Grounder(sources, question=question, knowledge=knowledge).judge(answer)
