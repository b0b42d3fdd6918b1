"""``leo bench risk``: is the verdict wrong?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, err, out, print_json, report_errors, split_list

__all__ = ["risk"]

_NAMES = {
    "risk": "risk",
    "vote_share": "share of the votes",
    "posterior": "posterior of the vote",
    "answer_alone": "risk of the answer alone",
    "length": "length of the answer",
}


def risk(
    data: Annotated[Path, typer.Option(help="Recorded answers (JSON Lines, gzipped or not).")],
    committee: Annotated[str, typer.Option(help="Sizes of committees, separated by commas.")] = "5,7",
    draws: Annotated[int, typer.Option(help="Committees of each size.", min=1)] = 20,
    max_error: Annotated[
        str, typer.Option(help="Shares of the accepted answers that may be wrong, separated by commas.")
    ] = "0.05,0.1",
    splits: Annotated[int, typer.Option(help="Random halves of the questions for acceptance.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Of committees, orders, audits and halves.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Most questions.", min=1)] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw risks against outcomes into this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """The risk of committees' verdicts on held-out recorded answers, beside vote share, posterior and length."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.figures import check_figure, draw_reliability  # noqa: PLC0415 - loads numpy
        from leo_core.evaluation.risk_bench import RiskSettings, run_risk  # noqa: PLC0415 - as above

        if plot is not None:
            check_figure(plot)
        settings = RiskSettings(
            data=data,
            committees=tuple(split_list(committee, int, "--committee")),
            draws=draws,
            max_errors=tuple(split_list(max_error, float, "--max-error")),
            splits=splits,
            seed=seed,
            limit=limit,
        )
        result = run_risk(settings, report=lambda what: err.print(what, style="dim"))
        if plot is not None:
            draw_reliability(result, plot)
        if as_json:
            print_json(result)
        else:
            _print(result)


def _print(result: dict[str, Any]) -> None:
    table = Table("score", "AUROC", "95 % interval", "risk over it", "95 % interval")
    for row in result["scores"]:
        more = ["", ""]
        if "risk_over_it" in row:
            more = [f"{row['risk_over_it']:+.3f}", _interval(row["risk_over_it_interval"], "+.3f")]
        table.add_row(_NAMES[row["name"]], f"{row['auroc']:.3f}", _interval(row["auroc_interval"], ".3f"), *more)
    out.print(table)
    for name, found in result["ece"].items():
        out.print(f"calibration error of the {name}: {found['ece']:.3f} {_interval(found['interval'], '.3f')}")
    for row in result["acceptance"]:
        out.print(
            f"at most {row['max_error']:.0%} of the accepted wrong: kept in {row['kept']} of {result['splits']} random "
            f"halves; {row['accepted']:.1%} accepted, {row['wrong']:.1%} of them wrong; none accepted in "
            f"{row['none_accepted']}"
        )
    times = result["milliseconds"]
    out.print(
        f"one score: p50 {times['p50']:.2f} ms, p95 {times['p95']:.2f} ms; attributions add up to the score within "
        f"{result['attribution_gap']:.0e}"
    )
    out.print(
        f"{result['data']}: {result['verdicts']:,} verdicts on {result['questions']:,} held-out questions, "
        f"{result['wrong']:.1%} wrong, seed {result['seed']}. Intervals: bootstrap over questions, differences paired"
    )


def _interval(ends: tuple[float, float], form: str) -> str:
    return f"{ends[0]:{form}} to {ends[1]:{form}}"
