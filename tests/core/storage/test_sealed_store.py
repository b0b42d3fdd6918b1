"""The sealed store is a store, and serves nothing that LEO did not write so itself."""

from __future__ import annotations

import json
import logging
import pickle
import secrets
import sqlite3
import statistics
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from leo_core.errors import ConfigError
from leo_core.records import CacheEntry, Message, Usage
from leo_core.storage.in_memory import InMemoryStore
from leo_core.storage.keyfile import load_or_create_seal_key, load_seal_key
from leo_core.storage.sealed_store import SealedStore
from leo_core.storage.sealing import SECRET_BYTES, SealKey
from leo_core.storage.sqlite import SqliteStore
from tests.contracts.store import StoreContract
from tests.contracts.store_samples import FINGERPRINT, NOW, axis, find_ids, make_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leo_core.ports import Store

KEY = SealKey(bytes(range(SECRET_BYTES)))


class TestSealedStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return SealedStore(InMemoryStore(), KEY)

    @pytest.fixture
    def make_store(self) -> Callable[[], Store]:
        return lambda: SealedStore(InMemoryStore(), KEY)

    def test_a_seal_stands_beside_its_question(self, ready: Store) -> None:
        ready.put(make_entry("a", seal="given"), axis(0))
        ready.add_alias("acme", "id-a", "paraphrase", axis(1), "key-alias", seal="given")
        (kept,) = ready.entries("acme")
        found = [ready.get_exact("acme", key, now=NOW) for key in ("key-a", "key-alias")]
        assert [len(each.seal) for each in found if each is not None] == [128, 128]
        assert [kept.entry.seal, kept.aliases[0].seal] == [each.seal for each in found if each is not None]
        assert kept.entry.seal != kept.aliases[0].seal

    def test_a_seal_goes_with_its_question(self, ready: Store) -> None:
        ready.put(make_entry("a"), axis(0))
        ready.put(make_entry("b"), axis(2))
        for name in "ab":
            ready.add_alias("acme", f"id-{name}", "paraphrase", axis(1), "key-alias")
            found = ready.get_exact("acme", "key-alias", now=NOW)
            assert found is not None
            assert found.id == f"id-{name}"


