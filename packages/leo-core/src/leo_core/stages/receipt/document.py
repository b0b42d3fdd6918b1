"""The receipt as it is exported: a JSON document, read strictly.

::

    {"format": "leo-receipt/1",
     "envelope": {"payloadType", "payload" (base64), "signatures": [{"keyid", "sig" (base64)}]},
     "log": {"index", "size", "inclusion": [hex, …], "checkpoint": signed note},
     "openings": {name: {"nonce": hex, "content": JSON}, …}}          only what its owner discloses
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from leo_core.errors import NotAReceiptError, ReceiptError
from leo_core.records import Receipt
from leo_core.stages.receipt.canonical import parse_canonical
from leo_core.stages.receipt.commitment import NONCE_BYTES
from leo_core.stages.receipt.envelope import Envelope, decode_base64
from leo_core.stages.receipt.merkle import HASH_BYTES

if TYPE_CHECKING:
    from leo_core.records import Json

__all__ = [
    "FORMAT",
    "Document",
    "disclose",
    "parse_receipt",
    "read_document",
    "read_envelope",
    "read_statement",
    "receipt_id",
    "stated_time",
    "write_document",
]

FORMAT = "leo-receipt/1"
"""Marks a document as a receipt of this form."""

_ID_PREFIX = "leo:rcpt:"
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_MOST = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A receipt document, parsed; nothing in it is verified yet.

    Attributes:
        envelope: The signed statement.
        index: Position in the log.
        size: Size of the log that the proof is about.
        inclusion: Proof hashes.
        checkpoint: Signed note.
        openings: Nonce and content of the commitments that are disclosed.
    """

    envelope: Envelope
    index: int
    size: int
    inclusion: tuple[bytes, ...]
    checkpoint: str
    openings: Mapping[str, tuple[bytes, Json]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Id of the receipt."""
        return receipt_id(self.envelope.payload)


def receipt_id(payload: bytes) -> str:
    """``leo:rcpt:`` and the SHA-256 (hex) of the signed bytes."""
    return _ID_PREFIX + hashlib.sha256(payload).hexdigest()


def write_document(
    envelope: Mapping[str, Json], *, index: int, size: int, inclusion: Sequence[bytes], checkpoint: str
) -> dict[str, Json]:
    """The document of a receipt without openings."""
    return {
        "format": FORMAT,
        "envelope": dict(envelope),
        "log": {
            "index": index,
            "size": size,
            "inclusion": [node.hex() for node in inclusion],
            "checkpoint": checkpoint,
        },
    }


def parse_receipt(text: str | bytes) -> Mapping[str, Json]:
    """The JSON object of a receipt file, for :func:`leo_core.stages.receipt.verify.verify_receipt`.

    Raises:
        NotAReceiptError: Not JSON, not an object, or a member is given twice.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        message = "the input is not a receipt: it is not JSON, or a member is given twice"
        raise NotAReceiptError(message) from error
    if not isinstance(value, dict):
        message = "the input is not a receipt: a receipt is a JSON object"
        raise NotAReceiptError(message)
    return value


def read_document(receipt: Receipt | Mapping[str, Json]) -> Document:
    """Parse a receipt, or its document.

    Raises:
        NotAReceiptError: It does not say that it is a receipt of this format.
        ReceiptError: A field is missing, unknown or malformed (``check="schema"``).
    """
    document: Json = receipt.document if isinstance(receipt, Receipt) else receipt
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        message = f"the input is not a receipt: its format is not {FORMAT!r}"
        raise NotAReceiptError(message)
    fields = _fields(document, "receipt", "format", "envelope", "log", optional=("openings",))
    log = _fields(fields["log"], "log", "index", "size", "inclusion", "checkpoint")
    openings = fields.get("openings", {})
    if not isinstance(log["inclusion"], list | tuple) or not isinstance(openings, Mapping):
        raise _malformed(path="log.inclusion or openings")
    return Document(
        envelope=read_envelope(fields["envelope"]),
        index=_number(log["index"], "log.index"),
        size=_number(log["size"], "log.size"),
        inclusion=tuple(_bytes(node, "log.inclusion", HASH_BYTES) for node in log["inclusion"]),
        checkpoint=_string(log["checkpoint"], "log.checkpoint"),
        openings={name: _opening(item, f"openings.{name}") for name, item in openings.items()},
    )


def read_envelope(value: Json) -> Envelope:
    """Parse the JSON form of an envelope; the signature is not checked.

    Raises:
        ReceiptError: It is malformed or has not exactly one signature (``check="schema"``).
    """
    fields = _fields(value, "envelope", "payload", "payloadType", "signatures")
    signatures = fields["signatures"]
    if not isinstance(signatures, list | tuple) or len(signatures) != 1:
        raise _malformed(path="envelope.signatures")
    signature = _fields(signatures[0], "envelope.signatures[0]", "keyid", "sig")
    return Envelope(
        payload=decode_base64(_string(fields["payload"], "envelope.payload")),
        payload_type=_string(fields["payloadType"], "envelope.payloadType"),
        key_id=_string(signature["keyid"], "envelope.signatures[0].keyid"),
        signature=decode_base64(_string(signature["sig"], "envelope.signatures[0].sig")),
    )


def read_statement(receipt: Receipt | Mapping[str, Json]) -> Mapping[str, Json]:
    """The statement of a receipt. Nothing is verified: call ``verify_receipt`` first.

    Raises:
        NotAReceiptError: The input is not a receipt.
        ReceiptError: It is malformed (``check="schema"`` or ``"canonical"``).
    """
    statement = parse_canonical(read_document(receipt).envelope.payload)
    if not isinstance(statement, dict):
        raise _malformed(path="envelope.payload")
    return statement


def stated_time(statement: Mapping[str, Json]) -> datetime:
    """When the answer was given, by a statement that was checked."""
    return datetime.fromisoformat(statement["time"])


def disclose(receipt: Receipt, contents: Mapping[str, Json]) -> dict[str, Json]:
    """The receipt's document with the openings of these contents, for someone who may know them.

    Args:
        receipt: A receipt with its openings.
        contents: Content of each commitment to open, by name.

    Raises:
        ReceiptError: The owner no longer has the nonce of a name (``check="commitment.<name>"``).
    """
    openings = {}
    for name, content in contents.items():
        if name not in receipt.openings:
            message = f"there is no opening of {name!r}: never committed to, or erased"
            raise ReceiptError(message, check=f"commitment.{name}")
        openings[name] = {"nonce": receipt.openings[name], "content": content}
    return {**receipt.document, "openings": openings}


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a member is given twice"
        raise ValueError(message)
    return found


def _malformed(path: str) -> ReceiptError:
    return ReceiptError(f"the receipt's {path} is missing, unknown or malformed", check="schema")


def _fields(value: Json, path: str, *names: str, optional: tuple[str, ...] = ()) -> Mapping[str, Json]:
    if not isinstance(value, Mapping) or not set(names) <= value.keys() <= {*names, *optional}:
        raise _malformed(path)
    return value


def _string(value: Json, path: str) -> str:
    if not isinstance(value, str):
        raise _malformed(path)
    return value


def _number(value: Json, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise _malformed(path)
    return value


def _bytes(value: Json, path: str, length: int) -> bytes:
    if not isinstance(value, str) or len(value) != 2 * length or not _HEX.fullmatch(value):
        raise _malformed(path)
    return bytes.fromhex(value)


def _opening(value: Json, path: str) -> tuple[bytes, Json]:
    fields = _fields(value, path, "nonce", "content")
    return _bytes(fields["nonce"], f"{path}.nonce", NONCE_BYTES), fields["content"]
