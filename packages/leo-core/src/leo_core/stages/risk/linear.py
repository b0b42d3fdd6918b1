"""A logistic model with exact attributions and an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from leo_core.records import Json

__all__ = ["LinearModel", "Score", "logit", "read_linear", "sigmoid"]


def sigmoid(score: float) -> float:
    """1 / (1 + e^−score), without overflow."""
    if score >= 0.0:
        return 1.0 / (1.0 + math.exp(-score))
    power = math.exp(score)
    return power / (1.0 + power)


def logit(probability: float) -> float:
    """log(p / (1 − p)), with p clipped to [1e-6, 1 − 1e-6]."""
    clipped = min(max(probability, 1e-6), 1.0 - 1e-6)
    return math.log(clipped / (1.0 - clipped))


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Log-odds of a linear model, their variance, and what each feature contributed.

    ``sum(attributions.values()) == logit``; the entry ``"base"`` is the score of the training means.
    """

    logit: float
    variance: float
    attributions: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearModel:
    """Calibrated logistic regression.

    Attributes:
        names: Names of the p features, in order.
        means: Their training means, shape ``(p,)``.
        low: 1 % quantile of each feature in training, shape ``(p,)``; smaller values count as this.
        high: 99 % quantile, likewise: the model does not extrapolate.
        weights: Coefficients, shape ``(p,)``.
        intercept: Constant term.
        covariance: Covariance of (weights, intercept), shape ``(p + 1, p + 1)``, clustered by question.
        model_variance: Variance of the log-odds between models that the training set did not hold.
        facts: What else the training recorded (sizes, sources).
        base: Log-odds at the training means.
    """

    names: tuple[str, ...]
    means: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    intercept: float
    covariance: npt.NDArray[np.float64]
    model_variance: float
    facts: Mapping[str, Json] = field(default_factory=dict)
    base: float = field(init=False)
    _named: tuple[tuple[str, float], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Work out what each score needs."""
        object.__setattr__(self, "base", self.intercept + float(self.weights @ self.means))
        object.__setattr__(self, "_named", tuple(zip(self.names, self.means.tolist(), strict=True)))

    def score(self, features: Mapping[str, float]) -> Score:
        """Score features by name; a missing one stands at its training mean. Linear SHAP relative to the means.

        For a linear model the SHAP value of feature j is w_j (x_j − E x_j) exactly (Lundberg & Lee 2017, corollary 1).
        """
        extended = np.array([*[features.get(name, mean) for name, mean in self._named], 1.0])
        row = extended[:-1]
        np.maximum(row, self.low, out=row)
        np.minimum(row, self.high, out=row)
        shares = self.weights * (row - self.means)
        variance = float(extended @ self.covariance @ extended) + self.model_variance
        attributions = {"base": self.base} | dict(zip(self.names, shares.tolist(), strict=True))
        return Score(logit=sum(attributions.values()), variance=max(variance, 0.0), attributions=attributions)


def read_linear(document: Mapping[str, Json]) -> LinearModel:
    """A model from its JSON form (keys as the attributes of :class:`LinearModel`)."""
    return LinearModel(
        names=tuple(document["names"]),
        means=np.array(document["means"], dtype=np.float64),
        low=np.array(document["low"], dtype=np.float64),
        high=np.array(document["high"], dtype=np.float64),
        weights=np.array(document["weights"], dtype=np.float64),
        intercept=float(document["intercept"]),
        covariance=np.array(document["covariance"], dtype=np.float64),
        model_variance=float(document["model_variance"]),
        facts=dict(document.get("facts", {})),
    )
