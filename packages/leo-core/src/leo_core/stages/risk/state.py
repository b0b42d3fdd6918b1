"""What was observed: of the small model, a discounted Beta record per region; outcomes by likeness; audits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from leo_core.records import Route
from leo_core.stages.risk.acceptance import AcceptanceState, update_acceptance
from leo_core.stages.risk.experience import Experience, Seen
from leo_core.stages.risk.likeness import read_features, spreads
from leo_core.stages.risk.linear import sigmoid
from leo_core.stages.risk.shipped import shipped_linear
from leo_core.stages.risk.similar_answers import RIDGE, answer_spreads, place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json, Observation
    from leo_core.stages.risk.config import RiskConfig

__all__ = ["RegionRecord", "RiskState", "update_risk"]


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
class RiskState:
    """What is known of errors: the fold of the ``"route"`` observations.

    Attributes:
        regions: Record per region.
        experience: Outcomes by embedding and features, where observations carried vectors.
        answers: The same of the small model's answers, by what they show.
        acceptance: What audits say of the risk of answers.
    """

    regions: Mapping[int, RegionRecord] = field(default_factory=lambda: MappingProxyType({}))
    experience: Experience = field(default_factory=Experience.fresh)
    answers: Experience = field(default_factory=Experience.fresh)
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
    (P(wrong) as it stood before, default the base rate). With a ``vector`` (the embedding) and ``features`` (by name),
    the outcome of the small model, and of the large one (``large_right``, or ``right`` when ``route`` is ``"large"``),
    is remembered by likeness too. With an ``answer`` (of the small model, as ``describe_answer`` tells it) the outcome
    of that answer is remembered, ``small_right``, or ``right`` where that is not known.
    """
    body = observation.body
    if observation.kind != "route":
        return state
    acceptance = update_acceptance(state.acceptance, body, config)
    if acceptance is not state.acceptance:
        state = replace(state, acceptance=acceptance)
    weight = float(body.get("weight", 1.0))
    if not weight > 0.0:
        return state
    small, large = _read_outcomes(body)
    if body.get("vector") is not None and (small is not None or large is not None):
        state = replace(state, experience=state.experience.learn(_read_seen(body, small, large, weight), spreads()))
    if body.get("vector") is not None and (answer := _read_answer(body, small, large, weight)) is not None:
        state = replace(state, answers=state.answers.learn(answer, answer_spreads(), RIDGE))
    if small is None:
        return state
    predicted = _clip(float(body.get("predicted", sigmoid(shipped_linear("request", "small_wrong").base))))
    region = int(body.get("region", -1))
    record = _counted(
        state.regions.get(region, RegionRecord()),
        right=small,
        weight=weight,
        predicted=predicted,
        forgetting=config.forgetting,
    )
    return replace(state, regions=MappingProxyType({**state.regions, region: record}))


def _read_outcomes(body: Mapping[str, Json]) -> tuple[bool | None, bool | None]:
    """Whether the small and the large model were right, each where it is known."""
    found = []
    for name, route in (("small_right", Route.SMALL), ("large_right", Route.LARGE)):
        right = body.get(name)
        if right is None and body.get("route") == route:
            right = body.get("right")
        found.append(None if right is None else bool(right))
    return found[0], found[1]


def _read_seen(body: Mapping[str, Json], small: bool | None, large: bool | None, weight: float) -> Seen:  # noqa: FBT001 - outcomes, not switches
    return Seen(
        vector=np.asarray(body["vector"], dtype=np.float32),
        features=read_features(body.get("features") or {}),
        small_wrong=None if small is None else float(not small),
        large_wrong=None if large is None else float(not large),
        weight=weight,
    )


def _read_answer(body: Mapping[str, Json], small: bool | None, large: bool | None, weight: float) -> Seen | None:  # noqa: FBT001 - outcomes, not switches
    """The outcome of the small model's answer; ``None`` where there is none."""
    right = body.get("right") if small is None else small
    if body.get("answer") is None or right is None:
        return None
    vector, features = place(body["answer"], np.asarray(body["vector"], dtype=np.float32))
    return Seen(
        vector=vector,
        features=features,
        small_wrong=float(not right),
        large_wrong=None if large is None else float(not large),
        weight=weight,
    )


def _counted(record: RegionRecord, *, right: bool, weight: float, predicted: float, forgetting: float) -> RegionRecord:
    return RegionRecord(
        right=forgetting * record.right + (weight if right else 0.0),
        wrong=forgetting * record.wrong + (0.0 if right else weight),
        expected=forgetting * record.expected + weight * predicted,
    )


def _clip(probability: float) -> float:
    return min(max(probability, 1e-4), 1.0 - 1e-4)
