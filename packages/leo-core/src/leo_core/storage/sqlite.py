"""The embedded store: one SQLite file."""

from __future__ import annotations

import functools
import secrets
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from leo_core.errors import StorageError, StoreCorruptError
from leo_core.storage.checks import check_embedder, check_entry, check_vector
from leo_core.storage.codec import (
    decode_fingerprint,
    decode_observation,
    encode_entry,
    encode_fingerprint,
    encode_observation,
    from_column,
    to_column,
)
from leo_core.storage.database import Database
from leo_core.storage.eviction import choose_evicted
from leo_core.storage.question_cache import QuestionCache, QuestionReader
from leo_core.storage.sealing import SECRET_BYTES
from leo_core.storage.sqlite_changes import read_changes
from leo_core.storage.sqlite_rows import insert_entry, read_entry, read_kept, read_occupants
from leo_core.storage.sqlite_sealed import exchange_value, read_values
from leo_core.storage.vector_cache import VectorCache, forget_old_removals
from leo_core.storage.vector_index import find_nearest

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Container, Iterable, Iterator, Sequence

    from leo_core.records import (
        CacheEntry,
        EmbedderFingerprint,
        KeptEntry,
        Neighbour,
        Observation,
        QuestionChanges,
        SealedValue,
        Vector,
    )

__all__ = ["SEAL_SUFFIX", "SqliteStore"]

SEAL_SUFFIX = ".seal"
"""What is added to the name of the store's file for that of its seal key."""

_Column = str | bytes

_OBSERVATIONS_AT_ONCE = 512
_ENTRIES_AT_ONCE = 256
_CLEARED_AT_ONCE = 5000

_BY_KEY = """
    SELECT e.id, e.body, e.hits, q.seal FROM questions q JOIN entries e ON e.row = q.entry
    WHERE q.tenant = ? AND q.exact_key = ? AND (e.expires_at IS NULL OR e.expires_at >= ?)
"""
_BY_ID = """
    SELECT e.id, e.body, e.hits, q.seal FROM entries e JOIN questions q ON q.entry = e.row AND q.own = 1
    WHERE e.tenant = ? AND e.id = ?
"""
_ALL = "SELECT row, id, body, hits FROM entries WHERE tenant = ? AND row > ? ORDER BY row LIMIT ?"
_EACH = "SELECT row, id, body, hits FROM entries WHERE tenant = ? AND id = ?"
_TENANTS = "SELECT tenant FROM entries UNION SELECT tenant FROM observations UNION SELECT tenant FROM states"


