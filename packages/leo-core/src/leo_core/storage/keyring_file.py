"""The file of a tenant's keyring, shared by processes.

A change is written beside the file and takes its place whole, under a lock. The lock is an exclusive transaction of
SQLite on an empty file beside it, which every system knows, which a killed process leaves behind unlocked, and which
waits with a time limit.
"""

from __future__ import annotations

import glob
import os
import secrets
import sqlite3
import stat
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError, KeyringError, StoreLockedError
from leo_core.storage.whole_file import DRAFT_MARK, create_file, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["KeyringFile", "Stamp"]

Stamp = tuple[int, int, int]
"""Inode, time of the last change in nanoseconds, and size."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MOST_BYTES = 64 * 1024 * 1024
_TICK_NS = 1000
"""Least difference of the times of two changes: what file systems tell apart (NTFS: 100 ns)."""


class KeyringFile:
    """Keeps a keyset in a file with mode 0600 (:class:`leo_core.privacy.keys.keyset_store.KeysetStore`).

    Args:
        path: The file; its folder is made when the keyring is.
        timeout_s: Seconds to wait while another process changes it.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout_s: float = 30.0) -> None:
        self.path = Path(path)
        self.timeout_s = timeout_s

    def create(self, text: bytes) -> None:
        """Put the text into a new file.

        Raises:
            ConfigError: The file exists.
            KeyringError: It cannot be written.
        """
        try:
            made = create_file(self.path, text)
        except OSError as error:
            message = f"keyring {str(self.path)!r} cannot be created: {error.strerror}; check folder and rights"
            raise KeyringError(message) from error
        if not made:
            message = f"keyring {str(self.path)!r} exists already; load it, or choose another name"
            raise ConfigError(message)

    def stamp(self) -> Stamp | None:
        """Tells whether the file was changed, without reading it; ``None`` where there is none."""
        try:
            return _stamp(self.path.stat())
        except OSError:
            return None

    def read(self) -> tuple[bytes, Stamp]:
        """The text, and its stamp.

        Raises:
            KeyringError: There is no such file, it cannot be read, or others can read it.
        """
        try:
            text, status = self._read()
            while _stamp(status) != self.stamp():  # it gave way while it was read, and may be overwritten by now
                text, status = self._read()
        except OSError as error:
            message = f"keyring {str(self.path)!r} cannot be read: {error.strerror}"
            raise KeyringError(message) from error
        if os.name == "posix" and status.st_mode & _OTHERS:
            message = (
                f"keyring {str(self.path)!r} can be read by others (mode {status.st_mode & 0o777:o}): chmod 600 it"
            )
            raise KeyringError(message)
        return text, _stamp(status)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else, thread or process, changes the file inside this block.

        Raises:
            StoreLockedError: Somebody else did for longer than ``timeout_s``.
            KeyringError: The lock cannot be made beside the file.
        """
        connection = self._lock()
        try:
            yield
        finally:
            connection.close()  # which ends the transaction

    def replace(self, text: bytes) -> None:
        """Put the text in the file's place, whole or not at all; inside :meth:`changing`.

        The old file is overwritten where it lies, unless it has another name too, such as in a backup: otherwise
        wrapped keys that are destroyed later would stand in blocks that are free, out of reach of :meth:`shred`.

        Raises:
            KeyringError: It cannot be written, or there is no such file any more.
        """
        self._exchange(text, [])

    def shred(self, text: bytes) -> None:
        """As :meth:`replace`; the old file is overwritten in any case, and so are drafts of killed writers.

        Raises:
            KeyringError: It cannot be written.
        """
        try:
            drafts = [self.path.open("r+b"), *self._open_drafts()]
        except OSError as error:
            message = f"keyring {str(self.path)!r} cannot be written: {error.strerror}; check rights"
            raise KeyringError(message) from error
        self._exchange(text, drafts)

    def _exchange(self, text: bytes, doomed: list[BinaryIO]) -> None:
        """Put the text in the file's place; then overwrite the doomed files, and the old one if it has no name left."""
        try:
            with ExitStack() as stack:
                for each in doomed:
                    stack.enter_context(each)
                changed_ns = self.path.stat().st_mtime_ns
                old = stack.enter_context(self.path.open("r+b")) if os.name == "posix" else None
                with replace_file(self.path) as stream:
                    stream.write(text)
                    _date(stream, changed_ns)
                for each in doomed:
                    _overwrite(each)
                if old is not None and os.fstat(old.fileno()).st_nlink == 0:
                    _overwrite(old)
        except OSError as error:
            message = f"keyring {str(self.path)!r} cannot be written: {error.strerror}; check folder, rights and space"
            raise KeyringError(message) from error

    def _read(self) -> tuple[bytes, os.stat_result]:
        with self.path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            return stream.read(_MOST_BYTES), status

    def _lock(self) -> sqlite3.Connection:
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(path, timeout=self.timeout_s, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            message = f"keyring {str(self.path)!r} cannot be locked beside it: {error}; check folder and rights"
            raise KeyringError(message) from error
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            connection.close()
            message = f"keyring {str(self.path)!r} was locked for longer than {self.timeout_s:g} s; try again"
            raise StoreLockedError(message) from error
        return connection

    def _open_drafts(self) -> list[BinaryIO]:
        drafts: list[BinaryIO] = []
        for path in self.path.parent.glob(f".{glob.escape(self.path.name)}.{DRAFT_MARK}"):
            drafts.append(path.open("r+b"))
            path.unlink(missing_ok=True)
        return drafts


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _date(stream: BinaryIO, before_ns: int) -> None:
    """Give the file a time that is later than that of the one before it, however quickly it follows."""
    stream.flush()
    if os.utime in os.supports_fd:
        changed_ns = max(time.time_ns(), before_ns + _TICK_NS)
        os.utime(stream.fileno(), ns=(changed_ns, changed_ns))


def _overwrite(stream: BinaryIO) -> None:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    stream.write(secrets.token_bytes(size))
    stream.flush()
    os.fsync(stream.fileno())
