"""Whether coherence tells sets of recorded answers that agree from those that do not, and whether ADMM is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.datasets import read_jsonl
from leo_core.evaluation.numpy_peers import huber_cost
from leo_core.evaluation.ranking import bootstrap_auroc, bootstrap_difference, measure_auroc
from leo_core.records import Message
from leo_core.stages.consensus.coherence import measure_agreement
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.consensus.equivalence import spell_answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from leo_core.ports import Embedder

__all__ = ["check_admm", "run_coherence"]

MEMBERS = 5
TOLERANCE = 1e-9
MAX_ITERATIONS = 5_000
CERTAIN = 1e-8
NEWTON_STEPS = 60
SHORTEST = 1e-12


def run_coherence(data: Path, *, embedder: str = "default", seed: int = 0, limit: int | None = None) -> dict[str, Any]:
    """AUROC of the coherence of five models' answers for "all five gave the same final answer".

    Coherence is measured as the engine does it, on what each reply finally says in one spelling, which it finds in the
    reply's text; the recorded final answer only says what was right to find. Beside it: coherence of the whole texts,
    mean inner products, how many answers differ in their spelling, and how alike and how short the texts are.
    Intervals are bootstrapped over questions; ``difference_interval`` is that of coherence less the score beside it,
    over the same resampled questions.

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
    agree = np.array([each.agrees for each in sets])
    answers = _embed(encoder, [each.answers for each in sets])
    texts = _embed(encoder, [each.texts for each in sets])
    lengths = np.array([[len(text) for text in each.texts] for each in sets], dtype=np.float64)
    scores = {
        "coherence": _measure(answers),
        "coherence of the whole texts": _measure(texts),
        "mean inner product": _mean_products(answers),
        "mean inner product of the whole texts": _mean_products(texts),
        "few different spellings": -np.array([len(set(each.answers)) for each in sets], dtype=np.float64),
        "lengths alike": -lengths.std(axis=1) / lengths.mean(axis=1).clip(1),
        "short answers": -lengths.mean(axis=1),
    }
    rows = [
        {
            "score": name,
            "auroc": measure_auroc(values, agree),
            "auroc_interval": bootstrap_auroc(values, agree),
            "difference_interval": bootstrap_difference(scores["coherence"], values, agree),
        }
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
        "within_1e-6": float(np.mean(np.array(excess) <= 1e-6)),  # noqa: PLR2004 - the figure that the name says
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
    far = random.random(count) < 0.2  # noqa: PLR2004 - a fifth of the points lies far out
    points[far] *= 10 ** random.uniform(0, 1, (int(far.sum()), 1))
    weights = 10 ** random.uniform(-2, 2, count)
    return points, weights, float(10 ** random.uniform(-1, 0.5))


class _AnswerSet(NamedTuple):
    """What five models replied, what they finally say in one spelling, and whether their recorded finals agree."""

    texts: list[str]
    answers: list[str]
    agrees: bool


def _choose_sets(data: Path, random: np.random.Generator) -> Iterator[_AnswerSet]:
    """Five random models' replies to each question."""
    for row in read_jsonl(data):
        answers = row.get("answers") or {}
        if len(answers) < MEMBERS:
            continue
        names = sorted(answers)
        chosen = [answers[names[index]] for index in random.permutation(len(names))[:MEMBERS]]
        finals = {" ".join(str(answer.get("final")).split()).lower() for answer in chosen}
        texts = [str(answer.get("text", "")) for answer in chosen]
        question = str(row.get("question", ""))
        spelled = [spell_answer(Message(role="assistant", content=text), question) for text in texts]
        yield _AnswerSet(texts, spelled, len(finals) == 1)


def _embed(encoder: Embedder, sets: list[list[str]]) -> npt.NDArray[np.float32]:
    """Vectors of sets of texts, (n, 5, d)."""
    return np.asarray(encoder.embed([text for texts in sets for text in texts])).reshape(len(sets), MEMBERS, -1)


def _measure(sets: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Coherence (n,) of sets (n, 5, d), with equal weights."""
    kappa = ConsensusConfig().kappa
    return np.array([measure_agreement(rows, [1.0] * MEMBERS, kappa).value for rows in sets])


def _mean_products(sets: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Mean inner product (n,) of two different rows of each set (n, 5, d)."""
    sums = sets.astype(np.float64).sum(axis=1)
    return np.asarray((np.square(sums).sum(axis=1) - MEMBERS) / (MEMBERS * (MEMBERS - 1)))
