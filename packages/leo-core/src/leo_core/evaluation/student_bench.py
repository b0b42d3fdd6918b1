"""What a student learns from a growing number of verified pairs: BANKING77's requests and intents, or any like them.

The teacher is the label of the data, right always or with a given chance; no model is asked. A wrong label is any other
intent, drawn evenly, and passes for verified: what a checker that errs lets through.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.cache_stream import read_stream
from leo_core.evaluation.metrics import wilson_interval
from leo_core.evaluation.student_figures import Teacher, measure_student
from leo_core.stages.route.config import RouteConfig
from leo_core.stages.student.config import StudentConfig
from leo_core.stages.student.fit import Examples, find_fold, fit_student

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["StudentSettings", "run_student"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentSettings:
    """What is measured.

    Attributes:
        data: Requests with intents (``read_stream``).
        sizes: Numbers of verified pairs.
        seeds: Orders in which the requests are taught.
        first_seed: The first of them.
        teacher_accuracy: Share of the labels, taught and served, that are right, in (0, 1].
        teacher_cost_usd: Cost of the teacher's answer.
        loss_usd: Loss of a wrong answer.
        embedder: Name of the embedder.
        student: Settings of the student.
    """

    data: Path
    sizes: tuple[int, ...] = (100, 300, 1000, 3000, 6000)
    seeds: int = 3
    first_seed: int = 0
    teacher_accuracy: float = 1.0
    teacher_cost_usd: float = 0.01
    loss_usd: float = 0.05
    embedder: str = "default"
    student: StudentConfig = field(default_factory=StudentConfig)


def run_student(settings: StudentSettings, report: Callable[[str], None] | None = None) -> dict[str, Any]:
    """The learning curve. The fields are documented with the benchmarks.

    Args:
        settings: What is measured.
        report: Told what is trained next.

    Raises:
        ConfigError: The file lacks texts or intents, holds too few, or a setting is out of range.
    """
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

    tell = report or (lambda _: None)
    texts, intents = read_stream(settings.data)
    names = sorted(set(intents))
    folds = np.array([find_fold(text) for text in texts], dtype=np.int32)
    pool, held = np.flatnonzero(folds != 0), np.flatnonzero(folds == 0)
    if not len(held) or len(names) < 2 or max(settings.sizes, default=0) > len(pool) or min(settings.sizes) < 1:  # noqa: PLR2004 - one intent is no choice
        message = (
            f"{settings.data.name} holds {len(pool)} requests to train on, {len(held)} held out, and {len(names)} "
            f"intents: too few for sizes up to {max(settings.sizes, default=0)}"
        )
        raise ConfigError(message)
    if not 0.0 < settings.teacher_accuracy <= 1.0 or settings.seeds < 1:
        message = f"teacher_accuracy={settings.teacher_accuracy!r} must be above 0 and at most 1, seeds at least 1"
        raise ConfigError(message)
    vectors = np.asarray(load_embedder(settings.embedder).embed(texts), dtype=np.float32)
    labels = np.array([names.index(intent) for intent in intents], dtype=np.int32)
    runs: dict[int, list[dict[str, Any]]] = {size: [] for size in settings.sizes}
    for seed in range(settings.first_seed, settings.first_seed + settings.seeds):
        source = np.random.default_rng([seed, 22])
        order = source.permutation(pool)
        said = _teach(labels, len(names), settings.teacher_accuracy, source)
        for size in settings.sizes:
            tell(f"seed {seed}: {size} pairs")
            examples = _take(order[:size], vectors, said, names, folds)
            runs[size].append(_measure(examples, vectors[held], labels[held], said[held], names, settings))
    return {
        "benchmark": "student",
        "data": settings.data.name,
        "teacher": "the label of the data, not a model",
        "teacher_accuracy": settings.teacher_accuracy,
        "teacher_cost_usd": settings.teacher_cost_usd,
        "loss_usd": settings.loss_usd,
        "least_probability": settings.student.least_probability,
        "intents": len(names),
        "held_out": len(held),
        "seeds": settings.seeds,
        "curve": [{"pairs": size, **_summarise(runs[size], len(held))} for size in settings.sizes],
    }


def _teach(
    labels: npt.NDArray[np.int32], classes: int, accuracy: float, source: np.random.Generator
) -> npt.NDArray[np.int32]:
    """What the teacher says to every request."""
    wrong = source.random(len(labels)) >= accuracy
    other = (labels + source.integers(1, classes, len(labels))) % classes
    return np.where(wrong, other, labels).astype(np.int32)


def _take(
    rows: npt.NDArray[np.int64],
    vectors: npt.NDArray[np.float32],
    said: npt.NDArray[np.int32],
    names: Sequence[str],
    folds: npt.NDArray[np.int32],
) -> Examples:
    return Examples(
        vectors=vectors[rows],
        groups=said[rows],
        texts=[names[label] for label in said[rows].tolist()],
        folds=folds[rows],
        entries=[str(row) for row in rows.tolist()],
        receipts=[""] * len(rows),
    )


def _measure(
    examples: Examples,
    vectors: npt.NDArray[np.float32],
    truth: npt.NDArray[np.int32],
    said: npt.NDArray[np.int32],
    names: Sequence[str],
    settings: StudentSettings,
) -> dict[str, Any]:
    """Figures of one run; right is what gives the true intent."""
    student = fit_student(examples, settings.student)
    numbers = np.array([names.index(text) for text in student.answers], dtype=np.int32)
    teacher = Teacher(
        cost_usd=settings.teacher_cost_usd, right=said == truth, route=RouteConfig(loss_usd=settings.loss_usd)
    )
    return measure_student(student, vectors, truth[:, None] == numbers[None, :], teacher)


def _summarise(runs: Sequence[dict[str, Any]], held: int) -> dict[str, Any]:
    """Means over the seeds; of each the 95 % interval for one set of held-out questions, and the range of the seeds."""
    answered = sum(run["coverage"]["count"] for run in runs) / len(runs)
    rules = {name: _join([run["accuracy"][name]["share"] for run in runs], held) for name in runs[0]["accuracy"]}
    return {
        "answers": sum(run["answers"] for run in runs) / len(runs),
        "accuracy": rules,
        "coverage": _join([run["coverage"]["share"] for run in runs], held),
        "answered_accuracy": _join([run["answered_accuracy"]["share"] for run in runs], round(answered)),
        "mean_probability": _mean([run["mean_probability"] for run in runs]),
        "calibration_error": _mean([run["calibration_error"] for run in runs]),
        "teacher_utility": _mean([run["utility"]["teacher"] for run in runs]),
        "utility": _mean([run["utility"]["student"] for run in runs]),
        "gain": _mean([run["utility"]["gain"] for run in runs]),
        "gain_interval": tuple(_mean([run["utility"]["gain_interval"][end] for run in runs]) for end in (0, 1)),
    }


def _join(shares: Sequence[float | None], count: int) -> dict[str, Any]:
    known = [share for share in shares if share is not None]
    mean = _mean(known)
    return {
        "share": mean,
        "interval": None if mean is None else wilson_interval(round(mean * count), count),
        "seeds": (min(known), max(known)) if known else None,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
