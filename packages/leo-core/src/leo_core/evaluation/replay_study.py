"""The whole replay: LEO with its prior, from a cold start and frozen, beside every rule that needs no LEO.

Each variant meets the questions in several orders. Rules are compared question by question; right and wrong are
averaged over the orders first. Only audits, where a variant has them, ever see a recorded grade.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from leo_core.evaluation.replay import (
    Replayed,
    check_models,
    choose_questions,
    list_members,
    make_defaults,
    replay_stream,
)
from leo_core.evaluation.replay_prices import price_as_recorded, price_as_today
from leo_core.evaluation.replay_variants import list_ablations, make_cold, make_frozen
from leo_core.evaluation.static_rules import find_best_single, list_static_rules
from leo_core.evaluation.study_metrics import Tally, describe, find_dominating, find_front, measure_learning
from leo_core.providers.replay import Recording
from leo_core.records import Message, Request, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from leo_core.config import LEOConfig
    from leo_core.evaluation.datasets import RecordedQuestion
    from leo_core.evaluation.replay import ReplaySettings
    from leo_core.ports import Model
    from leo_core.telemetry.prices import PriceTable

    Floats = npt.NDArray[np.float64]

__all__ = ["DEFAULT", "StudySettings", "run_study"]

DEFAULT = "LEO"
"""Name of the row of LEO with default settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySettings:
    """What is studied.

    Attributes:
        replay: Data, roles, and the first seed.
        seeds: Orders of the stream, at least 1.
        audit: Share of the answers that is audited where a variant learns from audits, in (0, 1].
        prices: Which prices.
        ablation: Whether every stage is switched off in turn.
    """

    replay: ReplaySettings
    seeds: int = 2
    audit: float = 0.1
    prices: Literal["recorded", "today", "both"] = "both"
    ablation: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    """A variant over all orders: everything float64 (seeds, n)."""

    right: Floats
    cost: Floats
    order: npt.NDArray[np.int64]
    shares: Mapping[str, float]

    def tally(self, name: str, note: str) -> Tally:
        """Averages over the orders, in the order of the file."""
        back = np.argsort(self.order, axis=1)
        right, cost = (np.take_along_axis(each, back, axis=1) for each in (self.right, self.cost))
        known = None if np.isnan(cost).any() else cost.mean(axis=0)
        return Tally(name=name, right=right.mean(axis=0), cost=known, note=note, static=False)


class _Desk:
    """The questions, the members at one set of prices, and how often LEO runs over them."""

    def __init__(self, settings: StudySettings, table: PriceTable, tell: Callable[[str], None]) -> None:
        self.settings, self.tell = settings, tell
        seeds = range(settings.replay.seed, settings.replay.seed + settings.seeds)
        self.orders = [replace(settings.replay, seed=seed) for seed in seeds]
        first = choose_questions(replace(settings.replay, limit=None))
        self.questions = sorted(first[: settings.replay.limit], key=lambda question: question.id)
        self.members = list_members(settings.replay)
        check_models(self.members, self.questions)
        recording = Recording(settings.replay.data)
        answered = set.intersection(*(set(question.correct) for question in self.questions))
        self.recorded = [name for name in recording.models if name in answered]
        self.models: dict[str, Model] = {name: recording.model(name, prices=table) for name in self.recorded}

    def costs(self) -> dict[str, Floats | None]:
        """Per recorded model, US dollars of each question's answer."""
        return {name: _cost(model, self.questions) for name, model in self.models.items()}

    def run(self, name: str, config: LEOConfig, *, seeds: int | None = None, route: Route | None = None) -> _Runs:
        """Run a variant over the first ``seeds`` orders."""
        runs, orders = [], []
        for settings in self.orders[:seeds]:
            self.tell(f"{name}, seed {settings.seed}")
            order = np.random.default_rng(settings.seed).permutation(len(self.questions))
            stream = [self.questions[place] for place in order]
            forced = replace(settings, route=route)
            runs.append(replay_stream(forced, stream, self.models, config=config, audited=config.audit_rate > 0.0))
            orders.append(order)
        rows = [row for run in runs for row in run]
        return _Runs(
            right=np.array([[row.correct for row in run] for run in runs], dtype=np.float64),
            cost=np.array([[_known(row) for row in run] for run in runs]),
            order=np.array(orders),
            shares={
                route: sum(row.route == route for row in rows) / len(rows) for route in {row.route for row in rows}
            },
        )


def _known(row: Replayed) -> float:
    return float("nan") if row.cost_usd is None else row.cost_usd


def _cost(model: Model, questions: Sequence[RecordedQuestion]) -> Floats | None:
    requests = (Request(messages=(Message(role="user", content=each.question),)) for each in questions)
    costs = [model.generate(request).usage.cost_usd for request in requests]
    return None if None in costs else np.array(costs, dtype=np.float64)


