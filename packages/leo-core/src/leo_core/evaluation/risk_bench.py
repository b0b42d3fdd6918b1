"""``leo bench risk``: is the verdict of a committee wrong? The shipped risk on recorded answers.

Committees without adversaries meet the recorded questions with the shipped decision, audits and learning; the risk of
each verdict is scored as the engine does it. All figures are of questions that no shipped model was trained on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.committees import draw_committee, read_recording
from leo_core.evaluation.consensus_bench import follow_committee
from leo_core.evaluation.datasets import is_held_out
from leo_core.evaluation.ranking import (
    bootstrap_auroc,
    bootstrap_difference,
    bootstrap_ece,
    measure_auroc,
    measure_ece,
)
from leo_core.records import Draft, Message, Request
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.risk.acceptance import AcceptanceState, Outcome, find_accepted
from leo_core.stages.risk.answer import score_answer
from leo_core.stages.risk.config import RiskConfig
from leo_core.stages.risk.linear import logit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from leo_core.evaluation.committees import Committee, Recording
    from leo_core.records import Verdict

    Floats = npt.NDArray[np.float64]

__all__ = ["RiskSettings", "run_risk"]

_BOOTSTRAP = 300
_BASELINES = ("vote_share", "posterior", "answer_alone", "length")


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskSettings:
    """What is scored.

    Attributes:
        data: Recorded answers.
        committees: Sizes of committees.
        draws: Committees of each size.
        audit: Share of the questions that is audited.
        max_errors: Shares of the accepted answers that may be wrong, each in (0, 1).
        splits: Random halves of the questions: one half is audited, the other half is accepted or not.
        seed: Of committees, orders, audits and splits.
        limit: Most questions.
        config: Settings of the risk.
    """

    data: Path
    committees: tuple[int, ...] = (5, 7)
    draws: int = 20
    audit: float = 0.05
    max_errors: tuple[float, ...] = (0.05, 0.1)
    splits: int = 100
    seed: int = 0
    limit: int | None = None
    config: RiskConfig = field(default_factory=RiskConfig)

    def __post_init__(self) -> None:
        if self.draws < 1 or self.splits < 1 or min(self.committees, default=0) < 2:  # noqa: PLR2004 - one is no vote
            message = "give at least one draw, one split and one committee of two or more"
            raise ConfigError(message)
        if not 0.0 <= self.audit <= 1.0 or not all(0.0 < each < 1.0 for each in self.max_errors):
            message = f"audit is {self.audit!r} and max_errors {self.max_errors!r}; they must be in [0, 1] and (0, 1)"
            raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scores:
    """Verdicts on held-out questions, all (n,): scores that rise with the chance of a wrong one, and what it was."""

    wrong: npt.NDArray[np.bool_]
    question: npt.NDArray[np.int64]
    committee: npt.NDArray[np.int64]
    seconds: Floats
    gaps: Floats
    by: dict[str, Floats]


def run_risk(settings: RiskSettings, *, report: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Score every verdict, beside simpler scores, and accept answers at the errors asked for.

    Returns:
        ``scores``: for the risk and each baseline AUROC of "the verdict is wrong" with its 95 % interval (bootstrap
        over questions), and that of the risk less it, paired. ``ece`` of the risk and of the posterior, with intervals.
        ``acceptance``: per error asked for, in how many of the random splits at most that share of the answers
        accepted was wrong, which share was accepted, and how many of those were wrong. ``milliseconds``: of one score,
        median and 95 % quantile. ``attribution_gap``: largest distance between the sum of attributions and the score.

    Raises:
        ConfigError: The recording holds no held-out question.
    """
    recording = read_recording(settings.data, limit=settings.limit)
    held = np.array([is_held_out(question) for question in recording.questions])
    if not held.any():
        message = f"{recording.name} holds no question that the shipped models were not trained on"
        raise ConfigError(message)
    report(f"{recording.name}: {int(held.sum()):,} held-out questions of {len(held):,}")
    scores = _gather(recording, held, settings, report)
    report("resampling questions")
    risk = scores.by["risk"]
    table = []
    for name, values in scores.by.items():
        row: dict[str, Any] = {"name": name, "auroc": measure_auroc(values, scores.wrong)}
        row["auroc_interval"] = bootstrap_auroc(values, scores.wrong, groups=scores.question, draws=_BOOTSTRAP)
        if name != "risk":
            row["risk_over_it"] = measure_auroc(risk, scores.wrong) - row["auroc"]
            row["risk_over_it_interval"] = bootstrap_difference(
                risk, values, scores.wrong, groups=scores.question, draws=_BOOTSTRAP
            )
        table.append(row)
    return {
        "benchmark": "risk",
        "data": recording.name,
        "questions": int(held.sum()),
        "verdicts": len(risk),
        "wrong": float(scores.wrong.mean()),
        "seed": settings.seed,
        "scores": table,
        "ece": {name: _measure_calibration(scores, name) for name in ("risk", "posterior")},
        "acceptance": [_accept(scores, each, settings) for each in settings.max_errors],
        "splits": settings.splits,
        "milliseconds": {
            "p50": float(np.quantile(scores.seconds, 0.5) * 1e3),
            "p95": float(np.quantile(scores.seconds, 0.95) * 1e3),
        },
        "attribution_gap": float(scores.gaps.max()),
        "reliability": _bin(scores),
    }


