"""Committees drawn at random from recorded models, some of whose members are adversaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.datasets import read_jsonl
from leo_core.records import Message
from leo_core.stages.consensus.equivalence import classify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["KINDS", "Committee", "Kind", "Recording", "draw_committee", "read_recording"]

Kind = Literal["random", "collude", "mimic", "sleeper"]
"""What an adversary does: an own wrong answer every time; the honest members' most popular wrong answer; the answer of
the best honest member, but for three questions in ten, where it colludes; its own honest answers for the first half of
the questions, and then collusion."""
KINDS: tuple[Kind, ...] = get_args(Kind)

_MIMICKED = 0.7
_MADE_UP = -2
"""Class of the wrong answer that colluders make up where no honest member errs; further ones are below it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """What m models answered to n questions.

    Attributes:
        name: Of the file.
        models: Their names.
        classes: Class of each answer, int64 (n, m); -1 where there is none. Equal answers have one class.
        right: Whether the answers of that class are right, bool (n, m).
        questions: What was asked, n of them.
        texts: The answers, by question and model.
    """

    name: str
    models: tuple[str, ...]
    classes: Integers
    right: Flags
    questions: tuple[str, ...] = ()
    texts: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Committee:
    """What a committee answers, as :class:`Recording` has it; the questions stand in the order in which they come.

    Attributes:
        members: Names of its members, adversaries first.
        adversaries: How many these are.
        classes: int64 (n, c).
        right: bool (n, c).
        rows: Which question of the recording each one is, int64 (n,).
        columns: Which model of the recording each member is, int64 (c,).
    """

    members: tuple[str, ...]
    adversaries: int
    classes: Integers
    right: Flags
    rows: Integers
    columns: Integers

    def without_adversaries(self) -> Committee:
        """The honest members by themselves."""
        first = self.adversaries
        return Committee(
            members=self.members[first:],
            adversaries=0,
            classes=self.classes[:, first:],
            right=self.right[:, first:],
            rows=self.rows,
            columns=self.columns[first:],
        )


def read_recording(
    path: Path, *, limit: int | None = None, report: Callable[[int], None] = lambda _: None
) -> Recording:
    """Sort the answers of every question into classes, as the engine does it; once, for all committees.

    A class is right where most of its answers were graded so.

    Args:
        path: Recorded answers.
        limit: Most questions.
        report: Hears how many questions were read.

    Raises:
        ConfigError: The file holds no such answers, or its questions were not all answered by the same models.
    """
    models: tuple[str, ...] = ()
    classes, right, questions, texts = [], [], [], []
    for number, (question, answers) in enumerate(_read(path), 1):
        models = models or tuple(sorted(answers))
        if set(models) != set(answers):
            message = f"line {number} of {path.name} was answered by other models than the first one"
            raise ConfigError(message)
        found, forms = classify([Message(role="assistant", content=answers[model][0]) for model in models], question)
        numbers = np.array([index if forms[index] else -1 for index in found], dtype=np.int64)
        graded = np.array([answers[model][1] for model in models])
        classes.append(numbers)
        right.append(np.array([each >= 0 and graded[numbers == each].mean() >= 0.5 for each in numbers]))  # noqa: PLR2004 - most
        questions.append(question)
        texts.append(tuple(answers[model][0] for model in models))
        report(number)
        if number == limit:
            break
    if not classes:
        message = f"{path.name} holds no questions"
        raise ConfigError(message)
    return Recording(
        name=path.name,
        models=models,
        classes=np.stack(classes),
        right=np.stack(right),
        questions=tuple(questions),
        texts=tuple(texts),
    )


def _read(path: Path) -> Iterator[tuple[str, dict[str, tuple[str, bool]]]]:
    for number, row in enumerate(read_jsonl(path), 1):
        try:
            answers: dict[str, Any] = row["answers"]
            yield (
                row["question"],
                {model: (each["text"] or "", bool(each["correct"])) for model, each in answers.items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            message = f"line {number} of {path.name} lacks question or answers with text and correct"
            raise ConfigError(message) from error


def draw_committee(
    recording: Recording, size: int, adversaries: int, kind: Kind, random: np.random.Generator
) -> Committee:
    """A committee of ``size`` different models in random order, the first ``adversaries`` of which are corrupted.

    Raises:
        ConfigError: There are not so many models, or no honest member is left.
    """
    if not 1 <= size <= len(recording.models) or not 0 <= adversaries < size:
        message = (
            f"a committee of {size} with {adversaries} adversaries cannot be drawn from {len(recording.models)} models"
        )
        raise ConfigError(message)
    chosen = random.permutation(len(recording.models))[:size]
    order = random.permutation(len(recording.classes))
    classes = recording.classes[np.ix_(order, chosen)]
    right = recording.right[np.ix_(order, chosen)]
    honest = slice(adversaries, size)
    if adversaries:
        best = adversaries + int(np.argmax(right[:, honest].mean(axis=0)))
        for row in range(len(order)):
            _corrupt(classes[row], right[row], adversaries, best, kind, row * 2 >= len(order), random)
    members = tuple(recording.models[each] for each in chosen)
    return Committee(members=members, adversaries=adversaries, classes=classes, right=right, rows=order, columns=chosen)


def _corrupt(
    classes: Integers,
    right: Flags,
    adversaries: int,
    best: int,
    kind: Kind,
    late: bool,  # noqa: FBT001 - whether the second half has begun
    random: np.random.Generator,
) -> None:
    """Put the adversaries' answers to one question in the place of their own."""
    if kind == "sleeper" and not late:
        return
    if kind == "mimic" and random.random() < _MIMICKED:
        classes[:adversaries], right[:adversaries] = classes[best], right[best]
        return
    right[:adversaries] = False
    if kind == "random":
        classes[:adversaries] = _MADE_UP - 1 - np.arange(adversaries)
        return
    classes[:adversaries] = _find_popular(classes[adversaries:], right[adversaries:])


def _find_popular(classes: Integers, right: Flags) -> int:
    """The wrong answer that most honest members give; a made-up one where none errs."""
    wrong: Sequence[int] = [int(each) for each in classes[~right] if each >= 0]
    return max(sorted(set(wrong)), key=wrong.count) if wrong else _MADE_UP
