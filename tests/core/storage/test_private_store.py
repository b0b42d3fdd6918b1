"""The private store is a store, over each of the others; what was not sealed so is not served."""

from __future__ import annotations

import base64
import logging
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from leo_core.errors import (
    ConfigError,
    KekUnavailableError,
    StorageError,
    StoreCorruptError,
    StoreMismatchError,
    StoreUnavailableError,
)
from leo_core.privacy.keys.kek import LocalKek
from leo_core.records import IndexHit, Observation
from leo_core.storage import chroma_changes
from leo_core.storage.chroma import ChromaStore
from leo_core.storage.in_memory import InMemoryStore
from leo_core.storage.keyrings import Keyrings
from leo_core.storage.private_store import PrivateStore
from leo_core.storage.sealed_rows import draw_decoy
from leo_core.storage.sqlite import SqliteStore
from tests.contracts.store import StoreContract
from tests.contracts.store_samples import FINGERPRINT, NOW, axis, find_ids, make_entry, make_vectors
from tests.core.storage.test_chroma_store import ChromaContract
from tests.core.storage.test_store_processes import finish, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from leo_core.ports import Store
    from leo_core.records import Vector

RINGS = Keyrings.in_memory()


class TestPrivateInMemory(StoreContract):
    many = 120

    @pytest.fixture
    def store(self) -> Store:
        return PrivateStore(InMemoryStore(), RINGS)

    @pytest.fixture
    def make_store(self) -> Callable[[], Store]:
        return lambda: PrivateStore(InMemoryStore(), RINGS)


class TestPrivateSqlite(ChromaContract):
    """The contract with a few drawn cases in the place of many."""

    cases = 8

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with PrivateStore(SqliteStore(tmp_path / "leo.db"), RINGS) as store:
            yield store

    @pytest.fixture
    def make_store(self) -> Callable[[], Store]:
        return lambda: PrivateStore(SqliteStore(":memory:"), RINGS)


class TestPrivateChroma(ChromaContract):
    """The contract over a real Chroma, in this process."""

    many = 48
    cases = 1

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        with PrivateStore(ChromaStore("chroma::memory:"), RINGS) as store:
            yield store

    @pytest.fixture
    def make_store(self) -> Callable[[], Store]:
        return lambda: PrivateStore(ChromaStore("chroma::memory:"), RINGS)


# ---------------------------------------------------------------------------------------------- tampering


