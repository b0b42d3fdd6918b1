"""What a student knows, and what it says to a vector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leo_core.stages.student.linear import softmax

if TYPE_CHECKING:
    import numpy.typing as npt

    from leo_core.records import Vector

__all__ = ["Judgement", "Opinions", "Student", "make_features", "share_neighbours"]

SHARPNESS = 20.0
"""A neighbour at cosine c counts exp(SHARPNESS · (c − 1))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a student makes of one question.

    Attributes:
        answer: Number of the answer; ``None`` where the question lies elsewhere, away from all that is taught.
        probability: P(the answer is right), calibrated; 0 where there is none.
        cosine: Of the nearest example.
        nearest: Rows of the nearest examples with this answer, best first, and their cosines.
        abstains: Why the student does not answer: ``elsewhere``, ``novel`` or ``unsure``; empty where it does.
    """

    answer: int | None
    probability: float
    cosine: float
    nearest: tuple[tuple[int, float], ...]
    abstains: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opinions:
    """Probabilities of the classes for many questions, each shape ``(m, classes)``; the last class may be "elsewhere".

    Attributes:
        linear: By the linear model.
        near: By the nearest examples.
        both: The mean of the two, as weighed in training.
        cosine: Of the nearest example, shape ``(m,)``.
    """

    linear: npt.NDArray[np.float64]
    near: npt.NDArray[np.float64]
    both: npt.NDArray[np.float64]
    cosine: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Student:
    """A tenant's student.

    Attributes:
        answers: Texts of the answers that it gives.
        vectors: Unit vectors of its n examples, float32, shape ``(n, d)``.
        labels: Answer of each; ``len(answers)`` for examples whose answer is too rare to be taught.
        entries: Ids of the cache entries that the examples come from.
        receipts: Ids of their receipts.
        weights: Of the linear model, float32, shape ``(d, classes)``.
        intercepts: Shape ``(classes,)``, float32.
        temperature: Factor on the linear scores before the softmax.
        blend: Weight of the linear model beside the neighbours, in [0, 1].
        calibration: Intercept and weights of P(right) on :func:`make_features`.
        floor: Cosine of the nearest example below which a question is novel.
        neighbours: How many examples are asked.
        least_probability: P(right) below which it abstains.
    """

    answers: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]
    entries: tuple[str, ...]
    receipts: tuple[str, ...]
    weights: npt.NDArray[np.float32]
    intercepts: npt.NDArray[np.float32]
    temperature: float
    blend: float
    calibration: tuple[float, ...]
    floor: float
    neighbours: int
    least_probability: float

    def weigh(self, vectors: npt.NDArray[np.float32]) -> Opinions:
        """Probabilities of the classes for questions, shape ``(m, d)``."""
        scores = (vectors @ self.weights + self.intercepts).astype(np.float64)
        linear = softmax(self.temperature * scores)
        near, cosine = share_neighbours(vectors @ self.vectors.T, self.labels, self.weights.shape[1], self.neighbours)
        both = self.blend * linear + (1.0 - self.blend) * near
        return Opinions(linear=linear, near=near, both=both, cosine=cosine)

    def trust(self, opinions: Opinions) -> npt.NDArray[np.float64]:
        """P(right) of the likeliest class of each question, shape ``(m,)``."""
        scores = self.calibration[0] + make_features(opinions) @ np.array(self.calibration[1:])
        chances: npt.NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(scores, -30.0, 30.0)))
        return chances

    def judge(self, vector: Vector) -> Judgement:
        """What it makes of one question."""
        row = np.asarray(vector, dtype=np.float32)[None, :]
        opinions = self.weigh(row)
        answer, cosine = int(opinions.both[0].argmax()), float(opinions.cosine[0])
        if answer >= len(self.answers):
            return Judgement(answer=None, probability=0.0, cosine=cosine, nearest=(), abstains="elsewhere")
        probability = float(self.trust(opinions)[0])
        rows = np.flatnonzero(self.labels == answer)
        cosines = self.vectors[rows] @ row[0]
        best = np.argsort(-cosines, kind="stable")[: self.neighbours]
        nearest = tuple((int(rows[at]), min(float(cosines[at]), 1.0)) for at in best)
        why = "novel" if cosine < self.floor else "unsure" if probability < self.least_probability else ""
        return Judgement(answer=answer, probability=probability, cosine=cosine, nearest=nearest, abstains=why)


def share_neighbours(
    cosines: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], classes: int, neighbours: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How the nearest examples divide among the classes, and the cosine of the nearest.

    Args:
        cosines: Of m questions with n examples, shape ``(m, n)``; −∞ where an example may not be asked.
        labels: Class of each example.
        classes: How many classes there are.
        neighbours: How many examples are asked.
    """
    count = min(neighbours, cosines.shape[1])
    best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    near = np.take_along_axis(cosines, best, 1).astype(np.float64)
    votes = np.exp(SHARPNESS * (near - 1.0))
    shares = np.zeros((len(cosines), classes))
    np.add.at(shares, (np.arange(len(cosines))[:, None], labels[best]), votes)
    return shares / np.maximum(votes.sum(axis=1, keepdims=True), 1e-300), near.max(axis=1)


def make_features(opinions: Opinions) -> npt.NDArray[np.float64]:
    """What P(right) depends on: log-odds of the likeliest class, and the cosine of the nearest example; ``(m, 2)``."""
    top = np.clip(opinions.both.max(axis=1), 1e-6, 1.0 - 1e-6)
    return np.column_stack([np.log(top / (1.0 - top)) / math.log(10.0), np.maximum(opinions.cosine, -1.0)])
