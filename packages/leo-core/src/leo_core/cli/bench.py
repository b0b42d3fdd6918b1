"""``leo bench``: measurements, each printed as a table or as one JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from leo_core.cli import (
    bench_cache,
    bench_consensus,
    bench_core,
    bench_fhe,
    bench_figures,
    bench_grounding,
    bench_personal_data,
    bench_private,
    bench_promotion,
    bench_receipts,
    bench_risk,
    bench_route,
    bench_sealed,
    bench_stream,
    bench_student,
    bench_study,
)
from leo_core.cli.output import AsJson, name_command, out, print_json, report_errors, show_progress, write_json

if TYPE_CHECKING:
    from leo_core.config import Preset

__all__ = ["app"]

app = typer.Typer(help="Measurements.", no_args_is_help=True)


for _command in (
    bench_cache.cache,
    bench_core.core,
    bench_core.embed,
    bench_core.coherence,
    bench_core.novelty,
    bench_core.store,
    bench_consensus.consensus,
    bench_fhe.fhe,
    bench_figures.figures,
    bench_grounding.grounding,
    bench_private.private,
    bench_personal_data.personal_data,
    bench_promotion.promotion,
    bench_receipts.receipts,
    bench_risk.risk,
    bench_route.route,
    bench_route.agreement,
    bench_sealed.sealed,
    bench_stream.stream,
    bench_student.student,
):
    app.command()(_command)


@app.callback()
def bench() -> None:
    """Measurements, each on recorded data, with a seed and intervals."""


@app.command()
def replay(
    data: Annotated[Path, typer.Option(help="Recorded answers (JSON Lines, gzipped or not).")],
    small: Annotated[str | None, typer.Option(help="Model in the small role.")] = None,
    large: Annotated[str | None, typer.Option(help="Model in the large role.")] = None,
    jury: Annotated[str | None, typer.Option(help="Models of the jury, separated by commas.")] = None,
    seed: Annotated[int, typer.Option(help="Order of the questions and draws of the engine.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Most questions.")] = None,
    route: Annotated[str | None, typer.Option(help="Force a route.")] = None,
    preset: Annotated[str, typer.Option(help="Settings: economy, balanced, verified or private.")] = "balanced",
    everything: Annotated[
        bool, typer.Option("--all", help="Also the fifth of the questions that shipped priors were trained on.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Also LEO with other priors, every rule without LEO, learning and ablation, over --seeds orders.",
        ),
    ] = False,
    seeds: Annotated[int, typer.Option(help="With --full: orders of the questions, from --seed on.", min=1)] = 2,
    audit: Annotated[
        float, typer.Option(help="With --full: share that is audited where LEO learns from audits.", min=0.001, max=1.0)
    ] = 0.1,
    prices: Annotated[str, typer.Option(help="With --full: recorded, today or both.")] = "both",
    save: Annotated[Path | None, typer.Option(help="Also write the result into this file, as JSON.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw cost against accuracy into this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole engine over recorded answers of real models, beside simple rules."""
    with report_errors(as_json=as_json):
        from leo_core.engine.requests import parse_route  # noqa: PLC0415 - a command loads what it needs
        from leo_core.evaluation.figures import check_figure, draw_cost_against_accuracy  # noqa: PLC0415 - a command loads what it needs
        from leo_core.evaluation.replay import ReplaySettings, make_defaults, run_replay  # noqa: PLC0415 - a command loads what it needs

        settings = ReplaySettings(
            data=data,
            small=small,
            large=large,
            jury=tuple(name.strip() for name in (jury or "").split(",") if name.strip()),
            seed=seed,
            limit=limit,
            everything=everything,
            route=parse_route(route),
        )
        config = make_defaults(cast("Preset", preset))  # which refuses other names
        if plot is not None:
            check_figure(plot)
        study = bench_study.plan(settings, seeds=seeds, audit=audit, prices=prices) if full else None
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with show_progress(*columns, as_json=False) as progress:
            task = progress.add_task(data.name, total=None)
            result = run_replay(
                settings,
                config=config,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
        if plot is not None:
            draw_cost_against_accuracy(result, plot)
        result["command"] = name_command()
        if study is not None:
            result |= {"full": bench_study.run(study)}
        if save is not None:
            write_json(result, save)
        if as_json:
            print_json(result)
        else:
            _print_replay(result)
            if study is not None:
                bench_study.print_study(result["full"])


def _print_replay(result: dict[str, Any]) -> None:
    table = Table("rule", "accuracy", "95 % interval", "US$ per question", "note")
    calls = f"{result['calls_per_question']:.2f} calls per question"
    for rule in ({"name": "LEO", "note": calls, **result}, *result["baselines"]):
        low, high = rule["accuracy_interval"]
        cost = rule["cost_per_question_usd"]
        table.add_row(
            rule["name"],
            f"{rule['accuracy']:.4f}",
            f"{low:.4f} to {high:.4f}",
            "unknown" if cost is None else f"{cost:.6f}",
            rule["note"],
        )
    out.print(table)
    shares = ", ".join(f"{route} {share:.1%}" for route, share in sorted(result["route_shares"].items()))
    out.print(f"{result['data']}: {result['questions']} questions, seed {result['seed']}; routes: {shares}")
    calls_per_model = ", ".join(f"{model} {count}" for model, count in result["calls_per_model"].items())
    out.print(f"calls: {calls_per_model}")
    out.print(
        f"receipts verified: {result['receipts_verified']} of {result['questions']}; failures: {result['failures']}; "
        f"LEO's own time: p50 {result['own_ms_p50']:.2f} ms, p99 {result['own_ms_p99']:.2f} ms"
    )
