"""P(same answer | two questions): boosted trees, and a network where they leave it open, calibrated together.

The trees are trained by ``packages/leo-core/train/pair_model.py``; their evaluation is a walk through all of them at
once and the calibrated logistic of their sum and the cosine (Friedman 2001, *Greedy function approximation*; Platt
1999). Most pairs that are looked at are plainly different, and the trees say so. Of the others, the network of
``pair_network`` reads both texts, and a second logistic weighs trees, cosine and network. Where the network's strict
comparison objects to a pair that shares words, the probability is below a half; where the guards doubt, it objects more
readily.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Protocol

import numpy as np

from leo_core.errors import ConfigError
from leo_core.stages.cache.guards import find_conflict_between, find_doubt_between, read_profile
from leo_core.stages.cache.pair_features import FEATURES, Traits, WordTable, compare_traits, embed_by_chance
from leo_core.stages.cache.pair_network import load_pair_network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from leo_core.records import Json
    from leo_core.stages.cache.pair_network import PairNetwork, Reading

    Floats = npt.NDArray[np.float64]

__all__ = ["PairModel", "load_pair_model", "set_bar"]

_FILE = "pair_model.json"
_CLIP = 30.0
_LEFT_OPEN = 0.2
"""Probability by trees and cosine from which the network is asked."""
_OVERRULES = 0.5
"""Probability from which a doubt of the guards is overruled."""
_REJECTED = 0.48
"""What a pair has to which the strict comparison objects, and up to 0.01 more by what it had: below a half, in the old
order. By how much it objects was fitted to no traffic, and is not used."""
_COSINE = FEATURES.index("cosine")
_TEXTS_KEPT = 8192
"""Texts of which is kept what was read: about 10 kB each."""
_PAIRS_KEPT = 4096
_READINGS_KEPT = 4096
"""The same of the network: about 7 kB each."""
_MARKS = " .,:;?!¿¡…"


class PairModel:
    """P(same answer) of pairs of questions.

    Args:
        weights: What the training script wrote.
        embed: Turns texts into unit rows, quickly and without a network; words are compared by it, and
            :meth:`probability` takes its cosines from it. Without it, only equal words are alike.
        network: Reads what the trees leave open; without it they decide alone.

    Raises:
        ConfigError: When the weights were trained for other features.
    """

    def __init__(
        self,
        weights: Mapping[str, Json],
        *,
        embed: Callable[[Sequence[str]], npt.NDArray[np.float32]] | None = None,
        network: PairNetwork | None = None,
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
        self._embed_words = embed or embed_by_chance
        self._profile = lru_cache(maxsize=_TEXTS_KEPT)(read_profile)
        self._read = lru_cache(maxsize=_TEXTS_KEPT)(self._read_traits)
        self._compare_once = lru_cache(maxsize=_PAIRS_KEPT)(self._compare)
        self._judge_once = lru_cache(maxsize=_PAIRS_KEPT)(self._judge)
        self._trees = (
            np.array(weights["feature"], dtype=np.int16),
            np.array(weights["number"], dtype=np.float64),
            np.array(weights["skip"], dtype=np.int16),
            np.array(weights["roots"], dtype=np.int64),
            _count_levels(weights["skip"], weights["roots"]),
        )
        self._slope, self._lead, self._intercept = (float(each) for each in weights["calibration"])
        self._network = network
        self._together = tuple(float(each) for each in weights["calibration_with_network"])
        self._strictness = tuple(float(each) for each in weights["strictness"])
        self._readings: dict[str, Reading | None] = {}

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
        pairs = zip(cosines, a, b, strict=True)
        return np.array([self._judge_once(float(cosine), one, two) for cosine, one, two in pairs], dtype=np.float64)

    def _judge(self, cosine: float, a: str, b: str) -> float:
        """P(same answer) of two texts at their cosine."""
        rows = self.compare_texts([cosine], [a], [b])
        sums = self.sum_trees(rows)
        probability = float(self.calibrate(sums, rows[:, _COSINE])[0])
        found = self.ask_network(a, b) if probability >= _LEFT_OPEN else None
        if found is None:
            return probability
        odds, likeness, strict = found
        together = _squash(self._weigh_together(float(sums[0]), cosine, odds, likeness))
        return _reject(together) if self._objects(strict, a, b) else together

    def _objects(self, strict: float, a: str, b: str) -> bool:
        """Whether the strict comparison rejects a pair at its log-odds; of equal words it knows nothing."""
        return _fold(a) != _fold(b) and strict < set_bar(
            self.share_words(a, b), *self._strictness, doubt=self._compare_once(a, b)[1] is not None
        )

    def leaves_open(self, cosine: float, a: str, b: str) -> bool:
        """Whether trees and cosine leave it open that two texts have the same answer, so that the network is asked."""
        rows = self.compare_texts([cosine], [a], [b])
        return bool(self.calibrate(self.sum_trees(rows), rows[:, _COSINE])[0] >= _LEFT_OPEN)

    def compare_texts(self, cosines: Sequence[float] | Floats, a: Sequence[str], b: Sequence[str]) -> Floats:
        """Feature rows, float64 ``(n, len(FEATURES))``, of ``a[i]`` and ``b[i]`` at their cosines; n at least 1."""
        rows = [
            compare_traits(
                self._read(one),
                self._read(two),
                float(cosine),
                self.table,
                self._embed_words,
                conflict=any(self._compare_once(one, two)),
            )
            for one, two, cosine in zip(a, b, cosines, strict=True)
        ]
        return np.array(rows, dtype=np.float64)

    def share_words(self, a: str, b: str) -> float:
        """Share of the words of two texts, as stems, that both have, in [0, 1]; 0 without a word."""
        one, two = self._read(a).bag, self._read(b).bag
        return len(one & two) / (len(one | two) or 1)

    def ask_network(self, a: str, b: str) -> tuple[float, float, float] | None:
        """The network's log-odds, its cosine and its strict log-odds of two texts.

        ``None`` without a network, or where it cannot read them.
        """
        if self._network is None:
            return None
        kept = self._readings
        found = {text: kept[text] for text in (a, b) if text in kept}
        unread = [text for text in dict.fromkeys((a, b)) if text not in found]
        if unread:
            found |= zip(unread, self._network.read(unread), strict=True)
            self._keep_readings({text: found[text] for text in unread})
        one, two = found[a], found[b]
        if one is None or two is None:
            one, two = self._network.read_apart(a, b)
        return self._network.compare(one, two) if one and two else None

    def _keep_readings(self, read: Mapping[str, Reading | None]) -> None:
        """Keep what was read; when there is too much, all is read anew."""
        if len(self._readings) >= _READINGS_KEPT:
            self._readings = {}
        self._readings.update(read)

    def find_conflict(self, a: str, b: str) -> str | None:
        """Why the guards say that two texts differ, or ``None``; the figures of ``a`` are named first.

        What was seen lately is not read, and not compared, again.
        """
        return self._compare_once(a, b)[0]

    def find_objection(self, cosine: float, a: str, b: str) -> str | None:
        """A conflict of two texts, or a doubt about them that this model does not overrule; else ``None``.

        A doubt of the guards is overruled by a probability of at least 0.5 at this cosine.
        """
        conflict, doubt = self._compare_once(a, b)
        if conflict is not None or doubt is None:
            return conflict
        return None if self._judge_once(cosine, a, b) >= _OVERRULES else doubt

    def _compare(self, a: str, b: str) -> tuple[str | None, str | None]:
        """The guards' conflict, and without one their doubt."""
        if a == b:
            return None, None
        one, two = self._profile(a), self._profile(b)
        conflict = find_conflict_between(one, two)
        return conflict, None if conflict is not None else find_doubt_between(one, two)

    def _read_traits(self, text: str) -> Traits:
        return Traits(self._profile(text), self.table)

    def sum_trees(self, rows: Floats) -> Floats:
        """Sums of all trees, float64 ``(n,)``, of feature rows ``(n, len(FEATURES))``."""
        from leo_core.kernels.pairs import sum_trees  # noqa: PLC0415 - loads numba

        sums: Floats = sum_trees(rows, *self._trees)
        return sums

    def calibrate(self, sums: Floats, cosines: Floats) -> Floats:
        """Probabilities, float64 ``(n,)``, of the trees' sums and the cosines."""
        logits = [
            self._slope * total + self._lead * cosine + self._intercept
            for total, cosine in zip(sums.tolist(), cosines.tolist(), strict=True)
        ]
        return np.array([_squash(logit) for logit in logits])  # one row at a time: mostly there is one

    def _weigh_together(self, total: float, cosine: float, odds: float, likeness: float) -> float:
        slope, lead, network, whole, intercept = self._together
        return slope * total + lead * cosine + network * odds + whole * likeness + intercept


