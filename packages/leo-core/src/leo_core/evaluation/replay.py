"""The replay benchmark: the whole engine over recorded answers of real models.

Questions come in random order (seeded) and go through every stage: cache, routing, cascade or consensus, risk,
receipt. LEO sees the recorded texts only; right and wrong are looked up when it is all over.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from leo_core.config import LEOConfig
from leo_core.engine.leo import LEO
from leo_core.engine.world import SystemClock
from leo_core.errors import ConfigError, LEOError, ReceiptError
from leo_core.evaluation.baselines import always, best_single, majority
from leo_core.evaluation.datasets import is_held_out, read_questions
from leo_core.evaluation.metrics import percentile, wilson_interval
from leo_core.providers.replay import Recording
from leo_core.records import Message, Request, Route, Usage
from leo_core.stages.consensus.equivalence import same_answer
from leo_core.stages.receipt.keys import SigningKey
from leo_core.stages.receipt.verify import verify_receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from leo_core.config import Preset
    from leo_core.evaluation.baselines import Baseline
    from leo_core.evaluation.datasets import RecordedQuestion
    from leo_core.ports import Model
    from leo_core.records import Answer

__all__ = [
    "ReplaySettings",
    "Replayed",
    "check_models",
    "choose_questions",
    "list_members",
    "make_defaults",
    "replay_stream",
    "run_replay",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """What is replayed.

    Attributes:
        data: File of recorded answers.
        small: Model in the small role; ``None`` for none.
        large: Model in the large role; ``None`` for none.
        jury: Models of the jury.
        seed: Order of the questions and draws of the engine.
        limit: Most questions; ``None`` for all.
        everything: Also replay the fifth of the questions that shipped priors were trained on.
        route: Forces a route; ``None`` lets LEO choose.
    """

    data: Path
    small: str | None
    large: str | None
    jury: tuple[str, ...] = ()
    seed: int = 0
    limit: int | None = None
    everything: bool = False
    route: Route | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One replayed question."""

    id: str
    route: str
    model: str
    correct: bool
    cost_usd: float | None
    calls: tuple[str, ...]
    own_s: float
    receipt_valid: bool
    failed: bool = False


