"""How well a score separates two classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

__all__ = [
    "bootstrap_auroc",
    "bootstrap_difference",
    "bootstrap_ece",
    "measure_auroc",
    "measure_ece",
    "recall_at_precision",
]


def measure_auroc(scores: Floats, positive: Flags) -> float:
    """P(a positive scores above a negative), equals counted half; NaN where a class is empty. Shapes (n,)."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    _, firsts, counts = np.unique(ordered, return_index=True, return_counts=True)
    ranks = np.empty(len(scores))
    ranks[order] = np.repeat(firsts + (counts + 1) / 2, counts)
    positives = int(positive.sum())
    negatives = len(scores) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def bootstrap_auroc(
    scores: Floats, positive: Flags, *, groups: npt.NDArray[np.int64] | None = None, draws: int = 500, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the AUROC over resampled rows, or over resampled groups of rows, int64 (n,)."""
    groups = np.arange(len(scores)) if groups is None else groups
    values = [measure_auroc(scores[rows], positive[rows]) for rows in _resample(groups, draws, seed)]
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def bootstrap_difference(
    scores: Floats,
    others: Floats,
    positive: Flags,
    *,
    groups: npt.NDArray[np.int64] | None = None,
    draws: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of the AUROC of ``scores`` less that of ``others``, both over the same resampled rows or groups."""
    groups = np.arange(len(scores)) if groups is None else groups
    values = [
        measure_auroc(scores[rows], positive[rows]) - measure_auroc(others[rows], positive[rows])
        for rows in _resample(groups, draws, seed)
    ]
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def _resample(groups: npt.NDArray[np.int64], draws: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Rows of as many groups as there are, drawn with replacement."""
    random = np.random.default_rng(seed)
    _, member = np.unique(groups, return_inverse=True)
    order = np.argsort(member, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(member))[:-1])
    for _ in range(draws):
        yield np.concatenate([parts[index] for index in random.integers(0, len(parts), len(parts))])


def recall_at_precision(scores: Floats, positive: Flags, precision: float) -> float:
    """Largest share of the positives above a threshold at which at least this share is positive; (n,)."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    good = (hits / np.arange(1, len(scores) + 1) >= precision) & last_of_equals
    return float(hits[good].max(initial=0) / max(1, int(positive.sum())))


def measure_ece(probabilities: Floats, positive: Flags, bins: int = 15) -> float:
    """Expected calibration error over bins of equal count; (n,)."""
    order = np.argsort(probabilities, kind="stable")
    gaps = [
        len(part) * abs(float(probabilities[part].mean()) - float(positive[part].mean()))
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return sum(gaps) / len(probabilities)


def bootstrap_ece(
    probabilities: Floats, positive: Flags, *, groups: npt.NDArray[np.int64], draws: int = 500, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of :func:`measure_ece` over resampled groups of rows, int64 (n,)."""
    values = [measure_ece(probabilities[rows], positive[rows]) for rows in _resample(groups, draws, seed)]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
