"""The shipped model: logistic regressions on the features of a sentence, and on the sentences of an answer."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.records import Json

__all__ = ["ANSWER_FEATURES", "Logistic", "describe_answer", "read_logistic", "shipped_logistic"]

ANSWER_FEATURES = ("worst", "mean", "sentences")
"""Largest and mean log-odds of the sentences (weighted by their words), and log of their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """A calibrated logistic regression.

    Attributes:
        names: Names of the features.
        low: What each counts as at least: the model does not extrapolate.
        high: What each counts as at most.
        weights: Coefficients.
        intercept: Constant term.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def log_odds(self, features: Mapping[str, float]) -> float:
        """The score; every name must be there."""
        rows = zip(self.names, self.low, self.high, self.weights, strict=True)
        return self.intercept + sum(w * min(max(features[name], low), high) for name, low, high, w in rows)

    def probability(self, features: Mapping[str, float]) -> float:
        """1 / (1 + e^−score), in (0, 1)."""
        return 1.0 / (1.0 + math.exp(-min(max(self.log_odds(features), -30.0), 30.0)))


def read_logistic(document: Mapping[str, Json]) -> Logistic:
    """A model from its JSON form (keys as the attributes)."""
    return Logistic(
        names=tuple(document["names"]),
        low=tuple(document["low"]),
        high=tuple(document["high"]),
        weights=tuple(document["weights"]),
        intercept=float(document["intercept"]),
    )


@cache
def shipped_logistic(name: str, head: str) -> Logistic:
    """The model ``head`` of the file ``<name>.json`` of this package."""
    text = (files("leo_core.stages.grounding") / f"{name}.json").read_text(encoding="utf-8")
    return read_logistic(json.loads(text)[head])


def describe_answer(log_odds: Sequence[float], sizes: Sequence[int]) -> dict[str, float]:
    """Features of an answer: see :data:`ANSWER_FEATURES`.

    Args:
        log_odds: Of each sentence, at least one.
        sizes: Words of each sentence.
    """
    weights = [max(size, 1) for size in sizes]
    mean = sum(odds * weight for odds, weight in zip(log_odds, weights, strict=True)) / sum(weights)
    return {"worst": max(log_odds), "mean": mean, "sentences": math.log(len(log_odds))}
