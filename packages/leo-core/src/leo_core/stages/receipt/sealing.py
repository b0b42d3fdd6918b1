"""What a log does with a statement, without the log: complete, sign, hash, and make receipts from its parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leo_core.errors import ReceiptError
from leo_core.records import Receipt
from leo_core.stages.receipt.canonical import checked_bytes, parse_canonical
from leo_core.stages.receipt.checkpoint import sign_checkpoint
from leo_core.stages.receipt.document import receipt_id, write_document
from leo_core.stages.receipt.envelope import sign
from leo_core.stages.receipt.merkle import EMPTY_RANGE, CompactRange, Node, NodeReader, hash_leaf, inclusion_proof
from leo_core.stages.receipt.schema import check_meaning, check_statement
from leo_core.stages.receipt.spelling import is_spelled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json
    from leo_core.stages.receipt.keys import SigningKey

__all__ = ["LogHead", "LogRecord", "Sealed", "make_receipt", "seal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogHead:
    """Where a log ends.

    Attributes:
        leaves: Size and frontier of its tree.
        checkpoint: Signed tree head; empty for a log without receipts.
    """

    leaves: CompactRange = EMPTY_RANGE
    checkpoint: str = ""

    @property
    def size(self) -> int:
        """Number of receipts."""
        return self.leaves.size


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """A receipt as a log keeps it.

    Attributes:
        index: Position.
        id: Id of the receipt.
        answer_id: Answer that it is about.
        envelope: Canonical bytes of the envelope.
        openings: Nonces (hex) by name; empty once erased.
    """

    index: int
    id: str
    answer_id: str
    envelope: bytes
    openings: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """All that one append writes: the record, the subtrees it completes, and the head after it; and the receipt."""

    record: LogRecord
    nodes: tuple[Node, ...]
    head: LogHead
    receipt: Receipt


def seal(
    statement: Mapping[str, Json], openings: Mapping[str, str], *, head: LogHead, origin: str, key: SigningKey
) -> Sealed:
    """Complete the statement with the log's state, sign it, and extend the tree and its head.

    Raises:
        ReceiptError: The statement is not well formed (``check="statement"`` or ``"canonical"``).
    """
    if "log" in statement:
        message = "the statement has been in a log before"
        raise ReceiptError(message, check="statement")
    complete = {**statement, "log": {"origin": origin, "previous_size": head.size}}
    payload = _spell(complete)
    signed = sign(payload, key).to_json()
    envelope = checked_bytes(signed)
    leaves, nodes = head.leaves.append(hash_leaf(envelope))
    record = LogRecord(
        index=head.size,
        id=receipt_id(payload),
        answer_id=complete["answer_id"],
        envelope=envelope,
        openings=dict(openings),
    )
    checkpoint = sign_checkpoint(origin, leaves.size, leaves.root, key)
    document = write_document(
        signed,
        index=record.index,
        size=leaves.size,
        inclusion=head.leaves.hashes[::-1],  # beside the path of the last leaf stand all complete subtrees before it
        checkpoint=checkpoint,
    )
    return Sealed(
        record=record,
        nodes=nodes,
        head=LogHead(leaves=leaves, checkpoint=checkpoint),
        receipt=Receipt(id=record.id, document=document, openings=record.openings, log_index=record.index),
    )


def _spell(statement: Mapping[str, Json]) -> bytes:
    """Canonical bytes of a completed statement, checked."""
    try:
        payload = checked_bytes(statement)
    except (ReceiptError, RecursionError):
        check_statement(statement)  # tells which field it is
        raise
    (check_meaning if is_spelled(payload) else check_statement)(statement)
    return payload


def make_receipt(record: LogRecord, head: LogHead, read: NodeReader) -> Receipt:
    """The receipt of a record, with its proof against this head of the log."""
    document = write_document(
        parse_canonical(record.envelope),
        index=record.index,
        size=head.size,
        inclusion=inclusion_proof(record.index, head.size, read),
        checkpoint=head.checkpoint,
    )
    return Receipt(id=record.id, document=document, openings=record.openings, log_index=record.index)