class Rig:
    """A private SQLite store with two tenants, and somebody who writes to its file."""

    def __init__(self, folder: Path) -> None:
        self.path, self.keys = folder / "leo.db", folder / "keys"
        self.heard: list[tuple[str, str, str]] = []
        self.store = self.open()
        self.store.put(make_entry("a", expires_at=NOW + 60, tags=("tag",), sources=("doc",), size_bytes=12), axis(0))
        self.store.add_alias("acme", "id-a", "paraphrase of a", axis(1), "key-alias")
        self.store.put(make_entry("b"), axis(2))
        self.store.put(make_entry("a", tenant="other"), axis(0))

    def open(self) -> PrivateStore:
        """The store, as a process finds it that has just started."""
        store = PrivateStore(SqliteStore(self.path), Keyrings.in_folder(self.keys))
        store.on_refused = lambda *facts: self.heard.append(facts)
        store.open_for(FINGERPRINT)
        return store

    def reopen(self) -> None:
        self.store.close()
        self.store = self.open()

    def write(self, statement: str, *values: object) -> None:
        """Change the file behind LEO's back."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            assert connection.execute(statement, values).rowcount > 0

    def read(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query, values).fetchall()

    def name(self, name: str, tenant: str = "acme", kind: str = "entry") -> str:
        """A pseudonym, as the file has it."""
        return self.store.rows.name(tenant, kind, name)

    def served(self, tenant: str = "acme") -> set[tuple[str, str]]:
        """Ways on which something is given out, and the text of the answer."""
        store = self.store
        found = [("exact", store.get_exact(tenant, key, now=NOW)) for key in ("key-a", "key-alias", "key-b")]
        found += [("id", store.get(tenant, entry_id)) for entry_id in ("id-a", "id-b")]
        for number in range(3):
            found += [("near", each.entry) for each in store.search(tenant, "scope", axis(number), k=1, now=NOW)]
        found += [("listed", kept.entry) for kept in store.entries(tenant)]
        return {(way, str(entry.message.content)) for way, entry in found if entry is not None}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.store.close()


WAYS = ("exact", "id", "near", "listed")
OF_A, OF_B = ({(way, f"answer {name}") for way in WAYS} for name in "ab")


def flip(text: str, place: int) -> str:
    """Sealed data, written as text, with one bit of it another one."""
    raw = bytearray(base64.b64decode(text))
    raw[place % len(raw)] ^= 1
    return base64.b64encode(bytes(raw)).decode()


def test_serves_what_it_wrote(rig: Rig) -> None:
    assert rig.served() == OF_A | OF_B
    rig.reopen()
    assert rig.served() == OF_A | OF_B
    assert (rig.store.refused, rig.heard) == (0, [])


@pytest.mark.parametrize("place", [0, 4, 5, 13, 17, 25, 30, 40, 500, -1])
def test_a_flipped_bit_of_an_entry_is_not_served(rig: Rig, place: int, caplog: pytest.LogCaptureFixture) -> None:
    ((body,),) = rig.read("SELECT body FROM entries WHERE id = ?", rig.name("id-a"))
    sealed = str(body).partition('"content":"')[2].partition('"')[0]
    rig.write("UPDATE entries SET body = replace(body, ?, ?)", sealed, flip(sealed, place))
    rig.reopen()
    with caplog.at_level(logging.WARNING, "leo_core"):
        assert rig.served() == OF_B
    assert rig.store.refused == len(rig.heard) > 1
    assert {tenant for tenant, _, _ in rig.heard} == {"acme"}
    assert len([record for record in caplog.records if "refused" in record.message]) == 1
    assert rig.store.count_entries("acme") == 2, "it stays, for the key may be the wrong one"


@pytest.mark.parametrize("place", [0, 13, 40, 300, -1])
def test_a_flipped_bit_of_a_question_hides_that_question_only(rig: Rig, place: int) -> None:
    for key, ways in (("key-alias", set()), ("key-a", {"exact", "id", "near", "listed"})):
        name = rig.name(key, kind="key")
        ((seal,),) = rig.read("SELECT seal FROM questions WHERE exact_key = ?", name)
        rig.write("UPDATE questions SET seal = ? WHERE exact_key = ?", flip(str(seal), place), name)
        rig.reopen()
        left = rig.served() - OF_B
        assert left == OF_A - {(way, "answer a") for way in ways}
        assert ("acme", rig.name("id-a")) in {facts[:2] for facts in rig.heard}


@pytest.mark.parametrize(
    ("column", "value"),
    [("id", "0" * 32), ("tenant", "0" * 32), ("expires_at", NOW + 1e9), ("expires_at", None), ("model", "0" * 32)],
)
def test_what_the_store_has_in_the_clear_counts_for_nothing(rig: Rig, column: str, value: object) -> None:
    rig.write(f"UPDATE entries SET {column} = ? WHERE id = ?", value, rig.name("id-a"))
    rig.reopen()
    late = rig.store.get_exact("acme", "key-a", now=NOW + 61)
    near = rig.store.search("acme", "scope", axis(0), k=5, now=NOW + 61)
    assert late is None
    assert "id-a" not in [each.entry.id for each in near]
    assert all(answer in {"answer a", "answer b"} for _, answer in rig.served())
    if column == "expires_at":
        assert ("acme", rig.name("id-a"), "expiry") in rig.heard


def test_exchanged_rows_are_not_served(rig: Rig) -> None:
    (first, second) = (rig.name("id-a"), rig.name("id-b"))
    bodies = dict(rig.read("SELECT id, body FROM entries"))
    rig.write("UPDATE entries SET body = ? WHERE id = ?", bodies[second], first)
    rig.write("UPDATE entries SET body = ? WHERE id = ?", bodies[first], second)
    rig.reopen()
    assert rig.served() == set()
    assert rig.store.refused > 0


def test_exchanged_questions_are_not_served(rig: Rig) -> None:
    keys = [rig.name(key, kind="key") for key in ("key-a", "key-b")]
    seals = dict(rig.read("SELECT exact_key, seal FROM questions"))
    for key, other in (keys, keys[::-1]):
        rig.write("UPDATE questions SET seal = ? WHERE exact_key = ?", seals[other], key)
    rig.reopen()
    assert {way for way, _ in rig.served()} <= {"exact", "near"}, "by the paraphrase, which was left alone"
    assert rig.store.get_exact("acme", "key-a", now=NOW) is None
    assert rig.store.get_exact("acme", "key-b", now=NOW) is None


def test_a_key_that_is_led_elsewhere_is_not_served(rig: Rig) -> None:
    ((row,),) = rig.read("SELECT row FROM entries WHERE id = ?", rig.name("id-b"))
    rig.write("UPDATE questions SET entry = ? WHERE exact_key = ?", row, rig.name("key-alias", kind="key"))
    rig.reopen()
    assert rig.store.get_exact("acme", "key-alias", now=NOW) is None
    assert find_ids(rig.store, axis(1), k=1) != ["id-b"]


def test_rows_that_were_moved_to_another_tenant_are_not_served(rig: Rig) -> None:
    mine, theirs = rig.store.rows.name_tenant("acme"), rig.store.rows.name_tenant("other")
    rig.write("DELETE FROM entries WHERE tenant = ?", theirs)
    rig.write("DELETE FROM questions WHERE tenant = ?", theirs)
    for table in ("entries", "questions"):
        rig.write(f"UPDATE {table} SET tenant = ? WHERE tenant = ?", theirs, mine)
    # Even under the names that the other tenant would look for.
    for key in ("key-a", "key-b"):
        rig.write(
            "UPDATE questions SET exact_key = ?, scope_key = ? WHERE exact_key = ?",
            rig.name(key, "other", "key"),
            rig.name("scope", "other", "scope"),
            rig.name(key, kind="key"),
        )
    rig.write("UPDATE entries SET id = ? WHERE id = ?", rig.name("id-a", "other"), rig.name("id-a"))
    rig.reopen()
    assert rig.served("other") == set()
    assert rig.served("acme") == set()
    assert rig.store.refused > 0


def test_an_old_row_put_back_is_served_until_its_own_expiry_and_no_longer(rig: Rig) -> None:
    """What sealing cannot tell: that a row which LEO wrote was removed since. Documented as not protected."""
    entry = rig.read("SELECT * FROM entries WHERE id = ?", rig.name("id-a"))[0]
    question = rig.read("SELECT * FROM questions WHERE exact_key = ?", rig.name("key-a", kind="key"))[0]
    assert rig.store.remove("acme", tags=["tag"]) == 1
    assert rig.served() == OF_B
    rig.write(f"INSERT INTO entries VALUES ({','.join('?' * len(entry))})", *entry)
    rig.write(f"INSERT INTO questions VALUES ({','.join('?' * len(question))})", *question)
    rig.write("UPDATE entries SET expires_at = NULL WHERE id = ?", rig.name("id-a"))
    rig.reopen()
    assert rig.store.get_exact("acme", "key-a", now=NOW) is not None
    assert rig.store.get_exact("acme", "key-a", now=NOW + 61) is None


def test_states_and_observations_that_were_altered_are_not_taken(rig: Rig) -> None:
    store = rig.store
    for name in ("novelty", "routes"):
        store.save_state("acme", name, name.encode())
    store.observe([Observation(kind="cache", tenant="acme", body={"n": number}, at=NOW) for number in range(3)])
    states = dict(rig.read("SELECT name, blob FROM states"))
    mine, other = (rig.name(name, kind="state") for name in ("novelty", "routes"))
    rig.write("UPDATE states SET blob = ? WHERE name = ?", states[other], mine)
    with pytest.raises(StoreCorruptError, match="does not open"):
        store.load_state("acme", "novelty")
    assert store.load_state("acme", "routes") == b"routes"
    owners = store.rows.name_tenant("acme"), store.rows.name_tenant("other")
    rig.write("UPDATE observations SET body = replace(body, ?, ?) WHERE number = 1", *owners)
    rig.write("UPDATE observations SET body = replace(body, 'A', 'B') WHERE number = 2")
    assert [item.body for _, item in store.observations()] == [{"n": 2}]
    assert [why for _, _, why in rig.heard] == ["state", "observation", "observation"]


# -------------------------------------------------------------------------------------------- other keys


def test_a_store_of_other_keys_is_refused(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(StoreMismatchError, match="these keys have not sealed"):
        PrivateStore(rig.store.inner, Keyrings.in_folder(tmp_path / "others")).open_for(FINGERPRINT)


def test_a_store_that_is_not_sealed_is_refused_and_so_is_the_reverse(rig: Rig, tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "plain.db") as plain:
        plain.put(make_entry("a"), None)
        with pytest.raises(StoreMismatchError, match="not sealed"):
            PrivateStore(plain, RINGS).open_for(FINGERPRINT)
    with pytest.raises(StoreMismatchError):
        rig.store.inner.open_for(FINGERPRINT)


def test_a_tenants_keyring_that_was_exchanged_opens_nothing_and_hurts_nobody_else(rig: Rig) -> None:
    pseudonym = rig.store.rows.name_tenant("acme")
    (rig.keys / f"{pseudonym}.ring").unlink()
    rig.reopen()
    assert rig.served("acme") == set()
    assert rig.served("other") == OF_A
    rig.store.put(make_entry("a"), axis(0))
    assert rig.served("acme") == OF_A


def test_a_kek_that_cannot_be_reached_is_an_outage(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise KekUnavailableError("the vault is sealed")

    rings = Keyrings.in_folder(rig.keys)
    store = PrivateStore(rig.store.inner, rings)
    store.open_for(FINGERPRINT)
    monkeypatch.setattr(LocalKek, "unwrap", refuse)
    with pytest.raises(StoreUnavailableError, match="cannot be had now"):
        store.get_exact("acme", "key-a", now=NOW)
    with pytest.raises(StoreUnavailableError):
        store.put(make_entry("c"), axis(3))
    monkeypatch.undo()
    assert store.get_exact("acme", "key-a", now=NOW) == make_entry(
        "a", expires_at=NOW + 60, tags=("tag",), sources=("doc",), size_bytes=12
    )
    assert store.refused == 0


def test_destroyed_keys_shred_a_tenant(rig: Rig) -> None:
    rig.store.rows.rings.of("other").destroy()
    with pytest.raises(StorageError, match="destroyed"):
        rig.store.get_exact("other", "key-a", now=NOW)
    with pytest.raises(StorageError, match="destroyed"):
        rig.store.put(make_entry("a", tenant="other"), axis(0))
    assert rig.served("acme") == OF_A | OF_B
    assert rig.store.clear() == 3


# ----------------------------------------------------------------------------------------------- rotation


def versions(rig: Rig, tenant: str = "acme") -> set[int]:
    """Key versions under which the rows of a tenant lie."""
    rows, owner = rig.store.rows, rig.store.rows.name_tenant(tenant)
    seals = [seal for (seal,) in rig.read("SELECT seal FROM questions WHERE tenant = ?", owner)]
    seals += [row.entry.message.content for row in rig.store.inner.entries(owner)]
    return {rows.rings.of(tenant).version_of(base64.b64decode(str(seal))) for seal in seals}


def test_a_rotation_in_use_changes_nothing_that_is_served(rig: Rig) -> None:
    before = rig.served()
    rig.store.rows.rings.of("acme").rotate(reason="test")
    assert rig.served() == before == OF_A | OF_B
    assert versions(rig) == {1}
    rig.store.count_hit("acme", "id-a")
    rig.store.put(make_entry("c"), axis(3))  # and with that goes on what was sealed before
    assert versions(rig) == {2}
    assert versions(rig, "other") == {1}
    kept = {kept.entry.id: kept for kept in rig.store.entries("acme")}
    assert [alias.exact_key for alias in kept["id-a"].aliases] == ["key-alias"]
    assert kept["id-a"].entry.hits == 1
    rig.store.rows.rings.of("acme").destroy_version(1)
    rig.reopen()
    assert rig.served() >= before


def test_a_disabled_version_opens_nothing_until_it_is_enabled(rig: Rig) -> None:
    ring = rig.store.rows.rings.of("acme")
    ring.rotate(reason="test")
    ring.disable(1)
    assert rig.served() == set()
    assert rig.store.refused > 0
    ring.enable(1)
    rig.reopen()
    assert rig.served() == OF_A | OF_B


# -------------------------------------------------------------------------------------- processes, indexes

OTHER_PROCESS = """
from leo_core.storage.keyrings import Keyrings
from leo_core.storage.private_store import PrivateStore
store = PrivateStore(SqliteStore(sys.argv[1]), Keyrings.in_folder(sys.argv[2]))
store.open_for(FINGERPRINT)
say(*find_ids(store, axis(0)))
store.put(make_entry("c"), axis(3))
store.remove("acme", entry_ids=["id-b"])
store.rows.rings.of("acme").rotate(reason="other process")
store.put(make_entry("d"), axis(4))
say(*store.tenants())
sys.stdin.readline()
say(*find_ids(store, axis(5)))
"""


def test_two_processes_see_each_other(rig: Rig) -> None:
    assert find_ids(rig.store, axis(0)) == ["id-a", "id-b"]
    other = start(OTHER_PROCESS, rig.path, rig.keys)
    assert other.stdout is not None
    assert other.stdout.readline().split() == ["id-a", "id-b"]
    assert other.stdout.readline().split() == ["acme", "other"]
    assert sorted(find_ids(rig.store, axis(3))) == ["id-a", "id-c", "id-d"]
    rig.store.put(make_entry("e"), axis(5))
    assert other.stdin is not None
    other.stdin.write("\n")
    other.stdin.flush()
    assert sorted(finish(other)[-1].split()) == ["id-a", "id-c", "id-d", "id-e"]
    assert rig.store.refused == 0


class LyingIndex:
    """An index server that says what it likes."""

    max_error = 1e-3

    def __init__(self) -> None:
        self.hits: tuple[IndexHit, ...] = ()
        self.added: list[str] = []
        self.removed: list[str] = []
        self.cleared = 0

    def search(self, tenant: str, scope: str, vector: Vector, *, k: int, now: float) -> tuple[IndexHit, ...]:
        return tuple(hit for hit in self.hits if hit.question not in self.removed)[:k]

    def add(self, tenant: str, scope: str, question: str, vector: Vector, *, expires_at: float | None) -> None:
        self.added.append(question)

    def remove(self, tenant: str, scope: str, questions: Sequence[str]) -> None:
        self.removed += questions

    def clear(self, tenant: str | None = None) -> None:
        self.cleared += 1

    def close(self) -> None:
        self.hits = ()


class CountingStore(InMemoryStore):
    """Notes how many entries were asked for at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    def entries(self, tenant, *, entry_ids=None):
        self.asked.append(list(entry_ids or ()))
        return super().entries(tenant, entry_ids=entry_ids)


