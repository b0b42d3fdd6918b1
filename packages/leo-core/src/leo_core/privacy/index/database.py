"""The file of an index server: one SQLite database in write-ahead mode.

A write is durable when it is acknowledged (``synchronous = FULL``), and whole or not there after a crash.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from leo_core.errors import StorageError, StoreCorruptError, StoreFullError, StoreLockedError, StoreMismatchError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["IndexDatabase"]

_APPLICATION: Final = 0x4C454F58
"""``LEOX``, in the header of the file."""
_VERSION: Final = 1
_PRIVATE: Final = 0o600
_PRIMARY: Final = 0xFF
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_SCHEMA: Final = """
CREATE TABLE accounts (
    account TEXT PRIMARY KEY, bearer_sha256 BLOB NOT NULL, wrapped_mac_key BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE keys (
    account TEXT NOT NULL, id TEXT NOT NULL, params_id TEXT NOT NULL, dim INTEGER NOT NULL, secret_id TEXT NOT NULL,
    state TEXT NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (account, id)
);
CREATE TABLE indexes (
    row INTEGER PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, mode INTEGER NOT NULL, dim INTEGER NOT NULL,
    params_id TEXT NOT NULL, sequence INTEGER NOT NULL, UNIQUE (account, name)
);
CREATE TABLE blocks (
    row INTEGER PRIMARY KEY, owner INTEGER NOT NULL, id BLOB NOT NULL, key_id TEXT NOT NULL, sequence INTEGER NOT NULL,
    count INTEGER NOT NULL, ids BLOB NOT NULL, sha256 BLOB NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL,
    UNIQUE (owner, id)
);
CREATE TABLE rows (
    row INTEGER PRIMARY KEY, owner INTEGER NOT NULL, id BLOB NOT NULL, sequence INTEGER NOT NULL, block BLOB,
    dead INTEGER NOT NULL DEFAULT 0, sealed BLOB NOT NULL, UNIQUE (owner, id)
);
CREATE INDEX rows_by_block ON rows (owner, block);
CREATE TABLE writes (
    owner INTEGER NOT NULL, sequence INTEGER NOT NULL, mac BLOB NOT NULL, PRIMARY KEY (owner, sequence)
) WITHOUT ROWID;
"""


class IndexDatabase:
    """The database; threads take turns.

    Args:
        path: Its file, created with mode 0600 where there is none, with its folders; ``":memory:"`` for none.

    Raises:
        StoreCorruptError: The file is another program's, or damaged.
        StoreMismatchError: A newer LEO wrote it.
        StoreLockedError: Another process holds it.
        StorageError: It cannot be opened or created.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(path)
        self._lock = threading.RLock()
        if self.path != ":memory:":
            _create(Path(self.path))
        with self._translated():
            self._connection = sqlite3.connect(
                self.path, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            self._prepare()

    def __repr__(self) -> str:
        return f"IndexDatabase({self.path!r})"

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone."""
        with self._lock, self._translated():
            yield self._connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """The connection in a transaction: on disk at the end, or undone where an error leaves the block."""
        with self._lock, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def forget_writes(self) -> None:
        """Empty the write-ahead log, in which pages stand as they were before something was removed from them."""
        with self._lock, self._translated():
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self) -> None:
        """Close; idempotent."""
        with self._lock, self._translated():
            self._connection.close()

    def _prepare(self) -> None:
        connection = self._connection
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        fresh = application == 0 and not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if not fresh and application != _APPLICATION:
            message = f"{self.path!r} is not the file of an index server; choose another path"
            raise StoreCorruptError(message)
        if version > _VERSION:
            message = f"{self.path!r} was written by a newer LEO (version {version}); upgrade leo-core"
            raise StoreMismatchError(message)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        if fresh:
            connection.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {_APPLICATION};"
                f" PRAGMA user_version = {_VERSION}; COMMIT;"
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _translate(error, self.path) from error


def _create(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.touch(mode=_PRIVATE)
    except OSError as error:
        message = (
            f"the file of the index server {str(file)!r} cannot be created: {error.strerror}; check folder, rights"
        )
        raise StorageError(message) from error


def _translate(error: sqlite3.Error, path: str) -> StorageError:
    code = getattr(error, "sqlite_errorcode", None) or 0
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    primary = code & _PRIMARY
    if primary in _LOCKED:
        return StoreLockedError(f"{path!r} is held by another process ({name}); run one index server for each file")
    if primary in _CORRUPT:
        return StoreCorruptError(f"{path!r} is not the file of an index server, or is damaged ({name})")
    if primary == sqlite3.SQLITE_FULL:
        return StoreFullError(f"no space left for {path!r} ({name}); nothing acknowledged is lost")
    return StorageError(f"{path!r} failed ({name})")
