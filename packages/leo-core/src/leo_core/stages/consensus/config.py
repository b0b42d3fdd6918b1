"""Settings of the committee."""

from __future__ import annotations

import math
from collections.abc import Mapping  # noqa: TC003 - the adapters' models are built from these fields
from dataclasses import dataclass, field
from typing import Literal

from leo_core.errors import ConfigError

__all__ = ["ConsensusConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusConfig:
    """How answers are counted and how trust is learned.

    Attributes:
        confidence: Posterior that a winner needs when the caller asks for none, in [0, 1]. Two against one have 0.762
            where nothing is known of the members.
        alternatives: How many wrong answers a member that errs is presumed to choose from, at least 1 (``tally``).
        family_share: What the second member of a family counts beside the first, the third beside the second, and
            so on, in [0, 1): a whole family weighs at most 1 / (1 - family_share) times its best member.
        trust_floor: Trust never counts as less than this in a vote.
        trust_ceiling: Nor as more than this.
        prior_right: Right answers that a new member is credited with.
        prior_wrong: Wrong answers that a new member is charged with. The prior mean is 0.8 with the defaults.
        presumed: P(right) that is presumed of members before any outcome, by id, each in (0, 1).
        presume_by_price: Whether ``LEO`` presumes of members that ``presumed`` does not name that the dearer ones are
            right more often (``presumption``).
        presumed_weight: How many outcomes such a presumption is worth, at least 0; 0 presumes nothing.
        forgetting: Factor on what was learned with every new observation of a member, in (0, 1].
        region_strength: How many observations in a region weigh as much as the member's record everywhere.
        strategy_evidence: How far another strategy has to be ahead of the vote by trust, on audited outcomes, to be
            followed in its place (``strategies``), at least 0.
        early_stop: Posterior from which no further member of a jury is asked, in (0, 1]: members are then asked one
            after the other, the cheapest first; ``None`` asks all at once (``early_stop``).
        audit_ahead: Requests whose share of audits may be drawn ahead (``audit``), at least 0.
        feedback_weight: Weight of a caller's feedback, where an audit weighs 1.
        kappa: Distance between unit vectors from which the coherence problem counts linearly, in (0, 2].
        outlier_cutoff: Robust standard deviations beyond which a draft's distance makes it an outlier.
        on_abstain: What a request gets when the committee abstains: the ``answer`` that looks least wrong, marked as
            abstained on and never kept, or an error (``raise``).
    """

    confidence: float = 0.75
    alternatives: int = 1
    family_share: float = 0.25
    trust_floor: float = 0.02
    trust_ceiling: float = 0.98
    prior_right: float = 1.0
    prior_wrong: float = 0.25
    presumed: Mapping[str, float] = field(default_factory=dict)
    presume_by_price: bool = True
    presumed_weight: float = 4.0
    forgetting: float = 0.995
    region_strength: float = 20.0
    strategy_evidence: float = 1.0
    audit_ahead: int = 500
    early_stop: float | None = None
    feedback_weight: float = 0.5
    kappa: float = 0.5
    outlier_cutoff: float = 3.5
    on_abstain: Literal["answer", "raise"] = "answer"

    def __post_init__(self) -> None:
        if self.on_abstain not in ("answer", "raise"):
            message = f"consensus.on_abstain is {self.on_abstain!r}; it must be 'answer' or 'raise'"
            raise ConfigError(message)
        _check("confidence", self.confidence, 0 <= self.confidence <= 1, "in [0, 1]")
        _check("alternatives", self.alternatives, self.alternatives >= 1, "at least 1")
        _check("family_share", self.family_share, 0 <= self.family_share < 1, "in [0, 1)")
        _check(
            "trust_floor", self.trust_floor, 0 < self.trust_floor < self.trust_ceiling, "above 0 and below the ceiling"
        )
        _check("trust_ceiling", self.trust_ceiling, self.trust_ceiling < 1, "below 1")
        _check("prior_right", self.prior_right, self.prior_right > 0, "above 0")
        _check("prior_wrong", self.prior_wrong, self.prior_wrong > 0, "above 0")
        for member, share in self.presumed.items():
            _check(f"presumed[{member!r}]", share, 0 < share < 1, "in (0, 1)")
        _check("presumed_weight", self.presumed_weight, self.presumed_weight >= 0, "at least 0")
        _check("forgetting", self.forgetting, 0 < self.forgetting <= 1, "in (0, 1]")
        _check("region_strength", self.region_strength, self.region_strength > 0, "above 0")
        _check("strategy_evidence", self.strategy_evidence, self.strategy_evidence >= 0, "at least 0")
        if self.early_stop is not None:
            _check("early_stop", self.early_stop, 0 < self.early_stop <= 1, "in (0, 1], or None")
        _check("audit_ahead", self.audit_ahead, self.audit_ahead >= 0, "at least 0")
        _check("feedback_weight", self.feedback_weight, 0 <= self.feedback_weight <= 1, "in [0, 1]")
        _check("kappa", self.kappa, 0 < self.kappa <= 2, "in (0, 2]")  # noqa: PLR2004 - the message says the same bound
        _check("outlier_cutoff", self.outlier_cutoff, self.outlier_cutoff > 0, "above 0")


def _check(name: str, value: float, holds: bool, demand: str) -> None:  # noqa: FBT001 - whether it holds, from the line that says what
    """Raise ``ConfigError`` unless the value is finite and ``holds``."""
    if not (holds and math.isfinite(value)):
        message = f"consensus.{name} is {value!r}; it must be {demand}"
        raise ConfigError(message)