def run_study(settings: StudySettings, *, tell: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Run everything and return plain values (fields in ``docs/benchmarks.md``).

    Raises:
        ConfigError: The file or a model's name is wrong.
    """
    found: dict[str, Any] = {
        "seeds": settings.seeds,
        "first_seed": settings.replay.seed,
        "audit": settings.audit,
        "loss_usd": make_defaults().route.loss_usd,
        "cells": [],
    }
    for name in ("recorded", "today") if settings.prices == "both" else (settings.prices,):
        pricing = price_as_today if name == "today" else price_as_recorded
        table, _ = pricing(())
        desk = _Desk(settings, table, tell)
        table, notes = pricing(desk.recorded)
        desk = _Desk(settings, table, tell)
        whole = name == "recorded" or settings.prices == "today"
        found["cells"].append({"prices": name, "models": notes} | _study_cell(desk, whole=whole))
    return found


def _study_cell(desk: _Desk, *, whole: bool) -> dict[str, Any]:
    """One set of prices; ``whole`` with learning and ablation too."""
    plain, roles = _quick(make_defaults()), desk.settings.replay
    audited = replace(plain, audit_rate=desk.settings.audit)
    variants = {
        DEFAULT: (plain, "default settings, nothing audited"),
    }
    if whole:
        variants["LEO, audited"] = (audited, f"shipped prior, {desk.settings.audit:.0%} audited")
        variants["LEO, cold start"] = (make_cold(audited), f"flat prior, {desk.settings.audit:.0%} audited")
        variants["LEO, frozen"] = (make_frozen(plain), "shipped prior, nothing learned")
    runs = {name: desk.run(name, config) for name, (config, _) in variants.items()}
    rules = list_static_rules(desk.questions, desk.costs(), small=roles.small, large=roles.large, jury=roles.jury)
    best = find_best_single(desk.members, rules)
    tallies = [run.tally(name, variants[name][1]) for name, run in runs.items()] + rules
    named = {each.name: each for each in tallies}
    found: dict[str, Any] = {
        "best_single": best.note,
        "rows": [describe(each, best) for each in tallies],
        "dominated_by": {name: find_dominating(named[name], rules) for name in variants},
        "front": find_front(
            {
                each.name: (float(each.cost.mean()), float(each.right.mean()))
                for each in tallies
                if each.cost is not None
            }
        ),
        "route_shares": {name: dict(sorted(run.shares.items())) for name, run in runs.items()},
    }
    if whole:
        found |= _study_learning(desk, plain, runs, named)
    if whole and desk.settings.ablation:
        found["ablation"] = _study_ablation(desk, plain, runs[DEFAULT], best)
    return found


def _quick(config: LEOConfig) -> LEOConfig:
    """Without receipts, which change no answer; those of the plain replay are verified."""
    return replace(config, receipts=replace(config.receipts, enabled=False))


def _study_learning(
    desk: _Desk, plain: LEOConfig, runs: Mapping[str, _Runs], named: Mapping[str, Tally]
) -> dict[str, Any]:
    """Regret along the stream, against the fixed route with the least cost and loss."""
    roles, loss = desk.settings.replay, plain.route.loss_usd
    fixed: dict[str, Tally] = {}
    for route, model in ((Route.SMALL, roles.small), (Route.LARGE, roles.large)):
        if model:
            fixed[route.value] = named[f"always {model}"]
    if roles.small and (roles.large or len(roles.jury) > 1):
        fixed["cascade"] = desk.run("always cascade", plain, seeds=1, route=Route.CASCADE).tally("cascade", "")
    if len(roles.jury) > 1:
        fixed["consensus"] = desk.run("always consensus", plain, seeds=1, route=Route.CONSENSUS).tally("consensus", "")
    priced = {
        name: float(each.cost.mean() + loss * (1.0 - each.right.mean()))
        for name, each in fixed.items()
        if each.cost is not None
    }
    if not priced:
        return {"fixed_routes": {}, "best_fixed": None, "learning": {}}
    best = fixed[min(priced, key=lambda name: priced[name])]
    right, cost = best.right, best.cost
    return {
        "fixed_routes": {
            name: {
                "accuracy": float(each.right.mean()),
                "cost_per_question_usd": None if each.cost is None else float(each.cost.mean()),
                "cost_and_loss_usd": priced.get(name),
            }
            for name, each in fixed.items()
        },
        "best_fixed": min(priced, key=lambda name: priced[name]),
        "learning": {
            name: measure_learning(run.right, run.cost, right[run.order], cost[run.order], loss_usd=loss)
            for name, run in runs.items()
            if cost is not None and not np.isnan(run.cost).any()
        },
    }


def _study_ablation(desk: _Desk, plain: LEOConfig, whole: _Runs, best: Tally) -> list[dict[str, Any]]:
    """Every stage off in turn, in the first order, beside all stages in the same order."""
    first = _Runs(right=whole.right[:1], cost=whole.cost[:1], order=whole.order[:1], shares=whole.shares)
    rows = [describe(first.tally("all stages", ""), best)]
    for name, (config, note) in list_ablations(plain).items():
        rows.append(describe(desk.run(name, config, seeds=1).tally(name, note), best))
    if desk.settings.replay.jury and desk.settings.replay.large:
        alone = replace(desk.settings, replay=replace(desk.settings.replay, jury=()))
        smaller = _Desk(alone, price_as_recorded(())[0], desk.tell)
        smaller.models = desk.models
        rows.append(describe(smaller.run("no jury", plain, seeds=1).tally("no jury", "large instead"), best))
    return rows
