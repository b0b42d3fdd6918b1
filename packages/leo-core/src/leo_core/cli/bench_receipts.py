"""``leo bench receipts``: what receipts cost, and what their certificates hold."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from leo_core.cli.output import AsJson, out, print_json, report_errors, show_progress

__all__ = ["receipts"]


def receipts(
    count: Annotated[int, typer.Option(help="Receipts to append, audit and verify.", min=1)] = 10_000,
    certificates: Annotated[int, typer.Option(help="Random instances of the coherence problem.", min=1)] = 2_000,
    seed: Annotated[int, typer.Option(help="Of the answers and instances.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Receipts beside a bare Ed25519 signature and SQLite row; certificates of coherence, whole and tampered with."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.receipt_bench import run_receipts  # noqa: PLC0415 - loads numba

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with show_progress(*columns, as_json=as_json) as progress:
            task = progress.add_task("receipts", total=count)
            result = run_receipts(
                count=count,
                certificates=certificates,
                seed=seed,
                report=lambda done, total: progress.update(task, completed=done, total=total),
            )
        if as_json:
            print_json(result)
        else:
            _print(result)


def _print(result: dict[str, Any]) -> None:
    found, proofs = result["receipts"], result["certificates"]
    table = Table("receipt", "time", "bytes")
    table.add_row("append, durable", f"{found['append_us']:.0f} µs", f"{found['log_bytes']:.0f} in the store")
    table.add_row("bare signature and row", f"{found['bare_us']:.0f} µs", f"{found['bare_bytes']:.0f} in the store")
    table.add_row("ratio", f"{found['ratio']:.2f}", f"{found['log_bytes'] / found['bare_bytes']:.2f}")
    table.add_row("verify", f"{found['verify_us']:.0f} µs", f"{found['document_bytes']:.0f} exported")
    table.add_row("audit", f"{found['audit_us']:.0f} µs", "")
    out.print(table)
    out.print(f"{found['audited']} of {found['count']} receipts audited")
    out.print(
        f"coherence: {proofs['made']} of {proofs['instances']} instances have a certificate; "
        f"{proofs['certified']} pass, {proofs['refused']} of {proofs['tampered']} tampered ones are refused; "
        f"check: p50 {proofs['check_ms_p50']:.2f} ms, p99 {proofs['check_ms_p99']:.2f} ms"
    )
