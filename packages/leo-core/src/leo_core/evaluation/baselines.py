"""What simple rules get from the same recorded answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.evaluation.datasets import RecordedQuestion

__all__ = ["Baseline", "always", "best_single", "majority"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A rule without LEO.

    Attributes:
        name: Its name in the table.
        correct: Number of questions it got right.
        total: Number of questions.
        cost_usd: Its mean cost per question; ``None`` when a price is unknown.
        note: What has to be known about it.
    """

    name: str
    correct: int
    total: int
    cost_usd: float | None
    note: str = ""


def always(name: str, model: str, questions: Sequence[RecordedQuestion], cost: Mapping[str, float | None]) -> Baseline:
    """One model answers everything; ``cost`` is the mean cost per question of each model."""
    right = sum(question.correct[model] for question in questions)
    return Baseline(name=name, correct=right, total=len(questions), cost_usd=cost[model], note=model)


def best_single(
    models: Sequence[str], questions: Sequence[RecordedQuestion], cost: Mapping[str, float | None]
) -> Baseline:
    """The member with the most right answers, chosen with hindsight."""
    best = max(models, key=lambda model: sum(question.correct[model] for question in questions))
    found = always("best single", best, questions, cost)
    return Baseline(
        name=found.name,
        correct=found.correct,
        total=found.total,
        cost_usd=found.cost_usd,
        note=f"{best}, chosen with hindsight",
    )


def majority(
    models: Sequence[str], questions: Sequence[RecordedQuestion], cost: Mapping[str, float | None]
) -> Baseline:
    """Every juror is asked, the most frequent final answer wins; ties go to the juror named first."""
    right = 0
    for question in questions:
        counts = Counter(question.final[model] for model in models)
        most = max(counts.values())
        winner = next(model for model in models if counts[question.final[model]] == most)
        right += question.correct[winner]
    costs = [cost[model] for model in models]
    known = [value for value in costs if value is not None]
    total_cost = sum(known) if len(known) == len(costs) else None
    return Baseline(
        name="plain majority", correct=right, total=len(questions), cost_usd=total_cost, note=", ".join(models)
    )