def run_replay(
    settings: ReplaySettings, *, config: LEOConfig | None = None, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Replay a file and return the result as plain values (fields in ``docs/benchmarks.md``).

    Raises:
        ConfigError: The file, a model's name or the limit is wrong.
    """
    if settings.limit is not None and settings.limit < 1:
        message = f"limit is {settings.limit}; it must be at least 1"
        raise ConfigError(message)
    questions = choose_questions(settings)
    recording = Recording(settings.data)
    names = list_members(settings)
    check_models(names, questions)
    models = {name: recording.model(name) for name in names}
    rows = replay_stream(settings, questions, models, config=config, progress=progress)
    cost = {name: _mean_cost(models[name], questions) for name in names}
    return _report(settings, rows, _baselines(settings, names, questions, cost))


def list_members(settings: ReplaySettings) -> tuple[str, ...]:
    """The models that are named, each once."""
    return tuple(dict.fromkeys(name for name in (settings.small, settings.large, *settings.jury) if name))


def replay_stream(
    settings: ReplaySettings,
    questions: Sequence[RecordedQuestion],
    models: Mapping[str, Model],
    *,
    config: LEOConfig | None = None,
    audited: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Replayed]:
    """Put the questions through a fresh LEO, in their order.

    Args:
        settings: Roles, seed and route.
        questions: The stream.
        models: The recorded models by name.
        config: Settings of the engine; by default :func:`make_defaults`.
        audited: Whether audits (``config.audit_rate``) look up what was right. Nothing else ever does.
        progress: Told after each question: how many are done, and of how many.
    """
    known = {question.question: question for question in questions}
    leo = LEO(
        models[settings.small] if settings.small else None,
        models[settings.large] if settings.large else None,
        [models[name] for name in settings.jury],
        config=config or make_defaults(),
        checker=(lambda request, answer: _grade(answer, known[request.question])) if audited else None,
        signing_key=_make_key(settings.seed),
        seed=settings.seed,
        clock=_OneDay(),
    )
    rows = []
    with leo:
        leo.warm_up()
        for number, question in enumerate(questions, 1):
            rows.append(_replay_one(leo, question, settings.route))
            leo.flush()
            if progress is not None:
                progress(number, len(questions))
    return rows


class _OneDay(SystemClock):
    """The machine's clocks, on the same day in every run: which answers are audited follows from key and day."""

    _NOON = 1_767_268_800.0  # 2026-01-01

    def __init__(self) -> None:
        self._began = self.monotonic()

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self._NOON + self.monotonic() - self._began


def _make_key(seed: int) -> SigningKey:
    """The same key for the same seed: it signs the receipts of a benchmark, and draws the answers to audit."""
    return SigningKey.from_seed(hashlib.sha256(f"leo/replay/{seed}".encode()).digest())


def make_defaults(preset: Preset = "balanced") -> LEOConfig:
    """The settings of a preset, but time is free: recordings hold no latency, and this machine's must not steer routes.

    Raises:
        ConfigError: There is no such preset.
    """
    defaults = LEOConfig.preset(preset)
    return replace(defaults, route=replace(defaults.route, latency_usd_per_s=0.0))


def choose_questions(settings: ReplaySettings) -> list[RecordedQuestion]:
    """The questions in the order of the seed."""
    questions = [
        question for question in read_questions(settings.data) if settings.everything or is_held_out(question.question)
    ]
    random.Random(settings.seed).shuffle(questions)  # noqa: S311 - a benchmark is repeatable
    return questions[: settings.limit]


def check_models(names: Sequence[str], questions: Sequence[RecordedQuestion]) -> None:
    """Check that every model answered every question.

    Raises:
        ConfigError: No model is named, or one has no recorded answers.
    """
    if not names:
        message = "name at least one model: --small, --large or --jury"
        raise ConfigError(message)
    recorded = set.intersection(*(set(question.correct) for question in questions)) if questions else set()
    unknown = [name for name in names if name not in recorded]
    if unknown:
        message = f"no recorded answers of {', '.join(unknown)}; there are: {', '.join(sorted(recorded))}"
        raise ConfigError(message)


def _replay_one(leo: LEO, question: RecordedQuestion, route: Route | None) -> Replayed:
    try:
        answer = leo.ask(question.question, route=route)
    except LEOError as error:
        return Replayed(
            id=question.id,
            route="failed",
            model=type(error).__name__,
            correct=False,
            cost_usd=0.0,
            calls=(),
            own_s=0.0,
            receipt_valid=False,
            failed=True,
        )
    return Replayed(
        id=question.id,
        route=answer.route.value,
        model=answer.model,
        correct=_grade(answer, question),
        cost_usd=answer.usage.cost_usd,
        calls=tuple(draft.member for draft in answer.drafts),
        own_s=answer.own_s,
        receipt_valid=_receipt_holds(answer, leo),
    )


def _grade(answer: Answer, question: RecordedQuestion) -> bool:
    """A member's own draft is graded as recorded; a cached answer by the right answers to this question."""
    if answer.draft is not None:
        return question.correct[answer.model]
    right = {question.final[model] for model, correct in question.correct.items() if correct}
    return any(
        same_answer(answer.message, Message(role="assistant", content=final), question.question) for final in right
    )


def _receipt_holds(answer: Answer, leo: LEO) -> bool:
    if answer.receipt is None:
        return False
    try:
        verify_receipt(answer.receipt, public_key=leo.public_key)
    except ReceiptError:
        return False
    return True


def _mean_cost(model: Model, questions: Sequence[RecordedQuestion]) -> float | None:
    spent = Usage()
    for question in questions:
        spent += model.generate(Request(messages=(Message(role="user", content=question.question),))).usage
    return None if spent.cost_usd is None else spent.cost_usd / len(questions)


def _baselines(
    settings: ReplaySettings,
    names: Sequence[str],
    questions: Sequence[RecordedQuestion],
    cost: dict[str, float | None],
) -> list[Baseline]:
    found = []
    if settings.small:
        found.append(always("always small", settings.small, questions, cost))
    if settings.large:
        found.append(always("always large", settings.large, questions, cost))
    found.append(best_single(names, questions, cost))
    if settings.jury:
        found.append(majority(settings.jury, questions, cost))
    return found


def _report(settings: ReplaySettings, rows: list[Replayed], baselines: list[Baseline]) -> dict[str, Any]:
    right, total = sum(row.correct for row in rows), len(rows)
    own = [row.own_s for row in rows if not row.failed] or [0.0]
    costs = [row.cost_usd for row in rows]
    known = [cost for cost in costs if cost is not None]
    return {
        "benchmark": "replay",
        "data": settings.data.name,
        "questions": total,
        "held_out_only": not settings.everything,
        "seed": settings.seed,
        "small": settings.small,
        "large": settings.large,
        "jury": list(settings.jury),
        "accuracy": right / total if total else None,
        "accuracy_interval": list(wilson_interval(right, total)),
        "cost_per_question_usd": sum(known) / total if total and len(known) == total else None,
        "calls_per_model": dict(Counter(call for row in rows for call in row.calls)),
        "calls_per_question": sum(len(row.calls) for row in rows) / total if total else None,
        "route_shares": {route: count / total for route, count in Counter(row.route for row in rows).items()},
        "route_accuracy": _accuracy_by_route(rows),
        "receipts_verified": sum(row.receipt_valid for row in rows),
        "failures": sum(row.failed for row in rows),
        "own_ms_p50": 1000 * percentile(own, 0.5),
        "own_ms_p99": 1000 * percentile(own, 0.99),
        "baselines": [
            {
                "name": rule.name,
                "accuracy": rule.correct / rule.total if rule.total else None,
                "accuracy_interval": list(wilson_interval(rule.correct, rule.total)),
                "cost_per_question_usd": rule.cost_usd,
                "note": rule.note,
            }
            for rule in baselines
        ],
    }


def _accuracy_by_route(rows: list[Replayed]) -> dict[str, float]:
    routes = {row.route for row in rows}
    return {
        route: sum(row.correct for row in rows if row.route == route) / sum(row.route == route for row in rows)
        for route in sorted(routes)
    }
