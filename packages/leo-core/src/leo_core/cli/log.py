"""``leo log``: the receipts of a store: list, show, prove, audit, audits, witness, export, erase."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leo_core.cli.output import AsJson, make_table, out, print_json, print_whole, report_errors, show_progress
from leo_core.cli.stores import key_path, open_existing, open_new, read_text, read_time
from leo_core.errors import ConfigError, ReceiptError

if TYPE_CHECKING:
    from leo_core.records import Receipt

__all__ = ["app"]

app = typer.Typer(help="The receipts of a store.", no_args_is_help=True)
Store = Annotated[Path, typer.Argument(help="The store (a SQLite file).")]


@app.command(name="list")
def list_receipts(
    store: Store,
    start: Annotated[int, typer.Option(help="First position.", min=0)] = 0,
    count: Annotated[int, typer.Option(help="Most receipts.", min=0)] = 20,
    as_json: AsJson = False,
) -> None:
    """List receipts by position."""
    with report_errors(as_json=as_json), open_existing(store) as (_, log):
        rows = [_row(receipt) for receipt in log.receipts(start, min(start + count, log.size()))]
        if as_json:
            print_json({"size": log.size(), "receipts": rows})
            return
        table = make_table("position", "time", "route", "model", "receipt", framed=False)
        for row in rows:
            table.add_row(str(row["position"]), row["time"], row["route"], row["model"], row["receipt"])
        print_whole(table)


@app.command()
def show(
    store: Store,
    receipt: Annotated[str, typer.Argument(help="Id of the receipt.")],
    as_json: AsJson = False,
) -> None:
    """Print a receipt with its proof, ready for ``leo verify``."""
    with report_errors(as_json=as_json), open_existing(store) as (_, log):
        found = log.get(receipt)
        if found is None:
            message = f"there is no receipt {receipt} in {store}"
            raise ConfigError(message)
        if as_json:
            print_json(dict(found.document))
        else:
            typer.echo(json.dumps(dict(found.document), indent=2))


@app.command()
def prove(
    store: Store,
    old_size: Annotated[int, typer.Argument(help="Size of the log at an earlier checkpoint.")],
    new_size: Annotated[int | None, typer.Argument(help="Size to prove it against; the whole log by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that the log has only grown since an earlier checkpoint."""
    with report_errors(as_json=as_json), open_existing(store) as (_, log):
        size = log.size() if new_size is None else new_size
        if not 0 <= old_size <= size <= log.size():
            message = f"sizes must satisfy 0 <= {old_size} <= {size} <= {log.size()}"
            raise ConfigError(message)
        proof = list(log.consistency_proof(old_size, size))
        facts = {"old_size": old_size, "new_size": size, "proof": proof, "checkpoint": log.checkpoint()}
        if as_json:
            print_json(facts)
        else:
            typer.echo(json.dumps(facts, indent=2))


