"""``leo bench promotion``: false promotions, and how soon true differences are found, on simulated streams."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, err, name_command, out, print_json, report_errors, write_json

__all__ = ["promotion"]


def promotion(
    streams: Annotated[int, typer.Option(help="Streams of each kind.", min=1)] = 1000,
    trials: Annotated[int, typer.Option(help="Most trials of a stream without a difference.", min=30)] = 2000,
    gain: Annotated[float, typer.Option(help="Difference in accuracy to be found.", min=0.01, max=0.15)] = 0.05,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    save: Annotated[Path | None, typer.Option(help="Also write the result into this file, as JSON.")] = None,
    as_json: AsJson = False,
) -> None:
    """The promotion test on simulated streams, beside a z-test that is looked at after every trial."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.promotion_bench import PromotionSettings, run_promotion  # noqa: PLC0415 - loads numpy

        settings = PromotionSettings(streams=streams, trials=trials, gain=gain, seed=seed)
        result = run_promotion(settings, report=lambda what: err.print(what, style="dim")) | {"command": name_command()}
        if save is not None:
            write_json(result, save)
        if as_json:
            print_json(result)
        else:
            _print(result)


def _print(result: dict[str, Any]) -> None:
    table = Table("no difference", "trial", "promoted in vain", "95 % interval", "z-test after every trial")
    for row in result["nulls"]:
        low, high = row["share_interval"]
        table.add_row(
            f"both right {row['base']:.0%}" + (" ± 10 points, drifting together" if row["drift"] else ""),
            "shows both" if row["paired"] else "a coin",
            f"{row['share']:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{row['naive_share']:.1%}",
        )
    out.print(table)
    table = Table("a difference", "trial", "median trials", "90 %", "found", "z-test, one look, 90 % power")
    for row in result["gains"]:
        table.add_row(
            f"{row['base']:.0%} against {row['base'] + row['gain']:.0%}",
            "shows both" if row["paired"] else "a coin",
            _show(row["median"]),
            _show(row["p90"]),
            f"{row['found']} of {result['streams']}",
            _show(row["fixed_sample"]),
        )
    out.print(table)
    decline = result["declines"]
    out.print(
        f"a default whose error rises from {decline['error']:.0%} to {decline['worse']:.0%} is demoted after "
        f"{_show(decline['median'])} outcomes (median; 90 %: {_show(decline['p90'])}); with a steady error, within "
        f"{decline['within']:,} outcomes {decline['false']} of {result['streams']} are, at the baseline of "
        f"{decline['baseline']:.1%} {decline['false_at_baseline']}"
    )
    out.print(
        f"simulated: {result['streams']:,} streams of {result['trials']:,} trials, seed {result['seed']}; promoted in "
        f"vain at level {result['alpha']:g}, found at {result['shipped_alpha']:g}, as shipped"
    )


def _show(count: float | None) -> str:
    return "never" if count is None else f"{count:,.0f}"
