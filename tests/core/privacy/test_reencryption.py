"""Sealing anew what old versions sealed, and destroying them when nothing needs them."""

from __future__ import annotations

import threading

import pytest

from leo_core.errors import KeyDestroyedError, KeyDisabledError, TenantDestroyedError
from leo_core.privacy.keys.kek import LocalKek
from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.privacy.keys.keyring import ClientKeyring
from leo_core.privacy.keys.keyset_store import InMemoryKeysetStore
from leo_core.privacy.keys.reencryption import BackgroundReencryption, SealedRecord, reencrypt

KEK = LocalKek(bytes(range(32)))


class Records:
    """Records in a dictionary, with something that may happen before each is handed out."""

    def __init__(self, ring, count=5):
        self.rows = {str(at): ring.seal("note", b"%d" % at, aad=str(at).encode()) for at in range(count)}
        self.before = lambda id_: None
        self.synced = 0

    def scan(self):
        for id_, sealed in list(self.rows.items()):
            self.before(id_)
            yield SealedRecord(id=id_, purpose="note", aad=id_.encode(), sealed=sealed)

    def replace(self, record, sealed):
        if self.rows.get(record.id) != record.sealed:
            return False
        self.rows[record.id] = sealed
        return True

    def sync(self):
        self.synced += 1


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store():
    return InMemoryKeysetStore()


@pytest.fixture
def ring(store, clock):
    return ClientKeyring.create(store, tenant="acme", kek=KEK, policy=RotationPolicy(grace_s=100), clock=clock)


@pytest.fixture
def records(ring):
    return Records(ring)


def versions(ring, records):
    return [ring.version_of(each) for each in records.rows.values()]


def check(ring, records):
    for id_, sealed in records.rows.items():
        assert ring.open("note", sealed, aad=id_.encode()) == id_.encode()


def test_everything_is_under_the_primary_after_a_pass(ring, records, clock):
    ring.rotate()
    done = reencrypt(ring, records, clock=clock)
    assert (done.met, done.resealed, done.changed, done.unreadable, done.destroyed) == (5, 5, 0, {}, ())
    assert versions(ring, records) == [2] * 5
    check(ring, records)
    again = reencrypt(ring, records, clock=clock)
    assert (again.met, again.resealed) == (5, 0)


def test_the_old_version_goes_when_its_grace_is_over_and_not_before(ring, records, clock):
    old = records.rows["0"]
    ring.rotate()
    clock.now += 99
    assert reencrypt(ring, records, clock=clock).destroyed == ()
    assert ring.open("note", old, aad=b"0") == b"0"
    clock.now += 1
    assert reencrypt(ring, records, clock=clock).destroyed == (1,)
    with pytest.raises(KeyDestroyedError):
        ring.open("note", old, aad=b"0")
    check(ring, records)
    assert reencrypt(ring, records, clock=clock).destroyed == ()


def test_a_grace_that_ends_during_the_pass_is_not_over(ring, records, clock):
    ring.rotate()

    def pass_time(id_):
        clock.now += 60

    records.before = pass_time
    assert reencrypt(ring, records, clock=clock).destroyed == ()


def test_a_version_that_still_has_something_unreadable_stays(ring, records, clock):
    records.rows["2"] = records.rows["2"][:-1] + bytes([records.rows["2"][-1] ^ 1])
    ring.rotate()
    clock.now += 1000
    done = reencrypt(ring, records, clock=clock)
    assert (done.resealed, done.unreadable, done.destroyed) == (4, {"SealedAlteredError": 1}, ())
    del records.rows["2"]
    assert reencrypt(ring, records, clock=clock).destroyed == (1,)


def test_what_is_not_sealed_or_of_another_keyring_is_left_alone(ring, records, clock):
    foreign = ClientKeyring.create(tenant="globex", kek=KEK).seal("note", b"", aad=b"")
    records.rows |= {"plain": b"plain", "foreign": foreign, "short": b"LEOS\x01"}
    ring.rotate()
    clock.now += 1000
    done = reencrypt(ring, records, clock=clock)
    assert done.unreadable == {"NotSealedError": 1, "ForeignTenantError": 1, "SealedTruncatedError": 1}
    assert done.destroyed == (1,), "none of them was sealed under it"
    assert records.rows["foreign"] == foreign