def _gather(
    recording: Recording, held: npt.NDArray[np.bool_], settings: RiskSettings, report: Callable[[str], None]
) -> _Scores:
    rows: list[tuple[float, ...]] = []
    number = 0
    for size in settings.committees:
        report(f"{settings.draws} committees of {size}")
        for draw in range(settings.draws):
            random = np.random.default_rng([settings.seed, size, draw])
            committee = draw_committee(recording, size, 0, "random", random)
            rows += [(*scored, number) for scored in _score_committee(recording, committee, held, random, settings)]
            number += 1
    columns = np.array(rows).T
    names = ("risk", *_BASELINES)
    return _Scores(
        wrong=columns[0] > 0.5,  # noqa: PLR2004 - a flag
        question=columns[1].astype(np.int64),
        committee=columns[-1].astype(np.int64),
        seconds=columns[2],
        gaps=columns[3],
        by=dict(zip(names, columns[4:-1], strict=True)),
    )


def _score_committee(
    recording: Recording,
    committee: Committee,
    held: npt.NDArray[np.bool_],
    random: np.random.Generator,
    settings: RiskSettings,
) -> Iterator[tuple[float, ...]]:
    decisions = follow_committee(committee, settings.audit, random, ConsensusConfig())
    for row, decision in zip(committee.rows.tolist(), decisions, strict=True):
        if not held[row]:
            continue
        verdict = decision.verdict
        drafts = [
            Draft(member=member, model=member, message=Message(role="assistant", content=recording.texts[row][column]))
            for member, column in zip(committee.members, committee.columns.tolist(), strict=True)
        ]
        request = Request(messages=(Message(role="user", content=recording.questions[row]),))
        served, share = drafts[verdict.medoid], _share(verdict)
        others = (*drafts[: verdict.medoid], *drafts[verdict.medoid + 1 :])
        agreement = (share * len(drafts) - 1.0) / max(len(others), 1)
        begin = time.perf_counter()
        risk = score_answer(
            request, served, verdict=verdict, other_drafts=others, other_agreement=agreement, config=settings.config
        )
        seconds = time.perf_counter() - begin
        gap = abs(sum(risk.attributions.values()) - logit(risk.value))
        alone = score_answer(request, served, config=settings.config).value
        yield (
            float(not decision.right), float(row), seconds, gap,
            risk.value, -share, 1.0 - verdict.confidence, alone, float(len(served.text)),
        )  # fmt: skip


def _share(verdict: Verdict) -> float:
    """Share of the votes for the answer that is served."""
    number = verdict.votes[verdict.medoid].answer_class
    return sum(vote.answer_class == number for vote in verdict.votes) / len(verdict.votes)


def _measure_calibration(scores: _Scores, name: str) -> dict[str, Any]:
    values = scores.by[name]
    return {
        "ece": measure_ece(values, scores.wrong),
        "interval": bootstrap_ece(values, scores.wrong, groups=scores.question, draws=_BOOTSTRAP),
    }


def _accept(scores: _Scores, max_error: float, settings: RiskSettings) -> dict[str, Any]:
    """Audit one half of the questions of a random committee, accept or not the other half; many times."""
    accepted, wrong, kept, none = [], [], 0, 0
    for split in range(settings.splits):
        random = np.random.default_rng([settings.seed, split])
        rows = np.flatnonzero(scores.committee == random.integers(scores.committee.max() + 1))
        random.shuffle(rows)
        audited, rest = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        outcomes = tuple(
            Outcome(value, bad)
            for value, bad in zip(scores.by["risk"][audited].tolist(), scores.wrong[audited].tolist(), strict=True)
        )
        threshold, basis = find_accepted(AcceptanceState(outcomes=outcomes), max_error, settings.config)
        inside = scores.by["risk"][rest] <= threshold
        error = float(scores.wrong[rest][inside].mean()) if inside.any() else 0.0
        kept += error <= max_error
        none += not inside.any() and basis == "audited"
        accepted.append(float(inside.mean()))
        wrong.append(error)
    return {
        "max_error": max_error,
        "kept": kept,
        "accepted": float(np.mean(accepted)),
        "wrong": float(np.average(wrong, weights=np.array(accepted) + 1e-12)),
        "none_accepted": none,
    }


def _bin(scores: _Scores) -> list[list[float]]:
    """Mean risk, share of wrong verdicts and number, in ten bins of equal count."""
    order = np.argsort(scores.by["risk"], kind="stable")
    return [
        [float(scores.by["risk"][part].mean()), float(scores.wrong[part].mean()), len(part)]
        for part in np.array_split(order, 10)
    ]
