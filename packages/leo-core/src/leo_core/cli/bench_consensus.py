"""``leo bench consensus``: committees with and without adversaries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, err, name_command, out, print_json, report_errors, split_list, write_json

__all__ = ["consensus"]

_COLUMNS = {
    "leo": "LEO %",
    "majority": "majority",
    "one_coin": "one-coin",
    "best_single": "best",
    "over_majority": "- majority",
    "over_best": "- best",
    "over_clean": "- clean",
}
_STOPPED = {"over_all_asked": "- all asked", "calls_saved": "calls saved"}


def consensus(
    data: Annotated[Path, typer.Option(help="Recorded answers (JSON Lines, gzipped or not).")],
    committee: Annotated[str, typer.Option(help="Sizes of committees, separated by commas.")] = "5,7",
    adversaries: Annotated[str, typer.Option(help="How many members are adversaries, separated by commas.")] = "0,1,2",
    kind: Annotated[str, typer.Option(help="random, collude, mimic, sleeper, separated by commas, or all.")] = "all",
    audit: Annotated[float, typer.Option(help="Share of the questions that is audited.", min=0.0, max=1.0)] = 0.05,
    early_stop: Annotated[
        float | None, typer.Option(help="Stop asking at this posterior; all are asked without it.", min=0.5, max=1.0)
    ] = None,
    draws: Annotated[int, typer.Option(help="Committees drawn for each row.", min=1)] = 50,
    seed: Annotated[int, typer.Option(help="Of committees, orders and audits.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Most questions.", min=1)] = None,
    save: Annotated[Path | None, typer.Option(help="Also write the result into this file, as JSON.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the accuracies into this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """The committee's decision over recorded answers, beside a majority, the one-coin model and the best member."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.committees import KINDS  # noqa: PLC0415 - loads numpy
        from leo_core.evaluation.consensus_bench import ConsensusSettings, run_consensus  # noqa: PLC0415 - as above
        from leo_core.evaluation.figures import check_figure, draw_committees  # noqa: PLC0415 - as above
        from leo_core.stages.consensus.config import ConsensusConfig  # noqa: PLC0415 - as above

        if plot is not None:
            check_figure(plot)
        kinds = KINDS if kind == "all" else tuple(each.strip() for each in kind.split(","))
        result = run_consensus(
            ConsensusSettings(
                data=data,
                committees=tuple(split_list(committee, int, "--committee")),
                adversaries=tuple(split_list(adversaries, int, "--adversaries")),
                kinds=cast("Any", kinds),
                audit=audit,
                draws=draws,
                config=ConsensusConfig(early_stop=early_stop),
                seed=seed,
                limit=limit,
            ),
            report=lambda what: err.print(what, style="dim"),
        )
        result["command"] = name_command()
        if save is not None:
            write_json(result, save)
        if plot is not None:
            draw_committees(result, plot)
        if as_json:
            print_json(result)
        else:
            _print(result)


def _print(result: dict[str, Any]) -> None:
    stops = "over_all_asked" in result["cells"][0]
    columns = _COLUMNS | _STOPPED if stops else _COLUMNS
    table = Table("of", "adversaries", *columns.values(), "audited")
    for cell in result["cells"]:
        who = f"{cell['adversaries']} {cell['kind']}" if cell["adversaries"] else "none"
        figures = [_write(name, cell) for name in columns]
        table.add_row(str(cell["committee"]), who, *figures, f"{cell['audited']:.1%}")
    out.print(table)
    out.print(
        f"{result['data']}: {result['questions']:,} questions, {result['models']} models, {result['draws']} committees "
        f"a row, seed {result['seed']}. Differences in points, paired, ± half of a 95 % interval over the committees"
    )


def _write(name: str, cell: dict[str, Any]) -> str:
    if name not in cell:
        return ""
    low, high = cell[f"{name}_interval"]
    if name.startswith("over"):
        return f"{100 * cell[name]:+.1f} ± {50 * (high - low):.1f}"
    return f"{100 * cell[name]:.1f}"
