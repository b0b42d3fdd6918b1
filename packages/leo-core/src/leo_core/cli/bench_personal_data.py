"""``leo bench personal-data``: precision and recall of what is found in labelled sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, out, print_json, report_errors

__all__ = ["personal_data"]


def personal_data(
    data: Annotated[Path, typer.Argument(help="Labelled sentences, one a line, marked [[kind|value]].")],
    as_json: AsJson = False,
) -> None:
    """Precision and recall per kind of personal data, and every miss."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.personal_data_bench import measure_personal_data  # noqa: PLC0415 - loads the engine

        result = measure_personal_data(data)
        if as_json:
            print_json(result)
            return
        table = Table("kind", "labelled", "found", "precision", "recall", "missed", "found too much")
        for kind, facts in result["kinds"].items():
            shares = (_show(facts["precision"]), _show(facts["recall"]))
            lists = ("; ".join(facts["missed"]), "; ".join(facts["wrong"]))
            table.add_row(kind, str(facts["labelled"]), str(facts["found"]), *shares, *lists)
        out.print(table)
        out.print(f"{result['sentences']} sentences, {result['without']} of them without personal data")


def _show(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"
