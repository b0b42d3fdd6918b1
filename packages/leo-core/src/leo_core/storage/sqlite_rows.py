"""Rows of the store's file: what they hold as records, and how an entry is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from leo_core.errors import EntryCorruptError, StoreCorruptError
from leo_core.records import Alias, KeptEntry
from leo_core.storage.codec import decode_entry, from_column, to_column
from leo_core.storage.eviction import Occupant
from leo_core.storage.vector_cache import forget_old_removals

if TYPE_CHECKING:
    import sqlite3

    from leo_core.records import CacheEntry, Vector

__all__ = ["insert_entry", "read_entry", "read_kept", "read_occupants", "read_own", "read_text", "read_vector"]

_Column = str | bytes

_QUESTIONS = "SELECT own, exact_key, text, vector, seal FROM questions WHERE entry = ? ORDER BY row"
_TAKEN = """
    SELECT EXISTS (SELECT 1 FROM entries WHERE tenant = ? AND id = ?)
        OR EXISTS (SELECT 1 FROM questions WHERE tenant = ? AND exact_key = ?)
"""


def read_entry(row: tuple[_Column, _Column, int, str] | None) -> CacheEntry | None:
    """The entry of a row of its own columns; ``None`` of none."""
    return None if row is None else read_own(*row)


def read_own(entry_id: _Column, body: _Column, hits: int, seal: str) -> CacheEntry:
    """The entry of its own columns.

    Raises:
        EntryCorruptError: They cannot be read.
    """
    try:
        return decode_entry(from_column(body), hits=hits, seal=seal)
    except StoreCorruptError as error:
        raise EntryCorruptError(str(error), entry_id=from_column(entry_id)) from error


def read_kept(connection: sqlite3.Connection, row: tuple[int, _Column, _Column, int]) -> KeptEntry:
    """An entry with its vector and aliases.

    Raises:
        EntryCorruptError: Something of it cannot be read.
    """
    number, entry_id, body, hits = row
    questions = connection.execute(_QUESTIONS, (number,)).fetchall()
    own = [(vector, seal) for own, _, _, vector, seal in questions if own]
    if len(own) != 1:
        message = "a stored entry has no question of its own; remove it"
        raise EntryCorruptError(message, entry_id=from_column(entry_id))
    vector, seal = own[0]
    return KeptEntry(
        entry=read_own(entry_id, body, hits, seal),
        vector=None if vector is None else read_vector(vector, entry_id),
        aliases=tuple(
            Alias(
                exact_key=read_text(exact_key, entry_id),
                text=read_text(text, entry_id),
                vector=read_vector(vector, entry_id),
                seal=seal,
            )
            for own, exact_key, text, vector, seal in questions
            if not own
        ),
    )


def read_text(value: _Column, entry_id: _Column) -> str:
    """The text of a column of an entry.

    Raises:
        EntryCorruptError: It cannot be read.
    """
    try:
        return from_column(value)
    except StoreCorruptError as error:
        raise EntryCorruptError(str(error), entry_id=from_column(entry_id)) from error


def read_vector(blob: object, entry_id: _Column) -> Vector:
    """The vector of a column of an entry, float32, read-only.

    Raises:
        EntryCorruptError: It cannot be read.
    """
    try:
        return np.frombuffer(cast("bytes", blob), dtype="<f4")
    except (TypeError, ValueError) as error:
        message = "a stored vector cannot be read; remove its entry"
        raise EntryCorruptError(message, entry_id=from_column(entry_id)) from error


def read_occupants(connection: sqlite3.Connection, tenant: _Column) -> list[Occupant]:
    """What eviction looks at, of all entries of a tenant."""
    rows = connection.execute(
        "SELECT row, hits, cost_usd, size_bytes, created_at, expires_at FROM entries WHERE tenant = ?", (tenant,)
    )
    return [
        Occupant(number=row, hits=hits, cost_usd=cost, size_bytes=size, created_at=created_at, expires_at=expires_at)
        for row, hits, cost, size, created_at, expires_at in rows
    ]


def insert_entry(connection: sqlite3.Connection, entry: CacheEntry, body: _Column, blob: bytes | None) -> None:
    """Write an entry with its own question in place of those that it replaces."""
    tenant, number, key = to_column(entry.tenant), to_column(entry.id), to_column(entry.exact_key)
    if connection.execute(_TAKEN, (tenant, number, tenant, key)).fetchone()[0]:
        _make_room(connection, tenant, number, key)
    row = connection.execute(
        "INSERT INTO entries (tenant, id, model, expires_at, hits, body, size_bytes, cost_usd, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            tenant,
            number,
            to_column(entry.model),
            entry.expires_at,
            entry.hits,
            body,
            entry.size_bytes,
            entry.usage.cost_usd,
            entry.created_at,
        ),
    ).lastrowid
    connection.execute(
        "INSERT INTO questions (entry, tenant, exact_key, scope_key, own, text, vector, seal)"
        " VALUES (?, ?, ?, ?, 1, ?, ?, ?)",
        (row, tenant, key, to_column(entry.scope_key), to_column(entry.text), blob, entry.seal),
    )
    if entry.tags:
        connection.executemany(
            "INSERT OR IGNORE INTO tags (tenant, tag, entry) VALUES (?, ?, ?)",
            [(tenant, to_column(tag), row) for tag in entry.tags],
        )
    if entry.sources:
        connection.executemany(
            "INSERT OR IGNORE INTO sources (tenant, source, entry) VALUES (?, ?, ?)",
            [(tenant, to_column(source), row) for source in entry.sources],
        )


def _make_room(connection: sqlite3.Connection, tenant: _Column, entry_id: _Column, key: _Column) -> None:
    """Remove the entry with this id, the entry whose own key this is, and any paraphrase with this key."""
    connection.execute("DELETE FROM entries WHERE tenant = ? AND id = ?", (tenant, entry_id))
    connection.execute(
        "DELETE FROM entries WHERE row IN (SELECT entry FROM questions WHERE tenant = ? AND exact_key = ? AND own = 1)",
        (tenant, key),
    )
    connection.execute("DELETE FROM questions WHERE tenant = ? AND exact_key = ?", (tenant, key))
    forget_old_removals(connection)