class SqliteStore:
    """A :class:`leo_core.ports.Store` with :class:`leo_core.ports.Leases` in one SQLite file, or in memory.

    Observations survive a power cut as soon as ``observe`` returns. Entries and states survive the death of the
    process as soon as their call returns, and a power cut from the next durable write or ``close()`` on.

    Args:
        database: The database, which stays the caller's to close, or the path of one, which this object closes.
        vector_cache_bytes: Memory for the vectors of the scopes in use; see :class:`VectorCache`.
        question_cache_bytes: Memory for the neighbours found last; see :class:`QuestionCache`.

    Attributes:
        seal_secret: The file beside the store with what its entries are sealed with; in memory, that itself.
    """

    def __init__(
        self,
        database: Database | str | os.PathLike[str],
        *,
        vector_cache_bytes: int = 512 * 1024 * 1024,
        question_cache_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        self._owned = not isinstance(database, Database)
        self._database = database if isinstance(database, Database) else Database(database)
        self.seal_secret: Path | bytes = (
            secrets.token_bytes(SECRET_BYTES) if self._database.in_memory else Path(self._database.path + SEAL_SUFFIX)
        )
        self._fingerprint: EmbedderFingerprint | None = None
        self._vectors = VectorCache(max_bytes=vector_cache_bytes)
        self._questions = QuestionCache(max_bytes=question_cache_bytes)
        self._turn = threading.Lock()

    @property
    def database(self) -> Database:
        """The database underneath."""
        return self._database

    @property
    def embedder(self) -> EmbedderFingerprint | None:
        """The embedder that the file was last opened for, as it is noted there; ``None`` before the first time."""
        with self._database.read() as connection:
            return _find_fingerprint(connection)

    def __repr__(self) -> str:
        return f"SqliteStore({self._database.path!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open_for(self, fingerprint: EmbedderFingerprint) -> None:
        """Declare the embedder; see :meth:`leo_core.ports.Store.open_for`."""
        with self._database.read() as connection:
            known = _find_fingerprint(connection) == fingerprint
        if not known:
            self._note_embedder(fingerprint)
        self._fingerprint = fingerprint

    # ------------------------------------------------------------------------------------------ entries

    def get_exact(self, tenant: str, exact_key: str, *, now: float) -> CacheEntry | None:
        """The live entry whose request, or verified paraphrase, had this key."""
        rows = self._database.query(_BY_KEY, (to_column(tenant), to_column(exact_key), now))
        return read_entry(rows[0] if rows else None)

    def get(self, tenant: str, entry_id: str) -> CacheEntry | None:
        """The entry with this id, live or expired."""
        with self._database.read() as connection:
            row = connection.execute(_BY_ID, (to_column(tenant), to_column(entry_id))).fetchone()
        return read_entry(row)

    def search(self, tenant: str, scope_key: str, vector: Vector, *, k: int, now: float) -> tuple[Neighbour, ...]:
        """The ``k`` nearest live entries in scope; among equals the older question first."""
        with self._database.read() as connection:
            # The transaction sees the state of its first query. Taking turns here keeps the vectors from going back.
            with self._turn:
                inside = check_embedder(self._fingerprint, _find_fingerprint(connection))
                query = check_vector(vector, inside)
                view = self._vectors.view(connection, to_column(tenant), to_column(scope_key), dimension=len(query))
            reader = QuestionReader(connection, self._questions, dimension=len(query))
            return reader.read_neighbours(find_nearest(view, query, k=k, now=now, read_vectors=reader.read_vectors))

    def entries(self, tenant: str, *, entry_ids: Sequence[str] | None = None) -> Iterator[KeptEntry]:
        """Entries with vectors and aliases, live or expired, in the order of writing: all, or those with these ids."""
        owner = to_column(tenant)
        if entry_ids is not None:
            with self._database.read() as connection:
                wanted = [(owner, to_column(entry_id)) for entry_id in dict.fromkeys(entry_ids)]
                rows = [row for each in wanted for row in connection.execute(_EACH, each)]
                found = [read_kept(connection, row) for row in sorted(rows)]
            yield from found
            return
        after = 0
        while True:
            with self._database.read() as connection:
                rows = connection.execute(_ALL, (owner, after, _ENTRIES_AT_ONCE)).fetchall()
                found = [read_kept(connection, row) for row in rows]
            yield from found
            if len(rows) < _ENTRIES_AT_ONCE:
                return
            after = rows[-1][0]

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Write an entry; replaces those of its tenant with the same id or the same exact key of their own.

        A paraphrase with this key leaves the entry that it was attached to.
        """
        self.put_many([(entry, vector)])

    def put_many(self, rows: Sequence[tuple[CacheEntry, Vector | None]]) -> None:
        """:meth:`put` for several entries in turn, in one transaction: all or none."""
        prepared = []
        for entry, vector in rows:
            check_entry(entry)
            prepared.append((entry, vector, to_column(encode_entry(entry))))
        if not prepared:
            return
        with self._database.write(durable=False) as connection:
            inside = _find_fingerprint(connection)
            for entry, vector, body in prepared:
                insert_entry(connection, entry, body, None if vector is None else self._encode_vector(inside, vector))
        self._catch_up({(entry.tenant, entry.scope_key) for entry, vector in rows if vector is not None})

    def add_alias(
        self, tenant: str, entry_id: str, text: str, vector: Vector, exact_key: str, *, seal: str = ""
    ) -> None:
        """Attach a verified paraphrase to an entry.

        Nothing happens when the entry is gone, or when the key is some entry's own: that question has its own
        answer. A paraphrase of another entry with this key moves here.
        """
        owner, key = to_column(tenant), to_column(exact_key)
        with self._database.write(durable=False) as connection:
            blob = self._encode_vector(_find_fingerprint(connection), vector)
            found = connection.execute(
                "SELECT e.row, q.scope_key FROM entries e JOIN questions q ON q.entry = e.row AND q.own = 1"
                " WHERE e.tenant = ? AND e.id = ?",
                (owner, to_column(entry_id)),
            ).fetchone()
            taken = connection.execute(
                "SELECT own FROM questions WHERE tenant = ? AND exact_key = ?", (owner, key)
            ).fetchone()
            if found is None or (taken is not None and taken[0]):
                return
            if taken is not None:
                connection.execute("DELETE FROM questions WHERE tenant = ? AND exact_key = ?", (owner, key))
                forget_old_removals(connection)
            connection.execute(
                "INSERT INTO questions (entry, tenant, exact_key, scope_key, own, text, vector, seal)"
                " VALUES (?, ?, ?, ?, 0, ?, ?, ?)",
                (found[0], owner, key, found[1], to_column(text), blob, seal),
            )
        self._catch_up([(tenant, from_column(found[1]))])

    def count_hit(self, tenant: str, entry_id: str) -> None:
        """Count one serving of the entry; nothing happens when it is gone."""
        with self._database.write(durable=False) as connection:
            connection.execute(
                "UPDATE entries SET hits = hits + 1 WHERE tenant = ? AND id = ?",
                (to_column(tenant), to_column(entry_id)),
            )

    def remove(
        self,
        tenant: str,
        *,
        entry_ids: Sequence[str] = (),
        tags: Sequence[str] = (),
        sources: Sequence[str] = (),
        model: str | None = None,
    ) -> int:
        """Remove the entries that have one of the ids, tags or sources, or the model; returns how many."""
        owner = to_column(tenant)
        with self._database.write(durable=False) as connection:
            removed = _delete_each(connection, "id = ?", owner, entry_ids)
            removed += _delete_each(
                connection, "row IN (SELECT entry FROM tags WHERE tenant = entries.tenant AND tag = ?)", owner, tags
            )
            removed += _delete_each(
                connection,
                "row IN (SELECT entry FROM sources WHERE tenant = entries.tenant AND source = ?)",
                owner,
                sources,
            )
            removed += _delete_each(connection, "model = ?", owner, () if model is None else (model,))
            if removed:
                forget_old_removals(connection)
        return removed

    def trim(self, tenant: str, *, max_entries: int | None, max_bytes: int | None, now: float) -> int:
        """Remove expired entries, then those that save least until the limits hold; returns how many."""
        owner = to_column(tenant)
        with self._database.write(durable=False) as connection:
            gone = connection.execute("DELETE FROM entries WHERE tenant = ? AND expires_at < ?", (owner, now)).rowcount
            count, size = connection.execute(
                "SELECT count(*), coalesce(sum(size_bytes), 0) FROM entries WHERE tenant = ?", (owner,)
            ).fetchone()
            if (max_entries is not None and count > max_entries) or (max_bytes is not None and size > max_bytes):
                evicted = choose_evicted(
                    read_occupants(connection, owner), max_entries=max_entries, max_bytes=max_bytes, now=now
                )
                connection.executemany("DELETE FROM entries WHERE row = ?", [(number,) for number in evicted])
                gone += len(evicted)
            if gone:
                forget_old_removals(connection)
        return gone

    def clear(self, tenant: str | None = None) -> int:
        """Remove all entries of a tenant, or of all tenants; returns how many. Observations and states stay.

        Large stores are cleared in several steps, so that other writers get their turn. Entries that are written
        meanwhile may stay.
        """
        condition, values = _restrict(tenant)
        query = f"SELECT row FROM entries{condition} ORDER BY row LIMIT ?"  # noqa: S608 - our own fragments; values are bound
        left = self.count_entries(tenant)
        removed = 0
        while removed < left:
            with self._database.write(durable=False) as connection:
                step = connection.execute(
                    f"DELETE FROM entries WHERE row IN ({query})",  # noqa: S608 - our own fragments; values are bound
                    (*values, _CLEARED_AT_ONCE),
                ).rowcount
                forget_old_removals(connection)
            if not step:
                break
            removed += step
        return removed

    def count_entries(self, tenant: str | None = None) -> int:
        """Entries kept, expired ones included."""
        condition, values = _restrict(tenant)
        with self._database.read() as connection:
            return int(connection.execute(f"SELECT count(*) FROM entries{condition}", values).fetchone()[0])  # noqa: S608 - our own fragments; values are bound

    def changes(
        self,
        tenant: str,
        scope_key: str,
        after: str,
        *,
        known: Container[str] = (),  # noqa: ARG002 - the port's; here the cursor says it all
    ) -> QuestionChanges:
        """What came and went in a scope; see :meth:`leo_core.ports.QuestionFeed.changes`."""
        with self._database.read() as connection:
            return read_changes(connection, to_column(tenant), to_column(scope_key), after)

    def sealed_values(self, tenant: str) -> Iterator[SealedValue]:
        """Values of a tenant that were sealed outside; see :class:`leo_core.storage.exchanging.SealedValues`."""
        return read_values(self._database, tenant)

    def exchange(self, value: SealedValue, fresh: str | bytes) -> bool:
        """Put another value in its place; see :class:`leo_core.storage.exchanging.SealedValues`."""
        with self._database.write(durable=False) as connection:
            return exchange_value(connection, value, fresh)

    # ---------------------------------------------------------------------------- observations and states

    def acquire_lease(self, name: str, owner: str, *, now: float, life_s: float) -> bool:
        """Take a lease; see :meth:`leo_core.ports.Leases.acquire_lease`."""
        with self._database.write(durable=False) as connection:
            connection.execute(
                "DELETE FROM leases WHERE expires_at <= ? OR (name = ? AND owner = ?)", (now, name, owner)
            )
            row = (name, owner, now + life_s)
            return connection.execute("INSERT OR IGNORE INTO leases VALUES (?, ?, ?)", row).rowcount > 0

    def release_lease(self, name: str, owner: str) -> None:
        """Give a lease back; see :meth:`leo_core.ports.Leases.release_lease`."""
        with self._database.write(durable=False) as connection:
            connection.execute("DELETE FROM leases WHERE name = ? AND owner = ?", (name, owner))

    def observe(self, observations: Sequence[Observation]) -> None:
        """Append observations, all or none; on disk on return."""
        rows = [(to_column(item.tenant), to_column(encode_observation(item))) for item in observations]
        if not rows:
            return
        with self._database.write() as connection:
            connection.executemany("INSERT INTO observations (tenant, body) VALUES (?, ?)", rows)

    def observations(self, after: int = 0, *, tenant: str | None = None) -> Iterator[tuple[int, Observation]]:
        """Observations with a number above ``after``, in order; those appended meanwhile are seen too."""
        condition = "" if tenant is None else " AND tenant = ?"
        values = () if tenant is None else (to_column(tenant),)
        query = f"SELECT number, body FROM observations WHERE number > ?{condition} ORDER BY number LIMIT ?"  # noqa: S608 - our own fragments; values are bound
        while True:
            # A page at a time: no transaction is open while the caller works.
            with self._database.read() as connection:
                rows = connection.execute(query, (after, *values, _OBSERVATIONS_AT_ONCE)).fetchall()
            for number, body in rows:
                yield number, decode_observation(from_column(body))
            if len(rows) < _OBSERVATIONS_AT_ONCE:
                return
            after = rows[-1][0]

    def save_state(self, tenant: str, name: str, blob: bytes) -> None:
        """Keep a stage's state under a name; the last write wins."""
        with self._database.write(durable=False) as connection:
            connection.execute(
                "INSERT OR REPLACE INTO states (tenant, name, blob) VALUES (?, ?, ?)",
                (to_column(tenant), to_column(name), bytes(blob)),
            )

    def load_state(self, tenant: str, name: str) -> bytes | None:
        """The state kept under a name."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT blob FROM states WHERE tenant = ? AND name = ?", (to_column(tenant), to_column(name))
            ).fetchone()
        if row is not None and not isinstance(row[0], bytes):
            message = "a stored state cannot be read; restore a copy of the store"
            raise StoreCorruptError(message)
        return None if row is None else row[0]

    def tenants(self) -> tuple[str, ...]:
        """Tenants with an entry, an observation or a state, sorted."""
        with self._database.read() as connection:
            return tuple(sorted(from_column(row[0]) for row in connection.execute(_TENANTS)))

    def close(self) -> None:
        """Close the database if this object opened it; idempotent."""
        with self._turn:
            self._vectors.clear()
        self._questions.clear()
        if self._owned:
            self._database.close()

    def _catch_up(self, scopes: Iterable[tuple[str, str]]) -> None:
        """Take what was just written into the vectors in memory: whoever writes has more time than whoever searches.

        What goes wrong here is met again, and told, by the next search.
        """
        if self._fingerprint is None:
            return
        with suppress(StorageError), self._database.read() as connection, self._turn:
            for tenant, scope_key in scopes:
                owner, scope = to_column(tenant), to_column(scope_key)
                if self._vectors.holds(owner, scope):
                    self._vectors.view(connection, owner, scope, dimension=self._fingerprint.dimension)

    def _note_embedder(self, fingerprint: EmbedderFingerprint) -> None:
        with self._database.write() as connection:
            if connection.execute("SELECT 1 FROM questions WHERE vector IS NOT NULL LIMIT 1").fetchone():
                check_embedder(fingerprint, _find_fingerprint(connection))
            connection.execute(
                "INSERT OR REPLACE INTO meta (name, value) VALUES ('embedder', ?)",
                (to_column(encode_fingerprint(fingerprint)),),
            )

    def _encode_vector(self, inside: EmbedderFingerprint | None, vector: Vector) -> bytes:
        checked = check_vector(vector, check_embedder(self._fingerprint, inside))
        return checked.astype("<f4", copy=False).tobytes()


def _find_fingerprint(connection: sqlite3.Connection) -> EmbedderFingerprint | None:
    row = connection.execute("SELECT value FROM meta WHERE name = 'embedder'").fetchone()
    return None if row is None else _decode_fingerprint(row[0])


@functools.lru_cache(maxsize=8)
def _decode_fingerprint(value: _Column) -> EmbedderFingerprint:
    return decode_fingerprint(from_column(value))


def _delete_each(connection: sqlite3.Connection, condition: str, tenant: _Column, values: Sequence[str]) -> int:
    return sum(
        connection.execute(
            f"DELETE FROM entries WHERE tenant = ? AND {condition}",  # noqa: S608 - our own fragments; values are bound
            (tenant, to_column(value)),
        ).rowcount
        for value in values
    )


def _restrict(tenant: str | None) -> tuple[str, tuple[_Column, ...]]:
    return ("", ()) if tenant is None else (" WHERE tenant = ?", (to_column(tenant),))