class Rig:
    """A sealed SQLite store with two entries, an alias, and somebody who writes to its file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inner = SqliteStore(path)
        self.store = SealedStore(self.inner, KEY)
        self.heard: list[tuple[str, str, str]] = []
        self.store.on_refused = lambda *facts: self.heard.append(facts)
        self.store.open_for(FINGERPRINT)
        self.store.put(
            make_entry(
                "a",
                expires_at=NOW + 60,
                fresh_until=NOW + 30,
                tags=("tag",),
                sources=("doc",),
                metadata={"finish": "stop"},
                size_bytes=12,
            ),
            axis(0),
        )
        self.store.add_alias("acme", "id-a", "paraphrase of a", axis(1), "key-alias")
        self.store.put(make_entry("b"), axis(2))

    def write(self, statement: str, *values: object) -> None:
        """Change the file behind LEO's back."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            assert connection.execute(statement, values).rowcount > 0

    def change_body(self, entry_id: str, field: str, value: object) -> None:
        """Change a field of an entry's JSON."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            (body,) = connection.execute("SELECT body FROM entries WHERE id = ?", (entry_id,)).fetchone()
            changed = json.loads(body) | {field: value}
            assert changed != json.loads(body)
            connection.execute("UPDATE entries SET body = ? WHERE id = ?", (json.dumps(changed), entry_id))

    def serves(self, entry_id: str = "id-a") -> list[str]:
        """The ways on which the entry is still given out."""
        scopes = ("scope", "elsewhere")
        found = [self.store.get_exact("acme", key, now=NOW) for key in ("key-a", "key-alias", "key-b", "key-x")]
        near = [
            each.entry
            for scope in scopes
            for number in range(4)
            for each in self.store.search("acme", scope, axis(number), k=1, now=NOW)
        ]
        listed = [kept.entry for kept in self.store.entries("acme")]
        ways = {"exact": found, "id": [self.store.get("acme", entry_id)], "near": near, "listed": listed}
        return [way for way, entries in ways.items() if any(each and each.id == entry_id for each in entries)]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "leo.db")
    yield made
    made.store.close()


ALL_WAYS = ["exact", "id", "near", "listed"]
OTHER = {
    "id": "id-x",
    "tenant": "other",
    "exact_key": "key-x",
    "scope_key": "elsewhere",
    "text": "another question",
    "message": {
        "role": "assistant",
        "content": "planted",
        "tool_calls": [],
        "tool_call_id": None,
        "tool_error": False,
        "name": None,
    },
    "members": ["evil"],
    "model": "evil",
    "route": "large",
    "usage": {
        "input_tokens": 0,
        "output_tokens": 0,
        "cached_input_tokens": 0,
        "reasoning_tokens": 0,
        "calls": 0,
        "cost_usd": 9.0,
    },
    "receipt_id": "leo:rcpt:ff",
    "created_at": NOW - 1,
    "expires_at": None,
    "fresh_until": None,
    "tags": [],
    "sources": [],
    "size_bytes": 13,
    "metadata": {"finish": "tool"},
}


def test_what_nobody_touched_is_served_on_every_way(rig: Rig) -> None:
    assert rig.serves("id-a") == rig.serves("id-b") == ALL_WAYS
    assert rig.heard == []


@pytest.mark.parametrize("field", OTHER)
def test_an_altered_field_is_a_miss_and_an_event(rig: Rig, field: str) -> None:
    rig.change_body("id-a", field, OTHER[field])
    assert rig.serves("id-a") == []
    assert rig.serves("id-x") == []
    assert rig.serves("id-b") == ALL_WAYS
    assert len(rig.heard) == rig.store.refused > 0


def test_every_field_of_an_entry_is_tried() -> None:
    assert OTHER.keys() | {"hits", "seal"} == set(CacheEntry.__dataclass_fields__)


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("UPDATE questions SET seal = '' WHERE exact_key = 'key-a'", ["exact", "id", "near", "listed"]),
        ("UPDATE questions SET seal = replace(seal, substr(seal, 1, 1), 'x')", ["exact", "id", "near", "listed"]),
        ("UPDATE questions SET seal = NULL WHERE 0 OR rowid", None),
        ("UPDATE questions SET seal = 7", ["exact", "id", "near", "listed"]),
        ("UPDATE questions SET text = 'planted question'", ["near"]),
        ("UPDATE questions SET vector = zeroblob(length(vector))", ["near", "listed"]),
        ("UPDATE questions SET exact_key = 'key-x' WHERE exact_key = 'key-alias'", ["aliases"]),
    ],
)
def test_an_altered_question_is_a_miss_and_an_event(rig: Rig, statement: str, lost: list[str] | None) -> None:
    if lost is None:
        with pytest.raises(sqlite3.IntegrityError):
            rig.write(statement)
        return
    rig.write(statement)
    if lost == ["aliases"]:
        assert rig.store.get_exact("acme", "key-x", now=NOW) is None
        assert [kept.aliases for kept in rig.store.entries("acme", entry_ids=["id-a"])] == [()]
        assert rig.heard == [("acme", "id-a", "seal"), ("acme", "id-a", "seal of an alias")]
        return
    rig.write("UPDATE questions SET seal = '' WHERE exact_key = 'key-alias'")
    assert [way for way in rig.serves("id-a") if way in lost] == []
    assert rig.heard


def test_swapped_messages_are_two_misses(rig: Rig) -> None:
    messages = {name: dict(OTHER["message"], content=f"answer {other}") for name, other in [("a", "b"), ("b", "a")]}
    for name, message in messages.items():
        rig.change_body(f"id-{name}", "message", message)
    assert rig.serves("id-a") == rig.serves("id-b") == []


def test_swapped_rows_are_two_misses(rig: Rig) -> None:
    """The questions change places: each entry is whole, but not the answer to what leads to it."""
    rig.write("UPDATE questions SET exact_key = 'tmp' WHERE exact_key = 'key-a'")
    rig.write("UPDATE questions SET exact_key = 'key-a' WHERE exact_key = 'key-b'")
    rig.write("UPDATE questions SET exact_key = 'key-b' WHERE exact_key = 'tmp'")
    assert rig.store.get_exact("acme", "key-a", now=NOW) is None
    assert rig.store.get_exact("acme", "key-b", now=NOW) is None
    assert len(rig.heard) == 2


@pytest.mark.parametrize(("column", "value"), [("tenant", "other"), ("scope_key", "elsewhere")])
def test_an_entry_moved_to_another_tenant_or_scope_is_a_miss(rig: Rig, column: str, value: str) -> None:
    rig.write(f"UPDATE questions SET {column} = ?", value)
    if column == "tenant":
        rig.write("UPDATE entries SET tenant = ?", value)
    assert rig.store.get_exact("other", "key-a", now=NOW) is None
    assert rig.store.get("other", "id-a") is None
    assert find_ids(rig.store, axis(0), tenant="other") == []
    assert rig.store.search("acme", "elsewhere", axis(0), k=3, now=NOW) == ()
    assert list(rig.store.entries("other")) == []
    assert rig.heard


def test_an_entry_copied_to_another_tenant_with_its_body_is_a_miss(rig: Rig) -> None:
    stolen = next(iter(rig.inner.entries("acme", entry_ids=["id-a"])))
    rig.inner.put(replace(stolen.entry, tenant="other"), stolen.vector)
    assert rig.store.get_exact("other", "key-a", now=NOW) is None
    assert find_ids(rig.store, axis(0), tenant="other") == []
    assert rig.serves("id-a") == ALL_WAYS


def test_an_expiry_taken_out_of_the_row_still_counts(rig: Rig) -> None:
    rig.write("UPDATE entries SET expires_at = NULL")
    assert rig.store.get_exact("acme", "key-a", now=NOW + 61) is None
    assert find_ids(rig.store, axis(0), now=NOW + 61) == ["id-b"]
    assert {why for _, _, why in rig.heard} == {"expiry"}


def test_an_entry_without_vector_does_not_get_one(rig: Rig) -> None:
    rig.store.put(make_entry("exact only"), None)
    rig.write("UPDATE questions SET vector = ? WHERE exact_key = 'key-exact only'", axis(5).tobytes())
    assert find_ids(rig.store, axis(5), k=1) != ["id-exact only"]
    assert rig.heard == [("acme", "id-exact only", "seal")]
    assert rig.store.get_exact("acme", "key-exact only", now=NOW) is not None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET body = substr(body, 1, 40) WHERE id = 'id-a'",
        "UPDATE entries SET body = x'00ff' WHERE id = 'id-a'",
        "UPDATE questions SET vector = substr(vector, 1, 7) WHERE exact_key = 'key-a'",
        "UPDATE questions SET vector = 'text' WHERE exact_key = 'key-a'",
    ],
)
def test_a_row_that_cannot_be_read_is_removed_and_the_others_are_served(rig: Rig, statement: str) -> None:
    rig.write(statement)
    assert find_ids(rig.store, axis(2), k=2) == ["id-b"]
    assert rig.serves("id-a") == []
    assert rig.heard == [("acme", "id-a", "unreadable")]
    assert rig.inner.count_entries() == 1


def test_with_another_key_everything_is_foreign_and_stays(rig: Rig) -> None:
    other = SealedStore(rig.inner, SealKey.generate())
    other.open_for(FINGERPRINT)
    assert other.get_exact("acme", "key-a", now=NOW) is None
    assert find_ids(other, axis(0)) == []
    assert list(other.entries("acme")) == []
    assert other.refused > 0
    other.put(make_entry("own", exact_key="key-a"), axis(0))
    assert find_ids(other, axis(0), k=1) == ["id-own"]
    assert rig.serves("id-b") == ALL_WAYS


def test_refused_neighbours_leave_their_places_to_others(rig: Rig) -> None:
    for number in range(20):
        rig.inner.put(make_entry(f"planted {number}"), axis(3))
    near = axis(3) * np.float32(0.8) + axis(4) * np.float32(0.6)
    rig.store.put(make_entry("mine"), near)
    assert find_ids(rig.store, axis(3), k=3) == ["id-mine", "id-a", "id-b"]
    assert len(rig.heard) == 20


def test_an_alias_of_a_planted_entry_is_not_made(rig: Rig) -> None:
    rig.inner.put(make_entry("planted"), axis(3))
    rig.store.add_alias("acme", "id-planted", "paraphrase", axis(4), "key-planted-alias")
    assert rig.inner.get_exact("acme", "key-planted-alias", now=NOW) is None


def test_hits_may_change(rig: Rig) -> None:
    rig.store.count_hit("acme", "id-a")
    assert rig.serves("id-a") == ALL_WAYS


def test_the_first_refusal_is_logged_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.change_body("id-a", "model", "evil")
    with caplog.at_level(logging.WARNING, logger="leo_core"):
        for _ in range(3):
            rig.store.get("acme", "id-a")
    assert len(caplog.records) == 1
    assert "answer a" not in caplog.text
    assert rig.store.refused == 3


# -------------------------------------------------------------------------------------------------------- keys


def test_a_seal_depends_on_everything_it_covers() -> None:
    entry = make_entry("a")
    covered: list[dict[str, Any]] = [
        {},
        {"exact_key": "other"},
        {"text": "other"},
        {"vector": axis(1)},
        {"vector": None},
        {"entry": replace(entry, message=Message(role="assistant", content="other"))},
        {"entry": replace(entry, usage=Usage(cost_usd=None))},
    ]
    facts: dict[str, Any] = {"entry": entry, "exact_key": "key", "text": "text", "vector": axis(0)}
    seals = [KEY.seal(**(facts | changes)) for changes in covered]
    assert len(set(seals)) == len(seals)
    assert SealKey.generate().seal(**facts) not in seals
    assert KEY.seal(**facts) == KEY.seal(**(facts | {"entry": replace(entry, hits=9, seal="x")})) == seals[0]
    assert {len(seal) for seal in seals} == {128}
    halves = [seal[half * 64 : half * 64 + 64] for seal in seals[:4] for half in (0, 1)]
    assert len(set(halves)) == 8 - 3  # the key covers the first half only, text and vector the second


def test_parts_cannot_move_from_one_into_the_next() -> None:
    entry = make_entry("a")
    one = KEY.seal(entry, exact_key="k", text="ab", vector=None)
    two = KEY.seal(entry, exact_key="k", text="a", vector=np.frombuffer(b"b\0\0\0", dtype="<f4"))
    assert one[64:] != two[64:]


def test_key_file_is_made_once_with_mode_0600_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "leo.db.seal"
    made = load_or_create_seal_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = load_or_create_seal_key(path)
    facts: dict[str, Any] = {"exact_key": "k", "text": "t", "vector": None}
    assert made.seal(make_entry("a"), **facts) == again.seal(make_entry("a"), **facts)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"ff" * 31, b"gg" * 32, b"\xff" * 64, b"ff" * 33])
def test_what_is_no_key_file_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        load_seal_key(path)
    assert content.decode("latin-1") not in str(caught.value) or not content
    assert caught.value.__cause__ is None


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    load_or_create_seal_key(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_seal_key(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_seal_key(tmp_path / "none")


def test_a_key_shows_nothing_of_its_secret() -> None:
    secret = secrets.token_bytes(SECRET_BYTES)
    key = SealKey(secret)
    assert repr(key) == str(key) == "SealKey(…)"
    assert secret.hex() not in repr(SealedStore(InMemoryStore(), key))
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(ConfigError) as caught:
        SealKey(secret[:31])
    assert secret[:31].hex() not in str(caught.value)


def test_checking_costs_little(record_property: Callable[[str, object], None]) -> None:
    """The figure is recorded, not judged: machines differ."""
    vector = np.random.default_rng(0).standard_normal(256).astype(np.float32)
    entry = make_entry("a", message=Message(role="assistant", content="word " * 200))
    sealed = replace(entry, seal=KEY.seal(entry, exact_key="k", text="t", vector=vector))
    took = []
    for _ in range(50):
        start = time.process_time_ns()
        admitted = [KEY.admits_near(sealed, "t", vector) for _ in range(20)]
        took.append((time.process_time_ns() - start) / 20_000)
        assert all(admitted)
    record_property("check_us", statistics.median(took))
    print(f"seal check: {statistics.median(took):.1f} µs")  # noqa: T201 - shown with -s
