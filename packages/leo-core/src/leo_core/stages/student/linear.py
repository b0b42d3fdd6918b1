"""Linear scores of classes by ridge regression, and a logistic calibration: closed forms and Newton, deterministic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]

__all__ = ["PENALTIES", "fit_logistic", "fit_ridge", "log_loss", "softmax"]

PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Penalties that are tried, as multiples of the squared length of one example, which is 1."""
_STEPS = 50
_SHRINK = 0.1


def fit_ridge(
    rows: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], classes: int, penalties: Sequence[float]
) -> Iterator[tuple[Matrix, Matrix]]:
    """One linear score per class, one against the rest (Hoerl and Kennard 1970), with an intercept that is not shrunk.

    Args:
        rows: Unit vectors, shape ``(n, d)``.
        labels: Class of each, in [0, classes).
        classes: How many classes there are.
        penalties: One model is fitted for each, from one decomposition.

    Yields:
        Weights ``(d, classes)`` and intercepts ``(classes,)``.
    """
    wide = rows.astype(np.float64)
    centre = wide.mean(axis=0)
    targets = np.zeros((len(labels), classes))
    targets[np.arange(len(labels)), labels] = 1.0
    shares = targets.mean(axis=0)
    centred = wide - centre
    values, basis = np.linalg.eigh(centred.T @ centred)
    along = basis.T @ (centred.T @ (targets - shares))
    for penalty in penalties:
        weights = basis @ (along / (np.maximum(values, 0.0) + penalty)[:, None])
        yield weights, shares - centre @ weights


def softmax(scores: Matrix) -> Matrix:
    """Rows of probabilities."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Matrix = powers / powers.sum(axis=1, keepdims=True)
    return shares


def log_loss(shares: Matrix, labels: npt.NDArray[np.int32]) -> float:
    """Mean of −log of what the true class was given; at most −log 1e-6 each."""
    return float(-np.log(np.maximum(shares[np.arange(len(labels)), labels], 1e-6)).mean())


def fit_logistic(features: Matrix, right: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    """Weights of a logistic regression with an intercept first (Platt 1999, with his smoothed targets), by Newton.

    Args:
        features: Shape ``(n, p)``.
        right: What happened, shape ``(n,)``.

    Returns:
        p + 1 weights. Without any rows, an intercept that means P = 1/2.
    """
    good = float(right.sum())
    bad = len(right) - good
    targets = np.where(right, (good + 1.0) / (good + 2.0), 1.0 / (bad + 2.0))
    design = np.column_stack([np.ones(len(right)), features])
    penalty = np.diag([1e-6] + [_SHRINK] * features.shape[1])
    weights = np.zeros(design.shape[1])
    if not len(right):
        return tuple(weights.tolist())
    weights[0] = math.log((good + 1.0) / (bad + 1.0))
    for _ in range(_STEPS):
        chances = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30.0, 30.0)))
        slope = design.T @ (targets - chances) - penalty @ weights
        curve = (design * (chances * (1.0 - chances))[:, None]).T @ design + penalty + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(curve, slope)
        weights = weights + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-9:  # noqa: PLR2004 - converged
            break
    return tuple(weights.tolist())
