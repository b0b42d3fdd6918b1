"""After a rotation everything of a private store is sealed anew, and no key goes that something is under."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from leo_core.errors import ConfigError, KeyDestroyedError, KeyInUseError, StorageError
from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.records import Observation
from leo_core.storage.chroma import ChromaStore
from leo_core.storage.in_memory import InMemoryStore
from leo_core.storage.keyrings import Keyrings
from leo_core.storage.private_store import PrivateStore
from tests.contracts.store_samples import FINGERPRINT, NOW, axis, make_entry
from tests.core.storage.resealing_load import THREADS, Parts

ROOT = Path(__file__).parents[3]
TENANT_PARTS = {"entry": 1, "question": 2, "observation": 1, "state": 1, "result": 1}
STORE_PARTS = {"state": 3, "intent": 1, "settled": 1, "receipt": 1, "opening": 1}
ALL_PARTS = {"accounts", "aliases", "answers", "entries", "observations", "receipts", "settled", "states"}


@pytest.fixture
def parts(tmp_path):
    made = Parts(tmp_path / "leo.db", tmp_path / "keys")
    made.write("a")
    yield made
    made.store.close()


def read_names(parts):
    found = parts.read()
    assert set(found) == ALL_PARTS
    return {frozenset(names) for names in found.values()}


def keys_of(parts, tenant):
    return parts.root if tenant is None else parts.tenant


# ------------------------------------------------------------------------------------------------- all parts


@pytest.mark.parametrize(("tenant", "expected"), [("acme", TENANT_PARTS), (None, STORE_PARTS)], ids=["tenant", "store"])
def test_every_part_is_sealed_anew_and_the_old_key_goes(parts, tmp_path, tenant, expected):
    ring = keys_of(parts, tenant)
    assert parts.store.count_sealed(tenant) == {1: expected}
    ring.rotate(reason="test")
    with pytest.raises(
        KeyInUseError, match=rf"sealed {sum(expected.values())} records .*1 intent|5 records|6 records"
    ) as caught:
        parts.store.destroy_version(1, tenant=tenant)
    assert caught.value.left == expected
    told = []
    done = parts.store.reseal(tenant, report=lambda *counts: told.append(counts))
    total = sum(expected.values())
    assert (done.met, done.resealed, done.changed, done.unreadable, done.destroyed) == (total, total, 0, {}, ())
    assert told == [(at, at) for at in range(1, total + 1)]
    assert parts.store.count_sealed(tenant) == {2: expected}
    assert parts.store.reseal(tenant).resealed == 0
    parts.store.destroy_version(1, tenant=tenant)
    with pytest.raises(KeyDestroyedError):
        parts.store.destroy_version(1, tenant=tenant)
    fresh = Parts(tmp_path / "leo.db", tmp_path / "keys")
    assert read_names(fresh) == {frozenset({"a"})}
    assert fresh.log.audit() == 1
    assert fresh.store.tenants() == ("acme",)
    assert fresh.store.refused == 0
    fresh.store.close()


def test_what_is_sealed_anew_stays_where_it_is(parts):
    number, _ = next(iter(parts.store.observations()))
    parts.store.count_hit("acme", "id-a")
    found = parts.store.search("acme", "scope", axis(0), k=1, now=NOW)
    parts.tenant.rotate()
    parts.store.reseal("acme")
    assert [at for at, _ in parts.store.observations()] == [number]
    (kept,) = parts.store.entries("acme")
    assert (kept.entry.hits, [alias.exact_key for alias in kept.aliases]) == (1, ["alias-a"])
    assert [each.text for each in parts.store.search("acme", "scope", axis(0), k=1, now=NOW)] == [found[0].text]


def test_writes_carry_the_work_on(parts):
    parts.store.observe([Observation(kind="audit", tenant="acme", body={"name": "a"}, at=1.0)] * 90)
    for ring in (parts.tenant, parts.root):
        ring.rotate()
    first = 32 - 2  # records of a step, less entry and question of the write that it follows on
    left = [96 - first, 96 - first - 32, 96 - first - 64, 0]
    for number, old in enumerate(left, start=2):
        parts.store.put(make_entry(f"b{number}"), axis(number))
        assert sum(parts.store.count_sealed("acme").get(1, {}).values()) == old
    assert set(parts.store.count_sealed(None)) == {2}


def test_a_record_that_was_altered_keeps_its_key(parts, tmp_path):
    parts.tenant.rotate()
    with closing(sqlite3.connect(tmp_path / "leo.db")) as connection, connection:
        (blob,) = connection.execute("SELECT blob FROM states WHERE tenant = ?", (parts.tenant.tenant,)).fetchone()
        connection.execute("UPDATE states SET blob = ? WHERE blob = ?", (blob[:-1] + bytes([blob[-1] ^ 1]), blob))
    assert parts.store.reseal("acme").unreadable == {"SealedAlteredError": 1}
    with pytest.raises(KeyInUseError, match="1 state") as caught:
        parts.store.destroy_version(1, tenant="acme")
    assert caught.value.left == {"state": 1}


def test_a_key_stays_through_its_grace_and_the_primary_for_good(tmp_path):
    parts = Parts(tmp_path / "leo.db", tmp_path / "keys", grace_s=86_400.0)
    parts.write("a")
    parts.tenant.rotate()
    parts.store.reseal("acme")
    with pytest.raises(KeyInUseError, match=r"ends in 1\.0 days") as caught:
        parts.store.destroy_version(1, tenant="acme")
    assert caught.value.left == {}
    with pytest.raises(ConfigError, match="primary"):
        parts.store.destroy_version(2, tenant="acme")
    parts.store.close()


def test_a_shredded_tenant_is_unreadable_in_every_part_after_all_that(parts):
    parts.tenant.rotate()
    parts.store.reseal("acme")
    parts.tenant.destroy()
    for read in (
        lambda: parts.store.get("acme", "id-a"),
        lambda: parts.store.load_state("acme", "state-a"),
        lambda: parts.journal.find("acme", "a"),
        lambda: parts.store.reseal("acme"),
    ):
        with pytest.raises(StorageError, match="destroyed"):
            read()
    assert list(parts.store.entries("acme")) == []
    assert list(parts.store.observations()) == []
    assert parts.log.audit() == 1


@pytest.mark.parametrize("make", [InMemoryStore, lambda: ChromaStore("chroma::memory:")], ids=["memory", "chroma"])
def test_stores_of_other_kinds_are_sealed_anew(make):
    rings = Keyrings.in_memory(policy=RotationPolicy(grace_s=0.0))
    with PrivateStore(make(), rings) as store:
        store.open_for(FINGERPRINT)
        store.put(make_entry("a"), axis(0))
        store.add_alias("acme", "id-a", "paraphrase", axis(1), "alias")
        store.observe([Observation(kind="audit", tenant=name, body={"of": name}, at=1.0) for name in ("acme", "other")])
        store.save_state("acme", "novelty", b"state")
        expected = {"entry": 1, "question": 2, "observation": 1, "state": 1}
        for tenant, parts in (("acme", expected), (None, {"state": 3})):
            ring = rings.root if tenant is None else rings.of(tenant)
            ring.rotate()
            assert store.count_sealed(tenant) == {1: parts}
            assert store.reseal(tenant).resealed == sum(parts.values())
            assert store.count_sealed(tenant) == {2: parts}
            store.destroy_version(1, tenant=tenant)
        (kept,) = store.entries("acme")
        assert (kept.entry.message.content, [alias.text for alias in kept.aliases]) == ("answer a", ["paraphrase"])
        assert [each.body for _, each in store.observations()] == [{"of": "acme"}, {"of": "other"}]
        assert store.load_state("acme", "novelty") == b"state"
        assert store.tenants() == ("acme", "other")


def test_a_value_that_changed_meanwhile_is_not_exchanged(parts):
    plain = parts.store.inner
    for value in [*plain.sealed_values(parts.tenant.tenant)]:
        assert plain.exchange(value, value.value)
        stale = type(value)(part=value.part, row=value.row, names=value.names, value=value.value[:-4])
        assert not plain.exchange(stale, value.value)
    (state,) = [value for value in plain.sealed_values(parts.tenant.tenant) if value.part == "state"]
    parts.store.save_state("acme", "state-a", b"newer")
    assert not plain.exchange(state, state.value)
    assert parts.store.load_state("acme", "state-a") == b"newer"


def test_a_store_that_cannot_exchange_says_so():
    class Plain:
        """A store without that port: what is asked of it goes on to another."""

        def __init__(self):
            self.kept = InMemoryStore()

        def __getattr__(self, name):
            if name in {"sealed_values", "exchange"}:
                raise AttributeError(name)
            return getattr(self.kept, name)

    rings = Keyrings.in_memory()
    store = PrivateStore(Plain(), rings)
    store.open_for(FINGERPRINT)
    rings.of("acme").rotate()
    store.put(make_entry("a"), axis(0))
    with pytest.raises(ConfigError, match="Plain cannot exchange sealed values"):
        store.reseal("acme")


# --------------------------------------------------------------------------------------------- under load


def start(what, *arguments):
    command = [sys.executable, "-m", "tests.core.storage.resealing_load", what, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def kill(process):
    process.kill()
    process.communicate()


def test_whoever_is_killed_in_the_middle_is_followed_by_another(parts, tmp_path):
    for name in ("b", "c"):
        parts.write(name)
    parts.tenant.rotate()
    sealed = 0
    for more in (4, 5):
        process = start("step", tmp_path / "leo.db", tmp_path / "keys")
        for _ in range(sealed + more):
            met, done = map(int, process.stdout.readline().split())
            process.stdin.write("\n")
            process.stdin.flush()
        process.stdout.readline()  # the next one is done, and waits
        kill(process)
        sealed += more + 1
        assert (met, done) == (sealed - 1, more), "what was done before is not done again"
        counted = parts.store.count_sealed("acme")
        assert sum(counted[2].values()) == sealed
        assert sum(counted[1].values()) == 18 - sealed
        assert read_names(parts) == {frozenset("abc")}
    assert parts.store.reseal("acme").resealed == 18 - sealed
    parts.store.destroy_version(1, tenant="acme")
    assert read_names(parts) == {frozenset("abc")}


def test_rotation_under_load_loses_nothing(tmp_path):
    path, keys, count = tmp_path / "leo.db", tmp_path / "keys", 4
    parts = Parts(path, keys)
    writers = [start("write", path, keys, name, count) for name in ("left", "right")]
    while any(each.poll() is None for each in writers):
        for ring in (parts.tenant, parts.root):
            ring.rotate(reason="load")
        resealer = start("reseal", path, keys)
        resealer.stdout.readline()
        kill(resealer)
    assert [each.communicate() and each.returncode for each in writers] == [0, 0]
    for tenant in ("acme", None):
        ring = keys_of(parts, tenant)
        done = parts.store.reseal(tenant)
        assert (done.changed, done.unreadable) == (0, {})
        for version in ring.keyset.versions[:-1]:
            parts.store.destroy_version(version.number, tenant=tenant)
        assert set(parts.store.count_sealed(tenant)) == {ring.version}
    names = {f"{side}-{number}-{at}" for side in ("left", "right") for number in range(THREADS) for at in range(count)}
    assert read_names(parts) == {frozenset(names)}
    assert parts.read()["observations"] == sorted(names)
    assert parts.log.audit() == len(names)
    parts.store.close()
