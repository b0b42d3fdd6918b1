"""The SQLite file in which an accountant keeps what was charged; safe for threads and processes.

A connection is opened for every transaction, so that nothing is shared between threads or inherited by a fork.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError, StorageError, StoreCorruptError, StoreLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ChargeLedger"]

APPLICATION_ID = 0x4C455052
"""Marks the file: ``LEPR`` in ASCII."""
VERSION = 1

_SCHEMA = f"""
CREATE TABLE budget (epsilon REAL NOT NULL, delta REAL NOT NULL, accounting TEXT NOT NULL);
CREATE TABLE totals (
    principal TEXT NOT NULL, kind TEXT NOT NULL, noise REAL NOT NULL, sensitivity REAL NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (principal, kind, noise, sensitivity)
) WITHOUT ROWID;
CREATE TABLE charges (
    number INTEGER PRIMARY KEY AUTOINCREMENT, principal TEXT NOT NULL, kind TEXT NOT NULL, noise REAL NOT NULL,
    sensitivity REAL NOT NULL, count INTEGER NOT NULL, label TEXT NOT NULL, at REAL NOT NULL
);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION}
"""


class ChargeLedger:
    """Charges, and one budget for all principals, in a file of their own.

    Args:
        path: Path of the file, made with mode 0600 when absent; ``None`` keeps everything in memory.
        budget: ε, δ and the accounting; the first opening writes them, later ones have to name the same.
        busy_timeout_s: How long to wait for another writer.

    Raises:
        ConfigError: The file was begun with another budget.
        StoreCorruptError: It is another program's, or damaged.
        StoreLockedError: Another process held it for too long.
        StorageError: It cannot be opened.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, budget: tuple[float, float, str], *, busy_timeout_s: float = 30.0
    ) -> None:
        self._path = None if path is None else Path(path).expanduser()
        self._busy_timeout_s = busy_timeout_s
        self._turn = threading.Lock()
        self._memory = (
            None if self._path else sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        )
        if self._path is not None:
            self._create(self._path)
        with self.write() as connection:
            self._open(connection, budget)

    @property
    def name(self) -> str:
        """Path of the file, or ``":memory:"``."""
        return str(self._path) if self._path else ":memory:"

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A connection inside a write transaction, on disk when the block ends; an error takes all of it back."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the file."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._memory is not None:
                with self._turn:
                    yield self._memory
                return
            connection = sqlite3.connect(self.name, timeout=self._busy_timeout_s, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise self._translate(error) from error

    def _create(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            if path.is_dir():
                message = f"the privacy ledger {str(path)!r} is a folder; give the path of a file"
                raise StorageError(message) from None
        except OSError as error:
            message = f"the privacy ledger {str(path)!r} cannot be created: {error.strerror}; check folder and rights"
            raise StorageError(message) from error

    def _open(self, connection: sqlite3.Connection, budget: tuple[float, float, str]) -> None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if application != APPLICATION_ID:
            if application or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                message = f"{self.name!r} is a database of another program; choose another path for the privacy ledger"
                raise StoreCorruptError(message)
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute("INSERT INTO budget VALUES (?, ?, ?)", budget)
            return
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            message = (
                f"the privacy ledger {self.name!r} has version {version}, this LEO knows {VERSION}; upgrade leo-core"
            )
            raise StoreCorruptError(message)
        kept = connection.execute("SELECT epsilon, delta, accounting FROM budget").fetchone()
        if kept != budget:
            message = (
                f"the privacy ledger {self.name!r} was begun with epsilon={kept[0]!r}, delta={kept[1]!r}, "
                f"accounting={kept[2]!r}; a promise that was given is not changed, so open it with these"
            )
            raise ConfigError(message)

    def _translate(self, error: sqlite3.Error) -> StorageError:
        name = getattr(error, "sqlite_errorname", None) or type(error).__name__
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreLockedError(f"the privacy ledger {self.name!r} stayed locked ({name}); end the other writer")
        if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            return StoreCorruptError(f"the privacy ledger {self.name!r} is damaged or no ledger ({name})")
        return StorageError(f"the privacy ledger {self.name!r} failed ({name}); nothing was charged")
