"""``leo verify``: check a receipt offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from leo_core.cli.output import AsJson, out, print_json, report_errors
from leo_core.cli.stores import read_text
from leo_core.errors import NotAReceiptError

__all__ = ["verify"]


def verify(
    receipt: Annotated[Path, typer.Argument(help="The receipt (JSON).")],
    key: Annotated[Path, typer.Option(help="The public key (PEM) that you trust.")],
    handovers: Annotated[
        Path | None, typer.Option(help="Handovers of the operator (leo.db.key.handovers), to follow from that key.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a receipt: signature, every recomputed figure, and its place in the log.

    Exits with 0 when it is valid, 1 when it is refused (and says which check), 2 when it is not a receipt.
    """
    with report_errors(as_json=as_json):
        from leo_core.stages.receipt.keys import Keyset  # noqa: PLC0415 - a command loads what it needs
        from leo_core.stages.receipt.rotation import follow, read_handovers  # noqa: PLC0415 - as above
        from leo_core.stages.receipt.verify import verify_receipt  # noqa: PLC0415 - as above

        document = _read_json(receipt)
        keys = Keyset.of(read_text(key))
        if handovers is not None:
            keys = follow(keys, read_handovers(read_text(handovers).encode()))
        verify_receipt(document, public_key=keys)
        if as_json:
            print_json({"valid": True, "receipt": str(receipt)})
        else:
            out.print("valid", style="green")


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
