"""The vectors of the scopes in use, kept in memory and in step with the table."""

from __future__ import annotations

from collections import OrderedDict
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


class VectorCache:
    """Matrices of the scopes searched last. Not thread-safe, except that the views it gives may be read freely.

    Args:
        max_bytes: Memory for all scopes together. The scope searched last is kept even when it alone is larger.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._scopes: OrderedDict[tuple[str | bytes, str | bytes], ScopeIndex] = OrderedDict()
        self._last_removal = 0

    @property
    def size_bytes(self) -> int:
        """Memory taken by the matrices."""
        return sum(index.size_bytes for index in self._scopes.values())

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
        self._apply_removals(connection)
        key = (tenant, scope_key)
        index = self._scopes.get(key)
        if index is None or index.dimension != dimension:
            index = self._scopes[key] = ScopeIndex(dimension)
        self._scopes.move_to_end(key)
        _load_new(connection, index, tenant, scope_key)
        self._shrink()
        return index.view()

    def holds(self, tenant: str | bytes, scope_key: str | bytes) -> bool:
        """Whether the scope with these column values is in memory."""
        return (tenant, scope_key) in self._scopes

    def clear(self) -> None:
        """Forget every scope; the next search loads its own again."""
        self._scopes.clear()

    def _apply_removals(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute(
            "SELECT number, question FROM removals WHERE number > ? ORDER BY number", (self._last_removal,)
        ).fetchall()
        if not rows:
            return
        if rows[0][0] != self._last_removal + 1:
            self._scopes.clear()
        questions = np.unique(np.array([question for _, question in rows], dtype=np.int64))
        for index in self._scopes.values():
            index.remove(questions)
        self._last_removal = rows[-1][0]

    def _shrink(self) -> None:
        while len(self._scopes) > 1 and self.size_bytes > self._max_bytes:
            self._scopes.popitem(last=False)


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
