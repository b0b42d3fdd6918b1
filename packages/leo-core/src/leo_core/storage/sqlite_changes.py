"""What came and went in a scope of the store's file, for a client that searches itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.errors import StorageError
from leo_core.records import KeptQuestion, QuestionChanges
from leo_core.storage.sqlite_rows import read_text

if TYPE_CHECKING:
    import sqlite3

__all__ = ["read_changes"]

_Column = str | bytes

_AT_ONCE = 4096
_ADDED = """
    SELECT q.row, e.id, q.exact_key, e.expires_at, q.seal FROM questions q JOIN entries e ON e.row = q.entry
    WHERE q.tenant = ? AND q.scope_key = ? AND q.vector IS NOT NULL AND q.row > ? ORDER BY q.row LIMIT ?
"""
_REMOVED = "SELECT number, question FROM removals WHERE number > ? ORDER BY number"
_LAST_REMOVAL = "SELECT coalesce(max(number), 0) FROM removals"


def read_changes(connection: sqlite3.Connection, tenant: _Column, scope_key: _Column, after: str) -> QuestionChanges:
    """What came and went since a cursor: the last row and the last removal that were told, or ``""``.

    Args:
        connection: Inside a read transaction.
        tenant: Column value of the tenant.
        scope_key: Column value of the scope.
        after: The cursor.

    Raises:
        StorageError: The cursor is none.
        EntryCorruptError: A question cannot be read.
    """
    row, removal = _read_cursor(after)
    removed: list[tuple[int, int]] = []
    if after:
        removed = connection.execute(_REMOVED, (removal,)).fetchall()
    # Old removals are forgotten; who is further behind than they reach back reads everything again.
    anew = bool(removed) and removed[0][0] != removal + 1
    if anew or not after:
        row, removal = 0, int(connection.execute(_LAST_REMOVAL).fetchone()[0])
    elif removed:
        removal = removed[-1][0]
    rows = connection.execute(_ADDED, (tenant, scope_key, row, _AT_ONCE)).fetchall()
    added = tuple(
        KeptQuestion(
            row=str(number),
            entry_id=read_text(entry_id, entry_id),
            exact_key=read_text(exact_key, entry_id),
            expires_at=expires_at,
            seal=str(seal),
        )
        for number, entry_id, exact_key, expires_at, seal in rows
    )
    return QuestionChanges(
        cursor=f"{rows[-1][0] if rows else row}.{removal}",
        added=added,
        removed=() if anew else tuple(str(question) for _, question in removed),
        anew=anew,
        more=len(rows) == _AT_ONCE,
    )


def _read_cursor(text: str) -> tuple[int, int]:
    row, point, removal = text.partition(".")
    if not text:
        return 0, 0
    if not point or not row.isdecimal() or not removal.isdecimal():
        message = f"{text!r} is no cursor of this store; begin anew with an empty one"
        raise StorageError(message)
    return int(row), int(removal)