@app.command()
def audit(
    store: Store,
    key: Annotated[
        Path | None, typer.Option(help="Public key (PEM) that you trust; by default the store's own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay the whole log; exits with 1 and names the first failed check if there is one."""
    with report_errors(as_json=as_json), open_existing(store, key) as (_, log):
        if not log.public_keys:
            message = (
                f"{store} holds no receipts and has no key {key_path(store).name} beside it: nothing can be audited"
            )
            raise ConfigError(message)
        with show_progress(as_json=as_json) as progress:
            task = progress.add_task("auditing", total=None)
            size = log.audit(lambda done, total: progress.update(task, completed=done, total=total))
        if as_json:
            print_json({"valid": True, "size": size, "checkpoint": log.checkpoint() if size else None})
        else:
            out.print(f"valid: {size} receipts", style="green")


@app.command()
def witness(
    store: Store,
    file: Annotated[Path, typer.Argument(help="Where the checkpoint with both signatures is kept.")],
    name: Annotated[str, typer.Option(help="Name of the witness.")],
    key: Annotated[
        Path | None, typer.Option(help="The witness's own signing key, where it signs here; FILE is what it saw last.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of a witness (C2SP tlog-witness).")] = None,
    public_key: Annotated[Path | None, typer.Option(help="Public key (PEM) of that witness.")] = None,
    as_json: AsJson = False,
) -> None:
    """Have a witness sign the log's checkpoint; it refuses if the log is not an extension of what it saw last."""
    with report_errors(as_json=as_json), open_existing(store) as (_, log):
        from leo_core.engine.world import SystemClock  # noqa: PLC0415 - a command loads what it needs
        from leo_core.stages.receipt.checkpoint import read_checkpoint  # noqa: PLC0415 - as above
        from leo_core.storage.keyfile import load_key  # noqa: PLC0415 - as above
        from leo_core.storage.witness import FileWitness, HttpWitness, witness_log  # noqa: PLC0415 - as above

        signer: FileWitness | HttpWitness
        if key is not None and url is None and public_key is None:
            signer = FileWitness(file, name, load_key(key), log.public_keys, SystemClock())
        elif key is None and url is not None and public_key is not None:
            signer = HttpWitness(url, name, read_text(public_key))
        else:
            message = "say who the witness is: --key KEYFILE, or --url ADDRESS with --public-key PEMFILE"
            raise ConfigError(message)
        size = read_checkpoint(witness_log(log, signer, None if key is not None else file)).size
        if as_json:
            print_json({"witness": name, "size": size, "file": str(file)})
        else:
            out.print(f"{name} signed the checkpoint of {size} receipts", style="green")


@app.command()
def audits(
    store: Store,
    file: Annotated[Path, typer.Argument(help="File to write (JSON), for 'leo verify EXPORT --audits FILE'.")],
    day: Annotated[str, typer.Option(help="The day (UTC), such as 2026-01-31; it has to be over.")],
    as_json: AsJson = False,
) -> None:
    """Reveal a day's seed, with the outcome of every answer that had to be audited."""
    with report_errors(as_json=as_json), open_existing(store) as (kept, log):
        from leo_core.stages.receipt.audit_report import find_span, write_report  # noqa: PLC0415 - a command loads what it needs
        from leo_core.stages.receipt.canonical import canonical_bytes  # noqa: PLC0415 - as above
        from leo_core.stages.receipt.checkpoint import read_checkpoint  # noqa: PLC0415 - as above
        from leo_core.stages.receipt.document import read_statement  # noqa: PLC0415 - as above
        from leo_core.stages.receipt.lottery import derive_seed  # noqa: PLC0415 - as above
        from leo_core.storage.keyfile import load_key  # noqa: PLC0415 - as above

        try:
            _, ends_at = find_span(day)
        except ReceiptError as error:
            message = f"--day is {day!r}; give a day such as 2026-01-31"
            raise ConfigError(message) from error
        if ends_at > time.time():
            message = f"{day} is not over: its seed still decides which answers are audited"
            raise ConfigError(message)
        origin = read_checkpoint(log.checkpoint()).origin
        outcomes = {
            observation.body["answer_id"]: observation.body["right"]
            for _, observation in kept.observations()
            if observation.kind == "audit"
        }
        report = write_report(
            (read_statement(receipt) for receipt in log.receipts()),
            outcomes,
            origin=origin,
            day=day,
            seed=derive_seed(load_key(key_path(store)), origin, day),
        )
        with open_new(file) as stream:
            stream.write(canonical_bytes(report))
        due = report["outcomes"]
        known = sum(outcome is not None for outcome in due.values())
        if as_json:
            print_json({"day": day, "due": len(due), "known": known, "file": str(file)})
        else:
            out.print(f"{day}: {len(due)} answers had to be audited, the outcomes of {known} are known")


@app.command(name="export")
def export_receipts(
    store: Store,
    file: Annotated[Path, typer.Argument(help="File to write (JSON lines), for 'leo verify'.")],
    since: Annotated[
        str | None, typer.Option(help="First instant of the period (ISO 8601; UTC if it does not say).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="First instant after the period.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write all receipts of a period for an auditor, with the proof that none of them is missing."""
    with report_errors(as_json=as_json), open_existing(store) as (_, log):
        from leo_core.stages.receipt.export import Period, export_period  # noqa: PLC0415 - a command loads what it needs

        period = Period(
            None if since is None else read_time("since", since), None if until is None else read_time("until", until)
        )
        lines = -1
        with show_progress(as_json=as_json) as progress, open_new(file) as stream:
            task = progress.add_task("reading", total=None)
            told = lambda done, total: progress.update(task, completed=done, total=total)  # noqa: E731 - one call
            for line in export_period(log, period, report=told):
                stream.write(line + b"\n")
                lines += 1
        if as_json:
            print_json({"receipts": lines, "file": str(file)})
        else:
            out.print(f"{lines} receipts, with those next to the period")


@app.command()
def erase(
    store: Store,
    before: Annotated[str, typer.Option(help="Instant (ISO 8601; UTC if it does not say); what is older goes.")],
    as_json: AsJson = False,
) -> None:
    """Erase nonces, cached answers and journalled requests from before an instant; receipts and log stay whole."""
    with report_errors(as_json=as_json), open_existing(store) as (kept, log):
        from leo_core.storage.retention import erase_before  # noqa: PLC0415 - a command loads what it needs

        instant = read_time("before", before)
        with show_progress(as_json=as_json) as progress:
            task = progress.add_task("erasing", total=None)
            erased = erase_before(
                kept,
                log,
                instant,
                report=lambda done, total: progress.update(task, completed=done, total=total),
            )
        if as_json:
            print_json({"receipts": erased.receipts, "entries": erased.entries, "requests": erased.requests})
        else:
            out.print(
                f"erased: the nonces of {erased.receipts} receipts, {erased.entries} cached answers, "
                f"{erased.requests} journalled requests"
            )


def _row(receipt: Receipt) -> dict[str, Any]:
    from leo_core.stages.receipt.document import read_statement  # noqa: PLC0415 - a command loads what it needs

    statement = read_statement(receipt)
    return {
        "position": receipt.log_index,
        "receipt": receipt.id,
        "time": statement["time"],
        "route": statement["served"]["route"],
        "model": statement["served"]["model"],
    }