def test_a_version_that_something_else_needs_stays(ring, records, clock):
    ring.rotate()
    clock.now += 1000
    asked = []
    done = reencrypt(ring, records, clock=clock, in_use=lambda version: asked.append(version) or True)
    assert (done.destroyed, asked) == ((), [1])


def test_a_disabled_version_is_neither_opened_nor_destroyed(ring, records, clock):
    ring.rotate()
    ring.disable(1)
    clock.now += 1000
    done = reencrypt(ring, records, clock=clock)
    assert (done.resealed, done.unreadable, done.destroyed) == (0, {"KeyDisabledError": 5}, ())
    ring.enable(1)
    assert reencrypt(ring, records, clock=clock).destroyed == (1,)
    check(ring, records)


def test_records_that_change_or_go_meanwhile_are_not_overwritten(ring, records, clock):
    ring.rotate()

    def meddle(id_):
        if id_ == "1":
            records.rows["1"] = ring.seal("note", b"1", aad=b"1")
            del records.rows["2"]

    records.before = meddle
    done = reencrypt(ring, records, clock=clock)
    assert (done.met, done.resealed, done.changed) == (5, 3, 2)
    assert "2" not in records.rows
    check(ring, records)


def test_a_rotation_during_the_pass_is_followed(ring, records, clock):
    ring.rotate()
    records.before = lambda id_: ring.rotate() if id_ == "3" else None
    reencrypt(ring, records, clock=clock)
    assert versions(ring, records) == [2, 2, 2, 3, 3]
    records.before = lambda id_: None
    reencrypt(ring, records, clock=clock)
    assert versions(ring, records) == [3] * 5


def test_a_pass_that_is_stopped_destroys_nothing(ring, records, clock):
    ring.rotate()
    clock.now += 1000
    done = reencrypt(ring, records, clock=clock, stopped=lambda: ring.version_of(records.rows["2"]) == 2)
    assert (done.met, done.destroyed) == (3, ())


def test_a_keyring_that_refuses_as_a_whole_ends_the_pass(ring, records, clock):
    ring.rotate()
    records.before = lambda id_: ring.disable() if id_ == "2" else None
    with pytest.raises(KeyDisabledError):
        reencrypt(ring, records, clock=clock)
    ring.enable()
    ring.destroy()
    with pytest.raises(TenantDestroyedError):
        reencrypt(ring, records, clock=clock)


def test_of_two_passes_that_end_at_once_one_destroys(ring, records, store, clock):
    ring.rotate()
    clock.now += 1000
    other = ClientKeyring.load(store, kek=KEK, clock=clock)
    done = reencrypt(ring, records, clock=clock, in_use=lambda version: other.destroy_version(version) or False)
    assert done.destroyed == ()


def test_the_background_does_all_this_by_itself(ring, records, clock):
    with BackgroundReencryption(ring, records, every_s=0.005, clock=clock) as background:
        ring.rotate()
        clock.now += 1000
        wait_until(lambda: background.last is not None and background.last.destroyed == (1,))
        assert versions(ring, records) == [2] * 5
    background.close()
    check(ring, records)


def test_the_background_survives_a_store_that_fails_and_ends_with_the_keys(ring, records, clock, caplog):
    failed = threading.Event()

    def fail_once(id_):
        if not failed.is_set():
            failed.set()
            raise OSError("the disk is away")

    records.before = fail_once
    ring.rotate()
    background = BackgroundReencryption(ring, records, every_s=0.005, clock=clock)
    wait_until(lambda: background.last is not None)
    assert versions(ring, records) == [2] * 5
    assert "OSError" in caplog.text
    assert "the disk is away" not in caplog.text
    ring.destroy()
    wait_until(lambda: not background._thread.is_alive())
    background.close()


def wait_until(holds):
    for _ in range(4000):
        if holds():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it does not come about")
