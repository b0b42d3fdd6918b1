"""What a user would write with NumPy instead of a kernel: whole-array expressions, no loop over elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = [
    "count_phrases",
    "find_geometric_median",
    "find_slope",
    "fit_accuracies",
    "huber_cost",
    "learn_item",
    "measure_distances",
    "measure_largest_share",
    "measure_unit_distances",
    "move_centre",
    "pull_median",
    "solve_consensus",
]


def measure_distances(centres: npt.NDArray[np.float32], vector: npt.NDArray[np.float32]) -> Floats:
    """Distances (k,) of a vector (d,) to centres (k, d)."""
    gaps = centres.astype(np.float64) - vector.astype(np.float64)
    distances: Floats = np.sqrt((gaps * gaps).sum(axis=1))
    return distances


def measure_unit_distances(centres: npt.NDArray[np.float32], vector: npt.NDArray[np.float32]) -> Floats:
    """The same for unit rows, from inner products; loses digits near 0."""
    return np.asarray(np.sqrt(np.maximum(0.0, 2.0 - 2.0 * (centres @ vector))), dtype=np.float64)


def move_centre(centre: npt.NDArray[np.float32], vector: npt.NDArray[np.float32], rate: float) -> Any:
    """The centre (d,) moved towards the vector (d,), at length 1."""
    moved = (1.0 - rate) * centre.astype(np.float64) + rate * vector.astype(np.float64)
    return (moved / np.linalg.norm(moved)).astype(np.float32)


def huber_cost(points: Floats, weights: Floats, kappa: float, centre: Floats) -> float:
    """Σ α_i H_κ(‖x_i - w‖)."""
    distances = np.linalg.norm(points - centre, axis=1)
    return float(weights @ np.where(distances <= kappa, distances**2 / 2, kappa * (distances - kappa / 2)))


def solve_consensus(points: Floats, weights: Floats, kappa: float, tolerance: float, max_iterations: int) -> float:
    """Optimum of the group-Huber problem by iteratively reweighted least squares (m, d), (m,)."""
    centre: Floats = weights @ points / weights.sum()
    for _ in range(max_iterations):
        pulls = weights * np.minimum(1.0, kappa / np.maximum(np.linalg.norm(points - centre, axis=1), 1e-300))
        fresh = pulls @ points / pulls.sum()
        moved = float(np.linalg.norm(fresh - centre))
        centre = fresh
        if moved <= tolerance:
            break
    return huber_cost(points, weights, kappa, centre)


def find_geometric_median(points: Floats, weights: Floats, tolerance: float, max_iterations: int) -> Floats:
    """Weiszfeld's iteration (m, d), (m,) -> (d,)."""
    centre: Floats = weights @ points / weights.sum()
    for _ in range(max_iterations):
        pulls = weights / np.maximum(np.linalg.norm(points - centre, axis=1), 1e-12)
        fresh = pulls @ points / pulls.sum()
        moved = float(np.linalg.norm(fresh - centre))
        centre = fresh
        if moved <= tolerance:
            break
    return np.asarray(centre)


def pull_median(points: Floats, weights: Floats, centre: Floats) -> Floats:
    """Gradient (d,) of Σ α_i ‖x_i - w‖ at w."""
    gaps = centre - points
    return np.asarray((weights / np.maximum(np.linalg.norm(gaps, axis=1), 1e-12)) @ gaps)


def fit_accuracies(
    answers: Integers, choices: Integers, right: float, wrong: float, tolerance: float, max_iterations: int
) -> Floats:
    """Accuracies (m,) of the one-coin model by EM, over all items (n, m) at once."""
    given = answers >= 0
    same = (answers[:, :, None] == answers[:, None, :]) & given[:, :, None] & given[:, None, :]
    leads = given & ~np.tril(same, -1).any(axis=2)
    unnamed = np.maximum(0, choices - leads.sum(axis=1))
    accuracy = np.full(answers.shape[1], right / (right + wrong))
    for _ in range(max_iterations):
        logits = np.log(accuracy * (choices[:, None] - 1) / (1 - accuracy))
        votes = (same * logits[:, None, :]).sum(axis=2)
        best = np.maximum(0.0, np.where(given, votes, 0.0).max(axis=1))
        powers = np.exp(votes - best[:, None])
        total = (powers * leads).sum(axis=1) + unnamed * np.exp(-best)
        posterior = np.where(given, powers / total[:, None], 0.0)
        fresh = (posterior.sum(axis=0) + right) / (given.sum(axis=0) + right + wrong)
        moved = float(np.abs(fresh - accuracy).max())
        accuracy = fresh
        if moved <= tolerance:
            break
    return accuracy


def learn_item(answers: Integers, choices: int, right: Floats, wrong: Floats, forgetting: float) -> Floats:
    """Posterior (m,) of one item's answers under the counts (m,), which change in place."""
    accuracy = right / (right + wrong)
    given = answers >= 0
    same = (answers[:, None] == answers[None, :]) & given[None, :] & given[:, None]
    votes = same @ np.log(accuracy * (choices - 1) / (1 - accuracy))
    best = max(0.0, float(votes[given].max(initial=0.0)))
    leads = given & ~np.tril(same, -1).any(axis=1)
    powers = np.exp(votes - best)
    total = float(powers[leads].sum()) + max(0, choices - int(leads.sum())) * float(np.exp(-best))
    posterior: Floats = np.where(given, powers / total, 0.0)
    right[given] = forgetting * right[given] + posterior[given]
    wrong[given] = forgetting * wrong[given] + 1 - posterior[given]
    return posterior


def measure_largest_share(points: Floats, directions: Floats, bins: int) -> float:
    """Largest share of points (n, p) in one of equal bins, over directions (k, p)."""
    places = points @ directions.T
    low = places.min(axis=0)
    boxes = np.minimum(bins - 1, ((places - low) / (places.max(axis=0) - low) * bins).astype(np.int64))
    counts = np.bincount((boxes + bins * np.arange(len(directions))).ravel(), minlength=bins * len(directions))
    return float(counts.max() / len(points))


def count_phrases(text: str) -> int:
    """Phrases of the exhaustive parsing of a text, each found by searching for it in all that came before."""
    phrases = at = 0
    while at < len(text):
        end = at + 1
        while end <= len(text) and text.find(text[at:end], 0, end - 1) >= 0:
            end += 1
        phrases += 1
        at = end
    return phrases


def find_slope(points: Floats) -> float:
    """Box-counting dimension of points (n, d) in their three principal components at scales 2, 4, 8 and 16."""
    centred = points - points.mean(axis=0)
    reduced = centred @ np.linalg.svd(centred, full_matrices=False)[2][:3].T
    reduced = (reduced - reduced.min(axis=0)) / np.ptp(reduced, axis=0).max()
    scales = np.array([2, 4, 8, 16])
    counts = [len(np.unique(np.minimum(n - 1, (reduced * n).astype(np.int64)), axis=0)) for n in scales]
    first, second = np.triu_indices(4, 1)
    x, y = np.log2(scales), np.log2(counts)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))
