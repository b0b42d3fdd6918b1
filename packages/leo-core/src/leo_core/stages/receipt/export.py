"""A stretch of a log for an auditor: all receipts of a period, and the proof that none of them was left out.

A file of JSON lines: a header, then the documents of receipts, one per line, all against one checkpoint. They stand
next to each other in the log. The first lies before the period by more than clocks may go back, or at the begin of the
log, and the last after it, or at the end of the log: since no receipt of a log states a time more than that before an
earlier one (an audit of the log checks it), none of the period can be missing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from leo_core.errors import NotAReceiptError, ReceiptError
from leo_core.stages.receipt.audit import CLOCK_TOLERANCE_S
from leo_core.stages.receipt.canonical import canonical_bytes
from leo_core.stages.receipt.checkpoint import read_checkpoint
from leo_core.stages.receipt.document import parse_receipt, read_document, read_statement, stated_time
from leo_core.stages.receipt.keys import Keyset
from leo_core.stages.receipt.lcs import check_constraints
from leo_core.stages.receipt.verify import verify_logged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from leo_core.ports import ReceiptLog
    from leo_core.records import Json
    from leo_core.stages.receipt.keys import PublicKeys

__all__ = ["EXPORT_FORMAT", "Period", "VerifiedExport", "export_period", "verify_export"]

EXPORT_FORMAT = "leo-receipts/1"


@dataclass(frozen=True, slots=True)
class Period:
    """From an instant up to, but not including, another; ``None`` leaves an end open. Seconds since the Unix epoch."""

    since: float | None = None
    until: float | None = None

    def holds(self, at: float) -> bool:
        """Whether the instant lies in it."""
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)

    def covers(self, first: float, after: float) -> bool:
        """Whether everything from one instant up to, but not including, another lies in it."""
        return (self.since is None or self.since <= first) and (self.until is None or self.until >= after)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedExport:
    """What an export proves.

    Attributes:
        period: The period.
        origin: Name of the log.
        size: Size of the log at its checkpoint.
        start: Position of the first receipt of the period.
        stop: Position after the last one; the period has none where it equals ``start``.
        receipts: Receipts of the period.
        refused: Receipts of the period that are in the log and do not keep what they promise: position and check.
    """

    period: Period
    origin: str
    size: int
    start: int
    stop: int
    receipts: int
    refused: tuple[tuple[int, str], ...] = ()


def export_period(
    log: ReceiptLog,
    period: Period,
    *,
    clock_tolerance_s: float = CLOCK_TOLERANCE_S,
    report: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[bytes]:
    """The lines of an export, without line ends.

    Args:
        log: The log; receipts that come meanwhile are left out.
        period: Which receipts.
        clock_tolerance_s: How far the time of a receipt may lie before that of an earlier one.
        report: Told the receipts seen and their number, every now and then.

    Raises:
        ReceiptError: The log grew meanwhile, so that proofs are against two checkpoints: do it again
            (``check="checkpoint"``).
    """
    size, note = log.size(), log.checkpoint()
    start, stop = 0, size
    for receipt in log.receipts(0, size):
        at = stated_time(read_statement(receipt)).timestamp()
        if period.since is not None and at < period.since - clock_tolerance_s:
            start = receipt.log_index
        report(receipt.log_index + 1, size)
        if period.until is not None and at >= period.until + clock_tolerance_s:
            stop = receipt.log_index + 1
            break
    header: dict[str, Json] = {"format": EXPORT_FORMAT, "start": start, "stop": stop, "checkpoint": note}
    yield canonical_bytes(header | {"since": _write_time(period.since), "until": _write_time(period.until)})
    for receipt in log.receipts(start, stop):
        if receipt.document["log"]["checkpoint"] != note:
            message = "the log grew while it was exported; export it again"
            raise ReceiptError(message, check="checkpoint")
        yield canonical_bytes(dict(receipt.document))


def verify_export(
    lines: Iterable[str | bytes],
    *,
    public_key: PublicKeys,
    clock_tolerance_s: float = CLOCK_TOLERANCE_S,
    on_statement: Callable[[Mapping[str, Json]], None] = lambda _: None,
    report: Callable[[int, int], None] = lambda *_: None,
) -> VerifiedExport:
    """Check an export: every receipt, and that none of the period is missing.

    A receipt that is in the log but does not keep what it promises (``lcs.…``) is part of the record: it is named in
    the result, and does not make the export false.

    Args:
        lines: Its lines, with or without line ends.
        public_key: As for :func:`~leo_core.stages.receipt.verify.verify_receipt`.
        clock_tolerance_s: How far the time of a receipt may lie before that of an earlier one.
        on_statement: Told each statement of the period, once its receipt is checked.
        report: Told the receipts checked and their number.

    Raises:
        NotAReceiptError: It is no export.
        ReceiptError: The first check that fails: those of ``verify_logged``; ``checkpoint``, the header's is not signed
            or a receipt is against another one; ``sequence``, a receipt is missing, or the period may go on beyond the
            ends of the export.
        SigningKeyError: ``public_key`` is no Ed25519 public key.
    """
    keys = Keyset.of(public_key)
    rest = iter(lines)
    period, start, stop, note = _read_header(next(rest, ""))
    checkpoint = read_checkpoint(note)
    checkpoint.verify(keys)
    expected, inside, refused = start, [], []
    edges = (float("inf"), float("-inf"))
    for line in rest:
        document = parse_receipt(line)
        index = _check_place(document, expected, note)
        statement = verify_logged(document, public_key=keys)
        at = stated_time(statement).timestamp()
        edges = (at if index == start else edges[0], at)
        if period.holds(at):
            inside.append(index)
            on_statement(statement)
            refused += [(index, why) for why in _broken_promise(statement)]
        expected += 1
        report(expected - start, stop - start)
    if expected != stop:
        message = f"receipts {expected} to {stop - 1} are missing"
        raise ReceiptError(message, check="sequence")
    since, until = period.since, period.until
    begins = start == 0 or (since is not None and edges[0] < since - clock_tolerance_s)
    ends = stop == checkpoint.size or (until is not None and edges[1] >= until + clock_tolerance_s)
    if not begins or not ends or start >= stop > 0:
        message = "the export does not show what lies before or after the period: receipts of it may be missing"
        raise ReceiptError(message, check="sequence")
    first, last = (inside[0], inside[-1] + 1) if inside else (start, start)
    return VerifiedExport(
        period=period,
        origin=checkpoint.origin,
        size=checkpoint.size,
        start=first,
        stop=last,
        receipts=len(inside),
        refused=tuple(refused),
    )


def _check_place(document: Mapping[str, Json], expected: int, note: str) -> int:
    """Position of a receipt, which has to be the next one, under the export's checkpoint."""
    read = read_document(document)
    if read.checkpoint != note:
        message = f"receipt {read.index} is proven against another checkpoint than that of the export"
        raise ReceiptError(message, check="checkpoint")
    if read.index != expected:
        message = f"receipt {expected} is missing: the next one is {read.index}"
        raise ReceiptError(message, check="sequence")
    return expected


def _broken_promise(statement: Mapping[str, Json]) -> tuple[str, ...]:
    """The promise that a statement breaks, if any."""
    try:
        check_constraints(statement)
    except ReceiptError as error:
        return (error.check or "lcs",)
    return ()


def _read_header(line: str | bytes) -> tuple[Period, int, int, str]:
    try:
        header = json.loads(line)
        known = header["format"] == EXPORT_FORMAT
        start, stop, note = int(header["start"]), int(header["stop"]), str(header["checkpoint"])
        period = Period(_read_time(header["since"]), _read_time(header["until"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        message = f"the input is not an export of receipts: its first line does not say {EXPORT_FORMAT!r}"
        raise NotAReceiptError(message) from error
    if not known:
        message = f"the input is not an export of receipts of the format {EXPORT_FORMAT!r}"
        raise NotAReceiptError(message)
    return period, start, stop, note


def _read_time(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


def _write_time(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
