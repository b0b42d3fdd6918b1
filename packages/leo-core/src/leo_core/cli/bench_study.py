"""What ``leo bench replay --full`` adds: other settings of LEO, rules without it, learning, ablation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from rich.table import Table

from leo_core.cli.output import err, out
from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from leo_core.evaluation.replay import ReplaySettings
    from leo_core.evaluation.replay_study import StudySettings

__all__ = ["plan", "print_study", "run"]


def plan(replay: ReplaySettings, *, seeds: int, audit: float, prices: str) -> StudySettings:
    """The settings of a study.

    Raises:
        ConfigError: ``prices`` is no known word, or a route is forced.
    """
    from leo_core.evaluation.replay_study import StudySettings  # noqa: PLC0415 - loads numpy

    if prices not in ("recorded", "today", "both"):
        message = f"--prices is {prices!r}; it must be recorded, today or both"
        raise ConfigError(message)
    if replay.route is not None:
        message = "--full compares routes; it cannot be given together with --route"
        raise ConfigError(message)
    return StudySettings(replay=replay, seeds=seeds, audit=audit, prices=cast("Any", prices))


def run(settings: StudySettings) -> dict[str, Any]:
    """Run it, telling on stderr what is under way."""
    from leo_core.evaluation.replay_study import run_study  # noqa: PLC0415 - loads numpy

    return run_study(settings, tell=lambda what: err.print(what, style="dim"))


def print_study(result: dict[str, Any]) -> None:
    """Print its tables."""
    for cell in result["cells"]:
        _print_prices(cell)
        _print_rules(cell["rows"], result)
        _print_dominated(cell)
        if cell.get("learning"):
            _print_learning(cell, result)
        if "ablation" in cell:
            out.print("Every stage off in turn, first order:")
            _print_rules(cell["ablation"], {"seeds": 1})


def _print_prices(cell: dict[str, Any]) -> None:
    if cell["prices"] == "recorded":
        out.print("Prices as recorded: each model's own list price")
        return
    out.print("Prices of today:")
    for row in cell["models"]:
        if row["note"]:
            out.print(f"  {row['model']}: {row['note']} ({row['as_of']})")


def _print_rules(rows: list[dict[str, Any]], result: dict[str, Any]) -> None:
    table = Table("rule", "accuracy", "US$ per question", "points over best single", "cost of best single")
    for row in rows:
        low, high = row["over_best_interval"]
        cost, ratio = row["cost_per_question_usd"], row["cost_ratio"]
        span = row["cost_ratio_interval"]
        table.add_row(
            row["name"] + ("" if row["member"] else " *"),
            f"{row['accuracy']:.4f}",
            "unknown" if cost is None else f"{cost:.6f}",
            f"{100 * row['over_best']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})",
            "unknown" if ratio is None else f"{ratio:.1%} ({span[0]:.1%} to {span[1]:.1%})",
        )
    out.print(table)
    starred = "" if all(row["member"] for row in rows) else "; * no member of this LEO"
    out.print(f"95 % intervals, paired over questions, {result['seeds']} orders{starred}")


def _print_dominated(cell: dict[str, Any]) -> None:
    out.print(f"best single: {cell['best_single']}, chosen with hindsight")
    for name, found in cell["dominated_by"].items():
        beyond, within = (", ".join(found[key]) or "none" for key in ("beyond", "within"))
        out.print(f"cheaper and better than {name}: beyond the intervals {beyond}; within them {within}")


def _print_learning(cell: dict[str, Any], result: dict[str, Any]) -> None:
    best = cell["best_fixed"]
    out.print(f"Learning; regret in US$ against always {best}, a wrong answer at {result['loss_usd']:g}:")
    table = Table("after", *(f"{name}: {what}" for name in cell["learning"] for what in ("accuracy", "regret")))
    runs = list(cell["learning"].values())
    for place, requests in enumerate(runs[0]["requests"]):
        figures = []
        for run_ in runs:
            low, high = run_["regret_band"][place]
            figures += [f"{run_['accuracy'][place]:.3f}", f"{run_['regret'][place]:+.2f} ({low:+.2f} to {high:+.2f})"]
        table.add_row(str(requests), *figures)
    out.print(table)