@pytest.fixture
def lying() -> tuple[PrivateStore, LyingIndex, CountingStore]:
    index, inner = LyingIndex(), CountingStore()
    store = PrivateStore(inner, RINGS, index=index)
    store.open_for(FINGERPRINT)
    for number, name in enumerate("abc"):
        store.put(make_entry(name, expires_at=NOW + 5 if name == "c" else None), axis(number))
    return store, index, inner


def test_what_an_index_says_is_computed_again(
    lying: tuple[PrivateStore, LyingIndex, CountingStore], caplog: pytest.LogCaptureFixture
) -> None:
    store, index, _ = lying
    a, b, c = index.added
    heard: list[tuple[str, str, str]] = []
    store.on_refused = lambda *facts: heard.append(facts)
    index.hits = (IndexHit(question=a, cosine=1.0005), IndexHit(question=b, cosine=0.9))
    found = store.search("acme", "scope", axis(0), k=4, now=NOW)
    assert [(each.entry.id, each.cosine) for each in found] == [("id-a", 1.0)]
    assert (store.mismatches, heard) == (1, [("acme", b.partition(":")[0], "score")])
    index.hits = (IndexHit(question=c, cosine=float("nan")),)
    assert store.search("acme", "scope", axis(2), k=4, now=NOW) == ()
    assert store.mismatches == 2
    assert len([record for record in caplog.records if "inner products that are none" in record.message]) == 1
    index.hits = (IndexHit(question=c, cosine=1.0),)
    assert store.search("acme", "scope", axis(2), k=4, now=NOW + 6) == ()
    assert heard[-1] == ("acme", c.partition(":")[0], "expiry")
    assert store.search("acme", "elsewhere", axis(2), k=4, now=NOW) == (), "it is of another scope"


