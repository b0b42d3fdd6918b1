"""The vectors of the scopes in use, kept in memory and in step with the table."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from leo_core.errors import EntryCorruptError
from leo_core.storage.codec import from_column
from leo_core.storage.vector_index import ScopeIndex

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    import numpy.typing as npt

    from leo_core.storage.vector_index import ScopeView

__all__ = ["REMOVALS_KEPT", "VectorCache", "forget_old_removals"]

REMOVALS_KEPT = 4096
"""Removals that the table remembers; a cache that is further behind loads its scopes again."""

_ROWS_AT_ONCE = 4096

_NEW_VECTORS = """
    SELECT q.row, q.entry, e.expires_at, q.vector FROM questions q JOIN entries e ON e.row = q.entry
    WHERE q.tenant = ? AND q.scope_key = ? AND q.vector IS NOT NULL AND q.row > ? ORDER BY q.row
"""


@dataclass(slots=True, kw_only=True, eq=False)
class _Held:
    """A scope in memory.

    Attributes:
        index: Its vectors.
        removals: Number of the last removal that they are in step with.
        size_bytes: Memory taken, when it was last looked at.
    """

    index: ScopeIndex
    removals: int
    size_bytes: int = 0


class VectorCache:
    """Matrices of the scopes searched last. Not thread-safe, except that the views it gives may be read freely.

    A search works on its own scope alone, so that what it takes does not grow with the number of scopes in memory.

    Args:
        max_bytes: Memory for all scopes together. The scope searched last is kept even when it alone is larger.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._scopes: OrderedDict[tuple[str | bytes, str | bytes], _Held] = OrderedDict()
        self._size_bytes = 0
        self._last_removal = 0
        self._numbers: list[int] = []
        self._removed: list[int] = []

    @property
    def size_bytes(self) -> int:
        """Memory taken by the matrices."""
        return self._size_bytes

    def view(
        self, connection: sqlite3.Connection, tenant: str | bytes, scope_key: str | bytes, *, dimension: int
    ) -> ScopeView:
        """The vectors of a scope as the connection's transaction sees them.

        Reads what was added and removed since the last call, by whichever process. Transactions have to come in
        the order in which they began.

        Args:
            connection: Inside a read transaction.
            tenant: Column value of the tenant.
            scope_key: Column value of the scope.
            dimension: Length of the vectors.
        """
        self._read_removals(connection)
        key = (tenant, scope_key)
        held = self._scopes.get(key)
        if held is None or held.index.dimension != dimension or not self._catch_up(held):
            self._forget(key)
            held = self._scopes[key] = _Held(index=ScopeIndex(dimension), removals=self._last_removal)
        self._scopes.move_to_end(key)
        _load_new(connection, held.index, tenant, scope_key)
        size_bytes = held.index.size_bytes
        self._size_bytes += size_bytes - held.size_bytes
        held.size_bytes = size_bytes
        self._shrink()
        return held.index.view()

    def holds(self, tenant: str | bytes, scope_key: str | bytes) -> bool:
        """Whether the scope with these column values is in memory."""
        return (tenant, scope_key) in self._scopes

    def clear(self) -> None:
        """Forget every scope; the next search loads its own again."""
        self._scopes.clear()
        self._size_bytes = 0

    def _read_removals(self, connection: sqlite3.Connection) -> None:
        """Note what was removed since the last call; each scope leaves it out when it is searched next."""
        rows = connection.execute(
            "SELECT number, question FROM removals WHERE number > ? ORDER BY number", (self._last_removal,)
        ).fetchall()
        if not rows:
            return
        if rows[0][0] != self._last_removal + 1:
            self.clear()
        self._numbers += [number for number, _ in rows]
        self._removed += [question for _, question in rows]
        self._last_removal = rows[-1][0]
        if len(self._numbers) > 2 * REMOVALS_KEPT:
            del self._numbers[:-REMOVALS_KEPT], self._removed[:-REMOVALS_KEPT]

    def _catch_up(self, held: _Held) -> bool:
        """Leave out of a scope what was removed since it was searched last; false where not all of that is known."""
        if held.removals == self._last_removal:
            return True
        if held.removals + 1 < self._numbers[0]:
            return False
        removed = self._removed[bisect_right(self._numbers, held.removals) :]
        held.index.remove(np.unique(np.array(removed, dtype=np.int64)))
        held.removals = self._last_removal
        return True

    def _forget(self, key: tuple[str | bytes, str | bytes]) -> None:
        held = self._scopes.pop(key, None)
        if held is not None:
            self._size_bytes -= held.size_bytes

    def _shrink(self) -> None:
        while len(self._scopes) > 1 and self._size_bytes > self._max_bytes:
            self._forget(next(iter(self._scopes)))


def forget_old_removals(connection: sqlite3.Connection) -> None:
    """Keep the last :data:`REMOVALS_KEPT` removals; for a write transaction that has removed something."""
    connection.execute("DELETE FROM removals WHERE number <= (SELECT max(number) FROM removals) - ?", (REMOVALS_KEPT,))


def _load_new(connection: sqlite3.Connection, index: ScopeIndex, tenant: str | bytes, scope_key: str | bytes) -> None:
    cursor = connection.execute(_NEW_VECTORS, (tenant, scope_key, index.last_question))
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        questions, entries, ends, blobs = zip(*rows, strict=True)
        index.append(
            np.array(questions, dtype=np.int64),
            np.array(entries, dtype=np.int64),
            np.array([np.inf if end is None else end for end in ends], dtype=np.float64),
            _stack(connection, list(zip(entries, blobs, strict=True)), dimension=index.dimension),
        )


def _stack(
    connection: sqlite3.Connection, rows: Sequence[tuple[int, object]], *, dimension: int
) -> npt.NDArray[np.float32]:
    """Vectors float32 (m, d) from rows (entry, blob); refuses the first entry whose blob is none of finite numbers."""
    blobs = [blob for _, blob in rows if _has_length(blob, dimension)]
    if len(blobs) == len(rows):
        vectors = np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(rows), dimension)
        finite = np.isfinite(vectors).all(axis=1)
        if finite.all():
            return vectors
        wrong = int(np.argmin(finite))
    else:
        wrong = next(at for at, (_, blob) in enumerate(rows) if not _has_length(blob, dimension))
    (entry_id,) = connection.execute("SELECT id FROM entries WHERE row = ?", (rows[wrong][0],)).fetchone()
    message = "a stored vector cannot be read; remove its entry"
    raise EntryCorruptError(message, entry_id=from_column(entry_id))


def _has_length(blob: object, dimension: int) -> TypeGuard[bytes]:
    return isinstance(blob, bytes) and len(blob) == 4 * dimension
