"""Head "verdict" of the answer risk: P(what the committee voted for is wrong).

Committees of 3, 5 and 7 are drawn at random from the recorded models, without adversaries; each meets the questions in
an order of its own with the shipped decision, audits and learning, so that the head sees votes of committees that are
known as little, and as well, as they are in use. Only questions of the trained fifth are fitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from fitting import auroc, calibration_error, document_of, fit_linear, trains

from leo_core.evaluation.committees import draw_committee, read_recording
from leo_core.evaluation.consensus_bench import follow_committee
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.risk.answer_features import reasoning_features
from leo_core.stages.risk.votes import vote_features
from leo_core.stages.risk.working import working_features

if TYPE_CHECKING:
    from pathlib import Path

    from leo_core.evaluation.committees import Recording

__all__ = ["train_verdict"]

SETS = ("gsm", "crux")
SIZES = (3, 5, 7)
DRAWS = 12
AUDIT = 0.05
SEED = 77
STRENGTH = 0.01
"""Inverse of the ridge: the training fifth holds 465 questions."""
WORKING = frozenset(working_features("", "", "", ()))
"""What votes make superfluous: with these, the head did worse on held-out verdicts."""


def gather(recording: Recording, number: int) -> dict[str, np.ndarray]:
    """Features, outcome, question and committee of every decision; and the share of the votes that it has."""
    rows, wrong, questions, committees = [], [], [], []
    own: dict[tuple[int, int], dict[str, float]] = {}
    for size in SIZES:
        for draw in range(DRAWS):
            random = np.random.default_rng([SEED, number, size, draw])
            committee = draw_committee(recording, size, 0, "random", random)
            decisions = follow_committee(committee, AUDIT, random, ConsensusConfig())
            for row, decision in zip(committee.rows.tolist(), decisions, strict=True):
                verdict = decision.verdict
                key = (row, int(committee.columns[verdict.medoid]))
                if key not in own:
                    found = reasoning_features(recording.questions[row], recording.texts[row][key[1]])
                    own[key] = {name: value for name, value in found.items() if name not in WORKING}
                rows.append((vote_features(verdict, verdict.votes[verdict.medoid].member) or {}) | own[key])
                wrong.append(not decision.right)
                questions.append(row)
                committees.append(size * DRAWS + draw)
    names = list(rows[0])
    return {
        "names": np.array(names),
        "x": np.array([[row[name] for name in names] for row in rows]),
        "y": np.array(wrong, dtype=int),
        "question": np.array(questions),
        "committee": np.array(committees),
        "trained": np.array([trains(question) for question in recording.questions])[questions],
    }


def train_verdict(data: Path, borrowed: dict[str, tuple[float, float]]) -> dict:
    """Fit, report on questions that were not trained on, and give the head.

    Args:
        data: Folder of the data sets.
        borrowed: Weight and variance of features that the recordings do not hold.
    """
    parts = [gather(read_recording(data / "replay" / f"{name}.jsonl.gz"), at) for at, name in enumerate(SETS)]
    names = parts[0]["names"].tolist()
    inside = [part["trained"] for part in parts]
    x = np.concatenate([part["x"][use] for part, use in zip(parts, inside, strict=True)])
    y = np.concatenate([part["y"][use] for part, use in zip(parts, inside, strict=True)])
    groups = np.concatenate([part["question"][part["trained"]] + 100_000 * at for at, part in enumerate(parts)])
    fitted = fit_linear(x, y, groups, strength=STRENGTH)
    low, high = np.quantile(x, 0.01, axis=0), np.quantile(x, 0.99, axis=0)
    shifts = []
    for name, part in zip(SETS, parts, strict=True):
        held = ~part["trained"]
        score = np.clip(part["x"][held], low, high) @ fitted[0] + fitted[1]
        wrong, question = part["y"][held], part["question"][held]
        print(f"verdict, {name}: {held.sum()} decisions held out, wrong {wrong.mean():.3f}")
        for label, column in (("share of the votes only", "share"), ("posterior only", "posterior")):
            print(f"  {label:23s} AUROC {auroc(wrong, -part['x'][held][:, names.index(column)], question)}")
        risk = 1 / (1 + np.exp(-score))
        print(f"  {'head':23s} AUROC {auroc(wrong, risk, question)}  ECE {calibration_error(wrong, risk, question)}")
        shifts += committee_shifts(np.clip(part["x"], low, high) @ fitted[0] + fitted[1], part)
    size, extra = len(names), len(borrowed)
    weights, covariance = np.zeros(size + extra), np.zeros((size + extra + 1, size + extra + 1))
    weights[:size] = fitted[0]
    index = np.array([*range(size), size + extra])
    covariance[np.ix_(index, index)] = fitted[2]
    for at, (weight, variance) in enumerate(borrowed.values(), size):
        weights[at], covariance[at, at] = weight, variance
    full = np.column_stack([x, np.zeros((len(x), extra))])
    return document_of(
        [*names, *borrowed], full, (weights, fitted[1], covariance, None), float(np.mean(np.square(shifts))),
        rows=len(x), trained_on="committees of replay gsm, crux",
    )  # fmt: skip


def committee_shifts(score: np.ndarray, part: dict[str, np.ndarray]) -> list[float]:
    """By how much the log-odds of each committee are off, on its questions of the trained fifth."""
    shifts = []
    for committee in np.unique(part["committee"]):
        use = part["trained"] & (part["committee"] == committee)
        shift = 0.0
        for _ in range(30):
            p = 1 / (1 + np.exp(-(score[use] + shift)))
            shift += float((part["y"][use] - p).sum() / ((p * (1 - p)).sum() + 1.0))
        shifts.append(shift)
    return shifts
