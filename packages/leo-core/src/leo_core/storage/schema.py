"""The schema of the store's file: how it is recognised, created and brought up to date.

A file is ours when ``PRAGMA application_id`` says so; its schema version is ``PRAGMA user_version``, the number of
the last migration applied. Migrations are ``migrations/NNNN_name.sql``, numbered from 1 without a gap; each runs
once, all that are due in one transaction.
"""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from leo_core.errors import StorageError, StoreCorruptError, StoreMismatchError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["APPLICATION_ID", "check_whole", "ensure_schema", "ensure_wal", "read_migrations"]

APPLICATION_ID = 0x4C454F31
"""Marks a SQLite file as a LEO store: ``LEO1`` in ASCII."""

_MIGRATION_NAME = re.compile(r"(\d{4})_\w+\.sql")
_WAL_RETRY_S = 0.01
_LOOKS = 5


@lru_cache(maxsize=1)
def read_migrations() -> tuple[str, ...]:
    """The SQL of every migration, in order; the first has number 1.

    Raises:
        StorageError: A number is missing or taken twice: the installation is damaged.
    """
    folder = files("leo_core.storage").joinpath("migrations")
    found = sorted((int(m[1]), item) for item in folder.iterdir() if (m := _MIGRATION_NAME.fullmatch(item.name)))
    numbers = [number for number, _ in found]
    if numbers != list(range(1, len(found) + 1)):
        message = f"migrations are numbered {numbers}; reinstall leo-core"
        raise StorageError(message)
    return tuple(item.read_text(encoding="utf-8") for _, item in found)


def ensure_schema(connection: sqlite3.Connection, path: str) -> None:
    """Bring the file to this version's schema; of several processes exactly one does the work.

    Args:
        connection: In autocommit mode, without an open transaction.
        path: Path of the file, for messages.

    Raises:
        StoreCorruptError: The file belongs to another program; it is left as it was.
        StoreMismatchError: A newer LEO wrote it; it is left as it was.
    """
    migrations = read_migrations()
    with _transaction(connection, "BEGIN"):  # one state of the file: another process may be creating it right now
        version = _find_version(connection, path, latest=len(migrations))
    if version == len(migrations):
        return
    with _transaction(connection, "BEGIN IMMEDIATE"):
        version = _find_version(connection, path, latest=len(migrations))
        for script in migrations[version:]:
            _run_script(connection, script)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def ensure_wal(connection: sqlite3.Connection, path: str, *, timeout_s: float) -> None:
    """Switch the file to write-ahead logging.

    SQLite does not call its busy handler for the switch of a fresh file, so this waits itself.

    Args:
        connection: In autocommit mode, without an open transaction.
        path: Path of the file, for messages.
        timeout_s: How long to wait for other connections.

    Raises:
        StorageError: The file system cannot hold a write-ahead log (as some network shares).
        sqlite3.OperationalError: Still locked after ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_WAL_RETRY_S)
            continue
        if mode != "wal":
            message = f"store {path!r} lies on a file system without write-ahead logging; choose a local disk"
            raise StorageError(message)
        return


def check_whole(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a file that ends in the middle of a page, as an interrupted copy does.

    A crash may leave such an end, but then the log still holds the page; and a page that is being written is whole a
    moment later. SQLite itself would take the missing part for zeros.

    Args:
        connection: To the file, for its page size.
        path: Path of the file.

    Raises:
        StoreCorruptError: A part of the last page is missing.
    """
    page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
    for _ in range(_LOOKS):
        if _find_size(path + "-wal") or not _find_size(path) % page_bytes:
            return
        time.sleep(_WAL_RETRY_S)
    message = f"store {path!r} is damaged (its end is missing); restore a copy or choose another path"
    raise StoreCorruptError(message)


def _find_size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0


def _find_version(connection: sqlite3.Connection, path: str, *, latest: int) -> int:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        objects = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application or version or objects:
            message = f"{path!r} is a database of another program; choose another path for the store"
            raise StoreCorruptError(message)
        return 0
    if version > latest:
        message = (
            f"store {path!r} has schema {version}, this LEO knows up to {latest}; "
            "upgrade leo-core or choose another path"
        )
        raise StoreMismatchError(message)
    return version


def _run_script(connection: sqlite3.Connection, script: str) -> None:
    """Run the statements one by one: ``executescript`` would commit the open transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    if statement.strip():
        message = "a migration ends in the middle of a statement; reinstall leo-core"
        raise StorageError(message)
