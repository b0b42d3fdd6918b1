"""``leo bench consensus``: the committee's decision over recorded answers, with and without adversaries.

Every committee meets the questions one after the other. The shipped decision chooses an answer; then, with the shipped
probability, the question is audited, and only then anything is learned. Beside it stand a plain majority, the one-coin
model of Dawid and Skene fitted to all answers at once without an audit, and the best member in hindsight.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.committees import KINDS, Committee, Kind, Recording, draw_committee, read_recording
from leo_core.evaluation.ranking import measure_auroc, measure_ece
from leo_core.providers.names import family_of
from leo_core.records import Route
from leo_core.stages.consensus.audit import AuditState, find_audit_chance, update_audits
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.consensus.early_stop import can_stop
from leo_core.stages.consensus.observations import observe_audit, observe_strategies
from leo_core.stages.consensus.presumption import presume_from_prices
from leo_core.stages.consensus.strategies import StrategyState, update_strategies
from leo_core.stages.consensus.trust import MOST_WEIGHT, TrustState, count_audits, update_trust
from leo_core.stages.consensus.vote import count_votes
from leo_core.stages.route.observations import observe_route
from leo_core.telemetry.prices import load_prices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from leo_core.records import Observation, Verdict

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["ConsensusSettings", "Decision", "Played", "follow_committee", "play_committee", "run_consensus"]

_TENANT = "bench"
_FIRST = 2
"""Members that are asked before it is decided whether to go on."""
_Z = 1.96
_COIN = (2.0, 0.5, 1e-6, 200)
"""Prior of the one-coin model, its tolerance and its most steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusSettings:
    """What is played.

    Attributes:
        data: Recorded answers.
        committees: Sizes.
        adversaries: How many of their members are adversaries.
        kinds: Of what kinds.
        audit: Share of the questions that is audited, in [0, 1].
        draws: Committees of each cell.
        seed: Of committees, orders and audits.
        limit: Most questions.
        config: Settings of the committee.
    """

    data: Path
    committees: tuple[int, ...] = (5, 7)
    adversaries: tuple[int, ...] = (0, 1, 2)
    kinds: tuple[Kind, ...] = KINDS
    audit: float = 0.05
    draws: int = 50
    seed: int = 0
    limit: int | None = None
    config: ConsensusConfig = field(default_factory=ConsensusConfig)

    def __post_init__(self) -> None:
        if not 0.0 <= self.audit <= 1.0:
            message = f"audit is {self.audit!r}; it must be in [0, 1]"
            raise ConfigError(message)
        if self.draws < 1 or not self.committees or not self.adversaries or min(self.adversaries) < 0:
            message = "give at least one draw, one committee size and one number of adversaries"
            raise ConfigError(message)
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown or not self.kinds:
            message = f"there is no kind of adversary {', '.join(map(repr, unknown))}; choose of {', '.join(KINDS)}"
            raise ConfigError(message)


@dataclass(slots=True, kw_only=True)
class Played:
    """What became of one committee.

    Attributes:
        right: Whether each answer served was right, in order.
        abstained: Answers that were served under protest.
        audited: Questions that were audited.
        calls: Members that were asked.
        confidence: Posterior of each answer served.
        followed: How often each strategy was followed.
    """

    right: list[bool] = field(default_factory=list)
    abstained: int = 0
    audited: int = 0
    calls: int = 0
    confidence: list[float] = field(default_factory=list)
    followed: dict[str, int] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return sum(self.right) / len(self.right)


