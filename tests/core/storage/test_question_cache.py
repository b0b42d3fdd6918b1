"""Neighbours in memory: the same as from the file, within their memory, gone where the file says so, verified once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from leo_core.storage.question_cache import FoundQuestion, QuestionCache
from leo_core.storage.sealed_store import SealedStore
from leo_core.storage.sealing import SECRET_BYTES, SealKey
from leo_core.storage.sqlite import SqliteStore
from tests.contracts.store_samples import FINGERPRINT, NOW, axis, find_ids, make_entry, make_vectors

if TYPE_CHECKING:
    from pathlib import Path

    from leo_core.records import CacheEntry, Vector


def found(number: int, body: str = "{}") -> FoundQuestion:
    return FoundQuestion((number, f"id-{number}", body, 0, "", "text", axis(0).tobytes()))


def test_those_found_longest_ago_go_when_memory_is_short() -> None:
    cache = QuestionCache(max_bytes=3 * found(0).size_bytes)
    for number in range(5):
        cache.keep([(number, found(number))])
    assert set(cache.find(range(5))) == {2, 3, 4}
    cache.keep([(2, found(2)), (9, found(9))])  # found again: 3 is now the oldest
    assert set(cache.find(range(10))) == {2, 4, 9}
    cache.keep([(7, found(7, "x" * 10_000))])  # larger than all the memory
    assert cache.find(range(10)) == {}
    cache.keep([(1, found(1))])
    cache.clear()
    assert cache.find([1]) == {}


@pytest.mark.parametrize("memory", [0, 4_000, 1 << 20])
def test_searches_find_the_same_with_and_without_memory(tmp_path: Path, memory: int) -> None:
    vectors = make_vectors(40)
    with SqliteStore(tmp_path / "leo.db", question_cache_bytes=memory) as store:
        store.open_for(FINGERPRINT)
        for number in range(40):
            store.put(make_entry(str(number)), vectors[number])
        first = [store.search("acme", "scope", vector, k=5, now=NOW) for vector in vectors]
        again = [store.search("acme", "scope", vector, k=5, now=NOW) for vector in vectors]
    assert again == first
    assert all(len(each) == 5 for each in first)


def test_what_another_process_removes_or_replaces_is_not_found_in_memory(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "leo.db") as one, SqliteStore(tmp_path / "leo.db") as two:
        for store in (one, two):
            store.open_for(FINGERPRINT)
        one.put(make_entry("a", text="old"), axis(0))
        one.put(make_entry("b"), axis(1))
        assert [each.text for each in one.search("acme", "scope", axis(0), k=1, now=NOW)] == ["old"]
        two.put(make_entry("a", text="new"), axis(0))
        assert [each.text for each in one.search("acme", "scope", axis(0), k=1, now=NOW)] == ["new"]
        two.remove("acme", entry_ids=["id-a"])
        assert find_ids(one, axis(0)) == ["id-b"]


class CountingKey(SealKey):
    """Counts the seals that are looked at."""

    __slots__ = ("looked",)

    def __init__(self) -> None:
        super().__init__(bytes(range(SECRET_BYTES)))
        self.looked = 0

    def admits_near(self, entry: CacheEntry, text: str, vector: Vector | None) -> bool:
        self.looked += 1
        return super().admits_near(entry, text, vector)


def test_a_seal_is_looked_at_once_while_its_question_is_in_memory_and_again_when_it_is_read(tmp_path: Path) -> None:
    path, key = tmp_path / "leo.db", CountingKey()
    with SqliteStore(path) as inner:
        store = SealedStore(inner, key)
        store.open_for(FINGERPRINT)
        store.put(make_entry("a"), axis(0))
        for _ in range(3):
            assert find_ids(store, axis(0)) == ["id-a"]
        assert key.looked == 1
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE questions SET text = 'altered'")
        connection.commit()
    with SqliteStore(path) as inner:
        store = SealedStore(inner, key)
        store.open_for(FINGERPRINT)
        assert find_ids(store, axis(0)) == []
    assert key.looked == 2


def test_a_changed_copy_is_not_taken_for_what_was_admitted(tmp_path: Path) -> None:
    key = CountingKey()
    with SqliteStore(tmp_path / "leo.db") as inner:
        store = SealedStore(inner, key)
        store.open_for(FINGERPRINT)
        store.put(make_entry("a", metadata={"list": [1]}), axis(0))
        (given,) = store.search("acme", "scope", axis(0), k=1, now=NOW)
        given.entry.metadata["list"].append(2)
        (again,) = store.search("acme", "scope", axis(0), k=1, now=NOW)
    assert again.entry.metadata == {"list": [1]}
    assert key.looked == 2
