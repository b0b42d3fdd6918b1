"""How good a student is on questions that it was not trained on, beside simple rules and the teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.evaluation.metrics import wilson_interval
from leo_core.records import Message
from leo_core.stages.consensus.equivalence import same_answer
from leo_core.stages.route.promotion import measure_utility

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from leo_core.stages.route.config import RouteConfig
    from leo_core.stages.student.student import Student

__all__ = ["Teacher", "match_answers", "measure_student"]

_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """What the student is compared with.

    Attributes:
        cost_usd: What an answer of it costs, in US dollars.
        right: Whether it is right on each of the m questions, shape ``(m,)``.
        route: Loss of a wrong answer.
    """

    cost_usd: float
    right: npt.NDArray[np.bool_]
    route: RouteConfig


def measure_student(
    student: Student, vectors: npt.NDArray[np.float32], matches: npt.NDArray[np.bool_], teacher: Teacher
) -> dict[str, Any]:
    """Figures on m questions.

    ``majority``, ``neighbours``, ``linear`` and ``both`` always give one of the taught answers, and ``accuracy`` is the
    share of all questions. The student abstains, so ``coverage`` is the share that it answers, and
    ``answered_accuracy`` is of those. ``calibration_error`` is the expected calibration error
    of P(right) over ten equal bins, of all questions to which it has an answer, given or not; ``brier`` likewise. The
    utilities are those of the promotion test, in [0, 1]: ``student`` with the teacher asked where it abstains.

    Args:
        student: The student.
        vectors: Of the questions, shape ``(m, d)``.
        matches: Whether each taught answer is right, shape ``(m, answers)``.
        teacher: What it is compared with.
    """
    count, taught = matches.shape
    opinions = student.weigh(vectors)
    elsewhere = ~matches.any(axis=1)
    rows = np.arange(count)
    majority = np.full(count, int(np.bincount(student.labels[student.labels < taught], minlength=taught).argmax()))
    said = opinions.both.argmax(axis=1)
    rules = {
        name: matches[rows, shares[:, :taught].argmax(axis=1)]
        for name, shares in (("neighbours", opinions.near), ("linear", opinions.linear), ("both", opinions.both))
    }
    rules = {"majority": matches[rows, majority], **rules}
    named = said < taught
    chance = np.where(named, student.trust(opinions), 0.0)
    answered = named & (opinions.cosine >= student.floor) & (chance >= student.least_probability)
    right = rules["both"]
    return {
        "questions": count,
        "taught": int((~elsewhere).sum()),
        "answers": taught,
        "examples": len(student.labels),
        "accuracy": {name: _share(hits) for name, hits in rules.items()},
        "coverage": _share(answered),
        "answered_accuracy": _share(right[answered]),
        "mean_probability": float(chance[answered].mean()) if answered.any() else None,
        "calibration_error": _find_error(chance[named], right[named]),
        "brier": float(np.mean((chance[named] - right[named]) ** 2)) if named.any() else None,
        "utility": _weigh(right, answered, teacher),
        "teacher_cost_usd": teacher.cost_usd,
        "loss_usd": teacher.route.loss_usd,
    }


def match_answers(student: Student, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.bool_]:
    """Whether each taught answer says the same as the verified one, shape ``(pairs, answers)``."""
    taught = [Message(role="assistant", content=text) for text in student.answers]
    rows = [[same_answer(each, Message(role="assistant", content=answer), question) for each in taught]
            for question, answer in pairs]  # fmt: skip
    return np.array(rows, dtype=np.bool_).reshape(len(pairs), len(taught))


def _share(hits: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """A share of the questions, with its 95 % interval."""
    good, count = int(hits.sum()), len(hits)
    return {"share": good / count if count else None, "interval": wilson_interval(good, count), "count": good}


def _find_error(chance: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float | None:
    if not len(chance):
        return None
    bins = np.minimum((chance * _BINS).astype(int), _BINS - 1)
    gaps = [abs(float((chance[bins == at] - right[bins == at]).sum())) for at in range(_BINS)]
    return sum(gaps) / len(chance)


def _weigh(
    right: npt.NDArray[np.bool_], answered: npt.NDArray[np.bool_], teacher: Teacher
) -> dict[str, float | tuple[float, float] | None]:
    """Mean utilities, and their paired difference with a 95 % interval by the normal approximation."""

    def utility(cost_usd: float, hits: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        good, bad = (measure_utility(cost_usd, teacher.route, right=each) for each in (True, False))
        return np.where(hits, good, bad)

    if not len(right):
        return {"teacher": None, "student": None, "gain": None, "gain_interval": None}
    alone = utility(teacher.cost_usd, teacher.right)
    student = np.where(answered, utility(0.0, right), alone)
    gain = student - alone
    half = 1.959963984540054 * float(gain.std()) / len(gain) ** 0.5
    mean = float(gain.mean())
    return {
        "teacher": float(alone.mean()),
        "student": float(student.mean()),
        "gain": mean,
        "gain_interval": (mean - half, mean + half),
    }
