"""``leo bench figures``: figures drawn from files that other commands wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leo_core.cli.output import AsJson, out, print_json, report_errors

__all__ = ["figures"]


def figures(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the SVG files; made when absent.")],
    results: Annotated[
        list[Path], typer.Option(help="Folder with result files, or a file; may be given several times.")
    ],
    as_json: AsJson = False,
) -> None:
    """Draw SVG figures from what `leo bench … --json` wrote, and from nothing else."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.result_figures import draw_all  # noqa: PLC0415 - loads what it needs

        drawn = draw_all(results, folder)
        if as_json:
            print_json(drawn)
            return
        for figure in drawn["drawn"]:
            out.print(f"{figure['file']}: from {figure['source']}", soft_wrap=True)
        for missing in drawn["left_out"]:
            out.print(f"{missing['figure']} left out: {missing['why']}", soft_wrap=True)