def _count_levels(skip: Sequence[int], roots: Sequence[int]) -> int:
    """Most steps from a root to a leaf: the node after one, or ``skip`` nodes on, is below it."""
    depth = [0] * len(skip)
    for node in range(len(skip) - 1, -1, -1):
        if skip[node]:
            depth[node] = 1 + max(depth[node + 1], depth[node + skip[node]])
    return max(depth[root] for root in roots)


def _squash(logit: float) -> float:
    """The logistic, of at most ±30."""
    return 1.0 / (1.0 + math.exp(-min(max(logit, -_CLIP), _CLIP)))


def _reject(probability: float) -> float:
    return min(probability, _REJECTED + 0.01 * probability)


def set_bar(overlap: float, enough: float, least: float, in_doubt: float, *, doubt: bool) -> float:
    """Strict log-odds below which a pair is rejected.

    Args:
        overlap: Share of the words that the texts have in common, in [0, 1].
        enough: The bar where they have ``least`` or more in common; there is none below.
        least: Such an overlap, in [0, 1].
        in_doubt: The bar where the guards doubt, whatever the overlap.
        doubt: Whether they do.
    """
    if doubt:
        return in_doubt
    return enough if overlap >= least else -math.inf


def _fold(text: str) -> str:
    """A text without case, spare blanks and the marks around it."""
    return " ".join(text.casefold().split()).strip(_MARKS)


class Words(Protocol):
    """What the pair model takes of the shipped embedder."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit rows of texts."""

    def read_pieces(self, text: str) -> npt.NDArray[np.float32]:
        """Rows of a text's word pieces."""


def load_pair_model(embedder: Words | None = None) -> PairModel:
    """The shipped pair model; reads two files of the package.

    Args:
        embedder: The shipped embedder, ``load_embedder("static")``, which the model was trained with. Without it only
            :meth:`PairModel.probability_at` works, only equal words are alike, and the network is left out.
    """
    text = (files("leo_core.stages.cache") / _FILE).read_text(encoding="utf-8")
    if embedder is None:
        return PairModel(json.loads(text))
    network = load_pair_network(embedder.read_pieces)
    return PairModel(json.loads(text), embed=embedder.embed, network=network)
