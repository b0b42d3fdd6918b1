"""Whether coherence tells sets of recorded answers that agree from those that do not, and whether ADMM is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.datasets import read_jsonl
from leo_core.evaluation.numpy_peers import huber_cost
from leo_core.evaluation.ranking import bootstrap_auroc, measure_auroc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["check_admm", "run_coherence"]

MEMBERS = 5
KAPPA = 0.5
TOLERANCE = 1e-9
MAX_ITERATIONS = 5_000
CERTAIN = 1e-8
NEWTON_STEPS = 60
SHORTEST = 1e-12


def run_coherence(data: Path, *, embedder: str = "default", seed: int = 0, limit: int | None = None) -> dict[str, Any]:
    """AUROC of the coherence of five models' answers for "all five gave the same final answer".

    Beside it: the mean inner product of the answers, and how alike their lengths are. Intervals are bootstrapped over
    questions.

    Args:
        data: Recorded answers.
        embedder: Name of the embedder.
        seed: Of the choice of models for each question.
        limit: Most questions.

    Raises:
        ConfigError: The file holds no such questions.
    """
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

    random = np.random.default_rng(seed)
    sets = list(_choose_sets(data, random))[:limit]
    if not sets:
        message = f"{data.name} holds no question that {MEMBERS} models answered"
        raise ConfigError(message)
    encoder = load_embedder(embedder)
    agree = np.array([same for _, same in sets])
    vectors = np.asarray(encoder.embed([text for texts, _ in sets for text in texts]), dtype=np.float64)
    points = vectors.reshape(len(sets), MEMBERS, -1)
    lengths = np.array([[len(text) for text in texts] for texts, _ in sets], dtype=np.float64)
    scores = {
        "coherence": np.array([_measure(rows) for rows in points]),
        "mean inner product": (np.square(points.sum(axis=1)).sum(axis=1) - MEMBERS) / (MEMBERS * (MEMBERS - 1)),
        "lengths alike": -lengths.std(axis=1) / lengths.mean(axis=1).clip(1),
        "short answers": -lengths.mean(axis=1),
    }
    rows = [
        {"score": name, "auroc": measure_auroc(values, agree), "auroc_interval": bootstrap_auroc(values, agree)}
        for name, values in scores.items()
    ]
    return {
        "data": data.name,
        "sets": len(sets),
        "members": MEMBERS,
        "agreeing": float(agree.mean()),
        "embedder": str(encoder.fingerprint.name),
        "seed": seed,
        "scores": rows,
    }


def check_admm(instances: int = 10_000, *, seed: int = 0) -> dict[str, Any]:
    """Largest excess of ADMM's optimum over the convex optimum on random instances, and what the residuals were.

    Each excess is bounded from above: f is convex, so with its gradient g at w, f(w) - f* ≤ ‖g‖·‖w - w*‖, and w* lies
    in the convex hull of the points. Excesses are relative to max(1, f).

    Args:
        instances: How many, with 2 to 12 points in 2 to 64 dimensions, weights over 4 decades and outliers.
        seed: Of the instances.
    """
    from leo_core.kernels.coherence import solve_consensus  # noqa: PLC0415 - loads numba

    random = np.random.default_rng(seed)
    excess, residuals, iterations, converged = [], [], [], 0
    for _ in range(instances):
        points, weights, kappa = _draw(random)
        solution = solve_consensus(points, weights, kappa, TOLERANCE, MAX_ITERATIONS)
        excess.append(_bound_excess(points, weights, kappa, solution.centre) / max(1.0, solution.optimum))
        residuals.append(max(solution.primal_residual, solution.dual_residual))
        iterations.append(solution.iterations)
        converged += bool(solution.converged)
    return {
        "instances": instances,
        "largest_excess": float(np.max(excess)),
        "within_1e-6": float(np.mean(np.array(excess) <= 1e-6)),  # noqa: PLR2004
        "stopped_by_residuals": converged / instances,
        "largest_residual": float(np.max(residuals)),
        "iterations_p50": float(np.median(iterations)),
        "iterations_p99": float(np.quantile(iterations, 0.99)),
    }


def _bound_excess(points: Any, weights: Any, kappa: float, centre: Any) -> float:
    """An upper bound of f(w) - f*: by duality at w, or where that is loose, at a better point found by Newton steps."""
    bound = _bound_by_duality(points, weights, kappa, centre)
    if bound <= CERTAIN:
        return bound
    better, cost = centre, huber_cost(points, weights, kappa, centre)
    for _ in range(NEWTON_STEPS):
        gaps = better - points
        lengths = np.maximum(np.linalg.norm(gaps, axis=1), 1e-300)
        linear = lengths > kappa
        pulls = weights * np.where(linear, kappa / lengths, 1.0)
        across = (weights * kappa / lengths**3)[linear, np.newaxis] * gaps[linear]
        curvature = pulls.sum() * np.eye(points.shape[1]) - across.T @ gaps[linear]
        step = np.linalg.lstsq(curvature, pulls @ gaps, rcond=None)[0]
        share = 1.0
        while share > SHORTEST and huber_cost(points, weights, kappa, better - share * step) > cost:
            share /= 2
        if share <= SHORTEST:
            break
        better = better - share * step
        cost = huber_cost(points, weights, kappa, better)
    gained = huber_cost(points, weights, kappa, centre) - cost
    return min(bound, gained + _bound_by_duality(points, weights, kappa, better))


def _bound_by_duality(points: Any, weights: Any, kappa: float, centre: Any) -> float:
    gaps = centre - points
    lengths = np.linalg.norm(gaps, axis=1)
    pulls = weights * np.minimum(1.0, kappa / np.maximum(lengths, 1e-300))
    return float(np.linalg.norm(pulls @ gaps) * lengths.max())


def _draw(random: np.random.Generator) -> tuple[Any, Any, float]:
    count, dimension = int(random.integers(2, 13)), int(random.integers(2, 65))
    points = random.standard_normal((count, dimension))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points += random.choice([0.0, 1.0, 3.0]) * points[0]
    far = random.random(count) < 0.2  # noqa: PLR2004
    points[far] *= 10 ** random.uniform(0, 1, (int(far.sum()), 1))
    weights = 10 ** random.uniform(-2, 2, count)
    return points, weights, float(10 ** random.uniform(-1, 0.5))


def _choose_sets(data: Path, random: np.random.Generator) -> Iterator[tuple[list[str], bool]]:
    """The texts of five random models' answers to each question, and whether their final answers are the same."""
    for row in read_jsonl(data):
        answers = row.get("answers") or {}
        if len(answers) < MEMBERS:
            continue
        names = sorted(answers)
        chosen = [answers[names[index]] for index in random.permutation(len(names))[:MEMBERS]]
        finals = {" ".join(str(answer.get("final")).split()).lower() for answer in chosen}
        yield [str(answer.get("text", "")) for answer in chosen], len(finals) == 1


def _measure(points: Any) -> float:
    from leo_core.kernels.coherence import measure_coherence, solve_consensus, solve_orthogonal  # noqa: PLC0415

    weights = np.ones(len(points))
    solution = solve_consensus(points, weights, KAPPA, 1e-7, 1_000)
    return float(measure_coherence(solution.optimum, solve_orthogonal(weights, KAPPA, 1e-7, 1_000)))
