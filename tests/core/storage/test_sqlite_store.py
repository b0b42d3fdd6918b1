"""The SQLite store keeps the contract, in a file and in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from leo_core.errors import EntryCorruptError, StoreCorruptError, StoreMismatchError
from leo_core.records import Observation
from leo_core.storage import sqlite as sqlite_module
from leo_core.storage import vector_cache
from leo_core.storage.database import Database
from leo_core.storage.sqlite import SqliteStore
from tests.contracts.store import StoreContract
from tests.contracts.store_samples import FINGERPRINT, NOW, axis, find_ids, make_entry, make_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class TestSqliteStoreInMemory(StoreContract):
    """The contract, without a file."""

    @pytest.fixture
    def store(self) -> Iterator[SqliteStore]:
        with SqliteStore(":memory:") as store:
            yield store

    @pytest.fixture
    def make_store(self) -> Callable[[], SqliteStore]:
        return lambda: SqliteStore(":memory:")


class TestSqliteStore(StoreContract):
    """The contract, in a file."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SqliteStore]:
        with SqliteStore(tmp_path / "leo.db") as store:
            yield store

    @pytest.fixture
    def make_store(self) -> Callable[[], SqliteStore]:
        return lambda: SqliteStore(":memory:")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[SqliteStore, SqliteStore]]:
    """Two stores over one file, each with its own connections, as two processes have."""
    with SqliteStore(tmp_path / "leo.db") as one, SqliteStore(tmp_path / "leo.db") as two:
        one.open_for(FINGERPRINT)
        two.open_for(FINGERPRINT)
        yield one, two


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "leo.db") as store:
        store.open_for(FINGERPRINT)
        store.put(make_entry("a", tags=("x",)), axis(0))
        store.add_alias("acme", "id-a", "paraphrase", axis(1), "key-alias")
        store.count_hit("acme", "id-a")
        store.observe([Observation(kind="cache", tenant="acme", body={}, at=NOW)])
        store.save_state("acme", "name", b"state")
    with SqliteStore(tmp_path / "leo.db") as store:
        assert store.get("acme", "id-a") == make_entry("a", tags=("x",), hits=1)
        assert find_ids(store, axis(1)) == ["id-a"]
        assert len(list(store.observations())) == 1
        assert store.load_state("acme", "name") == b"state"
        with pytest.raises(StoreMismatchError):
            store.open_for(FINGERPRINT.__class__(name="x", version="1", dimension=16, table_sha256=""))


def test_a_shared_database_stays_open(tmp_path: Path) -> None:
    with Database(tmp_path / "leo.db") as database:
        store = SqliteStore(database)
        assert store.database is database
        store.close()
        assert SqliteStore(database).count_entries() == 0
        assert "leo.db" in repr(store)


def test_stores_over_one_file_see_each_others_changes(pair: tuple[SqliteStore, SqliteStore]) -> None:
    one, two = pair
    one.put(make_entry("a"), axis(0))
    one.put(make_entry("b"), axis(1))
    assert find_ids(two, axis(0)) == ["id-a", "id-b"]
    one.add_alias("acme", "id-b", "alias", axis(2), "key-alias")
    assert find_ids(two, axis(2)) == ["id-b", "id-a"]
    two.remove("acme", entry_ids=["id-b"])
    assert find_ids(one, axis(2)) == ["id-a"]
    one.put(make_entry("a"), axis(3))
    assert two.search("acme", "scope", axis(3), k=1, now=NOW)[0].cosine == 1.0
    one.clear()
    assert find_ids(two, axis(0)) == []


def test_an_embedder_declared_elsewhere_is_never_mixed(pair: tuple[SqliteStore, SqliteStore]) -> None:
    one, two = pair
    other = FINGERPRINT.__class__(name="other", version="1", dimension=16, table_sha256="")
    one.open_for(other)
    one.put(make_entry("a"), axis(0))
    with pytest.raises(StoreMismatchError):
        two.put(make_entry("b"), axis(0))
    with pytest.raises(StoreMismatchError):
        two.search("acme", "scope", axis(0), k=1, now=NOW)
    with pytest.raises(StoreMismatchError):
        two.add_alias("acme", "id-a", "alias", axis(1), "key")
    assert find_ids(one, axis(0)) == ["id-a"]


