"""Training a student.

Every fifth question, by its SHA-256, is held out and used for nothing but the figures. The other four fifths are the
folds of a cross-fit: penalty, temperature, blend and the calibration of P(right) are chosen on what a student says to
a fold that it was not trained on. What is kept is then trained on the four together.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import ConfigError
from leo_core.stages.student.linear import PENALTIES, fit_logistic, fit_ridge, log_loss, softmax
from leo_core.stages.student.student import Opinions, Student, make_features, share_neighbours

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from leo_core.stages.student.config import StudentConfig

__all__ = ["FOLDS", "Examples", "find_fold", "fit_student", "pick_answers"]

FOLDS = 5
"""Fold 0 is held out."""
_TEMPERATURES = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
_BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Verified questions with their answers.

    Attributes:
        vectors: Of the questions, float32, shape ``(n, d)``, unit rows.
        groups: Which of them have the same answer: equal numbers, from 0, shape ``(n,)``.
        texts: Text of each answer.
        folds: Fold of each question.
        entries: Ids of the entries.
        receipts: Ids of the receipts.
    """

    vectors: npt.NDArray[np.float32]
    groups: npt.NDArray[np.int32]
    texts: Sequence[str]
    folds: npt.NDArray[np.int32]
    entries: Sequence[str]
    receipts: Sequence[str]

    def take(self, rows: npt.NDArray[np.bool_]) -> Examples:
        """Some of them."""
        at = np.flatnonzero(rows).tolist()
        return Examples(
            vectors=self.vectors[rows],
            groups=self.groups[rows],
            texts=[self.texts[row] for row in at],
            folds=self.folds[rows],
            entries=[self.entries[row] for row in at],
            receipts=[self.receipts[row] for row in at],
        )


def find_fold(question: str) -> int:
    """Fold of a question, in [0, 5): its SHA-256 modulo 5."""
    return int.from_bytes(hashlib.sha256(question.encode("utf-8", "surrogatepass")).digest(), "big") % FOLDS


def pick_answers(examples: Examples, config: StudentConfig) -> tuple[dict[int, int], tuple[str, ...]]:
    """The answers that have enough examples: number of each group among them, and the text that is given.

    The text is the one that was given most often; of several, the shortest, then the first by alphabet.
    """
    groups, counts = np.unique(examples.groups, return_counts=True)
    order = sorted(zip((-counts).tolist(), groups.tolist(), strict=True))
    picked = [group for count, group in order if -count >= config.least_examples][: config.most_answers]
    texts = []
    for group in picked:
        said = [examples.texts[row] for row in np.flatnonzero(examples.groups == group).tolist()]
        texts.append(min(set(said), key=lambda text: (-said.count(text), len(text), text)))
    return {group: number for number, group in enumerate(picked)}, tuple(texts)


def fit_student(examples: Examples, config: StudentConfig) -> Student:
    """Train a student on examples, of which those in fold 0 are left out.

    Raises:
        ConfigError: Fewer than two answers have enough examples.
    """
    examples = examples.take(examples.folds != 0)
    numbers, texts = pick_answers(examples, config) if len(examples.texts) else ({}, ())
    if len(texts) < 2:  # noqa: PLR2004 - one answer needs no student
        message = (
            f"{len(texts)} answers have at least {config.least_examples} examples among {len(examples.texts)} verified "
            "pairs; a student needs two"
        )
        raise ConfigError(message)
    labels = np.array([numbers.get(group, len(texts)) for group in examples.groups.tolist()], dtype=np.int32)
    classes = int(labels.max()) + 1
    linear, near, cosine = _cross_fit(examples, labels, classes, config)
    _, at, temperature = min(
        (log_loss(softmax(temperature * linear[at]), labels), at, temperature)
        for at, temperature in product(range(len(PENALTIES)), _TEMPERATURES)
    )
    own = softmax(temperature * linear[at])
    _, blend = min((log_loss(blend * own + (1.0 - blend) * near, labels), blend) for blend in _BLENDS)
    opinions = Opinions(linear=own, near=near, both=blend * own + (1.0 - blend) * near, cosine=cosine)
    said = opinions.both.argmax(axis=1)
    named = said < len(texts)
    ((weights, intercepts),) = fit_ridge(examples.vectors, labels, classes, (PENALTIES[at],))
    taught = labels < len(texts)
    return Student(
        answers=texts,
        vectors=np.ascontiguousarray(examples.vectors),
        labels=labels,
        entries=tuple(examples.entries),
        receipts=tuple(examples.receipts),
        weights=weights.astype(np.float32),
        intercepts=intercepts.astype(np.float32),
        temperature=temperature,
        blend=blend,
        calibration=fit_logistic(make_features(opinions)[named], (said == labels)[named]),
        floor=float(np.quantile(cosine[taught], config.novel_share)),
        neighbours=config.neighbours,
        least_probability=config.least_probability,
    )


def _cross_fit(
    examples: Examples, labels: npt.NDArray[np.int32], classes: int, config: StudentConfig
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What is said to each example by what the other folds teach.

    Returns:
        Linear scores per penalty, ``(penalties, n, classes)``; shares of the neighbours, ``(n, classes)``; cosine of
        the nearest, ``(n,)``.
    """
    count = len(labels)
    linear = np.zeros((len(PENALTIES), count, classes))
    near, cosine = np.zeros((count, classes)), np.zeros(count)
    for fold in range(1, FOLDS):
        inside = examples.folds == fold
        if not inside.any() or inside.all():
            continue
        rows, others = examples.vectors[inside], examples.vectors[~inside]
        for at, (weights, intercepts) in enumerate(fit_ridge(others, labels[~inside], classes, PENALTIES)):
            linear[at, inside] = rows @ weights + intercepts
        near[inside], cosine[inside] = share_neighbours(rows @ others.T, labels[~inside], classes, config.neighbours)
    return linear, near, cosine
