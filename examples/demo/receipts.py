"""The demo's last step: every receipt is verified offline, forged ones are refused, and the log is audited."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from report import Section, check, fail

from leo_core import verify_receipt
from leo_core.errors import ReceiptError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from leo_core import LEO

__all__ = ["check_receipts"]


def check_receipts(leo: LEO, answer_id: str, out: Path) -> Section:
    """Verify every receipt of the log with nothing but the public key, then forge one in three ways.

    Args:
        leo: Any engine on the store; the log is one for all of them.
        answer_id: An answer whose receipt is forged and exported.
        out: Where ``receipt.json`` and ``leo.pub`` go.
    """
    log, key = leo.log, leo.public_key
    if log is None:
        fail("receipts are switched on")
    receipts = list(log.receipts())
    for receipt in receipts:
        verify_receipt(receipt, public_key=key)
    figures = leo.explain(answer_id)
    chosen = log.get(figures["receipt"])
    if chosen is None:
        fail("the log holds the receipt of the answer")
    document = json.loads(json.dumps(dict(chosen.document)))
    (out / "receipt.json").write_text(json.dumps(document, indent=2), encoding="utf-8")
    (out / "leo.pub").write_text(key, encoding="utf-8")
    audited = log.audit()
    check(audited == len(receipts), "the audit of the log saw every receipt")
    return Section(
        title="Receipts",
        claim=f"{len(receipts)} answers, {len(receipts)} receipts: each verified offline with the public key.",
        columns=("what", "result"),
        rows=[
            (f"verify_receipt on {len(receipts)} receipts", "valid"),
            ("a copy that names another model as the author", _refusal(_rename_author(document), key)),
            ("a copy moved to another place in the log", _refusal(_move(document), key)),
            ("the receipt held against another answer", _refusal(chosen, key, {"answer": "No."})),
            ("the log replayed from its first entry", f"valid: {audited} receipts, nothing removed, nothing reordered"),
        ],
        notes=(
            "A receipt proves that this key signed this record in this order, not that the answer is true.",
            "Try it: leo verify receipt.json --key leo.pub (in the folder of this page).",
        ),
    )


def _refusal(receipt: Any, key: str, contents: Mapping[str, Any] | None = None) -> str:
    reason = ""
    try:
        verify_receipt(receipt, public_key=key, contents=contents)
    except ReceiptError as error:
        reason = f"refused: {error}"
    check(reason, "a forged receipt was refused")
    return reason


def _rename_author(document: dict[str, Any]) -> dict[str, Any]:
    envelope = document["envelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["served"]["model"] = "a-dearer-model"
    payload = json.dumps(statement, separators=(",", ":"), sort_keys=True).encode()
    return {**document, "envelope": {**envelope, "payload": base64.b64encode(payload).decode()}}


def _move(document: dict[str, Any]) -> dict[str, Any]:
    log = document["log"]
    return {**document, "log": {**log, "index": log["index"] - 1}}
