"""``leo bench private``: an encrypted index in another process beside a plain cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, err, out, print_json, report_errors

__all__ = ["private"]


def private(
    data: Annotated[Path, typer.Option(help="Folder with streams/banking77.jsonl.gz, or a file of that kind.")],
    requests: Annotated[int, typer.Option(help="Requests of the stream.", min=2)] = 1000,
    mode: Annotated[str, typer.Option(help="query_private or fully_encrypted.")] = "fully_encrypted",
    tail_rows: Annotated[int, typer.Option(help="Rows searched on the client before they go into a block.")] = 256,
    max_wrong_hits: Annotated[float, typer.Option(help="The cache's promise; large, so that there are hits.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Order of the stream, and draws.")] = 0,
    as_json: AsJson = False,
) -> None:
    """A stream through two LEOs, one with an encrypted index in another process: the same hits, time, bytes, leaks."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.private_bench import run_private  # noqa: PLC0415 - loads numpy

        result = run_private(
            data,
            requests=requests,
            mode=mode,
            tail_rows=tail_rows,
            max_wrong_hits=max_wrong_hits,
            seed=seed,
            report=lambda what: err.print(what, style="dim"),
        )
        if as_json:
            print_json(result)
        else:
            _print(result)


def _print(result: dict[str, Any]) -> None:
    table = Table("cache", "p50, ms", "p95, ms", "client CPU, ms", "server CPU, ms", "sent, KB", "received, KB")
    wall, late, cpu = result["ms_p50"], result["ms_p95"], result["cpu_ms_mean"]
    table.add_row("plain", f"{wall['plain']:.1f}", f"{late['plain']:.1f}", f"{cpu['plain']:.1f}", "0", "0", "0")
    table.add_row(
        result["mode"],
        f"{wall['private']:.1f}",
        f"{late['private']:.1f}",
        f"{cpu['private']:.1f}",
        f"{cpu['server']:.1f}",
        f"{result['kb_sent_p50']:.1f} (mean {result['kb_sent_mean']:.1f})",
        f"{result['kb_received_p50']:.1f} (mean {result['kb_received_mean']:.1f})",
    )
    out.print(table)
    out.print(f"{result['requests']} requests, {result['hits']} hits; decided otherwise: {result['different']}")
    for place, found in result["found"].items():
        told = {name: count for name, count in found.items() if not name.startswith("control")}
        control = sum(count for name, count in found.items() if name.startswith("control"))
        out.print(
            f"{place} of the server: {sum(told.values())} of {len(told)} prompts, answers and vectors found "
            f"(control found {control} times)"
        )
    tails = ", ".join(f"{each['rows']} rows {each['ms']:.2f} ms" for each in result["tails"])
    out.print(f"tail searched on the client in: {tails}; most sent for one request {result['kb_sent_most']:,.0f} KB")
    out.print(
        f"file of the server {result['server_file_mb']:.1f} MB; tail of {result['tail_rows']} rows; "
        f"{result['machine']}, {result['cores']} cores; seed {result['seed']}"
    )
