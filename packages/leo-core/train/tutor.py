"""More pairs for the embedder: near questions, labelled by a stronger model that the product could not afford.

The tutor is a gradient-boosted model on the cosine of MiniLM and the features of ``pair_features``. It is fitted on
each half of the labelled components and labels the other half, so that it never labels what it has seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier

from leo_core.stages.cache.pair_features import WordTable, compare_pair, read_traits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["fit_map", "label_pairs", "mine_pairs"]

MAP_STEPS = 900
MAP_RATE = 0.003
MAP_BATCH = 1024


def mine_pairs(
    views: Sequence[tuple[np.ndarray, int, int]], half: np.ndarray, known: set[int], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Near pairs that are not labelled, both sides in one half.

    Args:
        views: Unit rows (n, d) of the texts, how many anchors to draw, and how many neighbours of each; one per model.
        half: To which half of the components a text belongs, shape (n,).
        known: Codes ``low << 32 | high`` of labelled pairs.
        seed: Of the draw of the anchors.
    """
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(half))
    codes = [np.zeros(0, dtype=np.int64)]
    for rows, count, neighbours in views:
        for block in np.array_split(order[:count], max(1, count // 1000)):
            for side in (0, 1):
                ours, others = block[half[block] == side], np.flatnonzero(half == side)
                likeness = rows[ours] @ rows[others].T
                likeness[others[None, :] == ours[:, None]] = -1.0
                best = others[np.argpartition(-likeness, neighbours, axis=1)[:, :neighbours]]
                one = np.repeat(ours, neighbours).astype(np.int64)
                two = best.ravel().astype(np.int64)
                codes.append(np.minimum(one, two) << 32 | np.maximum(one, two))
    found = np.unique(np.concatenate(codes))
    found = found[[code not in known for code in found.tolist()]]
    return found >> 32, found & 0xFFFFFFFF


def label_pairs(
    texts: Sequence[str],
    teacher: np.ndarray,
    student: np.ndarray,
    embed: Callable[[Sequence[str]], np.ndarray],
    table: WordTable,
    labelled: tuple[np.ndarray, np.ndarray, np.ndarray],
    mined: tuple[np.ndarray, np.ndarray],
    half: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """P(same) of the labelled pairs and of the mined pairs, each by the tutor of the other half."""
    traits = [read_traits(text, table) for text in texts]

    def compare(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        strong = np.einsum("ij,ij->i", teacher[left], teacher[right])
        weak = np.einsum("ij,ij->i", student[left], student[right])
        rows = [
            compare_pair(traits[one], traits[two], float(cosine), table, embed)
            for one, two, cosine in zip(left, right, strong, strict=True)
        ]
        return np.column_stack([np.array(rows), weak])

    left, right, same = labelled
    rows, others = compare(left, right), compare(*mined)
    found, found_others = np.zeros(len(left)), np.zeros(len(others))
    for side in (0, 1):
        model = HistGradientBoostingClassifier(
            max_iter=250, learning_rate=0.06, max_leaf_nodes=16, min_samples_leaf=50, l2_regularization=5.0,
            early_stopping=False, random_state=seed,
        )  # fmt: skip
        model.fit(rows[half[left] != side], same[half[left] != side])
        for of, ours, into in ((left, rows, found), (mined[0], others, found_others)):
            into[half[of] == side] = model.predict_proba(ours[half[of] == side])[:, 1]
    return found, found_others


def fit_map(unit: np.ndarray, left: np.ndarray, right: np.ndarray, same: np.ndarray, seed: int) -> np.ndarray:
    """Linear map (d, d) after which the cosine tells same from different pairs best: logistic loss, Adam from identity.

    It has few parameters and moves all words together, so it holds for words that no pair has.
    """
    draw = np.random.default_rng(seed)
    found = np.eye(unit.shape[1], dtype=np.float32)
    first, second = np.zeros_like(found), np.zeros_like(found)
    slope, middle = 8.0, 0.6
    for step in range(MAP_STEPS):
        at = draw.integers(len(left), size=MAP_BATCH)
        x, y = unit[left[at]], unit[right[at]]
        a, b = x @ found, y @ found
        size_a, size_b = np.linalg.norm(a, axis=1, keepdims=True), np.linalg.norm(b, axis=1, keepdims=True)
        a, b = a / size_a, b / size_b
        cosine = np.einsum("ij,ij->i", a, b)
        gap = expit(slope * (cosine - middle)) - same[at]
        slope, middle = slope - 10.0 * np.mean(gap * (cosine - middle)), middle + 0.01 * np.mean(gap) * slope
        pull = (slope * gap / MAP_BATCH)[:, None]
        change = x.T @ (pull * (b - cosine[:, None] * a) / size_a) + y.T @ (pull * (a - cosine[:, None] * b) / size_b)
        first = 0.9 * first + 0.1 * change
        second = 0.99 * second + 0.01 * change * change
        rate = MAP_RATE * (1.0 - step / MAP_STEPS)
        found -= (rate * first / (1 - 0.9 ** (step + 1)) / (np.sqrt(second / (1 - 0.99 ** (step + 1))) + 1e-9)).astype(
            np.float32
        )
    return found
