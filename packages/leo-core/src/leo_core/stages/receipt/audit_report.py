"""What the audits of a day found, for somebody who does not trust the operator.

A report reveals the day's seed and gives the outcome of every answer that had to be audited, by its place in the log.
It is checked against an export of that day: the seed is the one that every statement committed to, and the answers are
exactly those that were drawn. What cannot be checked without the contents are the outcomes themselves; contents can be
disclosed for some of them, and the checker asked again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from leo_core.errors import NotAReceiptError, ReceiptError
from leo_core.stages.receipt.export import verify_export
from leo_core.stages.receipt.lottery import commit_seed, is_due, stated_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from leo_core.records import Json
    from leo_core.stages.receipt.keys import PublicKeys

__all__ = ["REPORT_FORMAT", "AuditedDay", "find_span", "verify_audit_report", "write_report"]

REPORT_FORMAT = "leo-audits/1"
_Z95 = 1.959963984540054
_FIELDS = {"format", "origin", "day", "seed", "outcomes"}
_SEED_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedDay:
    """What a report shows.

    Attributes:
        day: The day, UTC.
        answers: Receipts of that day.
        due: Answers that had to be audited.
        known: Of these, those whose outcome is given; the others could not be judged, or were not.
        wrong: Wrong ones.
        error_rate: Estimate of the share of all answers that are wrong: each outcome weighs the inverse of its chance
            (Hájek 1971); NaN without outcomes.
        interval: Its 95 % interval (normal, linearised variance), within [0, 1].
    """

    day: str
    answers: int
    due: int
    known: int
    wrong: int
    error_rate: float
    interval: tuple[float, float]


def find_span(day: str) -> tuple[float, float]:
    """First instant of a day (UTC) and of the next, in seconds since the Unix epoch.

    Raises:
        ReceiptError: It is no day (``check="audit_day"``).
    """
    try:
        first = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        message = f"{day!r} is no day, such as 2026-01-31"
        raise ReceiptError(message, check="audit_day") from error
    return first.timestamp(), (first + timedelta(days=1)).timestamp()


def write_report(
    statements: Iterable[Mapping[str, Json]], outcomes: Mapping[str, bool], *, origin: str, day: str, seed: bytes
) -> dict[str, Json]:
    """The report of a day.

    Args:
        statements: Those of the day.
        outcomes: Whether an answer was right, by its id; of those that are not in it, nothing is known.
        origin: Name of the log.
        day: The day.
        seed: Its seed.
    """
    due = {
        str(statement["log"]["previous_size"]): outcomes.get(statement["answer_id"])
        for statement in statements
        if stated_day(statement) == day and is_due(statement, seed)
    }
    return {"format": REPORT_FORMAT, "origin": origin, "day": day, "seed": seed.hex(), "outcomes": due}


def verify_audit_report(
    report: Mapping[str, Json], lines: Iterable[str | bytes], *, public_key: PublicKeys
) -> AuditedDay:
    """Check a report against an export that holds its day, and estimate the rate of wrong answers.

    Args:
        report: The report.
        lines: The export's lines.
        public_key: As for :func:`~leo_core.stages.receipt.verify.verify_receipt`.

    Raises:
        NotAReceiptError: It is no report.
        ReceiptError: The first check that fails: those of ``verify_export``; ``audit_day``, the export does not hold
            the whole day, or is of another log; ``audit_seed``, a statement committed to another seed; ``audit_due``,
            an answer that was drawn is missing, or one that was not is reported.
        SigningKeyError: ``public_key`` is no Ed25519 public key.
    """
    day, seed, outcomes = _read(report)
    first, after = find_span(day)
    statements: list[Mapping[str, Json]] = []
    found = verify_export(lines, public_key=public_key, on_statement=statements.append)
    if not found.period.covers(first, after) or found.origin != report["origin"]:
        message = f"the export does not hold the whole of {day} of the log {report['origin']!r}"
        raise ReceiptError(message, check="audit_day")
    due: dict[int, float] = {}
    answers = 0
    for statement in statements:
        if stated_day(statement) != day:
            continue
        answers += 1
        position = int(statement["log"]["previous_size"])
        if statement["audit"]["seed"] != commit_seed(seed):
            message = f"receipt {position} committed to another seed than the one that is revealed"
            raise ReceiptError(message, check="audit_seed")
        if is_due(statement, seed):
            due[position] = float(statement["audit"]["chance"])
    wrongly = sorted(due.keys() ^ outcomes.keys())
    if wrongly:
        what = "had to be audited and is not reported" if wrongly[0] in due else "is reported and was not drawn"
        message = f"answer {wrongly[0]} {what}"
        raise ReceiptError(message, check="audit_due")
    known = {position: outcome for position, outcome in outcomes.items() if outcome is not None}
    rate, interval = _estimate([(1.0 / due[position], not right) for position, right in known.items()])
    return AuditedDay(
        day=day,
        answers=answers,
        due=len(due),
        known=len(known),
        wrong=sum(not right for right in known.values()),
        error_rate=rate,
        interval=interval,
    )


def _estimate(outcomes: list[tuple[float, bool]]) -> tuple[float, tuple[float, float]]:
    """Weighted share of wrong answers, and its interval, from weights and outcomes."""
    total = sum(weight for weight, _ in outcomes)
    if not total:
        return math.nan, (0.0, 1.0)
    rate = sum(weight for weight, wrong in outcomes if wrong) / total
    spread = math.sqrt(sum((weight * (wrong - rate)) ** 2 for weight, wrong in outcomes)) / total
    return rate, (max(rate - _Z95 * spread, 0.0), min(rate + _Z95 * spread, 1.0))


def _read(report: Mapping[str, Json]) -> tuple[str, bytes, dict[int, bool | None]]:
    message = f"the input is no report of audits of the format {REPORT_FORMAT!r}"
    try:
        seed = bytes.fromhex(report["seed"])
        outcomes = {int(position): outcome for position, outcome in report["outcomes"].items()}
        known = set(report) == _FIELDS and report["format"] == REPORT_FORMAT and len(seed) == _SEED_BYTES
        clean = all(outcome is None or isinstance(outcome, bool) for outcome in outcomes.values())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NotAReceiptError(message) from error
    if not known or not clean or len(outcomes) != len(report["outcomes"]):
        raise NotAReceiptError(message)
    return str(report["day"]), seed, outcomes
