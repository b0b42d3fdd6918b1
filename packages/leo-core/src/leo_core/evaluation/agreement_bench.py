"""Cheap models first, the strong one only where they disagree: recorded answers, accuracy and cost.

The cheap models are always asked. Where all of them give the same answer, as the consensus stage sorts answers, it is
served; otherwise the strong model is asked and decides. Questions that shipped models were trained on are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.committees import read_recording
from leo_core.evaluation.datasets import is_held_out, read_questions
from leo_core.providers.replay import Recording
from leo_core.records import Message, Request
from leo_core.telemetry.prices import load_prices

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["run_agreement"]

_DRAWS = 1000


def run_agreement(path: Path, weak: Sequence[str], strong: str, *, limit: int | None = None) -> dict[str, Any]:
    """Play the rule on every held-out question.

    Args:
        path: Recorded answers.
        weak: The cheap models; at least two.
        strong: The strong model.
        limit: Most questions that are read.

    Returns:
        ``rules``: the cascade, the strong model and each cheap one, with ``accuracy``, its difference to the strong
        model's, both with 95 % intervals (bootstrap over questions, paired), and ``cost_per_question_usd`` at the
        prices of the shipped table; ``agreed``: share of the questions on which the cheap models agree, and on these
        the accuracy of what they say, ``agreed_right``, and of the strong model, ``agreed_strong_right``; ``prices``:
        model, price of a million tokens of input and output, and the date of the price.

    Raises:
        ConfigError: Fewer than two cheap models, a model without recorded answers, or no held-out question.
    """
    recording = read_recording(path, limit=limit)
    names = [*weak, strong]
    missing = [name for name in names if name not in recording.models]
    if missing or len(set(weak)) < 2 or strong in weak:  # noqa: PLR2004 - one agrees with itself
        message = f"name two or more cheap models and another strong one, of: {', '.join(recording.models)}"
        raise ConfigError(message)
    held = np.array([is_held_out(question) for question in recording.questions])
    if not held.any():
        message = f"{recording.name} holds no question that the shipped models were not trained on"
        raise ConfigError(message)
    kept = [question for question, keep in zip(recording.questions, held.tolist(), strict=True) if keep]
    right = _read_grades(path, kept, names)
    cost = _read_costs(path, kept, names)
    columns = [recording.models.index(name) for name in weak]
    classes = recording.classes[held][:, columns]
    agreed = (classes == classes[:, :1]).all(axis=1) & (classes[:, 0] >= 0)
    cheap, last = cost[:, :-1].sum(axis=1), len(weak)
    rules = {
        "agreement cascade": (
            np.where(agreed, right[:, 0], right[:, last]),
            cheap + np.where(agreed, 0.0, cost[:, last]),
        ),
        **{name: (right[:, at], cost[:, at]) for at, name in enumerate(names)},
    }
    table = load_prices()
    return {
        "benchmark": "agreement",
        "data": recording.name,
        "questions": len(kept),
        "weak": list(weak),
        "strong": strong,
        "agreed": float(agreed.mean()),
        "agreed_right": _mean(right[agreed, 0]),
        "agreed_strong_right": _mean(right[agreed, last]),
        "rules": [_describe(name, *rule, strong=right[:, last]) for name, rule in rules.items()],
        "prices": [
            {"model": name, "input": price.input, "output": price.output, "as_of": str(price.as_of)}
            for name in names
            if (price := table.find(name)) is not None
        ],
    }


def _read_grades(path: Path, kept: Sequence[str], names: Sequence[str]) -> Floats:
    """Whether each recorded answer is right, (n, m)."""
    graded = {row.question: row.correct for row in read_questions(path)}
    return np.array([[float(graded[question][name]) for name in names] for question in kept])


def _read_costs(path: Path, kept: Sequence[str], names: Sequence[str]) -> Floats:
    """What each recorded answer costs, in US dollars, (n, m); NaN where a price is unknown."""
    source = Recording(path)
    models = [source.model(name) for name in names]
    requests = [Request(messages=(Message(role="user", content=question),)) for question in kept]
    return np.array(
        [[model.generate(request).usage.cost_usd for model in models] for request in requests], dtype=np.float64
    )


def _describe(name: str, right: Floats, cost: Floats, *, strong: Floats) -> dict[str, Any]:
    draws = np.random.default_rng(0).integers(0, len(right), (_DRAWS, len(right)))
    spent = float(cost.mean())
    return {
        "name": name,
        "accuracy": float(right.mean()),
        "accuracy_interval": _ends(right[draws].mean(axis=1)),
        "over_strong": float((right - strong).mean()),
        "over_strong_interval": _ends((right - strong)[draws].mean(axis=1)),
        "cost_per_question_usd": None if np.isnan(spent) else spent,
    }


def _ends(values: Floats) -> list[float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return [float(low), float(high)]


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None