@dataclass(slots=True, kw_only=True)
class _Mind:
    """What the committee's owner knows; it learns from audits alone."""

    config: ConsensusConfig
    trust: TrustState = field(default_factory=TrustState.fresh)
    strategies: StrategyState = field(default_factory=StrategyState.fresh)
    audits: AuditState = field(default_factory=AuditState.fresh)

    def learn(self, observation: Observation) -> None:
        self.trust = update_trust(self.trust, observation, self.config)
        self.strategies = update_strategies(self.strategies, observation, self.config)
        self.audits = update_audits(self.audits, observation)

    def weigh_evidence(self, members: Sequence[str]) -> list[float]:
        return [count_audits(self.trust, member) for member in members]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a committee made of one question.

    Attributes:
        verdict: The shipped decision, before anything was learned from this question.
        right: Whether the answer served is right.
        weight: Importance of its audit; ``None`` where it was not audited.
    """

    verdict: Verdict
    right: bool
    weight: float | None


def follow_committee(
    committee: Committee, audit: float, random: np.random.Generator, config: ConsensusConfig
) -> Iterator[Decision]:
    """Let a committee answer all its questions with the shipped decision, audits and learning, one by one.

    Args:
        committee: Its answers.
        audit: Share of the questions that is audited.
        random: Of the audits.
        config: Settings.
    """
    config = presume_from_prices(config, _find_prices(committee.members))
    mind = _Mind(config=config)
    families = {member: family_of(member) for member in committee.members}
    draws = random.random(len(committee.classes))
    for classes, right, draw in zip(committee.classes.tolist(), committee.right.tolist(), draws.tolist(), strict=True):
        verdict = _ask(committee.members, classes, mind, families)
        asked = committee.members[: len(verdict.votes)]
        mind.learn(
            observe_route(
                tenant=_TENANT, at=0.0, route=Route.CONSENSUS, region=-1, right=None, classes=verdict.answer_classes()
            )
        )
        alarm = mind.trust.watch.ahead
        chance = find_audit_chance(mind.audits, audit, verdict, mind.weigh_evidence(asked), config, alarm=alarm)
        weight = min(audit / chance, MOST_WEIGHT) if draw < chance else None
        if weight is not None:
            for observation in _audit(asked, right[: len(asked)], verdict, weight):
                mind.learn(observation)
        yield Decision(verdict=verdict, right=right[verdict.medoid], weight=weight)


def _find_prices(members: Sequence[str]) -> dict[str, float | None]:
    """What a million tokens of output cost, in US dollars."""
    table = load_prices()
    found = {member: table.find(member) for member in members}
    return {member: None if price is None else price.output for member, price in found.items()}


def play_committee(committee: Committee, audit: float, random: np.random.Generator, config: ConsensusConfig) -> Played:
    """What becomes of a committee; arguments as those of :func:`follow_committee`."""
    played = Played()
    for decision in follow_committee(committee, audit, random, config):
        verdict = decision.verdict
        played.calls += len(verdict.votes)
        played.right.append(decision.right)
        played.confidence.append(verdict.confidence)
        played.abstained += verdict.abstained
        played.followed[verdict.strategy] = played.followed.get(verdict.strategy, 0) + 1
        played.audited += decision.weight is not None
    return played


def _ask(members: Sequence[str], classes: Sequence[int], mind: _Mind, families: Mapping[str, str]) -> Verdict:
    """Ask the members in their order, until the shipped rule says to stop."""
    config = mind.config
    first = len(members) if config.early_stop is None else min(_FIRST, len(members))
    for count in range(first, len(members) + 1):
        given = classes[:count]
        numbers = {each: at for at, each in enumerate(dict.fromkeys(given))}
        verdict = count_votes(
            members[:count],
            [numbers[each] for each in given],
            tuple(f"answer {each}" if each != -1 else "" for each in numbers),
            trust=mind.trust,
            strategies=mind.strategies,
            region=-1,
            families=families,
            required=config.confidence,
            config=config,
        )
        if can_stop(
            verdict,
            members[count:],
            trust=mind.trust,
            strategies=mind.strategies,
            region=-1,
            families=families,
            config=config,
        ):
            break
    return verdict


def _audit(members: Sequence[str], right: Sequence[bool], verdict: Verdict, weight: float) -> Iterator[Observation]:
    """What an audit teaches: the engine checks the other answers too where the one served was wrong."""
    for member, outcome in zip(members, right, strict=True):
        yield observe_audit(
            member=member, region=-1, agreement=float(outcome), valid=True, weight=weight, tenant=_TENANT, at=0.0
        )
    outcomes = {vote.answer_class: outcome for vote, outcome in zip(verdict.votes, right, strict=True)}
    chosen = {name: outcomes[each] for name, each in verdict.choices.items() if each in outcomes}
    yield observe_strategies(chosen, tenant=_TENANT, at=0.0)
    served = right[verdict.medoid]
    yield observe_route(tenant=_TENANT, at=0.0, route=Route.CONSENSUS, region=-1, right=served, audited=True)


# ----------------------------------------------------------------------------------------------- baselines


def count_majority(committee: Committee) -> float:
    """Accuracy of the answer that most members give; the first of several."""
    found = 0
    for classes, right in zip(committee.classes.tolist(), committee.right.tolist(), strict=True):
        spoken = [each for each in classes if each != -1]
        if spoken:
            found += right[classes.index(max(spoken, key=spoken.count))]
    return found / len(committee.classes)


def fit_one_coin(committee: Committee) -> float:
    """Accuracy of the one-coin model fitted to all the committee's answers at once, audits unseen."""
    from leo_core.kernels.dawid_skene import fit_accuracies  # noqa: PLC0415 - loads numba

    answers = np.empty(committee.classes.shape, dtype=np.int64)
    for row, classes in enumerate(committee.classes.tolist()):
        numbers = {each: at for at, each in enumerate(dict.fromkeys(each for each in classes if each != -1))}
        answers[row] = [numbers.get(each, -1) for each in classes]
    choices = np.maximum(answers.max(axis=1) + 2, 2)
    right_, wrong_, tolerance, steps = _COIN
    fitted = fit_accuracies(answers, choices, right_, wrong_, tolerance, steps)
    leaders = fitted.posterior.argmax(axis=1)
    return float(committee.right[np.arange(len(leaders)), leaders].mean())


