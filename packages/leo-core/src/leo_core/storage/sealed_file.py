"""What a private store's file holds beside the store: the journal and the receipts, sealed anew where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leo_core.storage.database import Database

__all__ = ["FilePart", "FileValue", "exchange_in_file", "note_pass", "read_file_values"]

_AT_ONCE = 256

FilePart = Literal["result", "intent", "settled", "receipt", "opening"]
"""The answer of an idempotency key; its request; its receipt; a receipt's envelope; a receipt's nonces."""


class FileValue(NamedTuple):
    """A sealed value.

    Attributes:
        part: What it is.
        keys: Finds it again: pseudonyms of tenant and idempotency key, or the position of a receipt.
        value: The value.
    """

    part: FilePart
    keys: tuple[str, ...]
    value: str | bytes


_JOURNAL: dict[FilePart, str] = {"result": "result", "intent": "digest", "settled": "receipt_id"}
_RECEIPTS: dict[FilePart, tuple[str, str]] = {
    "receipt": ("receipts", "envelope"),
    "opening": ("receipt_openings", "body"),
}


def read_file_values(database: Database, tenant: str | None) -> Iterator[FileValue]:
    """The values under a tenant's keys, or, for ``None``, those under the store's own."""
    if tenant is not None:
        yield from _read_journal(database, ("result",), tenant)
        return
    yield from _read_journal(database, ("intent", "settled"), None)
    for part in _RECEIPTS:
        yield from _read_receipts(database, part)


def exchange_in_file(database: Database, value: FileValue, fresh: str | bytes) -> bool:
    """Put another value in its place, if it is still there; whether it was."""
    if value.part in _JOURNAL:
        column, where = _JOURNAL[value.part], "tenant = ? AND key = ?"
        table, keys = "journal", value.keys
    else:
        (table, column), where = _RECEIPTS[value.part], "position = ?"
        keys = value.keys
    statement = f"UPDATE {table} SET {column} = ? WHERE {where} AND {column} = ?"  # noqa: S608 - names of this module only
    with database.write(durable=False) as connection:
        return connection.execute(statement, (fresh, *keys, value.value)).rowcount == 1


def note_pass(database: Database, ring: str, version: int) -> None:
    """Note that nothing of a keyring lies under earlier versions; what was exchanged before is on disk on return."""
    with database.write() as connection:
        row = (f"resealed:{ring}", str(version))
        connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", row)


def _read_journal(database: Database, parts: tuple[FilePart, ...], tenant: str | None) -> Iterator[FileValue]:
    columns = ", ".join(_JOURNAL[part] for part in parts)
    mine = "" if tenant is None else " AND tenant = ?"
    query = (
        f"SELECT tenant, key, {columns} FROM journal WHERE (tenant, key) > (?, ?){mine} ORDER BY tenant, key LIMIT ?"  # noqa: S608 - names of this module only
    )
    after = ("", "")
    while True:
        with database.read() as connection:
            given = (*after, *(() if tenant is None else (tenant,)), _AT_ONCE)
            rows = connection.execute(query, given).fetchall()
        for owner, key, *values in rows:
            for part, value in zip(parts, values, strict=True):
                if value:
                    yield FileValue(part, (owner, key), value)
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1][:2]


def _read_receipts(database: Database, part: FilePart) -> Iterator[FileValue]:
    table, column = _RECEIPTS[part]
    query = f"SELECT position, {column} FROM {table} WHERE position > ? ORDER BY position LIMIT ?"  # noqa: S608 - names of this module only
    after = -1
    while True:
        with database.read() as connection:
            rows = connection.execute(query, (after, _AT_ONCE)).fetchall()
        yield from (FileValue(part, (str(position),), value) for position, value in rows)
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1][0]
