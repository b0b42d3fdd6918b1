"""The tutor of ``category_risk.py``: support vector machines over MiniLM's vectors, and the texts that it labels."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from typing import TYPE_CHECKING

import numpy as np
from fitting import trains
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Tutor", "VectorCache", "cross", "fold_spelling", "pick_unlabelled"]

Array = np.ndarray
WIDTH = 1.0
STRENGTH = 2.0
LIKELY, OTHERS = 22_000, 18_000
"""Of so many of the likeliest questions, and so many others, those are labelled that may be trained on."""
SHORTEST, LONGEST = 8, 300
"""Characters of a question of Quora, bounds left out."""
MOST_WORDS = 40


class Tutor:
    """Probabilities of "none" and the four categories, from five machines ("any", and each category).

    Their decisions on inner held-out parts are put together by a softmax, so that ``outside``, its word on the texts it
    was fitted to, is calibrated too.
    """

    def __init__(self, vectors: Array, labels: Array) -> None:
        decisions = np.zeros((len(vectors), 5))
        for inside, held in StratifiedKFold(4, shuffle=True, random_state=5).split(vectors, labels):
            decisions[held] = _decide(_fit(vectors[inside], labels[inside]), vectors[held])
        self._together = LogisticRegression(C=10, max_iter=2000).fit(decisions, labels)
        self.outside = self._together.predict_proba(decisions)
        self._machines = _fit(vectors, labels)

    def label(self, vectors: Array) -> Array:
        """Probabilities, shape ``(n, 5)``."""
        return self._together.predict_proba(_decide(self._machines, vectors))


def _fit(vectors: Array, labels: Array) -> list[tuple[Array, Array, float]]:
    found = []
    for target in range(5):
        truth = labels != 0 if target == 0 else labels == target
        machine = SVC(C=STRENGTH, gamma=WIDTH).fit(vectors, truth)
        support = machine.support_vectors_.astype(np.float32)
        found.append((support, machine.dual_coef_[0].astype(np.float32), float(machine.intercept_[0])))
    return found


def _decide(machines: list[tuple[Array, Array, float]], vectors: Array) -> Array:
    """Decision values; all vectors are unit, so their squared distance is 2 − 2 times their product."""

    def decide(part: Array, support: Array, dual: Array, shift: float) -> Array:
        return np.exp(-2.0 * WIDTH * (1.0 - part @ support.T)) @ dual + shift

    rows = [
        np.concatenate([decide(vectors[at : at + 4000], *machine) for at in range(0, len(vectors), 4000)])
        for machine in machines
    ]
    return np.stack(rows, axis=1)


class VectorCache:
    """MiniLM's vectors by text, kept in a file between runs.

    Args:
        path: The file; made where there is none.
        embed: The encoder.
    """

    def __init__(self, path: Path, embed: Callable[[Sequence[str]], Array]) -> None:
        self._path, self._embed = path, embed
        self._known: dict[str, Array] = {}
        if path.exists():
            with np.load(path) as kept:
                self._known = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))

    def embed(self, texts: Sequence[str]) -> Array:
        """Vectors, float32 ``(n, 384)``."""
        keys = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if missing:
            rows = self._embed(list(missing.values())).astype(np.float16)
            self._known.update(zip(missing, rows, strict=True))
            self._path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(self._path, keys=np.array(list(self._known)), vectors=np.stack(list(self._known.values())))
        return np.stack([self._known[key] for key in keys]).astype(np.float32)


def fold_spelling(text: str) -> str:
    """A text without case and punctuation: what counts as the same question."""
    return re.sub(r"\W+", " ", text.lower()).strip()


def pick_unlabelled(path: Path, known: set[str], score: Callable[[Sequence[str]], Array]) -> list[str]:
    """Questions of Quora that may be trained on: those that look like high risk, and others."""
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    texts = sorted({row[side] for row in rows for side in "ab"})
    texts = [text for text in texts if SHORTEST < len(text) < LONGEST and fold_spelling(text) not in known]
    order = np.argsort(-score(texts), kind="stable")
    others = np.random.default_rng(0).permutation(order[LIKELY:])[:OTHERS]
    return [texts[at] for at in [*order[:LIKELY].tolist(), *others.tolist()] if trains(texts[at])]


def cross(texts: Sequence[str], folds: Array, each: int, rounds: int) -> tuple[list[str], list[tuple[int, int]]]:
    """Texts put together of the beginning of one question and the end of another of the same fold, with both."""
    draw = random.Random(1)  # noqa: S311 - no secret
    made, sources = [], []
    for fold in list(range(int(folds.max()) + 1)) * rounds:
        places = np.flatnonzero(folds == fold).tolist()
        for _ in range(each):
            left, right = draw.choice(places), draw.choice(places)
            head, tail = texts[left].split(), texts[right].split()
            cut, start = draw.randint(1, max(1, len(head) - 1)), draw.randint(0, max(0, len(tail) - 1))
            made.append(" ".join((head[:cut] + tail[start:])[:MOST_WORDS]))
            sources.append((left, right))
    return made, sources
