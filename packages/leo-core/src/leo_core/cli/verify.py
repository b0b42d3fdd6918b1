"""``leo verify``: check a receipt offline."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leo_core.cli.output import AsJson, out, print_json, report_errors, show_progress
from leo_core.cli.stores import read_text
from leo_core.errors import ConfigError, NotAReceiptError

if TYPE_CHECKING:
    from leo_core.stages.receipt.keys import Keyset

__all__ = ["verify"]

_HEADER_BYTES = 4096


def verify(
    receipt: Annotated[
        Path, typer.Argument(help="The receipt (JSON), an export (JSON lines), or, with --witness, a checkpoint.")
    ],
    key: Annotated[Path, typer.Option(help="The public key (PEM) that you trust.")],
    handovers: Annotated[
        Path | None, typer.Option(help="Handovers of the operator (leo.db.key.handovers), to follow from that key.")
    ] = None,
    witness: Annotated[
        str | None, typer.Option(help="Name of a witness that has to have signed the checkpoint.")
    ] = None,
    witness_key: Annotated[Path | None, typer.Option(help="Public key (PEM) of that witness.")] = None,
    audits: Annotated[
        Path | None, typer.Option(help="Report of a day's audits, to be checked against an export that holds that day.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a receipt: signature, every recomputed figure, and its place in the log; or all those of an export.

    Of an export it also checks that no receipt of its period is missing, of a checkpoint its signatures. Exits with 0
    when it is valid, 1 when it is refused (and says which check), 2 when it is not a receipt.
    """
    with report_errors(as_json=as_json):
        from leo_core.stages.receipt.keys import Keyset  # noqa: PLC0415 - a command loads what it needs
        from leo_core.stages.receipt.rotation import follow, read_handovers  # noqa: PLC0415 - as above
        from leo_core.stages.receipt.verify import verify_receipt  # noqa: PLC0415 - as above

        keys = Keyset.of(read_text(key))
        if handovers is not None:
            keys = follow(keys, read_handovers(read_text(handovers).encode()))
        if (witness is None) != (witness_key is None):
            message = "a witness has a name and a key: give both --witness and --witness-key"
            raise ConfigError(message)
        if witness is not None and witness_key is not None:
            _verify_witnessed(receipt, keys, witness, read_text(witness_key), as_json=as_json)
            return
        if audits is not None:
            _verify_audits(receipt, _read_json(audits), keys, as_json=as_json)
            return
        if _is_export(receipt):
            _verify_export(receipt, keys, as_json=as_json)
            return
        verify_receipt(_read_json(receipt), public_key=keys)
        if as_json:
            print_json({"valid": True, "receipt": str(receipt)})
        else:
            out.print("valid", style="green")


def _is_export(path: Path) -> bool:
    """Whether a file's first line says that it is an export."""
    try:
        with path.open("rb") as stream:
            return b'"format":"leo-receipts/' in stream.readline(_HEADER_BYTES)
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise ConfigError(message) from error


def _verify_export(path: Path, keys: Keyset, *, as_json: bool) -> None:
    from leo_core.stages.receipt.export import verify_export  # noqa: PLC0415 - a command loads what it needs

    with path.open("rb") as stream, show_progress(as_json=as_json) as progress:
        task = progress.add_task("verifying", total=None)
        found = verify_export(
            stream, public_key=keys, report=lambda done, total: progress.update(task, completed=done, total=total)
        )
    if as_json:
        print_json({"valid": True, "export": str(path), **asdict(found)})
        return
    span = f"positions {found.start} to {found.stop - 1} of {found.size}" if found.receipts else f"of {found.size}"
    out.print(f"valid: {found.receipts} receipts, {span} in {found.origin}; none is missing", style="green")
    for position, check in found.refused:
        out.print(f"receipt {position} does not keep what it promises: {check}", style="yellow")


def _verify_witnessed(path: Path, keys: Keyset, name: str, witness_key: str, *, as_json: bool) -> None:
    from leo_core.stages.receipt.checkpoint import read_checkpoint  # noqa: PLC0415 - a command loads what it needs
    from leo_core.stages.receipt.cosignature import verify_cosignature  # noqa: PLC0415 - as above

    note = read_text(path)
    checkpoint = read_checkpoint(note)
    checkpoint.verify(keys)
    at = datetime.fromtimestamp(verify_cosignature(note, name, witness_key), UTC).isoformat()
    if as_json:
        print_json({"valid": True, "origin": checkpoint.origin, "size": checkpoint.size, "witnessed": at})
    else:
        out.print(f"valid: {checkpoint.size} receipts of {checkpoint.origin}, seen by {name} at {at}", style="green")


def _verify_audits(path: Path, report: dict[str, object], keys: Keyset, *, as_json: bool) -> None:
    from leo_core.stages.receipt.audit_report import verify_audit_report  # noqa: PLC0415 - loaded when needed

    with path.open("rb") as stream:
        found = verify_audit_report(report, stream, public_key=keys)
    if as_json:
        rate = found.error_rate if found.known else None
        print_json({"valid": True, **asdict(found), "error_rate": rate})
        return
    out.print(
        f"valid: of {found.answers} answers of {found.day}, {found.due} had to be audited, and these are they; "
        f"the outcomes of {found.known} are given, {found.wrong} wrong",
        style="green",
    )
    if found.known:
        low, high = found.interval
        out.print(f"wrong answers, estimated: {found.error_rate:.1%}, 95 % interval {low:.1%} to {high:.1%}")


def _read_json(path: Path) -> dict[str, object]:
    text = read_text(path)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"{path} is not JSON"
        raise NotAReceiptError(message) from error
    if not isinstance(document, dict):
        message = f"{path} is not a JSON object"
        raise NotAReceiptError(message)
    return document
