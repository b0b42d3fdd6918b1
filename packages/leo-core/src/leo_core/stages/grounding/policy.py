"""The support of an answer by its sources, sentence by sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.records import Grounding, SentenceSupport, SourceSpan
from leo_core.stages.grounding.features import describe_claim
from leo_core.stages.grounding.model import describe_answer, shipped_logistic
from leo_core.stages.grounding.reading import read_claim, read_passages
from leo_core.stages.grounding.sentences import split_sentences
from leo_core.stages.grounding.support import Library

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leo_core.records import Objection, Source
    from leo_core.stages.grounding.reading import Claim, Knowledge
    from leo_core.stages.grounding.support import Evidence

__all__ = ["describe_sentences", "ground_answer"]


def ground_answer(answer: str, sources: Sequence[Source], *, question: str = "", knowledge: Knowledge) -> Grounding:
    """Which sentences of an answer the sources support, where, and how likely they do not.

    Args:
        answer: The answer.
        sources: What it may stand on; without any, nothing is supported.
        question: What was asked. It helps to choose between passages, and a number or a name of it needs no source.
        knowledge: What is known of words.
    """
    sentences, scores, sizes = [], [], []
    judge = shipped_logistic("support", "sentence")
    for claim, evidence, features, objections in describe_sentences(answer, sources, question, knowledge):
        scores.append(judge.log_odds(features))
        sizes.append(len(claim.reading.words))
        spans = tuple(
            SourceSpan(source_id=sources[passage.source].id, start=passage.start, end=passage.end, share=share)
            for passage, share in zip(evidence.passages, evidence.shares, strict=True)
        )
        sentences.append(
            SentenceSupport(
                start=claim.start, end=claim.end, risk=judge.probability(features), spans=spans, objections=objections
            )
        )
    if not sentences:
        return Grounding(risk=0.0)
    whole = shipped_logistic("support", "answer").probability(describe_answer(scores, sizes))
    return Grounding(risk=whole, sentences=tuple(sentences))


def describe_sentences(
    answer: str, sources: Sequence[Source], question: str, knowledge: Knowledge
) -> Iterator[tuple[Claim, Evidence, dict[str, float], tuple[Objection, ...]]]:
    """The sentences of an answer with their best passages, features and objections."""
    library = Library(read_passages(sources, knowledge), question, knowledge)
    for start, end in split_sentences(answer):
        claim = read_claim(answer, start, end, knowledge)
        evidence = library.find(claim)
        yield claim, evidence, *describe_claim(claim, evidence, library, knowledge)
