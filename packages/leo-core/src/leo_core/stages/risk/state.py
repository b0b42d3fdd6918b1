"""What was observed: of the small model, a discounted Beta record per region and a correction; of answers, audits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from leo_core.records import Route
from leo_core.stages.risk.acceptance import AcceptanceState, update_acceptance
from leo_core.stages.risk.linear import logit, sigmoid
from leo_core.stages.risk.shipped import shipped_linear

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from leo_core.records import Observation
    from leo_core.stages.risk.config import RiskConfig

__all__ = ["Correction", "RegionRecord", "RiskState", "update_risk"]

_PRIOR_VARIANCE = 8.0
"""Prior variance of the correction along a unit vector, before any outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRecord:
    """Outcomes of the small model in a region, discounted; all are sums of weights.

    Attributes:
        right: Right answers.
        wrong: Wrong answers.
        expected: Wrong answers that were predicted for the same requests.
    """

    right: float = 0.0
    wrong: float = 0.0
    expected: float = 0.0

    @property
    def total(self) -> float:
        """Weight of all outcomes."""
        return self.right + self.wrong


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correction:
    """Logistic correction over the request's embedding: mean and variance per coordinate, shape ``(d,)`` each."""

    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]

    @classmethod
    def fresh(cls, dimension: int) -> Correction:
        """Nothing observed."""
        return cls(mean=np.zeros(dimension), variance=np.full(dimension, _PRIOR_VARIANCE))

    def shift(self, vector: npt.NDArray[np.float32]) -> tuple[float, float]:
        """Mean and variance of the correction of the log-odds at ``vector``."""
        wide = vector.astype(np.float64)
        return float(wide @ self.mean), float((wide * wide) @ self.variance)

    def learn(self, vector: npt.NDArray[np.float32], predicted: float, *, wrong: bool, weight: float) -> Correction:
        """One outcome: an extended Kalman step with a diagonal covariance (assumed-density filtering).

        ``predicted`` is P(wrong) with the correction in it.
        """
        wide = vector.astype(np.float64)
        gain = self.variance * wide
        information = weight * predicted * (1.0 - predicted)
        scale = 1.0 + information * float(wide @ gain)
        step = weight * ((1.0 if wrong else 0.0) - predicted) / scale
        return Correction(mean=self.mean + gain * step, variance=self.variance - information * gain * gain / scale)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskState:
    """What is known of errors: the fold of the ``"route"`` observations.

    Attributes:
        regions: Record per region.
        correction: Correction over the embedding; ``None`` until an observation carried a vector.
        acceptance: What audits say of the risk of answers.
    """

    regions: Mapping[int, RegionRecord] = field(default_factory=lambda: MappingProxyType({}))
    correction: Correction | None = None
    acceptance: AcceptanceState = field(default_factory=AcceptanceState.fresh)

    @classmethod
    def fresh(cls) -> RiskState:
        """Nothing observed."""
        return cls()


def update_risk(state: RiskState, observation: Observation, config: RiskConfig) -> RiskState:
    """Fold an outcome; returns a new state, or the same one when the observation says nothing of risks.

    The acceptance of answers is folded by :func:`update_acceptance`. Of the small model, it reads the body of a
    ``"route"`` observation: ``small_right`` (bool, where the small model's own answer was judged, on any route), else
    ``right`` when ``route`` is ``"small"``; ``region`` (int); ``weight`` (importance, default 1); ``predicted``
    (P(wrong) as it stood before, default the base rate); ``vector`` (the embedding, optional).
    """
    body = observation.body
    if observation.kind != "route":
        return state
    acceptance = update_acceptance(state.acceptance, body, config)
    if acceptance is not state.acceptance:
        state = replace(state, acceptance=acceptance)
    right = body.get("small_right")
    if right is None and body.get("route") == Route.SMALL:
        right = body.get("right")
    weight = float(body.get("weight", 1.0))
    if right is None or not weight > 0.0:
        return state
    predicted = _clip(float(body.get("predicted", sigmoid(shipped_linear("request", "small_wrong").base))))
    region = int(body.get("region", -1))
    record = _counted(
        state.regions.get(region, RegionRecord()),
        right=bool(right),
        weight=weight,
        predicted=predicted,
        forgetting=config.forgetting,
    )
    corrected = state.correction
    if body.get("vector") is not None:
        vector = np.asarray(body["vector"], dtype=np.float32)
        known = (
            corrected
            if corrected is not None and corrected.mean.shape == vector.shape
            else Correction.fresh(len(vector))
        )
        corrected = known.learn(
            vector, sigmoid(logit(predicted) + known.shift(vector)[0]), wrong=not right, weight=weight
        )
    return replace(state, regions=MappingProxyType({**state.regions, region: record}), correction=corrected)


def _counted(record: RegionRecord, *, right: bool, weight: float, predicted: float, forgetting: float) -> RegionRecord:
    return RegionRecord(
        right=forgetting * record.right + (weight if right else 0.0),
        wrong=forgetting * record.wrong + (0.0 if right else weight),
        expected=forgetting * record.expected + weight * predicted,
    )


def _clip(probability: float) -> float:
    return min(max(probability, 1e-4), 1.0 - 1e-4)
