"""What came in a scope of a Chroma store, for a client that searches itself.

Chroma gives records by their metadata only, so that what came is found by when it was written. Clocks differ, and a
record may be on its way for a while: the last half minute is looked at each time anew, by names only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leo_core.errors import StorageError
from leo_core.records import KeptQuestion, QuestionChanges
from leo_core.storage.chroma_rows import NEVER, RowClock, decode_text, time_of
from leo_core.storage.chroma_table import ROWS_AT_ONCE, parts

if TYPE_CHECKING:
    from collections.abc import Container

    from leo_core.storage.chroma_rows import Question
    from leo_core.storage.chroma_table import ChromaTable

__all__ = ["is_opening", "read_changes"]

SLACK_US = 30_000_000
"""How far clocks may differ, and how long a write may take, in microseconds."""

_AT_ONCE = 1024
_OPENING = "+"
"""Marks a cursor after which there is more to read already."""


def is_opening(after: str) -> bool:
    """Whether the reading after this cursor is one of many rows, which takes its time."""
    return not after or after.endswith(_OPENING)


def read_changes(table: ChromaTable, scope: str, after: str, known: Container[str]) -> QuestionChanges:
    """What came since a cursor: the instant up to which everything is known.

    Args:
        table: The questions.
        scope: Digest of the tenant and the scope.
        after: The cursor, in microseconds since the epoch, or ``""``.
        known: Rows that are known already.

    Raises:
        StorageError: The cursor is none.
    """
    since = _read_cursor(after)
    started = RowClock.now_us()
    where: list[dict[str, Any]] = [{"scope": scope}]
    if since:
        where.append({"written": {"$gt": since}})
    names = sorted(row for row in table.get_rows(where) if row not in known)
    page, more = names[:_AT_ONCE], len(names) > _AT_ONCE
    questions = [each for some in parts(page, ROWS_AT_ONCE) for each in table.get_each(some)]
    reach = min(started - SLACK_US, time_of(page[-1]) - 1) if more else started - SLACK_US
    return QuestionChanges(
        cursor=f"{max(since, reach)}{_OPENING if more else ''}",
        added=tuple(_read(each) for each in questions if each.vector is not None),
        more=more,
    )


def _read(question: Question) -> KeptQuestion:
    ends = float(question.facts["ends"])
    return KeptQuestion(
        row=question.row,
        entry_id=decode_text(question.facts.get("name")),
        exact_key=question.exact_key,
        expires_at=None if ends >= NEVER else ends,
        seal=question.seal,
    )


def _read_cursor(text: str) -> int:
    since = text.removesuffix(_OPENING)
    if text and not since.isdecimal():
        message = f"{text[:40]!r} is no cursor of this store; begin anew with an empty one"
        raise StorageError(message)
    return int(since or 0)
