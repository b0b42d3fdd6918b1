"""The one-coin model by its definition: probabilities of every possible answer, multiplied out."""

from __future__ import annotations

import math


def weigh(answers: list[int], choices: int, accuracy: list[float]) -> list[float]:
    """P(right) of each answer to one item."""
    possible = sorted({answer for answer in answers if answer >= 0})
    likelihood = {}
    for truth in [*possible, *(f"unnamed {n}" for n in range(choices - len(possible)))]:
        likelihood[truth] = math.prod(
            p if answer == truth else (1 - p) / (choices - 1)
            for answer, p in zip(answers, accuracy, strict=True)
            if answer >= 0
        )
    total = sum(likelihood.values())
    return [likelihood[answer] / total if answer >= 0 else 0.0 for answer in answers]


def fit(
    rows: list[list[int]], choices: list[int], right: float, wrong: float, steps: int
) -> tuple[list[float], list[list[float]]]:
    """Accuracies and posteriors after so many EM steps."""
    members = range(len(rows[0]))
    accuracy = [right / (right + wrong) for _ in members]
    posterior: list[list[float]] = []
    for _ in range(steps):
        posterior = [weigh(row, count, accuracy) for row, count in zip(rows, choices, strict=True)]
        accuracy = [
            (right + sum(row[m] for row in posterior)) / (right + wrong + sum(row[m] >= 0 for row in rows))
            for m in members
        ]
    return accuracy, posterior
