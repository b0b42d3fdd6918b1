"""Trust: how often a member's answers are right, learned from audits and feedback only.

Per member, everywhere and in each region, two discounted counts: right answers S and wrong answers F. With forgetting
λ and an observation of weight w and agreement y (sigma),

    receipt valid:    S' = λ S + w y,     F' = λ F + w (1 - y)
    receipt invalid:  S' = λ S,           F' = max(F, λ F + w)

Everywhere, the posterior is Beta(a + S, b + F) with the prior Beta(a, b). In a region, it is
Beta(s m + S_r, s (1 - m) + F_r), where m is the mean everywhere and s the strength with which a region shrinks to it.
S' grows and F' falls with y and with validity, and the mean grows with S and falls with F: so the update is monotone in
both whatever came before, and an invalid receipt, which never lowers F and never raises S, never raises trust.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from leo_core.errors import RequestError
from leo_core.records import TrustEstimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json, Observation
    from leo_core.stages.consensus.config import ConsensusConfig

__all__ = ["TrustState", "estimate", "update_trust"]

EVERYWHERE = -1
"""Region of the counts over all requests; also the region of a request that has none."""


@dataclass(frozen=True, slots=True)
class TrustState:
    """Discounted counts (right, wrong) per member and region; region -1 holds those over all requests."""

    counts: Mapping[tuple[str, int], tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def fresh(cls) -> TrustState:
        """Nothing learned yet."""
        return cls()

    def to_bytes(self) -> bytes:
        """The state as JSON, the same bytes for the same state."""
        rows = sorted([member, region, *counts] for (member, region), counts in self.counts.items())
        return json.dumps(rows, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, blob: bytes) -> TrustState:
        """The state that :meth:`to_bytes` wrote.

        Raises:
            RequestError: These are not such bytes.
        """
        try:
            rows = json.loads(blob)
            counts = {(str(row[0]), int(row[1])): (float(row[2]), float(row[3])) for row in rows}
        except (ValueError, TypeError, LookupError) as error:
            message = "these bytes are no trust state"
            raise RequestError(message) from error
        return cls(MappingProxyType(counts))


def estimate(state: TrustState, member: str, region: int, config: ConsensusConfig) -> TrustEstimate:
    """Posterior of P(a member's answer is right) in a region; -1 asks for the one over all requests."""
    right, wrong = state.counts.get((member, EVERYWHERE), (0.0, 0.0))
    everywhere = TrustEstimate(member=member, alpha=config.prior_right + right, beta=config.prior_wrong + wrong)
    if region < 0:
        return everywhere
    right, wrong = state.counts.get((member, region), (0.0, 0.0))
    share = everywhere.mean
    return TrustEstimate(
        member=member,
        alpha=config.region_strength * share + right,
        beta=config.region_strength * (1 - share) + wrong,
    )


def update_trust(state: TrustState, observation: Observation, config: ConsensusConfig) -> TrustState:
    """The state after an observation.

    Kind ``"trust"``: body ``{"member", "region", "agreement", "valid", "weight"}`` (weight 1 when it is missing).
    Kind ``"feedback"``: body ``{"members", "region", "wrong"}``; without ``members`` it says nothing about trust.
    Other kinds change nothing.

    Raises:
        RequestError: A body does not say what its kind has to say, or a figure is out of its range.
    """
    body = observation.body
    if observation.kind == "trust" and "strategies" in body:
        return state
    if observation.kind == "trust":
        weight = _read_share(body, "weight") if "weight" in body else 1.0
        outcome = _Outcome(
            agreement=_read_share(body, "agreement"),
            weight=weight,
            valid=_read(body, "valid", bool),
            fade=config.forgetting,
        )
        return _learn(state, [_read(body, "member", str)], body, outcome)
    if observation.kind == "feedback" and body.get("members"):
        agreement = 0.0 if _read(body, "wrong", bool) else 1.0
        outcome = _Outcome(agreement=agreement, weight=config.feedback_weight, valid=True, fade=config.forgetting)
        return _learn(state, [str(member) for member in _read(body, "members", list | tuple)], body, outcome)
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What was observed of an answer: y, w, whether the receipt is valid, and λ."""

    agreement: float
    weight: float
    valid: bool
    fade: float

    def count(self, right: float, wrong: float) -> tuple[float, float]:
        """The counts after it; the equations are at the head of this file."""
        kept_right, kept_wrong = self.fade * right, self.fade * wrong
        if not self.valid:
            return kept_right, max(wrong, kept_wrong + self.weight)
        return kept_right + self.weight * self.agreement, kept_wrong + self.weight * (1 - self.agreement)


def _learn(state: TrustState, members: list[str], body: Mapping[str, Json], outcome: _Outcome) -> TrustState:
    """Count the same outcome for each member, once each, everywhere and in the region."""
    region = _read(body, "region", int) if "region" in body else EVERYWHERE
    counts = dict(state.counts)
    for member in dict.fromkeys(members):
        for place in {EVERYWHERE, max(region, EVERYWHERE)}:
            counts[member, place] = outcome.count(*counts.get((member, place), (0.0, 0.0)))
    return TrustState(MappingProxyType(counts))


def _read(body: Mapping[str, Json], name: str, kind: type | object) -> Json:
    value = body.get(name)
    if not isinstance(value, kind):  # type: ignore[arg-type]  # a union is a kind too, whatever its type is called
        message = f"the observation's {name!r} is {value!r}"
        raise RequestError(message)
    return value


def _read_share(body: Mapping[str, Json], name: str) -> float:
    value = float(_read(body, name, int | float))
    if not (math.isfinite(value) and 0 <= value <= 1):
        message = f"the observation's {name!r} is {value!r}; it must be in [0, 1]"
        raise RequestError(message)
    return value
