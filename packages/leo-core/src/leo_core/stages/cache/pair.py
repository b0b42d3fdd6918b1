"""P(same answer | two questions): a small calibrated gradient-boosted model, shipped as numbers.

The model is trained by ``packages/leo-core/train/pair_model.py``; its evaluation is a walk through all trees at once
and the calibrated logistic of their sum and the cosine (Friedman 2001, *Greedy function approximation*; Platt 1999).
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import ConfigError
from leo_core.stages.cache.guards import find_conflict_between, read_profile
from leo_core.stages.cache.pair_features import FEATURES, Traits, WordTable, compare_traits, embed_by_chance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from leo_core.records import Json

    Floats = npt.NDArray[np.float64]

__all__ = ["PairModel", "load_pair_model"]

_FILE = "pair_model.json"
_CLIP = 30.0
_COSINE = FEATURES.index("cosine")
_TEXTS_KEPT = 4096


class PairModel:
    """P(same answer) of pairs of questions.

    Args:
        weights: What the training script wrote.
        embed: Turns texts into unit rows, quickly and without a network; words are compared by it, and
            :meth:`probability` takes its cosines from it. Without it, only equal words are alike.

    Raises:
        ConfigError: When the weights were trained for other features.
    """

    def __init__(
        self, weights: Mapping[str, Json], *, embed: Callable[[Sequence[str]], npt.NDArray[np.float32]] | None = None
    ) -> None:
        """Read the weights; see the class."""
        if tuple(weights["features"]) != FEATURES:
            msg = "the pair model's weights were trained for other features; run packages/leo-core/train/pair_model.py"
            raise ConfigError(msg)
        words: Mapping[str, list[float]] = weights["words"]
        self.table = WordTable(
            idf={word: row[0] for word, row in words.items()},
            default_idf=float(weights["default_idf"]),
            shared={word: row[1] for word, row in words.items() if row[1]},
            missing={word: row[2] for word, row in words.items() if row[2]},
        )
        self.embedder: str = weights["embedder"]
        self._embed = embed
        self._profile = lru_cache(maxsize=_TEXTS_KEPT)(read_profile)
        self._read = lru_cache(maxsize=_TEXTS_KEPT)(self._read_traits)
        self._conflict = lru_cache(maxsize=_TEXTS_KEPT)(self._compare)
        self._feature = np.array(weights["feature"], dtype=np.int64)
        self._number = np.array(weights["number"], dtype=np.float64)
        skip = np.array(weights["skip"], dtype=np.int64)
        self._left = np.arange(len(skip)) + (skip > 0)
        self._right = np.arange(len(skip)) + skip
        self._roots = np.array(weights["roots"], dtype=np.int64)
        self._slope, self._lead, self._intercept = (float(each) for each in weights["calibration"])

    def probability(self, a: Sequence[str], b: Sequence[str]) -> Floats:
        """P(same answer) of ``a[i]`` and ``b[i]``, float64 ``(n,)``, with the cosines of the embedder given.

        Raises:
            ConfigError: When the model was built without ``embed``.
        """
        if self._embed is None:
            msg = "this pair model has no embedder; pass cosines to probability_at, or build it with embed=..."
            raise ConfigError(msg)
        if not a:
            return np.empty(0)
        rows = self._embed([*a, *b]).astype(np.float64)
        return self.probability_at(np.einsum("ij,ij->i", rows[: len(a)], rows[len(a) :]), a, b)

    def probability_at(self, cosines: Sequence[float] | Floats, a: Sequence[str], b: Sequence[str]) -> Floats:
        """P(same answer) of ``a[i]`` and ``b[i]`` at their cosines, float64 ``(n,)``, in (0, 1)."""
        if not len(a) == len(b) == len(cosines):
            msg = f"{len(cosines)} cosines for {len(a)} and {len(b)} texts; the lengths must be equal"
            raise ConfigError(msg)
        if not a:
            return np.empty(0)
        rows = [
            compare_traits(
                self._read(one),
                self._read(two),
                float(cosine),
                self.table,
                conflict=self.find_conflict(one, two) is not None,
            )
            for one, two, cosine in zip(a, b, cosines, strict=True)
        ]
        return self.score_rows(np.array(rows, dtype=np.float64))

    def find_conflict(self, a: str, b: str) -> str | None:
        """Why the guards say that two texts differ, or ``None``; the figures of ``a`` are named first.

        What was seen lately is not read, and not compared, again.
        """
        return None if a == b else self._conflict(a, b)

    def _compare(self, a: str, b: str) -> str | None:
        return find_conflict_between(self._profile(a), self._profile(b))

    def _read_traits(self, text: str) -> Traits:
        return Traits(self._profile(text), self.table, self._embed or embed_by_chance)

    def score_rows(self, rows: Floats) -> Floats:
        """Calibrated probabilities, float64 ``(n,)``, of feature rows ``(n, len(FEATURES))``."""
        from leo_core.kernels.pairs import sum_trees  # noqa: PLC0415 - loads numba

        raw = sum_trees(rows, self._feature, self._number, self._left, self._right, self._number, self._roots)
        logit = self._slope * raw + self._lead * rows[:, _COSINE] + self._intercept
        logit = np.minimum(np.maximum(logit, -_CLIP), _CLIP)  # np.clip takes ten times as long for one row
        probabilities: Floats = 1.0 / (1.0 + np.exp(-logit))
        return probabilities


def load_pair_model(*, embed: Callable[[Sequence[str]], npt.NDArray[np.float32]] | None = None) -> PairModel:
    """The shipped pair model; reads one file of the package.

    Args:
        embed: Turns texts into unit rows, such as ``load_embedder("static").embed``, which it was trained with;
            without it only :meth:`PairModel.probability_at` works, and only equal words are alike.
    """
    text = (files("leo_core.stages.cache") / _FILE).read_text(encoding="utf-8")
    return PairModel(json.loads(text), embed=embed)
