"""Are sentences that stand on no source told from those that do, and is the right passage named?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.engine.grounding import load_knowledge
from leo_core.evaluation.grounding_data import (
    EDITS,
    SETS,
    add_distractors,
    fold_context,
    make_edits,
    read_grounded,
    split_grounded,
)
from leo_core.evaluation.metrics import wilson_interval
from leo_core.evaluation.ranking import (
    bootstrap_auroc,
    bootstrap_difference,
    bootstrap_ece,
    measure_auroc,
    measure_ece,
)
from leo_core.records import Source
from leo_core.stages.grounding.policy import ground_answer
from leo_core.stages.grounding.words import read_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from leo_core.evaluation.grounding_data import GroundedRow

__all__ = ["GroundingSettings", "run_grounding"]

_BOOTSTRAP = 200
_RISKY = 0.5
"""Risk from which a claim counts as unsupported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingSettings:
    """What is measured.

    Attributes:
        data: Folder with ``grounding/begin_wow.jsonl.gz`` and ``grounding/halueval_qa.jsonl.gz``.
        distractors: Other contexts that stand beside the true one when passages are looked for.
        seed: Of the edits.
        limit: Most held-out answers of each set, and most contexts to edit; all by default.
    """

    data: Path
    distractors: int = 4
    seed: int = 0
    limit: int | None = None


def run_grounding(settings: GroundingSettings, *, report: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Scores on held-out contexts, passages among distractors, and minimal edits.

    Raises:
        ConfigError: The data cannot be read.
    """
    train, held = split_grounded(read_grounded(settings.data))
    sets, passages, seconds = [], [], []
    for name in SETS:
        rows = [row for row in held if row.source == name][: settings.limit]
        report(f"{name}: {len(rows)} held-out answers")
        scored, times = _score(rows)
        seconds += times
        sets.append(_compare(name, rows, scored))
        report(f"{name}: passages among {settings.distractors} other contexts")
        passages.append(_find_sources(name, rows, settings.distractors))
    report("minimal edits of held-out contexts")
    return {
        "benchmark": "grounding",
        "data": "begin_wow.jsonl.gz, halueval_qa.jsonl.gz",
        "seed": settings.seed,
        "trained_on": len(train),
        "sets": sets,
        "passages": passages,
        "distractors": settings.distractors,
        "edits": _measure_edits(sorted({row.context for row in held})[: settings.limit], settings.seed),
        "milliseconds": {
            "p50": float(np.quantile(seconds, 0.5) * 1e3),
            "p95": float(np.quantile(seconds, 0.95) * 1e3),
        },
    }


def _score(rows: Sequence[GroundedRow]) -> tuple[npt.NDArray[np.float64], list[float]]:
    """Risk of each answer by its own context, and the seconds that each took."""
    knowledge, risks, seconds = load_knowledge(), [], []
    for row in rows:
        begin = time.perf_counter()
        found = ground_answer(row.answer, [Source("0", row.context)], question=row.question, knowledge=knowledge)
        seconds.append(time.perf_counter() - begin)
        risks.append(found.risk)
    return np.array(risks), seconds


def _compare(name: str, rows: Sequence[GroundedRow], risks: npt.NDArray[np.float64]) -> dict[str, Any]:
    """AUROC of the risk beside lexical overlap and length."""
    wrong = np.array([not row.grounded for row in rows])
    groups = np.unique([fold_context(row.context) for row in rows], return_inverse=True)[1].astype(np.int64)
    scores = {
        "risk": risks,
        "overlap": np.array([-_measure_overlap(row.answer, row.context) for row in rows]),
        "length": np.array([float(len(row.answer)) for row in rows]),
    }
    table = []
    for label, values in scores.items():
        entry: dict[str, Any] = {
            "name": label,
            "auroc": measure_auroc(values, wrong),
            "interval": bootstrap_auroc(values, wrong, groups=groups, draws=_BOOTSTRAP),
        }
        if label != "risk":
            entry["risk_over_it"] = measure_auroc(risks, wrong) - entry["auroc"]
            entry["risk_over_it_interval"] = bootstrap_difference(risks, values, wrong, groups=groups, draws=_BOOTSTRAP)
        table.append(entry)
    return {
        "set": name,
        "answers": len(rows),
        "unsupported": float(wrong.mean()),
        "scores": table,
        "ece": measure_ece(risks, wrong),
        "ece_interval": bootstrap_ece(risks, wrong, groups=groups, draws=_BOOTSTRAP),
    }


def _measure_overlap(answer: str, context: str) -> float:
    """Token precision: share of the answer's words that the context has."""
    words, held = [token.text for token in read_tokens(answer)], {token.text for token in read_tokens(context)}
    return sum(word in held for word in words) / len(words) if words else 1.0


def _find_sources(name: str, rows: Sequence[GroundedRow], count: int) -> dict[str, Any]:
    """Share of the sentences of supported answers whose best passage lies in the true context.

    Annotators judged whole answers, which hold fillers ("Yeah!") too. So beside all sentences stand those that the risk
    calls supported.
    """
    knowledge = load_knowledge()
    contexts = sorted({fold_context(row.context): row.context for row in rows}.values())
    vectors = knowledge.embed(contexts)
    hits: list[tuple[bool, bool]] = []
    for row, others in add_distractors([row for row in rows if row.grounded], vectors, contexts, count):
        # Sources are sorted, so that the true one has no place of its own.
        sources = [Source(text, text) for text in sorted([row.context, *others])]
        found = ground_answer(row.answer, sources, question=row.question, knowledge=knowledge)
        hits += [
            (bool(each.spans) and each.spans[0].source_id == row.context, each.risk < _RISKY)
            for each in found.sentences
        ]
    all_right, called = [right for right, _ in hits], [right for right, supported in hits if supported]
    return {"set": name, "all": _count(all_right), "called_supported": _count(called)}


def _count(right: Sequence[bool]) -> dict[str, Any]:
    return {
        "sentences": len(right),
        "right": sum(right),
        "share": sum(right) / max(len(right), 1),
        "interval": wilson_interval(sum(right), len(right)),
    }


def _measure_edits(contexts: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """Per kind of edit: how many claims there are and how many count as unsupported."""
    knowledge = load_knowledge()
    edits = make_edits(contexts, seed)
    risky: dict[str, list[bool]] = {}
    for edit in edits:
        found = ground_answer(edit.claim, [Source("0", edit.context)], knowledge=knowledge)
        risky.setdefault(edit.kind, []).append(found.risk >= _RISKY)
    kinds = ["kept", "cut", *EDITS]
    return [
        {
            "kind": kind,
            "claims": len(risky[kind]),
            "called_unsupported": sum(risky[kind]),
            "share": sum(risky[kind]) / len(risky[kind]),
            "interval": wilson_interval(sum(risky[kind]), len(risky[kind])),
        }
        for kind in kinds
        if kind in risky
    ]