def test_what_is_gone_is_told_and_searched_again(lying: tuple[PrivateStore, LyingIndex, CountingStore]) -> None:
    store, index, _ = lying
    a, b, c = index.added
    store.remove("acme", entry_ids=["id-a"])
    index.hits = tuple(IndexHit(question=each, cosine=float(each == b)) for each in (a, b, c))
    assert [each.entry.id for each in store.search("acme", "scope", axis(1), k=2, now=NOW)] == ["id-b", "id-c"]
    assert index.removed == [a]
    store.clear("acme")
    assert index.cleared == 1


def test_as_many_rows_are_fetched_for_a_miss_as_for_hits(
    lying: tuple[PrivateStore, LyingIndex, CountingStore],
) -> None:
    store, index, inner = lying
    names = {each.partition(":")[0] for each in index.added}
    asked: list[list[str]] = []
    for hits in ((), index.added[:1], index.added):
        index.hits = tuple(IndexHit(question=each, cosine=0.0) for each in hits)
        inner.asked.clear()
        store.search("acme", "scope", axis(5), k=3, now=NOW)
        asked += inner.asked
    assert [len(set(each)) for each in asked] == [3, 3, 3]
    assert all(each == sorted(each) for each in asked), "the order does not say which was nearest"
    assert asked[-1] == sorted(names)
    assert set(asked[0]) & names, "decoys are rows that exist"


