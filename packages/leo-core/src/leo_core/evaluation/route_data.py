"""Questions with what a small and a large model made of them, and how they are split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.datasets import is_held_out, read_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]

__all__ = ["RoutedQuestion", "read_routed", "split_questions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedQuestion:
    """A question with the outcomes of both models.

    Attributes:
        question: Its text.
        small_right: Whether the small model was right.
        large_right: Whether the large model was right.
        small_text: What the small model answered; empty where it was not recorded.
    """

    question: str
    small_right: bool
    large_right: bool
    small_text: str = ""


def read_routed(path: Path) -> tuple[RoutedQuestion, ...]:
    """The questions of a file: JSON Lines with ``question``, ``small_correct``, ``large_correct``, ``small_text``.

    Raises:
        ConfigError: The file is not of that format.
    """
    found = []
    for number, row in enumerate(read_jsonl(path), 1):
        try:
            found.append(
                RoutedQuestion(
                    question=str(row["question"]),
                    small_right=bool(row["small_correct"]),
                    large_right=bool(row["large_correct"]),
                    small_text=str(row.get("small_text") or ""),
                )
            )
        except KeyError as error:
            message = f"line {number} of {path.name} lacks question, small_correct or large_correct"
            raise ConfigError(message) from error
    if not found:
        message = f"{path.name} holds no questions"
        raise ConfigError(message)
    return tuple(found)


def split_questions(
    train: tuple[RoutedQuestion, ...], test: tuple[RoutedQuestion, ...], seed: int, *, same: bool
) -> tuple[Integers, Integers]:
    """Rows to learn from, in the order in which they come, and rows to judge, ascending.

    Judged are only questions that no shipped model was trained on. Where both files are the same, these are as many of
    them as make half of all different questions, drawn at random, and the rest is learned from, the trained fifth
    included; rows with the same question stay together. Otherwise all of them are judged, and learned is from every
    question of the other file that is not among them.

    Raises:
        ConfigError: Nothing is left to learn from or to judge.
    """
    random = np.random.default_rng(seed)
    held = sorted({row.question for row in test if is_held_out(row.question)})
    if same:
        half = len({row.question for row in test}) // 2
        held = [held[at] for at in random.permutation(len(held))[:half].tolist()]
    judged = set(held)
    testing = np.array([at for at, row in enumerate(test) if row.question in judged], dtype=np.int64)
    learned = np.array([at for at, row in enumerate(train) if row.question not in judged], dtype=np.int64)
    if not len(testing) or not len(learned):
        message = "no question is left to learn from, or none to judge that no shipped model was trained on"
        raise ConfigError(message)
    return random.permutation(learned), testing
