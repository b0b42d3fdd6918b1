"""Replaying a log: every byte that a store keeps of it is derived again and compared."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leo_core.errors import ReceiptError
from leo_core.stages.receipt.canonical import parse_canonical
from leo_core.stages.receipt.checkpoint import read_checkpoint
from leo_core.stages.receipt.document import read_envelope, receipt_id, stated_time
from leo_core.stages.receipt.merkle import EMPTY_RANGE, CompactRange, hash_leaf
from leo_core.stages.receipt.schema import check_statement

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from leo_core.records import Json
    from leo_core.stages.receipt.keys import Keyset
    from leo_core.stages.receipt.sealing import LogHead, LogRecord

__all__ = ["CLOCK_TOLERANCE_S", "FindNode", "Replay", "check_head", "replay_record"]

CLOCK_TOLERANCE_S = 300.0
"""How far the time of a receipt may lie before that of an earlier one: clocks of machines differ and are set."""

FindNode = Callable[[int, int], bytes | None]
"""The stored hash of a complete subtree, by level and position; ``None`` when it is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How far a log has been replayed.

    Attributes:
        origin: Name of the log.
        keys: Keys that may have signed.
        clock_tolerance_s: How far time may go back, in seconds.
        leaves: Tree of the records so far.
        latest: Latest time of a record so far.
    """

    origin: str
    keys: Keyset
    clock_tolerance_s: float = CLOCK_TOLERANCE_S
    leaves: CompactRange = EMPTY_RANGE
    latest: dt.datetime | None = None

    @property
    def size(self) -> int:
        """Number of records so far."""
        return self.leaves.size

    def advance(self, leaves: CompactRange, time: dt.datetime) -> Replay:
        """The replay after one more record."""
        return Replay(
            origin=self.origin,
            keys=self.keys,
            clock_tolerance_s=self.clock_tolerance_s,
            leaves=leaves,
            latest=max(self.latest or time, time),
        )


def replay_record(replay: Replay, record: LogRecord, find_node: FindNode) -> Replay:
    """Check the next record against its place, its leaf, its signature, the time, and the subtrees it completes.

    Raises:
        ReceiptError: The first check that fails: ``sequence`` (removed, added or reordered), ``record`` (its bytes
            are not those of its leaf), ``canonical``, ``schema``, ``key``, ``signature``, ``statement``, ``id``,
            ``time`` or ``node``.
    """
    statement = _check_record(replay, record, find_node)
    time = stated_time(statement)
    if replay.latest is not None and (replay.latest - time).total_seconds() > replay.clock_tolerance_s:
        message = f"receipt {record.index} is dated {replay.latest - time} before an earlier one"
        raise ReceiptError(message, check="time")
    leaves, nodes = replay.leaves.append(hash_leaf(record.envelope))
    for level, position, node in nodes:
        if find_node(level, position) != node:
            message = f"the stored subtree at level {level}, position {position} is not that of its receipts"
            raise ReceiptError(message, check="node")
    return replay.advance(leaves, time)


def check_head(replay: Replay, head: LogHead, *, records: int, nodes: int) -> None:
    """Check the stored head, and how much is stored, against the replayed tree.

    Args:
        replay: The replay of all records.
        head: The stored head.
        records: Number of stored records.
        nodes: Number of stored subtrees.

    Raises:
        ReceiptError: ``check`` is ``sequence``, ``node``, ``head`` or ``checkpoint``.
    """
    leaves = replay.leaves
    if not head.size == records == leaves.size:
        message = (
            f"the log says it has {head.size} receipts, it keeps {records}, of which {leaves.size} follow one another"
        )
        raise ReceiptError(message, check="sequence")
    expected = 2 * leaves.size - leaves.size.bit_count()
    if nodes != expected:
        message = f"the log keeps {nodes} subtrees, {leaves.size} receipts make {expected}"
        raise ReceiptError(message, check="node")
    if head.leaves.hashes != leaves.hashes:
        message = "the stored frontier of the tree is not that of its receipts"
        raise ReceiptError(message, check="head")
    if leaves.size:
        _check_checkpoint(replay, head.checkpoint)


def _check_checkpoint(replay: Replay, note: str) -> None:
    checkpoint = read_checkpoint(note)
    if (checkpoint.origin, checkpoint.size) != (replay.origin, replay.size) or checkpoint.root != replay.leaves.root:
        message = "the stored checkpoint is not that of this tree"
        raise ReceiptError(message, check="checkpoint")
    checkpoint.verify(replay.keys)


def _check_record(replay: Replay, record: LogRecord, find_node: FindNode) -> Mapping[str, Json]:
    """Check one record by itself and against its place; return its statement."""
    position = replay.size
    if record.index != position:
        message = f"receipt {position} is missing: the next one is {record.index}"
        raise ReceiptError(message, check="sequence")
    leaf = find_node(0, position)
    if leaf is None or not hmac.compare_digest(hash_leaf(record.envelope), leaf):
        message = f"the bytes of receipt {position} are not those that were logged"
        raise ReceiptError(message, check="record")
    envelope = read_envelope(parse_canonical(record.envelope))
    envelope.verify(replay.keys)
    statement: Mapping[str, Json] = parse_canonical(envelope.payload)
    check_statement(statement)
    if statement["log"] != {"origin": replay.origin, "previous_size": position}:
        message = f"receipt {position} was signed for another place: {statement['log']}"
        raise ReceiptError(message, check="sequence")
    if record.id != receipt_id(envelope.payload) or record.answer_id != statement["answer_id"]:
        message = f"receipt {position} is filed under the id of another"
        raise ReceiptError(message, check="id")
    return statement