def test_an_inner_store_without_changes_needs_an_index() -> None:
    class Silent:
        def open_for(self, fingerprint: object) -> None: ...

    with pytest.raises(ConfigError, match="does not tell its changes"):
        PrivateStore(Silent(), RINGS)  # type: ignore[arg-type]  # which is the point


def test_finds_what_a_plain_store_finds_among_many(tmp_path: Path) -> None:
    """Beyond the number from which vectors are sketched, with paraphrases, removals and kin."""
    plain, private = InMemoryStore(), PrivateStore(InMemoryStore(), RINGS)
    vectors = make_vectors(2600, 3)
    near = vectors[:200] + 0.05 * make_vectors(200, 4)
    near = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
    for store in (plain, private):
        store.open_for(FINGERPRINT)
        rows = [(make_entry(str(number)), vectors[number]) for number in range(2600)]
        store.put_many(rows[:2500])
        store.search("acme", "scope", vectors[0], k=1, now=NOW)
        store.put_many(rows[2500:])
        for number in range(200):
            store.add_alias("acme", f"id-{number}", "alias", near[number], f"alias-{number}")
        store.remove("acme", entry_ids=[f"id-{number}" for number in range(0, 2600, 7)])
    for query in (*near[:20], *make_vectors(20, 5)):
        one, two = (store.search("acme", "scope", query, k=8, now=NOW) for store in (plain, private))
        assert [(each.entry, each.cosine, each.text, each.kin) for each in one] == [
            (each.entry, each.cosine, each.text, each.kin) for each in two
        ]