def find_best(committee: Committee) -> float:
    """Accuracy of the member that turns out to be the best."""
    return float(committee.right.mean(axis=0).max())


# --------------------------------------------------------------------------------------------------- cells


def run_consensus(settings: ConsensusSettings, *, report: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Play every cell: committees of each size, without adversaries and with each number of each kind.

    Args:
        settings: What is played.
        report: Hears of each cell before it is played.

    Returns:
        ``cells``, each with means over its draws and 95 % intervals (normal, over the draws): ``leo``, ``majority``,
        ``one_coin``, ``best_single``, and the paired differences ``over_majority``, ``over_best`` and ``over_clean``
        (less the same committee without its adversaries, audited as much); with ``early_stop`` also ``calls_saved`` and
        ``over_all_asked`` (less the same committee, all of whose members are asked). Honest members are asked in random
        order, as if their costs had no part in their skills; adversaries are asked first.
    """
    recording = read_recording(settings.data, limit=settings.limit)
    report(f"{recording.name}: {len(recording.classes):,} questions, {len(recording.models)} models")
    cells = []
    for size in settings.committees:
        for count in sorted(settings.adversaries):
            for kind in settings.kinds if count else settings.kinds[:1]:
                report(f"committees of {size}, {count} adversaries{f' ({kind})' if count else ''}")
                cells.append(_play_cell(recording, size, count, kind, settings))
    return {
        "benchmark": "consensus",
        "data": recording.name,
        "questions": len(recording.classes),
        "models": len(recording.models),
        "audit": settings.audit,
        "draws": settings.draws,
        "seed": settings.seed,
        "cells": cells,
    }


def _play_cell(recording: Recording, size: int, count: int, kind: Kind, settings: ConsensusSettings) -> dict[str, Any]:
    rows: dict[str, list[float]] = {}
    for draw in range(settings.draws):
        random = np.random.default_rng([settings.seed, size, count, KINDS.index(kind), draw])
        committee = draw_committee(recording, size, count, kind, random)
        played = play_committee(committee, settings.audit, random, settings.config)
        found = {
            "leo": played.accuracy,
            "majority": count_majority(committee),
            "one_coin": fit_one_coin(committee),
            "best_single": find_best(committee),
            "audited": played.audited / len(played.right),
            "calls_saved": 1.0 - played.calls / committee.classes.size,
            "abstained": played.abstained / len(played.right),
            "auroc": measure_auroc(np.array(played.confidence), np.array(played.right)),
            "ece": measure_ece(np.array(played.confidence), np.array(played.right)),
        }
        found["over_majority"] = found["leo"] - found["majority"]
        found["over_best"] = found["leo"] - found["best_single"]
        if settings.config.early_stop is not None:
            patient = replace(settings.config, early_stop=None)
            all_asked = play_committee(committee, settings.audit, random, patient)
            found["over_all_asked"] = found["leo"] - all_asked.accuracy
        if count:
            alone = play_committee(committee.without_adversaries(), settings.audit, random, settings.config)
            found["over_clean"] = found["leo"] - alone.accuracy
        for name, value in found.items():
            rows.setdefault(name, []).append(value)
    cell: dict[str, Any] = {"committee": size, "adversaries": count, "kind": kind if count else "none"}
    for name, values in rows.items():
        cell |= _summarise(name, np.array(values))
    return cell


def _summarise(name: str, values: Floats) -> dict[str, Any]:
    mean = float(values.mean())
    spread = _Z * float(values.std(ddof=1)) / float(np.sqrt(len(values))) if len(values) > 1 else 0.0
    return {name: mean, f"{name}_interval": cast("Any", [mean - spread, mean + spread])}
