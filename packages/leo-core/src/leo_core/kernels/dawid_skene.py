"""How often each of several answerers is right, learned from their agreement alone: the one-coin model.

Answerer j is right with probability p_j, and else picks one of the other K - 1 answers at random (A. Dawid and
A. Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied Statistics 28,
1979, with one parameter an answerer). A Beta prior keeps p_j away from 0 and 1. A majority that colludes is
believed: anchor the outcome with audited answers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from leo_core.kernels._compile import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["Accuracies", "fit_accuracies", "learn_item"]


class Accuracies(NamedTuple):
    """What was learned of m answerers from n items.

    Attributes:
        accuracy: P(right) of each answerer, in (0, 1), shape (m,).
        posterior: P(this answer is right) of each answer, in [0, 1], shape (n, m); 0 where there is none.
        iterations: EM steps taken.
        converged: Whether no accuracy moved by more than the tolerance in the last step.
    """

    accuracy: Floats
    posterior: Floats
    iterations: int
    converged: bool


@kernel
def _weigh(answers: Integers, choices: int, odds: Floats, votes: Floats, posterior: Floats) -> None:
    """Write into ``posterior`` (m,) how probable each of the ``answers`` (m,) to one item is; -1 is no answer.

    ``odds``: ln p_j/(1 - p_j), shape (m,). ``votes``: room for m figures.
    """
    count = answers.shape[0]
    guesses = math.log(choices - 1.0)
    best = 0.0
    for first in range(count):
        if answers[first] < 0:
            continue
        votes[first] = 0.0
        for other in range(count):
            if answers[other] == answers[first]:
                votes[first] += odds[other] + guesses
        best = max(best, votes[first])
    named = 0
    total = 0.0
    for first in range(count):
        posterior[first] = 0.0
        if answers[first] < 0:
            continue
        leader = 0
        while answers[leader] != answers[first]:
            leader += 1
        if leader == first:
            posterior[first] = math.exp(votes[first] - best)
            named += 1
            total += posterior[first]
        else:
            posterior[first] = posterior[leader]
    total += max(0, choices - named) * math.exp(-best)  # answers that nobody gave
    for first in range(count):
        posterior[first] /= total


@kernel
def fit_accuracies(
    answers: Integers, choices: Integers, right: float, wrong: float, tolerance: float, max_iterations: int
) -> Accuracies:
    """Accuracies of m answerers and posteriors of their answers to n items, by expectation maximisation.

    Args:
        answers: Class of each answer, int64 (n, m); -1 where there is none. Only equality inside a row counts.
        choices: Possible answers to each item, ≥ 2 and at least as many as were given, int64 (n,).
        right: Pseudo-count of right answers of the Beta prior, > 0.
        wrong: Pseudo-count of wrong answers, > 0.
        tolerance: Stop when no accuracy moves by more than this.
        max_iterations: Where to stop in any case, ≥ 1.
    """
    items, members = answers.shape
    accuracy = np.full(members, right / (right + wrong))
    posterior = np.zeros((items, members))
    votes = np.empty(members)
    given = np.zeros(members)
    for item in range(items):
        for member in range(members):
            given[member] += answers[item, member] >= 0
    iterations = 0
    moved = math.inf
    while moved > tolerance and iterations < max_iterations:
        credit = np.full(members, right)
        odds = np.log(accuracy / (1.0 - accuracy))
        for item in range(items):
            _weigh(answers[item], choices[item], odds, votes, posterior[item])
            for member in range(members):
                credit[member] += posterior[item, member]
        moved = 0.0
        for member in range(members):
            fresh = credit[member] / (given[member] + right + wrong)
            moved = max(moved, abs(fresh - accuracy[member]))
            accuracy[member] = fresh
        iterations += 1
    return Accuracies(accuracy, posterior, iterations, moved <= tolerance)


@kernel
def learn_item(answers: Integers, choices: int, right: Floats, wrong: Floats, forgetting: float) -> Floats:
    """Learn from one item as it passes: posterior (m,) of its answers under what was known before.

    Args:
        answers: Class of each answer, int64 (m,); -1 where there is none.
        choices: Possible answers, ≥ 2 and at least as many as were given.
        right: Counts of right answers so far, > 0, float64 (m,); changed in place.
        wrong: Counts of wrong answers so far, > 0, float64 (m,); changed in place.
        forgetting: Factor of the old counts of those who answered, in (0, 1].
    """
    posterior = np.empty(answers.shape[0])
    _weigh(answers, choices, np.log(right / wrong), np.empty(answers.shape[0]), posterior)
    for member in range(answers.shape[0]):
        if answers[member] >= 0:
            right[member] = forgetting * right[member] + posterior[member]
            wrong[member] = forgetting * wrong[member] + 1.0 - posterior[member]
    return posterior
