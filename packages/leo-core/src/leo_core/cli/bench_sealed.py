"""``leo bench sealed``: what it costs that the store learns nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, err, out, print_json, report_errors

__all__ = ["sealed"]


def sealed(
    pairs: Annotated[Path | None, typer.Option(help="Question pairs whose texts are kept and asked.")] = None,
    entries: Annotated[int, typer.Option(help="Entries in each store.", min=8)] = 10_000,
    embedder: Annotated[str, typer.Option(help="Name of the embedder.")] = "default",
    seed: Annotated[int, typer.Option(help="Of everything drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """A sealed store beside the same one in the clear: writing, looking up, asking, opening, size."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.sealed_bench import run_sealed  # noqa: PLC0415 - loads numpy

        result = run_sealed(
            pairs=pairs,
            entries=entries,
            embedder=embedder,
            seed=seed,
            report=lambda what: err.print(what, style="dim"),
        )
        if as_json:
            print_json(result)
        else:
            _print(result)


def _print(result: dict[str, Any]) -> None:
    table = Table("work", "plain, µs", "sealed, µs", "ratio", "95 % interval")
    for row in result["work"]:
        figures = (f"{row['own_us']:.1f}", f"{row['peer_us']:.1f}", f"{row['ratio']:.2f}")
        table.add_row(row["work"], *figures, f"{row['low']:.2f} to {row['high']:.2f}")
    out.print(table)
    plain, sealed = result["openings"]
    out.print(
        f"opening {result['entries']:,} entries up to the first search: plain {plain['open_s']:.3f} s, "
        f"sealed {sealed['open_s']:.3f} s, ratio {sealed['ratio']:.2f}"
    )
    sizes = result["file_bytes_per_entry"]
    out.print(
        f"file: plain {sizes['plain']:,.0f}, sealed {sizes['sealed']:,.0f} bytes per entry, "
        f"ratio {sizes['sealed'] / sizes['plain']:.2f}; opened index {result['index_bytes_per_entry']:,.0f} bytes"
    )
    out.print(f"CPU time in turns; {result['machine']}, {result['cores']} cores; seed {result['seed']}")
