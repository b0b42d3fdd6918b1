"""``leo bench stream``: time to the first and to the last token under each streaming policy."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, out, print_json, report_errors

__all__ = ["stream"]


def stream(
    rounds: Annotated[int, typer.Option(help="Streams of each way and policy.", min=1)] = 5,
    scale: Annotated[float, typer.Option(help="Factor of the members' delays.", min=0.0, max=100.0)] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Time to the first and to the last token under each streaming policy, with scripted members of fixed delays."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.stream_bench import measure_streams  # noqa: PLC0415 - loads the engine

        result = measure_streams(rounds, scale=scale)
        if as_json:
            print_json(result)
            return
        table = Table("way", "policy", "first token", "last token", "verdict")
        for row in result["rows"]:
            table.add_row(
                row["way"],
                row["policy"],
                f"{row['first_s'] * 1e3:4.0f} ms ({row['first_ratio']:.2f})",
                f"{row['last_s'] * 1e3:4.0f} ms ({row['last_ratio']:.2f})",
                f"{row['verdict_s'] * 1e3:4.0f} ms",
            )
        out.print(table)
        corrected = [f"{row['way']} {row['corrected']} of {rounds}" for row in result["rows"] if row["corrected"]]
        out.print(f"in brackets: over that of verified; corrected: {', '.join(corrected)}")
        for name, times in result["members"].items():
            first, last = times["first_s"] * 1e3, times["last_s"] * 1e3
            out.print(f"{name} streamed without LEO: first token {first:.0f} ms, last token {last:.0f} ms")
        out.print(
            f"medians of {rounds} streams each, the policies in turn; delays are scripted, LEO's own time is real"
        )
