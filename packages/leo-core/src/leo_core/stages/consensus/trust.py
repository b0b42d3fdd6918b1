"""Trust: how often a member's answers are right, learned from audits and feedback only.

Per member, everywhere and in each region, two discounted counts: right answers S and wrong answers F. With forgetting
λ and an observation of weight w and agreement y (sigma),

    receipt valid:    S' = λ S + w y,     F' = λ F + w (1 - y)
    receipt invalid:  S' = λ S,           F' = max(F, λ F + w)

Everywhere, the posterior is Beta(a + S, b + F) with the prior Beta(a, b). In a region, it is
Beta(s m + S_r, s (1 - m) + F_r), where m is the mean everywhere and s the strength with which a region shrinks to it.
Audits are drawn more often where more can be learned (``audit``), so an outcome weighs the inverse of how likely it
was to be audited: then the mean is the share of all answers that are right. Beside that, every outcome counts once in a
record of its own, from which the votes of a divided committee are weighed (:func:`estimate_in_dispute`): there it
matters who is right where members disagree, and that is what is audited most.

Members answer alike or differently, and when that changes, the committee is on alarm and records are put to the test: a
member that audits since show to be another one, and a worse one, has only these in its record (``watch``).

In a vote a member may be presumed to be better or worse than others before any outcome (``ConsensusConfig.presumed``):
then its prior has ``presumed_weight`` outcomes more, of the presumed share.

S' grows and F' falls with y and with validity, and the mean grows with S and falls with F: so the update is monotone in
both whatever came before, and an invalid receipt, which never lowers F and never raises S, never raises trust.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from leo_core.errors import RequestError
from leo_core.records import Route, TrustEstimate
from leo_core.stages.consensus.watch import Watch, count_audit, lowers, watch_outcome, watch_votes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json, Observation
    from leo_core.stages.consensus.config import ConsensusConfig

__all__ = [
    "MOST_WEIGHT",
    "TrustState",
    "count_audits",
    "estimate",
    "estimate_in_dispute",
    "find_prior",
    "is_known",
    "update_trust",
]

EVERYWHERE = -1
"""Region of the counts over all requests; also the region of a request that has none."""
IN_DISPUTE = -2
"""Region of the counts in which every outcome weighs the same."""
MOST_WEIGHT = 10.0
"""Largest weight of an outcome."""


@dataclass(frozen=True, slots=True)
class TrustState:
    """Discounted counts (right, wrong) per member and region; regions -1 and -2 hold those over all requests.

    ``watch`` sees who agrees with whom.
    """

    counts: Mapping[tuple[str, int], tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))
    watch: Watch = field(default_factory=Watch)

    @classmethod
    def fresh(cls) -> TrustState:
        """Nothing learned yet."""
        return cls()


def estimate(
    state: TrustState, member: str, region: int, config: ConsensusConfig, *, presumed: bool = False
) -> TrustEstimate:
    """Posterior of P(a member's answer is right) in a region; -1 asks for the one over all requests.

    ``presumed`` tells whether it starts from what is presumed of the member, as it does in a vote.
    """
    return _estimate(state, member, region, config, EVERYWHERE, presumed=presumed)


def estimate_in_dispute(
    state: TrustState, member: str, region: int, config: ConsensusConfig, *, presumed: bool = False
) -> TrustEstimate:
    """As :func:`estimate`, of the answers that were audited: mostly those of divided committees."""
    return _estimate(state, member, region, config, IN_DISPUTE, presumed=presumed)


def is_known(state: TrustState, member: str) -> bool:
    """Whether audits or feedback have said anything about a member."""
    return (member, EVERYWHERE) in state.counts


def count_audits(state: TrustState, member: str) -> float:
    """How many outcomes are known of a member, discounted; audits weigh 1, feedback less. On alarm, only later ones."""
    known = sum(state.counts.get((member, IN_DISPUTE), (0.0, 0.0)))
    if not state.watch.ahead or state.watch.trial is None:
        return known
    return min(known, sum(state.watch.trial.get(member, (0.0, 0.0, 0.0, 0.0))[2:]))


def _estimate(
    state: TrustState, member: str, region: int, config: ConsensusConfig, base: int, *, presumed: bool
) -> TrustEstimate:
    right, wrong = state.counts.get((member, base), (0.0, 0.0))
    prior_right, prior_wrong = find_prior(member, config, presumed=presumed)
    everywhere = TrustEstimate(member=member, alpha=prior_right + right, beta=prior_wrong + wrong)
    if region < 0:
        return everywhere
    right, wrong = state.counts.get((member, region), (0.0, 0.0))
    share = everywhere.mean
    return TrustEstimate(
        member=member,
        alpha=config.region_strength * share + right,
        beta=config.region_strength * (1 - share) + wrong,
    )


def find_prior(member: str, config: ConsensusConfig, *, presumed: bool) -> tuple[float, float]:
    """Right and wrong answers that a member is credited with before any outcome."""
    share = config.presumed.get(member) if presumed else None
    if share is None:
        return config.prior_right, config.prior_wrong
    weight = config.presumed_weight
    return config.prior_right + weight * share, config.prior_wrong + weight * (1.0 - share)


def update_trust(state: TrustState, observation: Observation, config: ConsensusConfig) -> TrustState:
    """The state after an observation.

    Kind ``"trust"``: body ``{"member", "region", "agreement", "valid", "weight"}`` (weight 1 when it is missing).
    Kind ``"route"``: ``classes``, where a committee voted, is what each member answered (``watch``), and ``audited``
    counts an audit of a committee.
    Kind ``"feedback"``: body ``{"members", "region", "wrong"}``; without ``members`` it says nothing about trust.
    Other kinds change nothing.

    Raises:
        RequestError: A body does not say what its kind has to say, or a figure is out of its range.
    """
    body = observation.body
    if observation.kind == "trust" and "strategies" in body:
        return state
    if observation.kind == "route":
        return _watch(state, body)
    if observation.kind == "trust":
        weight = _read_share(body, "weight", MOST_WEIGHT) if "weight" in body else 1.0
        outcome = _Outcome(
            agreement=_read_share(body, "agreement"),
            weight=weight,
            valid=_read(body, "valid", bool),
            fade=config.forgetting,
        )
        member = _read(body, "member", str)
        return _try(_learn(state, [member], body, outcome), member, outcome, config)
    if observation.kind == "feedback" and body.get("members"):
        agreement = 0.0 if _read(body, "wrong", bool) else 1.0
        weight = config.feedback_weight
        outcome = _Outcome(agreement=agreement, weight=weight, valid=True, fade=config.forgetting, plain=weight)
        return _learn(state, [str(member) for member in _read(body, "members", list | tuple)], body, outcome)
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What was observed of an answer: y, w, whether the receipt is valid, λ, and w without importance."""

    agreement: float
    weight: float
    valid: bool
    fade: float
    plain: float = 1.0

    def count(self, right: float, wrong: float) -> tuple[float, float]:
        """The counts after it; the equations are at the head of this file."""
        kept_right, kept_wrong = self.fade * right, self.fade * wrong
        if not self.valid:
            return kept_right, max(wrong, kept_wrong + self.weight)
        return kept_right + self.weight * self.agreement, kept_wrong + self.weight * (1 - self.agreement)


def _learn(state: TrustState, members: list[str], body: Mapping[str, Json], outcome: _Outcome) -> TrustState:
    """Count the same outcome for each member, once each, everywhere and in the region; feedback tries nobody."""
    region = _read(body, "region", int) if "region" in body else EVERYWHERE
    counts = dict(state.counts)
    once = outcome if outcome.weight == 0.0 else replace(outcome, weight=outcome.plain)
    for member in dict.fromkeys(members):
        for place in {EVERYWHERE, max(region, EVERYWHERE)}:
            counts[member, place] = outcome.count(*counts.get((member, place), (0.0, 0.0)))
        counts[member, IN_DISPUTE] = once.count(*counts.get((member, IN_DISPUTE), (0.0, 0.0)))
    return replace(state, counts=MappingProxyType(counts))


def _watch(state: TrustState, body: Mapping[str, Json]) -> TrustState:
    """See a committee's vote, or count an audit."""
    if body.get("audited") and body.get("route") == Route.CONSENSUS:
        return replace(state, watch=count_audit(state.watch))
    classes = body.get("classes")
    if not classes:
        return state
    records = {member: state.counts.get((member, IN_DISPUTE), (0.0, 0.0)) for member in classes}
    return replace(state, watch=watch_votes(state.watch, classes, records))


def _try(state: TrustState, member: str, outcome: _Outcome, config: ConsensusConfig) -> TrustState:
    """Let an audit count in a member's trial, and drop the old record of one that is another now."""
    if outcome.weight == 0.0:
        return state
    before, prior = state.watch.replaced, find_prior(member, config, presumed=False)
    watch = watch_outcome(state.watch, member, outcome.agreement if outcome.valid else 0.0, prior)
    if watch.replaced == before or watch.trial is None:
        return replace(state, watch=watch)
    since = watch.trial[member][2:]
    counts = dict(state.counts)
    for place in [each for each in counts if each[0] == member]:
        right, wrong = counts[place]
        if place[1] >= 0:  # where it was good once, it is nobody now; where it was bad, it stays so
            counts[place] = (0.0, wrong)
        elif lowers((max(right - since[0], 0.0), max(wrong - since[1], 0.0)), since, prior):
            counts[place] = since
    return TrustState(MappingProxyType(counts), watch)


def _read(body: Mapping[str, Json], name: str, kind: type | object) -> Json:
    value = body.get(name)
    if not isinstance(value, kind):  # type: ignore[arg-type]  # a union is a kind too, whatever its type is called
        message = f"the observation's {name!r} is {value!r}"
        raise RequestError(message)
    return value


def _read_share(body: Mapping[str, Json], name: str, most: float = 1.0) -> float:
    value = float(_read(body, name, int | float))
    if not (math.isfinite(value) and 0 <= value <= most):
        message = f"the observation's {name!r} is {value!r}; it must be in [0, {most:g}]"
        raise RequestError(message)
    return value
