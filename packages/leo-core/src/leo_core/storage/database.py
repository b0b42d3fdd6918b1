"""One SQLite file, shared safely by threads, processes and forks."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from leo_core.errors import ConfigError, StorageError, StoreCorruptError, StoreLockedError, StoreUnavailableError
from leo_core.storage.forks import watch_forks
from leo_core.storage.schema import check_whole, ensure_schema, ensure_wal
from leo_core.storage.sqlite_errors import translate_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

__all__ = ["Database"]

_MOST_IDLE = 8
"""Connections kept open while nobody uses them."""

_FORK_WAIT_S = 2.0
"""Longest that a fork waits for transactions of other threads to end."""

_STATEMENTS_CACHED = 256
"""Prepared statements kept per connection."""

_PAGE_CACHE_KIB = 16 * 1024
"""Most memory for pages per connection, in KiB."""

_CHECKPOINT_AFTER = 128
"""Writes after which :meth:`Database.checkpoint_if_due` moves the log: some 1,000 pages of a LEO at work."""

_NOTHING, _UNTOLD = (-1, -1), (-2, -2)
"""Instead of what identifies a file: there is none, and nobody can tell."""

_LOG_PAGES = 4000
"""Pages of the write-ahead log from which on a commit moves them itself, where nobody has done it before."""


class Database:
    """A SQLite file in write-ahead mode, with the store's schema.

    A thread at work has a connection to itself; idle ones are kept for the next. Opening creates the file with mode
    0600 and any missing parent folder, recognises it, and applies the migrations that are due, under a lock, so that
    of several processes exactly one does. ``":memory:"`` is one private connection that the threads take in turns.

    A fork first lets running transactions end; parent and child then each go on with connections of their own (an
    in-memory database is copied). When a transaction was still open at the fork, the child's object refuses to work.

    A file that was deleted, or has another one in its place, is worked with no more, by none of the connections: what
    the open ones wrote would be lost, and new ones would write into a file of somebody else, under other keys.

    Args:
        path: Path of the file, or ``":memory:"``.
        busy_timeout_s: How long to wait for another writer before ``StoreLockedError``.
        max_bytes: Largest size of the main file, enforced per process; ``None`` for no limit.

    Raises:
        ConfigError: An argument is wrong.
        StoreCorruptError: The file is another program's, or damaged; nothing was changed.
        StoreMismatchError: A newer LEO wrote the file; nothing was changed.
        StoreLockedError: Another process held the file for too long.
        StorageError: The file cannot be opened or created.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, busy_timeout_s: float = 5.0, max_bytes: int | None = None
    ) -> None:
        if busy_timeout_s < 0:
            message = f"busy_timeout_s is {busy_timeout_s}; give seconds, 0 or more"
            raise ConfigError(message)
        if max_bytes is not None and max_bytes < 1:
            message = f"max_bytes is {max_bytes}; give a positive number or None"
            raise ConfigError(message)
        self._path = os.fspath(path)
        if not self._path or "\0" in self._path:
            message = f"the path of the store is {self._path!r}; give a file name or ':memory:'"
            raise ConfigError(message)
        self._file = self._path if self.in_memory else str(Path(self._path).resolve())  # the working folder may change
        self._busy_timeout_s = busy_timeout_s
        self._max_bytes = max_bytes
        self._state = threading.Condition()
        self._turn = threading.Lock()
        self._idle: list[_Connection] = []
        self._in_use: set[_Connection] = set()
        self._abandoned: list[_Connection] = []
        self._opening = 0
        self._current = threading.local()
        self._writes = 0
        self._closed = False
        self._cut_by_fork = False
        if not self.in_memory:
            _create_file(Path(self._path))
        with self._translated():
            self._idle.append(self._connect(first=True))
        self._identity = None if self.in_memory else _identify(self._file)
        watch_forks(self)

    @property
    def path(self) -> str:
        """Path of the file, or ``":memory:"``."""
        return self._path

    @property
    def in_memory(self) -> bool:
        """Whether nothing is written to disk."""
        return self._path == ":memory:"

    def __repr__(self) -> str:
        return f"Database({self._path!r}{', closed' if self._closed else ''})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection inside a read transaction: every query sees the same state of the database.

        Inside a ``write()`` or ``read()`` of the same thread it joins that transaction. Do not keep it open while
        calling code that is not yours.
        """
        joined = getattr(self._current, "connection", None)
        return _Transaction(self, "BEGIN") if joined is None else nullcontext(joined)

    def query(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of one statement that only reads, without a transaction around it: the statement is one itself."""
        joined = getattr(self._current, "connection", None)
        with _Transaction(self, "") if joined is None else nullcontext(joined) as connection:
            return connection.execute(statement, values).fetchall()

    def write(self, *, durable: bool = True) -> AbstractContextManager[sqlite3.Connection]:
        """A connection inside a write transaction: committed at the end, rolled back when an error leaves the block.

        On return the rows are visible to other processes and survive the death of this one.

        Args:
            durable: Whether they also survive a power cut (``synchronous = FULL``). Without it they do from the next
                durable write, checkpoint or ``close()`` on; the file stays whole in either case.

        Raises:
            StoreLockedError: Another writer held the lock for longer than the busy timeout.
            StorageError: A transaction of this thread is already open, or the store failed.
        """
        if getattr(self._current, "connection", None) is not None:
            message = "a transaction of this thread is already open; write inside that one"
            raise StorageError(message)
        return _Transaction(self, "BEGIN IMMEDIATE", synchronous="FULL" if durable else "NORMAL")

    def checkpoint_if_due(self) -> None:
        """Move the write-ahead log into the main file after many writes, as far as nobody has to wait for it.

        To be called where there is time; it takes many times as long as a commit, which does it otherwise.
        """
        if self._writes < _CHECKPOINT_AFTER or self.in_memory or getattr(self._current, "connection", None) is not None:
            return
        self._writes = 0
        with suppress(StorageError), _Transaction(self, "") as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def compact(self) -> None:
        """Rewrite the file, so that nothing that was deleted is left in its free pages or in the write-ahead log.

        Raises:
            StoreLockedError: Another connection works with it.
            StorageError: A transaction of this thread is open, or the store failed; it stays as it was.
        """
        if getattr(self._current, "connection", None) is not None:
            message = "a transaction of this thread is open; compact the store outside of it"
            raise StorageError(message)
        with self._translated():
            connection = self._check_out()
            try:
                connection.execute("VACUUM")
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._check_in(connection)
        if busy:
            message = f"store {self._path!r} is compacted, but its write-ahead log is still read by another connection"
            raise StoreLockedError(message)

    def close(self) -> None:
        """Bring everything acknowledged to disk and close; idempotent. Running transactions may still end."""
        with self._state:
            already, self._closed = self._closed, True
            idle, self._idle = self._idle, []
            self._state.notify_all()
        if already:
            return
        if idle and not self.in_memory:
            self._settle(idle[0])
        for connection in idle:
            connection.close()

    # ------------------------------------------------------------------------------------- transactions

    def _open(self, begin: str, synchronous: str) -> _Connection:
        """Begin a transaction of this thread; ``_end`` ends it. Empty texts leave that, or that setting, as it is.

        Threads that write take turns here: SQLite would let those that have to wait sleep for whole milliseconds.
        """
        if synchronous and not self._turn.acquire(timeout=self._busy_timeout_s):
            message = f"store {self._path!r} stayed locked by another thread; raise busy_timeout_s"
            raise StoreLockedError(message)
        try:
            connection = self._check_out()
        except BaseException:
            if synchronous:
                self._turn.release()
            raise
        connection.writes = bool(synchronous)
        self._current.connection = connection
        try:
            if synchronous and connection.synchronous != synchronous:
                connection.execute(f"PRAGMA synchronous = {synchronous}")
                connection.synchronous = synchronous
            if begin:
                connection.execute(begin)
        except BaseException:
            self._end(connection)
            raise
        return connection

    def _end(self, connection: _Connection) -> None:
        """Let go of the connection; what was not committed is rolled back."""
        self._current.connection = None
        writes, connection.writes = connection.writes, False
        try:
            self._check_in(connection)
        finally:
            if writes:
                self._turn.release()

    def _check_out(self) -> _Connection:
        if self._identity is not None and _identify(self._file) not in (self._identity, _UNTOLD):
            message = f"store {self._path!r} was deleted or replaced while in use; put it back, or open it anew"
            raise StoreUnavailableError(message)
        with self._state:
            while self.in_memory and self._in_use and not self._closed:
                self._state.wait()
            if self._closed:
                message = f"store {self._path!r} is closed"
                raise StorageError(message)
            if self._cut_by_fork:
                message = (
                    f"store {self._path!r} was in use when this process was forked; "
                    "start the process with 'spawn' or fork earlier"
                )
                raise StorageError(message)
            if self._idle:
                connection = self._idle.pop()
                self._in_use.add(connection)
                return connection
            self._opening += 1
        try:
            connection = self._connect()
        except BaseException:
            with self._state:
                self._opening -= 1
                self._state.notify_all()
            raise
        with self._state:
            self._opening -= 1
            self._in_use.add(connection)
        return connection

    def _check_in(self, connection: _Connection) -> None:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        with self._state:
            self._in_use.discard(connection)
            keep = not self._closed and (
                self.in_memory or (len(self._idle) < _MOST_IDLE and not connection.in_transaction)
            )
            if keep:
                self._idle.append(connection)
            self._state.notify_all()
        if not keep:
            if self._closed and not self.in_memory:
                self._settle(connection)
            connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._translate(error) from error

    def _translate(self, error: sqlite3.Error | UnicodeDecodeError) -> StorageError:
        if isinstance(error, sqlite3.Error):
            return translate_error(error, self._path)
        # It is of SQLite's own message, which quotes the damaged schema.
        message = f"store {self._path!r} is damaged (its schema is no text); restore a copy or choose another path"
        return StoreCorruptError(message)

    # -------------------------------------------------------------------------------------- connections

    def _connect(self, *, first: bool = False) -> _Connection:
        connection = sqlite3.connect(
            self._file,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS_CACHED,
            factory=_Connection,
        )
        try:
            if first and not self.in_memory:
                connection.execute("PRAGMA application_id").fetchone()  # reads the header, not yet the schema
                check_whole(connection, self._path)
            self._configure(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _configure(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA trusted_schema = OFF")
        if self._max_bytes is not None:
            page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {max(1, self._max_bytes // page_bytes)}")
        ensure_schema(connection, self._path)
        if not self.in_memory:
            ensure_wal(connection, self._path, timeout_s=self._busy_timeout_s)
        connection.execute(f"PRAGMA cache_size = -{_PAGE_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        connection.execute("PRAGMA foreign_keys = ON")

    def _settle(self, connection: sqlite3.Connection) -> None:
        """Move the write-ahead log into the main file, or at least force it to disk when others are at work."""
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA busy_timeout = 0")
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
        # No POSIX lock of SQLite lies on the log, so that opening and closing it here drops none.
        with suppress(FileNotFoundError):
            log = os.open(self._file + "-wal", os.O_RDWR)
            try:
                os.fsync(log)
            finally:
                os.close(log)

    # -------------------------------------------------------------------------------------------- forks

    def before_fork(self) -> None:
        """Wait for transactions of other threads to end and let none begin; called by the interpreter."""
        own = getattr(self._current, "connection", None)
        self._state.acquire()
        self._state.wait_for(lambda: not self._opening and self._in_use <= {own}, timeout=_FORK_WAIT_S)

    def after_fork_in_parent(self) -> None:
        """Go on; called by the interpreter."""
        self._state.release()

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections; called by the interpreter.

        Locks are not inherited, but SQLite's note of them is, and is shared by all connections of a process to one
        file. So every inherited connection has to be closed before another is opened (sqlite.org/howtocorrupt.html,
        section 2.6). Closing an idle one changes nothing in the file while the parent lives.
        """
        self._state = threading.Condition()
        self._turn = threading.Lock()
        self._current = threading.local()
        if self._in_use or self._opening:
            self._cut_by_fork = True
            self._abandoned += [*self._idle, *self._in_use]  # kept alive, for freeing a connection closes it
            self._in_use, self._opening = set(), 0
        elif self.in_memory:
            return
        else:
            for connection in self._idle:
                connection.close()
        self._idle = []


class _Connection(sqlite3.Connection):
    """A connection that knows its own setting.

    Attributes:
        synchronous: As it was last set here; empty before that.
        writes: Whether it is in use by whoever has the turn to write.
    """

    synchronous = ""
    writes = False


class _Transaction:
    """A transaction of the thread, as a context: every request opens half a dozen, so it is no generator."""

    __slots__ = ("_begin", "_connection", "_database", "_process", "_synchronous")

    def __init__(self, database: Database, begin: str, *, synchronous: str = "") -> None:
        self._database, self._begin, self._synchronous = database, begin, synchronous
        self._process = 0

    def __enter__(self) -> sqlite3.Connection:
        self._process = os.getpid()
        try:
            self._connection = self._database._open(self._begin, self._synchronous)  # noqa: SLF001 - a part of it
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._database._translate(error) from error  # noqa: SLF001 - a part of it
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        database, forked = self._database, os.getpid() != self._process
        try:
            if error is None and forked:
                message = "the process forked inside this transaction; its parent decides the outcome"
                raise StorageError(message)
            if error is None and self._begin:
                self._connection.execute("COMMIT")
                database._writes += bool(self._synchronous)  # noqa: SLF001 - a part of it
        except (sqlite3.Error, UnicodeDecodeError) as failure:
            raise database._translate(failure) from failure  # noqa: SLF001 - a part of it
        finally:
            if not forked:
                database._end(self._connection)  # noqa: SLF001 - a part of it
        if isinstance(error, sqlite3.Error | UnicodeDecodeError):
            raise database._translate(error) from error  # noqa: SLF001 - a part of it


def _identify(path: str) -> tuple[int, int]:
    """What tells the file at a path from any other one, wherever it is moved."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a fifth of the time, and each transaction asks
    except FileNotFoundError:
        return _NOTHING
    except OSError:  # nobody may look, or the network is away: SQLite says what is wrong
        return _UNTOLD
    return found.st_dev, found.st_ino


def _create_file(path: Path) -> None:
    """Create the file with mode 0600, so that no moment exists in which others may read it.

    An existing file is not opened: closing it again would drop the locks that other connections of this process hold.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if not path.parent.is_dir():
            message = f"store {str(path)!r} cannot be created: its folder is a file"
            raise StorageError(message) from None
    except OSError as error:
        message = f"store {str(path)!r} cannot be created: {error.strerror}; check folder and rights"
        raise StorageError(message) from error
