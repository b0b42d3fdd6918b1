"""The database file: recognised, created once, shared by threads, processes and forks, and honest about failures."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from leo_core.errors import (
    ConfigError,
    StorageError,
    StoreCorruptError,
    StoreFullError,
    StoreLockedError,
    StoreMismatchError,
    StoreUnavailableError,
)
from leo_core.storage import database as database_module
from leo_core.storage import schema
from leo_core.storage.database import Database
from leo_core.storage.sqlite_errors import translate_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leo.db"


@pytest.fixture(params=["file", "memory"])
def database(request: pytest.FixtureRequest, path: Path) -> Iterator[Database]:
    with Database(path if request.param == "file" else ":memory:") as opened:
        yield opened


def save(database: Database, name: str, *, durable: bool = True) -> None:
    with database.write(durable=durable) as connection:
        connection.execute("INSERT OR REPLACE INTO states VALUES ('t', ?, x'00')", (name,))


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return [row[0] for row in connection.execute("SELECT name FROM states ORDER BY name")]


# ------------------------------------------------------------------------------------------------ opening


def test_creates_the_file_and_its_folders_for_the_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with Database(tmp_path / "deep" / "er" / "leo.db") as database:
            save(database, "a")
            found = sorted((tmp_path / "deep" / "er").iterdir())
            assert [item.name for item in found] == ["leo.db", "leo.db-shm", "leo.db-wal"]
            assert {stat.S_IMODE(item.stat().st_mode) for item in found} == {0o600}
            assert "leo.db" in repr(database)
            assert database.path == str(tmp_path / "deep" / "er" / "leo.db")
        assert "closed" in repr(database)
        assert [item.name for item in (tmp_path / "deep" / "er").iterdir()] == ["leo.db"]
    finally:
        os.umask(old)


def test_sets_up_every_connection(path: Path) -> None:
    with Database(path) as database, database.read() as connection:

        def pragma(name: str) -> object:
            return connection.execute(f"PRAGMA {name}").fetchone()[0]

        assert pragma("journal_mode") == "wal"
        assert pragma("foreign_keys") == 1
        assert pragma("application_id") == schema.APPLICATION_ID
        assert pragma("user_version") == len(schema.read_migrations())
        assert pragma("busy_timeout") == 5000
        with database.read() as joined:
            assert joined is connection


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
def test_durable_writes_are_forced_to_disk(path: Path, *, durable: bool, level: int) -> None:
    with Database(path) as database:
        save(database, "a", durable=not durable)
        with database.write(durable=durable) as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (level,)


@pytest.mark.parametrize("wrong", ["", "a\0b"])
def test_refuses_paths_that_are_none(wrong: str) -> None:
    with pytest.raises(ConfigError):
        Database(wrong)


def test_refuses_wrong_settings(path: Path) -> None:
    with pytest.raises(ConfigError):
        Database(path, busy_timeout_s=-1)
    with pytest.raises(ConfigError):
        Database(path, max_bytes=0)
    assert not path.exists()


def test_refuses_a_folder_and_a_path_under_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(StorageError, match="check"):
        Database(tmp_path)
    with pytest.raises(StorageError, match="folder"):
        Database(tmp_path / "file" / "leo.db")
    assert (tmp_path / "file").read_text() == "text"


def test_refuses_a_text_file_and_leaves_it(path: Path) -> None:
    path.write_text("not a database\n" * 100)
    with pytest.raises(StoreCorruptError, match="not a LEO store"):
        Database(path)
    assert path.read_text() == "not a database\n" * 100


@pytest.mark.parametrize("mark", ["CREATE TABLE theirs (a)", "PRAGMA user_version = 1", "PRAGMA application_id = 7"])
def test_refuses_another_programs_database_and_leaves_it(path: Path, mark: str) -> None:
    with sqlite3.connect(path) as theirs:
        theirs.execute(mark)
    theirs.close()
    before = path.read_bytes()
    with pytest.raises(StoreCorruptError, match="another program"):
        Database(path)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == ["leo.db"]


def test_refuses_a_newer_schema_and_leaves_it(path: Path) -> None:
    Database(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 999")
    newer.close()
    before = path.read_bytes()
    with pytest.raises(StoreMismatchError, match="999"):
        Database(path)
    assert path.read_bytes() == before


def test_brings_an_older_schema_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = schema.read_migrations()[:1]
    monkeypatch.setattr(schema, "read_migrations", lambda: first)
    with Database(path) as database:
        save(database, "kept")
    added = (
        "CREATE TABLE added (a);\n-- words; and words\nCREATE TRIGGER t AFTER DELETE ON added BEGIN SELECT 1;\nEND;\n"
    )
    monkeypatch.setattr(schema, "read_migrations", lambda: (*first, added))
    with Database(path) as database:
        assert names(database) == ["kept"]
        with database.read() as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (2,)
            assert connection.execute("SELECT count(*) FROM added").fetchone() == (0,)


@pytest.mark.parametrize("broken", ["CREATE TABLE other (a); CREATE TABLE states (a);", "CREATE TABLE other (a)"])
def test_a_failed_migration_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    first = schema.read_migrations()[:1]
    monkeypatch.setattr(schema, "read_migrations", lambda: first)
    Database(path).close()
    monkeypatch.setattr(schema, "read_migrations", lambda: (*first, broken.replace("; ", ";\n")))
    with pytest.raises(StorageError):
        Database(path)
    monkeypatch.setattr(schema, "read_migrations", lambda: first)
    with Database(path) as database, database.read() as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'other'").fetchone() == (0,)


def test_a_store_being_created_by_another_process_is_not_taken_for_another_programs(path: Path) -> None:
    class Interrupted(sqlite3.Connection):
        """Another process creates the store between the look at the mark and the look at the version."""

        def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
            if sql == "PRAGMA user_version":
                other = sqlite3.connect(path, isolation_level=None, timeout=0)
                with contextlib.suppress(sqlite3.OperationalError):  # it has to wait until the look is over
                    schema.ensure_schema(other, str(path))
                other.close()
            return super().execute(sql, *arguments)

    connection = sqlite3.connect(path, isolation_level=None, factory=Interrupted)
    schema.ensure_schema(connection, str(path))
    assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.read_migrations()),)
    connection.close()


def test_missing_migrations_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "migrations").mkdir()
    for name in ("0001_a.sql", "0003_b.sql", "notes.txt"):
        (tmp_path / "migrations" / name).write_text("")
    monkeypatch.setattr(schema, "files", lambda _: tmp_path)
    with pytest.raises(StorageError, match="reinstall"):
        schema.read_migrations.__wrapped__()


def test_a_file_system_without_log_is_refused() -> None:
    class Elsewhere:
        def execute(self, _: str) -> Elsewhere:
            return self

        def fetchone(self) -> tuple[str]:
            return ("delete",)

    with pytest.raises(StorageError, match="local disk"):
        schema.ensure_wal(Elsewhere(), "leo.db", timeout_s=0.0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    with Database(path) as database:
        for number in range(300):
            save(database, f"{number:0100}", durable=False)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    before = path.read_bytes()
    with pytest.raises(StoreCorruptError, match="damaged"), Database(path) as database:
        names(database)
    assert path.read_bytes() == before


@pytest.mark.parametrize("cut", [1, 4095])
def test_a_file_without_its_end_is_refused(path: Path, cut: int) -> None:
    Database(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with pytest.raises(StoreCorruptError, match="end is missing"):
        Database(path)
    assert path.read_bytes() == whole[:-cut]


def test_a_second_connection_that_cannot_be_opened_is_reported(path: Path) -> None:
    with Database(path, busy_timeout_s=0.01) as database, database.read():
        failures: list[StorageError] = []

        def work() -> None:
            with pytest.raises(StorageError) as caught:
                names(database)
            failures.append(caught.value)

        with sqlite3.connect(path) as newer:
            newer.execute("PRAGMA user_version = 999")
        newer.close()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)
        assert isinstance(failures[0], StoreMismatchError)
        assert database._opening == 0


# ------------------------------------------------------------------------------------------- transactions


def test_an_error_rolls_everything_back(database: Database) -> None:
    with pytest.raises(KeyError), database.write() as connection:  # noqa: PT012 - the error leaves a transaction under way
        connection.execute("INSERT INTO states VALUES ('t', 'a', x'00')")
        raise KeyError
    assert names(database) == []
    save(database, "b")
    assert names(database) == ["b"]


def test_failures_of_a_statement_are_translated(database: Database) -> None:
    with pytest.raises(StorageError) as caught, database.write() as connection:
        connection.execute("INSERT INTO states VALUES (NULL, 'a', x'00')")
    assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)
    assert "states" not in str(caught.value)
    save(database, "b")


def test_a_write_does_not_nest(database: Database) -> None:
    with database.write() as connection:
        with pytest.raises(StorageError, match="already open"), database.write():
            pass
        connection.execute("INSERT INTO states VALUES ('t', 'a', x'00')")
        assert names(database) == ["a"]
    with database.read(), pytest.raises(StorageError, match="already open"), database.write():
        pass


def test_a_read_sees_one_state(path: Path) -> None:
    with Database(path) as one, Database(path) as two:
        save(one, "a")
        with one.read() as connection:
            assert connection.execute("SELECT count(*) FROM states").fetchone() == (1,)
            save(two, "b")
            assert connection.execute("SELECT count(*) FROM states").fetchone() == (1,)
        assert names(one) == ["a", "b"]


def test_threads_that_come_and_go_leave_no_connections(database: Database) -> None:
    inside = threading.Barrier(1 if database.in_memory else 12)

    def work() -> None:
        with database.read():
            inside.wait(10)

    for _ in range(3):
        threads = [threading.Thread(target=work) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert not database._in_use
    assert 1 <= len(database._idle) <= database_module._MOST_IDLE


def test_a_lock_held_elsewhere_is_reported_after_the_timeout(path: Path) -> None:
    with Database(path, busy_timeout_s=0.05) as database:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreLockedError, match="busy_timeout_s"):
            save(database, "a")
        assert names(database) == []
        other.execute("ROLLBACK")
        save(database, "a")
        assert names(database) == ["a"]
        other.close()


def test_threads_take_turns_to_write_and_a_turn_that_does_not_come_is_reported(path: Path) -> None:
    with Database(path, busy_timeout_s=0.05) as database, ThreadPoolExecutor(1) as aside:
        with database.write() as connection:
            connection.execute("INSERT INTO states VALUES ('t', 'a', x'00')")
            waited = aside.submit(save, database, "b")
            with pytest.raises(StoreLockedError, match="another thread"):
                waited.result(10)
            assert aside.submit(names, database).result(10) == []
            assert len(database._in_use) == 1
        aside.submit(save, database, "c").result(10)
        assert names(database) == ["a", "c"]


def test_the_turn_goes_on_after_a_write_that_failed_or_did_not_begin(path: Path) -> None:
    with Database(path, busy_timeout_s=0.05) as database:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(2):
            with pytest.raises(StoreLockedError, match="another connection"):
                save(database, "a")
        other.execute("ROLLBACK")
        other.close()
        with pytest.raises(StorageError), database.write() as connection:
            connection.execute("INSERT INTO nothing VALUES (1)")
        save(database, "b")
        assert names(database) == ["b"]
    for _ in range(2):
        with pytest.raises(StorageError, match="is closed"):
            save(database, "c")


def test_the_turn_goes_on_after_a_connection_that_cannot_be_closed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        message = "cannot be closed"
        raise OSError(message)

    with Database(path, busy_timeout_s=0.05) as database:
        with monkeypatch.context() as broken:
            broken.setattr(database_module, "_MOST_IDLE", 0)
            broken.setattr(database_module._Connection, "close", fail)
            with pytest.raises(OSError, match="cannot be closed"):
                save(database, "a")
        save(database, "b")
        assert names(database) == ["a", "b"]


def test_a_child_has_a_turn_of_its_own(path: Path) -> None:
    with Database(path, busy_timeout_s=0.05) as database:
        database._turn.acquire()  # by a thread that is not in the child
        database.before_fork()
        database.after_fork_in_child()
        save(database, "a")
        assert names(database) == ["a"]


@pytest.mark.parametrize("sql", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"])
def test_a_lock_on_a_fresh_file_is_reported(path: Path, sql: str) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(sql)
    with pytest.raises(StoreLockedError):
        Database(path, busy_timeout_s=0.05)
    other.close()
    Database(path).close()


def test_the_switch_to_the_log_waits_for_others(path: Path) -> None:
    Database(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN")
    other.execute("SELECT * FROM states").fetchall()
    with pytest.raises(StoreLockedError):
        Database(path, busy_timeout_s=0.05)
    released = threading.Timer(0.1, lambda: other.execute("ROLLBACK"))
    other.close()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN")
    other.execute("SELECT * FROM states").fetchall()
    released.start()
    Database(path, busy_timeout_s=30).close()
    released.join()
    other.close()


def test_a_size_limit_is_reported_and_loses_nothing(path: Path) -> None:
    with Database(path, max_bytes=200_000) as database:
        written: list[str] = []
        with pytest.raises(StoreFullError, match="free space"):  # noqa: PT012 - the error leaves a transaction under way
            for number in range(10_000):
                save(database, f"{number:0500}", durable=False)
                written.append(f"{number:0500}")
        assert names(database) == written
        with database.write() as connection:
            connection.execute("DELETE FROM states")
        save(database, "a")
    with Database(path) as database:
        assert names(database) == ["a"]
    assert path.stat().st_size <= 200_000


# ------------------------------------------------------------------------------------------------ closing


def test_close_is_idempotent_and_final(database: Database) -> None:
    save(database, "a")
    database.close()
    database.close()
    with pytest.raises(StorageError, match="closed"):
        names(database)


def test_a_transaction_may_end_after_close(path: Path) -> None:
    database = Database(path)
    with database.write() as connection:
        database.close()
        connection.execute("INSERT INTO states VALUES ('t', 'a', x'00')")
    assert not database._idle
    with Database(path) as database:
        assert names(database) == ["a"]


def test_close_wakes_threads_that_wait_for_the_memory() -> None:
    database = Database(":memory:")
    errors: list[BaseException] = []
    waiting = threading.Event()

    def wait() -> None:
        waiting.set()
        try:
            names(database)
        except StorageError as error:
            errors.append(error)

    with database.read():
        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait(10)
        database.close()
        thread.join(10)
    assert len(errors) == 1


def test_close_empties_the_log_or_forces_it_to_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(number), fsync(number))[1])
    log = path.with_name("leo.db-wal")
    with Database(path) as reader:
        assert names(reader) == []
        writer = Database(path)
        save(writer, "a", durable=False)
        writer.close()
        assert log.stat().st_size == 0
        assert not synced
        writer = Database(path)
        with reader.read() as connection:
            connection.execute("SELECT * FROM states").fetchall()
            save(writer, "b", durable=False)
            writer.close()
            assert log.stat().st_size > 0
        assert len(synced) == 1
        assert names(reader) == ["a", "b"]


# -------------------------------------------------------------------------------------------------- forks
# What the interpreter calls at a fork, called by hand; real forks are in test_store_processes.py.


def test_a_child_opens_connections_of_its_own(database: Database) -> None:
    save(database, "a")
    before = list(database._idle)
    database.before_fork()
    database.after_fork_in_child()
    assert database._idle == (before if database.in_memory else [])
    assert names(database) == ["a"]


def test_a_parent_goes_on(database: Database) -> None:
    with database.write() as connection:
        database.before_fork()
        database.after_fork_in_parent()
        connection.execute("INSERT INTO states VALUES ('t', 'a', x'00')")
    assert names(database) == ["a"]


def test_a_child_cut_out_of_a_transaction_refuses_to_work(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match="its parent decides"), database.write() as connection:  # noqa: PT012 - the error leaves a transaction under way
        database.before_fork()
        database.after_fork_in_child()
        monkeypatch.setattr(os, "getpid", lambda: -1)
    assert connection.in_transaction
    with pytest.raises(StorageError, match="was in use"):
        names(database)
    for abandoned in database._abandoned:
        abandoned.close()


def test_a_fork_does_not_wait_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_FORK_WAIT_S", 0.05)
    with Database(path) as database:
        forked = threading.Thread(target=lambda: (database.before_fork(), database.after_fork_in_parent()))
        with database.read():
            forked.start()
            forked.join(10)
            assert not forked.is_alive()


# ------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreLockedError),
        (sqlite3.SQLITE_LOCKED, StoreLockedError),
        (sqlite3.SQLITE_CORRUPT_INDEX, StoreCorruptError),
        (sqlite3.SQLITE_NOTADB, StoreCorruptError),
        (sqlite3.SQLITE_IOERR_SHORT_READ, StoreCorruptError),
        (sqlite3.SQLITE_FULL, StoreFullError),
        (sqlite3.SQLITE_IOERR_WRITE, StoreFullError),
        (sqlite3.SQLITE_IOERR_FSYNC, StorageError),
        (sqlite3.SQLITE_READONLY_DIRECTORY, StorageError),
        (None, StorageError),
    ],
)
def test_codes_are_told_apart(code: int | None, kind: type[StorageError]) -> None:
    error = sqlite3.OperationalError("words with a secret")
    if code is not None:
        error.sqlite_errorcode = code
        error.sqlite_errorname = "SQLITE_NAME"
    translated = translate_error(error, "leo.db")
    assert type(translated) is kind
    assert "leo.db" in str(translated)
    assert "secret" not in str(translated)


def test_a_query_reads_without_a_transaction_and_joins_one_that_is_open(database: Database) -> None:
    save(database, "a")
    assert database.query("SELECT name FROM states") == [("a",)]
    with database.write() as connection:
        connection.execute("INSERT INTO states VALUES ('t', 'b', x'00')")
        assert database.query("SELECT name FROM states WHERE name = ?", ("b",)) == [("b",)]
    assert not database._in_use
    with pytest.raises(StorageError):
        database.query("SELECT nothing FROM states")
    assert not database._in_use


def test_after_many_writes_the_log_is_moved_by_whoever_has_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_CHECKPOINT_AFTER", 3)
    with Database(path) as database:
        database.checkpoint_if_due()
        small = path.stat().st_size
        for number in range(3):
            database.checkpoint_if_due()
            assert path.stat().st_size == small
            with database.write(durable=False) as connection:
                connection.execute("INSERT INTO states VALUES ('t', ?, zeroblob(20000))", (str(number),))
        with database.read() as connection:  # a transaction of this thread is open: not now
            database.checkpoint_if_due()
            assert path.stat().st_size == small
            assert connection.execute("SELECT count(*) FROM states").fetchone() == (3,)
        database.checkpoint_if_due()
        moved = path.stat().st_size
        assert moved > small + 60_000
        save(database, "x")
        database.checkpoint_if_due()
        assert path.stat().st_size == moved


def test_a_commit_moves_a_log_that_nobody_moved(path: Path) -> None:
    with Database(path) as database:
        for number in range(60):
            with database.write(durable=False) as connection:
                connection.execute("INSERT INTO states VALUES ('t', ?, zeroblob(400000))", (str(number),))
        assert path.stat().st_size > 16_000_000


# ----------------------------------------------------------------------------------------- another file, or none


def test_a_file_that_was_deleted_is_not_written_and_not_made_anew(path: Path) -> None:
    aside = path.with_name("aside.db")
    with Database(path) as database:
        save(database, "before")
        path.rename(aside)
        for use in (names, lambda each: save(each, "lost"), lambda each: each.query("SELECT 1"), Database.compact):
            with pytest.raises(StoreUnavailableError, match=r"leo\.db' was deleted or replaced while in use"):
                use(database)
        assert not path.exists()
        aside.rename(path)
        save(database, "after")
        assert names(database) == ["after", "before"]


def test_a_file_in_the_place_of_another_one_is_left_alone(path: Path) -> None:
    with Database(path) as before:
        save(before, "old")
        for each in path.parent.glob("leo.db*"):
            each.unlink()
        with Database(path) as after:
            save(after, "new")
            with before._state:
                idle, before._idle = before._idle, []  # so that a connection has to be opened
            with pytest.raises(StoreUnavailableError):
                save(before, "old again")
            before.close()
            for each in idle:
                each.close()
            save(after, "newer")
    with Database(path) as database:
        assert names(database) == ["new", "newer"]


def test_a_relative_path_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers change to another folder when they have started."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with Database("leo.db") as database:
        save(database, "one")
        monkeypatch.chdir(tmp_path / "elsewhere")
        with database.read(), ThreadPoolExecutor(1) as pool:  # so that a second connection is opened
            assert pool.submit(names, database).result() == ["one"]
    assert list((tmp_path / "elsewhere").iterdir()) == []