def test_a_chroma_is_opened_page_by_page_and_what_others_wrote_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chroma_changes, "_AT_ONCE", 4)
    told: list[int] = []
    with ChromaStore("chroma::memory:") as inner:
        writer = PrivateStore(inner, RINGS)
        reader = PrivateStore(inner, RINGS, report=lambda _, done: told.append(done))
        for store in (writer, reader):
            store.open_for(FINGERPRINT)
        for number in range(10):
            writer.put(make_entry(str(number)), axis(number))
        assert len(find_ids(reader, axis(0))) == 10
        assert told == [4, 8, 10]
        writer.put(make_entry("late"), axis(11))
        writer.put(make_entry("5"), axis(12))
        writer.remove("acme", entry_ids=["id-3"])
        assert sorted(find_ids(reader, axis(0))) == sorted([*(f"id-{n}" for n in range(10) if n != 3), "id-late"])
        assert find_ids(reader, axis(12), k=1) == ["id-5"]
        with pytest.raises(StorageError, match="no cursor"):
            inner.changes("a", "b", "yesterday+")


def test_what_stands_in_the_place_of_a_vector_says_nothing_of_what_the_process_draws_next():
    drawn = []
    for _ in range(2):
        random.seed(7)
        drawn.append([float(draw_decoy()[0]) for _ in range(4)])
    assert drawn[0] != drawn[1]
    assert all(0.0 <= each < 1.0 for each in drawn[0])
