"""Sealed values of a store's file, exchanged where they lie (:class:`leo_core.storage.exchanging.SealedValues`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from leo_core.records import SealedValue
from leo_core.storage.codec import from_column, to_column
from leo_core.storage.sealed_values import find_in_entry, find_in_observation, put_in_entry, put_in_observation

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from leo_core.records import SealedPart
    from leo_core.storage.database import Database

__all__ = ["exchange_value", "read_values"]

_AT_ONCE = 256

_Column = str | bytes


class _Place(NamedTuple):
    """Where values of a part are, and how they are taken out of their column and put back.

    Attributes:
        page: Rows of a tenant above a number: number, column, names.
        one: The column of a row.
        write: Writes the column of a row.
    """

    page: str
    one: str
    write: str
    find: Callable[[_Column], str | bytes]
    put: Callable[[_Column, str | bytes], _Column]


def _as_it_is(value: _Column, fresh: str | bytes) -> _Column:  # noqa: ARG001 - as the others
    return fresh


_PLACES: dict[SealedPart, _Place] = {
    "entry": _Place(
        page="SELECT row, body, id FROM entries WHERE tenant = ? AND row > ? ORDER BY row LIMIT ?",
        one="SELECT body FROM entries WHERE row = ?",
        write="UPDATE entries SET body = ? WHERE row = ?",
        find=lambda body: find_in_entry(from_column(body)),
        put=lambda body, fresh: to_column(put_in_entry(from_column(body), str(fresh))),
    ),
    "question": _Place(
        page="SELECT q.row, q.seal, e.id, q.scope_key, q.exact_key FROM questions q JOIN entries e ON e.row = q.entry"
        " WHERE q.tenant = ? AND q.row > ? ORDER BY q.row LIMIT ?",
        one="SELECT seal FROM questions WHERE row = ?",
        write="UPDATE questions SET seal = ? WHERE row = ?",
        find=lambda seal: seal,
        put=_as_it_is,
    ),
    "observation": _Place(
        page="SELECT number, body FROM observations WHERE tenant = ? AND number > ? ORDER BY number LIMIT ?",
        one="SELECT body FROM observations WHERE number = ?",
        write="UPDATE observations SET body = ? WHERE number = ?",
        find=lambda body: find_in_observation(from_column(body)),
        put=lambda body, fresh: to_column(put_in_observation(from_column(body), str(fresh))),
    ),
    "state": _Place(
        page="SELECT rowid, blob, name FROM states WHERE tenant = ? AND rowid > ? ORDER BY rowid LIMIT ?",
        one="SELECT blob FROM states WHERE rowid = ?",
        write="UPDATE states SET blob = ? WHERE rowid = ?",
        find=lambda blob: blob,
        put=_as_it_is,
    ),
}


def read_values(database: Database, tenant: str) -> Iterator[SealedValue]:
    """All values of a tenant, a page at a time: no transaction is open while the caller works."""
    for part, place in _PLACES.items():
        after = -1
        while True:
            with database.read() as connection:
                rows = connection.execute(place.page, (to_column(tenant), after, _AT_ONCE)).fetchall()
            for number, column, *names in rows:
                found = place.find(column)
                yield SealedValue(part=part, row=str(number), names=tuple(map(from_column, names)), value=found)
            if len(rows) < _AT_ONCE:
                break
            after = rows[-1][0]


def exchange_value(connection: sqlite3.Connection, value: SealedValue, fresh: str | bytes) -> bool:
    """Put another value in its place, if it is still there; inside a write transaction."""
    place, number = _PLACES[value.part], int(value.row)
    row = connection.execute(place.one, (number,)).fetchone()
    if row is None or place.find(row[0]) != value.value:
        return False
    connection.execute(place.write, (place.put(row[0], fresh), number))
    return True
