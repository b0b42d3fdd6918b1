"""Fitting and judging of small logistic models; shared by the training scripts of this folder."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ROUND = 5


def read_rows(path: Path) -> list[dict]:
    """Rows of a gzipped JSON Lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def trains(question: str) -> bool:
    """Whether a question belongs to the fifth that shipped models may train on."""
    return int(hashlib.sha256(question.encode()).hexdigest(), 16) % 5 == 0


def fit_linear(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, *, strength: float, weight: np.ndarray | None = None
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """Ridge-logistic regression, Platt-scaled on out-of-fold scores; folds and covariance by group.

    Returns:
        Weights ``(p,)``, intercept, covariance ``(p + 1, p + 1)`` of both (sandwich estimate clustered by group), and
        the calibrated out-of-fold log-odds ``(n,)``.
    """
    weight = np.ones(len(y)) if weight is None else weight
    centre, spread = x.mean(0), x.std(0) + 1e-9
    z = (x - centre) / spread

    def fit(rows: np.ndarray) -> LogisticRegression:
        return LogisticRegression(C=strength, max_iter=3000).fit(z[rows], y[rows], sample_weight=weight[rows])

    outside = np.zeros(len(y))
    for inside, held in GroupKFold(5).split(z, y, groups):
        outside[held] = fit(inside).decision_function(z[held])
    platt = LogisticRegression(C=1e6).fit(outside[:, None], y, sample_weight=weight)
    slope, shift = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    model = fit(np.arange(len(y)))
    weights = slope * model.coef_[0] / spread
    intercept = slope * (float(model.intercept_[0]) - float(model.coef_[0] @ (centre / spread))) + shift
    covariance = clustered_covariance(x, y, groups, weights, intercept, weight, 1.0 / (strength * spread**2))
    return weights, intercept, covariance, slope * outside + shift


def clustered_covariance(
    x: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    weights: np.ndarray,
    intercept: float,
    weight: np.ndarray,
    ridge: np.ndarray,
) -> np.ndarray:
    """Sandwich covariance (Liang & Zeger 1986) of a penalised logistic fit, shape ``(p + 1, p + 1)``."""
    full = np.column_stack([x, np.ones(len(x))])
    p = 1 / (1 + np.exp(-(x @ weights + intercept)))
    bread = np.linalg.inv((full * (weight * p * (1 - p))[:, None]).T @ full + np.diag(np.append(ridge, 1e-6)))
    residual = full * (weight * (y - p))[:, None]
    _, index = np.unique(groups, return_inverse=True)
    sums = np.zeros((index.max() + 1, full.shape[1]))
    np.add.at(sums, index, residual)
    return bread @ (sums.T @ sums) @ bread


def document_of(names: Sequence[str], x: np.ndarray, fitted: tuple, model_variance: float, **facts: object) -> dict:
    """A fitted model in the JSON form that ``linear.read_linear`` reads."""
    weights, intercept, covariance, _ = fitted
    return {
        "names": list(names),
        "means": np.round(x.mean(0), ROUND).tolist(),
        "low": np.round(np.quantile(x, 0.01, axis=0), ROUND).tolist(),
        "high": np.round(np.quantile(x, 0.99, axis=0), ROUND).tolist(),
        "weights": np.round(weights, ROUND).tolist(),
        "intercept": round(float(intercept), ROUND),
        "covariance": np.round(covariance, 6).tolist(),
        "model_variance": round(float(model_variance), ROUND),
        "facts": facts,
    }


def auroc(y: np.ndarray, score: np.ndarray, groups: np.ndarray) -> str:
    """AUROC with its 95 % bootstrap interval over groups (200 resamples, seeded)."""
    return _interval(lambda rows: roc_auc_score(y[rows], score[rows]), groups)


def calibration_error(y: np.ndarray, p: np.ndarray, groups: np.ndarray) -> str:
    """Expected calibration error over ten equal-count bins, with its bootstrap interval over groups."""

    def error(rows: np.ndarray) -> float:
        order = rows[np.argsort(p[rows], kind="stable")]
        parts = np.array_split(order, 10)
        return float(sum(len(part) * abs(y[part].mean() - p[part].mean()) for part in parts) / len(order))

    return _interval(error, groups)


def _interval(statistic: object, groups: np.ndarray) -> str:
    rng = np.random.default_rng(0)
    _, index = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
    draws = [
        statistic(np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])) for _ in range(200)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{statistic(np.arange(len(groups))):.3f} [{low:.3f}, {high:.3f}]"
