"""Is a wrong answer to this question likely to do harm?

A network with one hidden layer over hashed words, word pairs and character 4-grams, counts of topic words (``topics``)
and, where the question was embedded by the shipped embedder, its vector. It is trained by ``train/category_risk.py``
on labelled questions and on what a larger encoder, itself fitted to those labels, says of unlabelled ones; the
labelling guidelines stand in ``train/README.md``. A word weighs by what it meant in labelled questions, so "kill a
process" and "drug store opening hours" are not high risk.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from leo_core.kernels import categories
from leo_core.records import CategoryRisk
from leo_core.stages.risk.linear import sigmoid
from leo_core.stages.risk.tokens import words
from leo_core.stages.risk.topics import topic_features

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from leo_core.records import Embedding, Vector

__all__ = ["CATEGORIES", "CategoryNetwork", "category_features", "load_network", "read_words", "score_categories"]

CATEGORIES = ("medical", "legal", "financial", "safety")
"""The shipped categories, in the order of the network's outputs; before them stands "none"."""

_CHARACTERS_READ = 600
"""Characters that are read: the first and the last three hundred of longer texts."""
_FILE = "categories.npz"


def read_words(text: str) -> list[str]:
    """The words that the classifier reads, in order: all of them, or both ends of a long text."""
    half = _CHARACTERS_READ // 2
    return words(text if len(text) <= _CHARACTERS_READ else f"{text[:half]} {text[-half:]}")


def category_features(tokens: list[str], buckets: int) -> npt.NDArray[np.int64]:
    """Buckets of the distinct hashed features, ascending: words, pairs of them and of an end, 4-grams of ``<word>``."""
    return categories.hash_words(np.frombuffer(bytearray("\0".join(tokens), "utf-8"), dtype=np.uint8), buckets)


def score_categories(text: str, embedding: Embedding | None = None) -> tuple[CategoryRisk, ...]:
    """Calibrated probability of each high-risk category, each in (0, 1), in the order of :data:`CATEGORIES`.

    A question has the category of the gravest harm, or none, so the probabilities add up to P(any of them) < 1.

    Args:
        text: The question.
        embedding: Its embedding. It is read if the shipped embedder made it, with all its dimensions, and the text
            is no longer than the 600 characters that are read of it; the classifier works without, less well.
    """
    network = load_network()
    usable = embedding is not None and network.can_read(embedding) and len(text) <= _CHARACTERS_READ
    probabilities = network.score(read_words(text), embedding.vector if usable and embedding is not None else None)
    return tuple(
        CategoryRisk(category=name, probability=probability)
        for name, probability in zip(CATEGORIES, probabilities, strict=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CategoryNetwork:
    """The classifier's weights: h hidden units and 5 outputs, "none" first.

    Attributes:
        hashed: A row for each bucket, int8 ``(b, h + 5)``: to the hidden units, then straight to the outputs.
        hashed_scale: What a column's integers are multiplied by, float32 ``(h + 5,)``.
        dense: The same for the vector's coordinates and the topic features, float32 ``(d + t, h + 5)``.
        bias: Constant terms, float32 ``(h + 5,)``.
        outputs: From the hidden units to the outputs, float32 ``(h, 5)``.
        slopes: Calibration of the log-odds of "any", without and with the vector.
        shifts: Likewise, the constant terms.
        table_sha256: Hash of the embedder's table.
        dimension: Length d of its vectors.
    """

    hashed: npt.NDArray[np.int8]
    hashed_scale: npt.NDArray[np.float32]
    dense: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    outputs: npt.NDArray[np.float32]
    slopes: tuple[float, float]
    shifts: tuple[float, float]
    table_sha256: str
    dimension: int

    def can_read(self, embedding: Embedding) -> bool:
        """Whether the vector is of the embedder that the network was trained with."""
        made_by = embedding.fingerprint
        return made_by.table_sha256 == self.table_sha256 and made_by.dimension == self.dimension

    def read(self, tokens: list[str], vector: Vector | None) -> npt.NDArray[np.float64]:
        """Uncalibrated outputs, ``(5,)``."""
        present = [at for at, value in enumerate(topic_features(tokens), start=self.dimension) if value]
        return categories.read_outputs(
            self.hashed,
            category_features(tokens, len(self.hashed)),
            self.hashed_scale,
            self.bias,
            self.dense,
            np.array(present, dtype=np.int64),
            np.zeros_like(self.bias)
            if vector is None
            else np.asarray(vector, dtype=np.float32) @ self.dense[: self.dimension],
            self.outputs,
        )

    def score(self, tokens: list[str], vector: Vector | None) -> list[float]:
        """Calibrated probabilities of the categories: P(any), shared out by their outputs."""
        none, *others = self.read(tokens, vector).tolist()
        largest = max(others)
        shares = [math.exp(output - largest) for output in others]
        odds = largest + math.log(sum(shares)) - none
        calibration = int(vector is not None)
        score = self.slopes[calibration] * odds + self.shifts[calibration]
        anything = sigmoid(min(max(score, -20.0), 20.0))
        return [max(anything * share / sum(shares), 1e-12) for share in shares]


def read_network(arrays: Mapping[str, npt.NDArray[np.generic]]) -> CategoryNetwork:
    """A network from the arrays that the training script writes."""
    slopes, shifts = arrays["slopes"].tolist(), arrays["shifts"].tolist()
    return CategoryNetwork(
        hashed=np.asarray(arrays["hashed"], dtype=np.int8),
        hashed_scale=np.asarray(arrays["hashed_scale"], dtype=np.float32),
        dense=np.asarray(arrays["dense"], dtype=np.float32),
        bias=np.asarray(arrays["bias"], dtype=np.float32),
        outputs=np.asarray(arrays["outputs"], dtype=np.float32),
        slopes=(float(slopes[0]), float(slopes[1])),
        shifts=(float(shifts[0]), float(shifts[1])),
        table_sha256=bytes(np.asarray(arrays["table_sha256"], dtype=np.uint8)).decode("ascii"),
        dimension=int(arrays["dimension"]),
    )


@cache
def load_network() -> CategoryNetwork:
    """The shipped network, read once."""
    data = files("leo_core.stages.risk").joinpath("models", _FILE).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return read_network(dict(archive))
