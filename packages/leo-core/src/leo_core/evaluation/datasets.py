"""Recorded answers of real models, as the replay benchmark reads them.

Format: one JSON object per line, gzipped or not, with ``id``, ``question``, ``gold`` and
``answers`` = ``{model: {"text", "final", "correct"}}``. ``gold`` and ``correct`` grade; they never reach LEO.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["RecordedQuestion", "is_held_out", "read_jsonl", "read_questions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedQuestion:
    """A question with what every model answered.

    Attributes:
        id: Its id in the data set.
        question: Its text.
        correct: Per model, whether its recorded answer is right.
        final: Per model, the extracted final answer.
    """

    id: str
    question: str
    correct: Mapping[str, bool]
    final: Mapping[str, str]


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file, gzipped or not.

    Raises:
        ConfigError: There is no such file, it cannot be read as text, or a line is not a JSON object; the message
            names the line.
    """
    if not path.is_file():
        message = f"there is no file {path}"
        raise ConfigError(message)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in _number(lines, path):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                message = f"line {number} of {path.name} is not JSON"
                raise ConfigError(message) from error
            if not isinstance(row, dict):
                message = f"line {number} of {path.name} is not a JSON object"
                raise ConfigError(message)
            yield row


def _number(lines: Iterable[str], path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1; what cannot be read is an error of ours."""
    try:
        yield from enumerate(lines, 1)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        message = f"{path.name} cannot be read as {'gzipped ' if path.suffix == '.gz' else ''}text: {error}"
        raise ConfigError(message) from error


def read_questions(path: Path) -> tuple[RecordedQuestion, ...]:
    """The questions of a file of recorded answers.

    Raises:
        ConfigError: The file is not of that format.
    """
    questions = []
    for number, row in enumerate(read_jsonl(path), 1):
        try:
            answers = row["answers"]
            questions.append(
                RecordedQuestion(
                    id=str(row["id"]),
                    question=str(row["question"]),
                    correct={model: bool(answer["correct"]) for model, answer in answers.items()},
                    final={model: str(answer.get("final")) for model, answer in answers.items()},
                )
            )
        except (KeyError, TypeError, AttributeError) as error:
            message = f"line {number} of {path.name} lacks id, question or answers with text and correct"
            raise ConfigError(message) from error
    if not questions:
        message = f"{path.name} holds no questions"
        raise ConfigError(message)
    return tuple(questions)


def is_held_out(question: str) -> bool:
    """Whether a question is kept for evaluation.

    A fifth of all questions, those whose SHA-256 is divisible by five, is what the shipped priors and calibrations
    were trained on (``packages/leo-core/train``); benchmarks leave it out.
    """
    return int.from_bytes(hashlib.sha256(question.encode("utf-8")).digest(), "big") % 5 != 0
