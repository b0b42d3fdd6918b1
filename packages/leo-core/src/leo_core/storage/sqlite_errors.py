"""Failures of SQLite, in the words of the store."""

from __future__ import annotations

import sqlite3

from leo_core.errors import StorageError, StoreCorruptError, StoreFullError, StoreLockedError

__all__ = ["translate_error"]

_PRIMARY = 0xFF
"""Mask of the primary result code inside an extended one (sqlite.org/rescode.html)."""

_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_CORRUPT_EXTENDED = frozenset({sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})
# A quota or a limit on the file size reaches us as a refused write, where a full device is SQLITE_FULL.
_FULL_EXTENDED = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
_UNREACHABLE = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})


def translate_error(error: sqlite3.Error, path: str) -> StorageError:
    """The error to raise in place of ``error``, which belongs in its ``__cause__``.

    Args:
        error: What :mod:`sqlite3` raised.
        path: Path of the database, for the message.

    Returns:
        ``StoreLockedError``, ``StoreCorruptError``, ``StoreFullError`` or a plain ``StorageError``. The message
        says what to do and holds no stored text.
    """
    code = getattr(error, "sqlite_errorcode", None) or 0
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    primary = code & _PRIMARY
    if primary in _LOCKED:
        return StoreLockedError(
            f"store {path!r} stayed locked by another connection ({name}); end the other writer or raise busy_timeout_s"
        )
    if primary in _CORRUPT or code in _CORRUPT_EXTENDED:
        return StoreCorruptError(
            f"store {path!r} is not a LEO store or is damaged ({name}); restore a copy or choose another path"
        )
    if primary == sqlite3.SQLITE_FULL or code in _FULL_EXTENDED:
        return StoreFullError(
            f"no space left for store {path!r} ({name}); free space, raise the quota or max_bytes; "
            "nothing acknowledged is lost"
        )
    if primary in _UNREACHABLE:
        return StorageError(f"store {path!r} cannot be opened for writing ({name}); check that path, folder and rights")
    return StorageError(f"store {path!r} failed ({name})")
