"""P(same answer) of the best candidate, learned online from every explored outcome of a tenant.

One model for all entries: a Bayesian logistic regression with a Gaussian posterior, updated by one Newton step per
outcome (the extended Kalman filter of logistic regression; Murphy 2012, *Machine Learning*, §18.5.3). Its output
chooses what may be served and how often that is explored; it is never trusted: the promise rests on
:mod:`leo_core.stages.cache.evidence` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, pi, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FEATURES", "Correctness", "read_features"]

FEATURES = ("one", "cosine", "margin", "votes_wide", "votes_narrow", "kin", "pair", "record")
"""What the model looks at, in order; see :func:`read_features`."""

_WIDE, _NARROW = 20.0, 50.0
_MOST_LOGIT = 5.0
_MEAN = (-6.0, 3.0, 6.0, 0.4, 0.4, 0.2, 0.4, -3.0)
_VARIANCE = (9.0, 9.0, 36.0, 1.0, 1.0, 1.0, 0.25, 4.0)
_LEAST_INFORMATION = 1e-3


def read_features(
    own: Sequence[float], others: Sequence[float], *, probability: float, record: tuple[int, int]
) -> tuple[float, ...]:
    """The feature vector of a candidate answer, in the order of :data:`FEATURES`.

    Args:
        own: Cosines of the near questions that lead to this answer, best first, at least one.
        others: Those of the near questions that lead to other answers, best first.
        probability: P(same answer) of the pair by the shipped model, in [0, 1].
        record: (outcomes, "different" ones) of the entry.

    Returns:
        1; the best cosine; its distance to the best of ``others`` (to 0 without any); log-odds of this answer's share
        of the votes, weighted by e^(20·cosine) and by e^(50·cosine), clipped to ±5; log of the number of ``own``;
        log-odds of ``probability``, clipped likewise; share of "different" outcomes, shrunk.
    """
    rival = others[0] if others else 0.0
    outcomes, different = record
    return (
        1.0,
        own[0],
        own[0] - rival,
        _vote(own, others, _WIDE),
        _vote(own, others, _NARROW),
        log(len(own)),
        _logit(probability),
        different / (outcomes + 3.0),
    )


def _vote(own: Sequence[float], others: Sequence[float], sharpness: float) -> float:
    top = max(own[0], others[0]) if others else own[0]
    mine = sum([exp(sharpness * (each - top)) for each in own])
    theirs = sum([exp(sharpness * (each - top)) for each in others])
    return _logit(mine / (mine + theirs))


def _logit(probability: float) -> float:
    if probability <= 0.0 or probability >= 1.0:
        return _MOST_LOGIT if probability >= 1.0 else -_MOST_LOGIT
    return min(max(log(probability / (1.0 - probability)), -_MOST_LOGIT), _MOST_LOGIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correctness:
    """The posterior of the model.

    Attributes:
        mean: Weights, one per feature.
        covariance: Of the weights, row by row.
        outcomes: Outcomes learned from.
    """

    mean: tuple[float, ...] = _MEAN
    covariance: tuple[tuple[float, ...], ...] = tuple(
        tuple(value if row == column else 0.0 for column in range(len(_VARIANCE)))
        for row, value in enumerate(_VARIANCE)
    )
    outcomes: int = 0

    def probability_wrong(self, features: Sequence[float]) -> float:
        """P(another answer), averaged over the posterior (MacKay 1992), in (0, 1)."""
        spread = self._spread(features)
        variance = sum([one * two for one, two in zip(features, spread, strict=True)])
        return _sigmoid(-self._height(features) / sqrt(1.0 + pi * max(variance, 0.0) / 8.0))

    def learn(self, features: Sequence[float], *, same: bool, weight: float = 1.0) -> Correctness:
        """The posterior after one more outcome, counted ``weight`` times."""
        predicted = _sigmoid(self._height(features))
        information = max(predicted * (1.0 - predicted), _LEAST_INFORMATION) * weight
        spread = self._spread(features)
        variance = sum([one * two for one, two in zip(features, spread, strict=True)])
        shrink = 1.0 / (1.0 / information + variance)
        # The covariance after the outcome, applied to the features, is spread / (1 + information * variance).
        step = (float(same) - predicted) * weight / (1.0 + information * variance)
        return Correctness(
            mean=tuple([weight_ + step * each for weight_, each in zip(self.mean, spread, strict=True)]),
            covariance=tuple(
                [
                    tuple([value - shrink * one * two for value, two in zip(row, spread, strict=True)])
                    for row, one in zip(self.covariance, spread, strict=True)
                ]
            ),
            outcomes=self.outcomes + 1,
        )

    def _height(self, features: Sequence[float]) -> float:
        return sum([one * two for one, two in zip(self.mean, features, strict=True)])

    def _spread(self, features: Sequence[float]) -> list[float]:
        """The covariance times the features."""
        return [sum([one * two for one, two in zip(row, features, strict=True)]) for row in self.covariance]


def _sigmoid(height: float) -> float:
    return 1.0 / (1.0 + exp(-min(max(height, -30.0), 30.0)))
