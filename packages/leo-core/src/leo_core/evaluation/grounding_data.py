"""Answers with the contexts they were given, and minimal edits of what the contexts say.

Recorded: BEGIN's Wizard-of-Wikipedia part and HaluEval QA. Questions whose hash falls into the fifth that shipped
models train on are the training part; the held-out part has neither their questions nor their contexts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leo_core.evaluation.datasets import is_held_out, read_jsonl
from leo_core.stages.cache.guards.opposites import ANTONYMS
from leo_core.stages.grounding.sentences import split_sentences
from leo_core.stages.grounding.words import read_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = [
    "EDITS",
    "Edit",
    "GroundedRow",
    "add_distractors",
    "fold_context",
    "make_edits",
    "read_grounded",
    "split_grounded",
]

SETS = ("begin_wow", "halueval_qa")
_LEAST_WORDS = 7
_NUMBER = re.compile(r"(?<![\w.,-])\d+(?:[.,]\d+)*(?![\w-])")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]{2,}\b(?! [A-Z])")
_VERB = re.compile(r"\b(is|are|was|were|has|have|can|will|could|would)\b(?! (?:not|no|never)\b)")
_WORD = re.compile(r"\b[a-z]{3,}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundedRow:
    """A recorded answer: whether annotators found that its context supports it."""

    source: str
    context: str
    question: str
    answer: str
    model: str
    grounded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A claim made from a sentence of a context: as it is (``kept``, ``cut``), or with one thing changed."""

    kind: str
    claim: str
    context: str
    grounded: bool


def read_grounded(folder: Path) -> list[GroundedRow]:
    """The rows of both sets under ``folder``.

    Raises:
        ConfigError: A file is missing or cannot be read.
    """
    return [
        GroundedRow(
            source=name,
            context=row["context"],
            question=row["question"],
            answer=row["answer"],
            model=row["model"],
            grounded=bool(row["grounded"]),
        )
        for name in SETS
        for row in read_jsonl(folder / "grounding" / f"{name}.jsonl.gz")
    ]


def split_grounded(rows: Sequence[GroundedRow]) -> tuple[list[GroundedRow], list[GroundedRow]]:
    """The training part and the held-out part, which shares neither question nor context with it."""
    train = [row for row in rows if not is_held_out(row.question)]
    seen = {fold_context(row.context) for row in train}
    return train, [row for row in rows if is_held_out(row.question) and fold_context(row.context) not in seen]


def fold_context(context: str) -> str:
    """The words of a context. The sets hold many a context twice, once in lower case, or spaced otherwise."""
    return " ".join(token.text for token in read_tokens(context))


def make_edits(contexts: Sequence[str], seed: int) -> list[Edit]:
    """Claims from the sentences of the contexts: one unchanged, its first half, and one of each kind of edit.

    Written by rule, so that their labels are by construction: what is unchanged is supported, what was changed is not.
    """
    random = np.random.default_rng(seed)
    contexts = sorted(set(contexts))
    names = sorted({name for context in contexts for name in _NAME.findall(context)})
    edits = []
    for context in contexts:
        sentences = [context[start:end] for start, end in split_sentences(context)]
        sentences = [sentence for sentence in sentences if len(sentence.split()) >= _LEAST_WORDS]
        if not sentences:
            continue
        sentence = sentences[int(random.integers(len(sentences)))]
        edits.append(Edit(kind="kept", claim=sentence, context=context, grounded=True))
        cut = sentence.split(", ")[0]
        if cut != sentence and len(cut.split()) >= _LEAST_WORDS:
            edits.append(Edit(kind="cut", claim=cut, context=context, grounded=True))
        for kind, edit in EDITS.items():
            changed = edit(sentence, names, random)
            if changed is not None and changed not in context:
                edits.append(Edit(kind=kind, claim=changed, context=context, grounded=False))
    return edits


def _change_number(sentence: str, _: Sequence[str], random: np.random.Generator) -> str | None:
    """One number moved by 1 to 9."""
    found = list(_NUMBER.finditer(sentence))
    if not found:
        return None
    match = found[int(random.integers(len(found)))]
    digits = re.search(r"\d+$", match[0])
    changed = str(int(digits[0]) + int(random.integers(1, 10))) if digits else match[0] + "1"
    prefix = match[0][: digits.start()] if digits else ""
    return sentence[: match.start()] + prefix + changed.zfill(len(digits[0]) if digits else 0) + sentence[match.end() :]


def _change_name(sentence: str, names: Sequence[str], random: np.random.Generator) -> str | None:
    """One name replaced by a name of another context."""
    found = list(_NAME.finditer(sentence))
    if not found or not names:
        return None
    match = found[int(random.integers(len(found)))]
    other = names[int(random.integers(len(names)))]
    return sentence[: match.start()] + other + sentence[match.end() :]


def _deny(sentence: str, _: Sequence[str], __: np.random.Generator) -> str | None:
    """The first auxiliary verb denied."""
    match = _VERB.search(sentence)
    return None if match is None else f"{sentence[: match.end()]} not{sentence[match.end() :]}"


def _oppose(sentence: str, _: Sequence[str], random: np.random.Generator) -> str | None:
    """One word replaced by an opposite of it."""
    found = [match for match in _WORD.finditer(sentence) if ANTONYMS.get(match[0])]
    if not found:
        return None
    match = found[int(random.integers(len(found)))]
    opposite = min(ANTONYMS[match[0]])
    return sentence[: match.start()] + opposite + sentence[match.end() :]


EDITS: dict[str, Callable[[str, Sequence[str], np.random.Generator], str | None]] = {
    "number": _change_number,
    "name": _change_name,
    "negation": _deny,
    "opposite": _oppose,
}
"""Per kind: a sentence, names of other contexts and chance in, the changed sentence out, or ``None``."""


def add_distractors(
    rows: Sequence[GroundedRow], vectors: np.ndarray, contexts: Sequence[str], count: int
) -> Iterator[tuple[GroundedRow, list[str]]]:
    """Each row with the ``count`` other contexts whose vectors are nearest to that of its own.

    Args:
        rows: Answers.
        vectors: Unit rows of the contexts.
        contexts: All contexts, sorted; no two with the same words.
        count: How many.
    """
    place = {fold_context(context): at for at, context in enumerate(contexts)}
    for row in rows:
        own = place[fold_context(row.context)]
        near = vectors @ vectors[own]
        near[own] = -2.0
        order = np.argsort(-near, kind="stable")[:count]
        yield row, [contexts[at] for at in order.tolist()]