def test_vectors_of_another_length_are_loaded_afresh(pair: tuple[SqliteStore, SqliteStore]) -> None:
    one, two = pair
    one.put(make_entry("a"), axis(0))
    find_ids(two, axis(0))
    one.clear()
    wide = FINGERPRINT.__class__(name="wide", version="1", dimension=32, table_sha256="")
    one.open_for(wide)
    two.open_for(wide)
    one.put(make_entry("b"), np.eye(32, dtype=np.float32)[0])
    assert find_ids(two, np.eye(32, dtype=np.float32)[0]) == ["id-b"]


def test_removals_older_than_those_remembered_are_still_seen(
    pair: tuple[SqliteStore, SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_cache, "REMOVALS_KEPT", 3)
    one, two = pair
    for number in range(12):
        one.put(make_entry(str(number)), axis(number))
    one.remove("acme", entry_ids=["id-11"])
    assert len(find_ids(two, axis(0))) == 11
    for number in range(2, 11):
        one.remove("acme", entry_ids=[f"id-{number}"])
    with one.database.read() as connection:
        assert connection.execute("SELECT count(*) FROM removals").fetchone() == (3,)
    assert find_ids(two, axis(0)) == ["id-0", "id-1"]


def test_few_changes_are_read_one_by_one(
    pair: tuple[SqliteStore, SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    vectors = make_vectors(200)
    for number in range(200):
        one.put(make_entry(str(number)), vectors[number])
    find_ids(two, vectors[0])
    loaded: list[int] = []
    append = vector_cache.ScopeIndex.append
    monkeypatch.setattr(
        vector_cache.ScopeIndex, "append", lambda self, *rows: (loaded.append(len(rows[0])), append(self, *rows))[1]
    )
    one.remove("acme", entry_ids=["id-7"])
    one.put(make_entry("8"), vectors[9])
    assert len(find_ids(two, vectors[0], k=500)) == 199
    assert loaded == [1]


def test_a_search_works_on_its_own_scope_however_many_are_in_memory(
    pair: tuple[SqliteStore, SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    for number in range(30):
        one.put(make_entry(str(number), tenant=f"tenant-{number}"), axis(number % 8))
        assert find_ids(two, axis(number % 8), tenant=f"tenant-{number}") == [f"id-{number}"]
    touched: set[int] = set()
    for name in ("remove", "append", "view"):
        usual = getattr(vector_cache.ScopeIndex, name)
        monkeypatch.setattr(
            vector_cache.ScopeIndex,
            name,
            lambda self, *rows, usual=usual: (touched.add(id(self)), usual(self, *rows))[1],
        )
    weighed = vector_cache.ScopeIndex.size_bytes.fget
    assert weighed is not None
    monkeypatch.setattr(
        vector_cache.ScopeIndex, "size_bytes", property(lambda self: (touched.add(id(self)), weighed(self))[1])
    )
    for number in range(10):
        one.remove(f"tenant-{number}", entry_ids=[f"id-{number}"])
    assert find_ids(two, axis(4), tenant="tenant-20") == ["id-20"]
    assert len(touched) == 1
    assert find_ids(two, axis(4), tenant="tenant-4") == []
    assert find_ids(two, axis(5), tenant="tenant-29") == ["id-29"]
    assert len(touched) == 3


def test_a_scope_that_was_not_searched_for_many_removals_is_read_anew(
    pair: tuple[SqliteStore, SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_cache, "REMOVALS_KEPT", 3)
    one, two = pair
    for name in ("idle", "busy"):
        for number in range(12):
            one.put(make_entry(f"{name}-{number}", tenant=name), axis(number))
        assert len(find_ids(two, axis(0), tenant=name)) == 12
    one.remove("idle", entry_ids=["id-idle-3"])
    for number in range(1, 12):
        one.remove("busy", entry_ids=[f"id-busy-{number}"])
        assert len(find_ids(two, axis(0), tenant="busy")) == 12 - number
    assert find_ids(two, axis(3), tenant="idle", k=1) != ["id-idle-3"]
    assert len(find_ids(two, axis(0), tenant="idle")) == 11


def test_a_row_that_its_index_lost_is_noticed(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "leo.db") as store:
        store.open_for(FINGERPRINT)
        store.put(make_entry("a"), axis(0))
        find_ids(store, axis(0))
        with store.database.write() as connection:
            connection.execute("DROP TRIGGER questions_removed")
            connection.execute("DELETE FROM entries")
        with pytest.raises(StoreCorruptError, match="index"):
            find_ids(store, axis(0))


def test_large_stores_are_cleared_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "_CLEARED_AT_ONCE", 3)
    with SqliteStore(tmp_path / "leo.db") as store:
        store.open_for(FINGERPRINT)
        for number in range(10):
            store.put(make_entry(str(number), tenant=f"tenant-{number % 2}"), axis(number))
        assert store.clear("tenant-1") == 5
        assert store.count_entries("tenant-0") == 5
        assert store.clear() == 5
        # Somebody else was quicker.
        monkeypatch.setattr(store, "count_entries", lambda _: 4)
        assert store.clear() == 0


def test_memory_for_vectors_is_bounded() -> None:
    store = SqliteStore(":memory:", vector_cache_bytes=20_000)
    store.open_for(FINGERPRINT)
    vectors = make_vectors(300)
    for number in range(300):
        store.put(make_entry(str(number), scope_key=f"scope-{number % 3}"), vectors[number])
    for _ in range(2):
        for number in range(300):
            (found,) = store.search("acme", f"scope-{number % 3}", vectors[number], k=1, now=NOW)
            assert found.entry.id == f"id-{number}"
            held = store._vectors._scopes.values()
            assert store._vectors.size_bytes == sum(each.index.size_bytes for each in held) <= 20_000
    store.close()


@pytest.mark.parametrize(
    ("statement", "use"),
    [
        ("UPDATE entries SET body = 'no JSON'", lambda store: store.get("acme", "id-a")),
        ("UPDATE entries SET body = '{}'", lambda store: store.get_exact("acme", "key-a", now=NOW)),
        ("UPDATE entries SET body = '[]'", lambda store: store.search("acme", "scope", axis(0), k=1, now=NOW)),
        ('UPDATE observations SET body = \'{"kind": "x"}\'', lambda store: list(store.observations())),
        ("UPDATE meta SET value = '{}'", lambda store: store.put(make_entry("b"), axis(0))),
        ("UPDATE states SET blob = 'text'", lambda store: store.load_state("acme", "name")),
        (
            "UPDATE questions SET vector = 'text'",
            lambda store: store.search("acme", "scope", axis(0), k=1, now=NOW),
        ),
        (
            "UPDATE questions SET vector = x'" + "00" * 60 + "0000c07f'",
            lambda store: store.search("acme", "scope", axis(0), k=1, now=NOW),
        ),
        ("UPDATE questions SET vector = x'00'", lambda store: store.search("acme", "scope", axis(0), k=1, now=NOW)),
    ],
)
def test_rows_that_are_no_records_are_refused(
    tmp_path: Path, statement: str, use: Callable[[SqliteStore], object]
) -> None:
    with SqliteStore(tmp_path / "leo.db") as store:
        store.open_for(FINGERPRINT)
        store.put(make_entry("a"), axis(0))
        store.observe([Observation(kind="cache", tenant="acme", body={}, at=NOW)])
        store.save_state("acme", "name", b"state")
        with store.database.write() as connection:
            connection.execute(statement)
        with pytest.raises(StoreCorruptError) as caught:
            use(store)
        assert ("entries" in statement or "questions" in statement) == isinstance(caught.value, EntryCorruptError)
        assert getattr(caught.value, "entry_id", "id-a") == "id-a"


def test_whoever_writes_takes_the_vectors_into_the_index(pair: tuple[SqliteStore, SqliteStore]) -> None:
    one, two = pair
    one.put(make_entry("a"), axis(0))
    assert not one._vectors.holds("acme", "scope")
    assert find_ids(one, axis(0)) == ["id-a"]
    index = one._vectors._scopes["acme", "scope"].index
    two.put(make_entry("b"), axis(1))
    assert index.last_question == 1
    one.put_many([(make_entry("c"), axis(2)), (make_entry("d", scope_key="other"), axis(3))])
    assert index.last_question == 3
    assert not one._vectors.holds("acme", "other")
    one.add_alias("acme", "id-a", "question a again", axis(3), "key-a2")
    assert index.last_question == 5
    assert find_ids(one, axis(3))[0] == "id-a"
    assert set(find_ids(one, axis(0))) == {"id-a", "id-b", "id-c"}


def test_a_damaged_vector_of_another_entry_does_not_keep_one_from_being_written(
    pair: tuple[SqliteStore, SqliteStore],
) -> None:
    one, two = pair
    one.put(make_entry("a"), axis(0))
    assert find_ids(one, axis(0)) == ["id-a"]
    two.put(make_entry("b"), axis(1))
    with two.database.write() as connection:
        connection.execute("UPDATE questions SET vector = x'00' WHERE exact_key = 'key-b'")
    one.put(make_entry("c"), axis(2))
    assert one.get("acme", "id-c") is not None
    with pytest.raises(EntryCorruptError):
        find_ids(one, axis(0))
