"""Categories of the user's own, each given by a few examples.

A ridge-logistic model on the embedder's vectors tells the examples from the counter-examples and from some hundred
everyday questions that ship with the package (``models/background.json``), in its dual form, so that its cost goes with
the number of texts. A counter-example weighs as much as an example, all everyday questions together as all examples.
Scores of texts that were left out of the fit are put on the scale of probabilities by a second logistic with one slope
(Platt 1999).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import ConfigError
from leo_core.records import CategoryRisk
from leo_core.stages.risk.linear import sigmoid
from leo_core.stages.risk.shipped import read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from leo_core.records import EmbedderFingerprint, Embedding
    from leo_core.stages.risk.config import UserCategory

    Rows = npt.NDArray[np.float64]

__all__ = ["ExampleModel", "background_questions", "fit_categories", "fit_category"]

_STRENGTH = 30.0
"""Inverse ridge penalty for unit vectors, per text."""
_FOLDS = 5
_STEPS = 30
_TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExampleModel:
    """A user's category, fitted.

    Attributes:
        category: Its definition.
        weights: Coefficients along the embedder's vector, shape ``(d,)``.
        intercept: Constant term.
        fingerprint: The embedder; vectors of others are not read.
    """

    category: UserCategory
    weights: Rows
    intercept: float
    fingerprint: EmbedderFingerprint

    def score(self, embedding: Embedding | None) -> CategoryRisk | None:
        """Probability of the category; ``None`` without a vector of the embedder that the examples were read by."""
        if embedding is None or embedding.fingerprint != self.fingerprint:
            return None
        log_odds = float(np.asarray(embedding.vector, dtype=np.float64) @ self.weights) + self.intercept
        return CategoryRisk(
            category=self.category.name, probability=sigmoid(log_odds), harm_above=self.category.harm_above
        )


def background_questions() -> tuple[str, ...]:
    """Everyday questions of no high-risk category, half of them with words of one."""
    return tuple(read_document("background")["questions"])


def fit_categories(
    categories: Sequence[UserCategory],
    embed: Callable[[Sequence[str]], npt.NDArray[np.float32]],
    fingerprint: EmbedderFingerprint,
) -> tuple[ExampleModel, ...]:
    """Fit each category with the vectors of an embedder; its errors pass through. Embeds nothing without categories."""
    if not categories:
        return ()
    background = np.asarray(embed(background_questions()), dtype=np.float64)
    return tuple(fit_category(category, embed, fingerprint, background) for category in categories)


def fit_category(
    category: UserCategory,
    embed: Callable[[Sequence[str]], npt.NDArray[np.float32]],
    fingerprint: EmbedderFingerprint,
    background: Rows,
) -> ExampleModel:
    """Fit one category.

    Args:
        category: Examples and counter-examples.
        embed: The embedder.
        fingerprint: Its fingerprint.
        background: Vectors of :func:`background_questions`, shape ``(n, d)``.

    Raises:
        ConfigError: Texts left out of the fit are not told apart: the examples have nothing in common that the
            embedder sees.
    """
    texts = (*category.examples, *category.counter_examples)
    vectors = np.concatenate([np.asarray(embed(texts), dtype=np.float64), background])
    labels = np.zeros(len(vectors))
    labels[: len(category.examples)] = 1.0
    weight = np.full(len(labels), 0.5 / len(background)) * len(labels)
    weight[: len(texts)] = 0.5 / len(category.examples) * len(labels)
    outside = np.zeros(len(labels))
    for held in (np.arange(len(labels)) % _FOLDS == fold for fold in range(_FOLDS)):
        weights, intercept = _fit(vectors[~held], labels[~held], weight[~held], _STRENGTH)
        outside[held] = vectors[held] @ weights + intercept
    (slope,), shift = _fit(outside[:, None], labels, weight, 1e3)
    if slope <= 0.0:
        message = f"the examples of the category {category.name!r} have nothing in common that the embedder sees"
        raise ConfigError(message)
    weights, intercept = _fit(vectors, labels, weight, _STRENGTH)
    return ExampleModel(
        category=category, weights=slope * weights, intercept=slope * intercept + shift, fingerprint=fingerprint
    )


def _fit(x: Rows, y: Rows, weight: Rows, strength: float) -> tuple[Rows, float]:
    """Ridge-logistic regression by Newton's method in the dual: weights = xᵀ·a, and the intercept."""
    gram = x @ x.T
    dual, intercept = np.zeros(len(y)), 0.0
    for _ in range(_STEPS):
        mean = 1.0 / (1.0 + np.exp(-np.clip(gram @ dual + intercept, -30.0, 30.0)))
        curvature = np.maximum(weight * mean * (1.0 - mean), 1e-9)
        target = gram @ dual + intercept + weight * (y - mean) / curvature
        system = gram + np.diag(1.0 / (strength * curvature))
        solved = np.linalg.solve(system, np.stack([target, np.ones(len(y))], axis=1))
        shift = float(solved[:, 0].sum() / solved[:, 1].sum())
        step = solved[:, 0] - shift * solved[:, 1]
        change = float(np.abs(step - dual).max()) + abs(shift - intercept)
        dual, intercept = step, shift
        if change < _TOLERANCE:
            break
    return x.T @ dual, intercept
