"""By how much is a large model likelier to be right on a question without options to choose from?

A line on counted features, and beside it a second one that reads the question's vector too. The second is read where
the shipped embedder made the vector and the question holds at least two numbers, in digits or in words, as nearly all
do that it was fitted on. Both are ridge regressions by ``train/request_risk.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from leo_core.stages.risk.shipped import read_document, shipped_linear

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from leo_core.records import Embedding, Json, Vector

__all__ = ["EmbeddedGain", "expect_open_gain", "reads_vector"]

_FEWEST_NUMBERS = 1.5
"""Between one number and two: a question with fewer is not like those of the training."""


def expect_open_gain(features: Mapping[str, float], embedding: Embedding | None = None) -> float:
    """P(large right) − P(small right) on a question without options, about in [−1, 1].

    Args:
        features: Request features by name, those of the wording among them.
        embedding: The embedding of the question alone, where there is one.
    """
    if embedding is not None and reads_vector(features, embedding):
        return _shipped().predict(features, embedding.vector)
    return shipped_linear("request", "open_gain").score(features).logit


def reads_vector(features: Mapping[str, float], embedding: Embedding | None) -> bool:
    """Whether the vector of a question, one without options, is read."""
    if embedding is None or not _shipped().can_read(embedding):
        return False
    in_digits, in_words = math.expm1(features["numbers"] + 1.0), math.expm1(features["numerals"])
    return in_digits + in_words > _FEWEST_NUMBERS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedGain:
    """A line on f features and a vector of d dimensions.

    Attributes:
        names: Names of the features, in order.
        low: 1 % quantile of each feature in training, (f,); smaller values count as this.
        high: 99 % quantile, likewise.
        weights: Coefficients of the features, (f,).
        vector_weights: Coefficients of the vector, float32 (d,).
        intercept: Constant term.
        table_sha256: Hash of the table of the embedder whose vectors it reads.
    """

    names: tuple[str, ...]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    vector_weights: npt.NDArray[np.float32]
    intercept: float
    table_sha256: str

    def can_read(self, embedding: Embedding) -> bool:
        """Whether the vector is of the embedder that the line was fitted with."""
        made_by = embedding.fingerprint
        return made_by.table_sha256 == self.table_sha256 and made_by.dimension == len(self.vector_weights)

    def predict(self, features: Mapping[str, float], vector: Vector) -> float:
        """The gain of a question by its features and its unit vector, (d,)."""
        row = np.clip(np.array([features[name] for name in self.names]), self.low, self.high)
        return self.intercept + float(row @ self.weights) + float(vector @ self.vector_weights)


def read_embedded_gain(document: Mapping[str, Json]) -> EmbeddedGain:
    """A line from its JSON form (keys as the attributes of :class:`EmbeddedGain`)."""
    return EmbeddedGain(
        names=tuple(document["names"]),
        low=np.array(document["low"], dtype=np.float64),
        high=np.array(document["high"], dtype=np.float64),
        weights=np.array(document["weights"], dtype=np.float64),
        vector_weights=np.array(document["vector_weights"], dtype=np.float32),
        intercept=float(document["intercept"]),
        table_sha256=str(document["table_sha256"]),
    )


@cache
def _shipped() -> EmbeddedGain:
    return read_embedded_gain(read_document("request")["embedded_gain"])
