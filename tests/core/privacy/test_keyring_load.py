"""Keyrings that threads of several processes use at once, while keys go and processes are killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leo_core.errors import KeyDestroyedError
from leo_core.privacy.keys.keyring import ClientKeyring
from leo_core.privacy.keys.keyset import KeyState
from leo_core.privacy.keys.reencryption import reencrypt
from leo_core.storage.keyring_file import KeyringFile
from tests.core.privacy.keyring_load import KEK, MOST_DECRYPTS, MOST_SEALS, THREADS, Records, load

ROOT = Path(__file__).parents[3]
YEAR_S = 365 * 86_400.0


@pytest.fixture
def path(tmp_path):
    ClientKeyring.create(KeyringFile(tmp_path / "acme.ring"), tenant="acme", kek=KEK)
    return tmp_path / "acme.ring"


def start(*arguments):
    command = [sys.executable, "-m", "tests.core.privacy.keyring_load", *(str(each) for each in arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def finish(processes):
    found = [json.loads(each.communicate(timeout=200)[0]) for each in processes]
    assert all(each.returncode == 0 for each in processes)
    return found


def wait_for_seals(ring, records, version):
    """Until each thread of both processes has stored something under this version or a later one.

    A thread stores what it sealed before it seals again, so nothing sealed under an earlier version is on its way then.
    """
    for _ in range(5000):
        rows = [(each.id.split(":")[0], ring.version_of(each.sealed)) for each in records.scan()]
        if len({name for name, number in rows if number >= version}) == 2 * THREADS:
            return
        time.sleep(0.02)
    raise AssertionError("the processes seal nothing")


def test_rotation_under_load_loses_nothing_and_never_serves_under_a_destroyed_key(path, tmp_path):
    ring, records = load(path), Records(tmp_path / "records.db")
    processes = [start("seal", path, records.path, name) for name in ("left", "right")]
    destroyed = {}
    try:
        wait_for_seals(ring, records, 1)
        for _ in range(3):
            wait_for_seals(ring, records, ring.rotate(reason="test"))
            done = reencrypt(ring, records, clock=lambda: time.time() + YEAR_S)
            destroyed |= dict.fromkeys(done.destroyed, time.monotonic_ns())
            assert not done.unreadable
    finally:
        (tmp_path / "stop").touch()
        found = finish(processes)
    assert {1, 2, 3} <= set(destroyed)
    assert not any(each["failures"] for each in found)
    assert sum(each["counts"].get("lost", 0) for each in found) == 0
    assert sum(each["counts"].get("refused", 0) for each in found) > 0, "old copies were tried under destroyed keys"
    for each in found:
        for version, at in destroyed.items():
            assert each["served"].get(str(version), 0) <= at
    rows = list(records.scan())
    assert len(rows) == sum(sum(each["sealed"].values()) for each in found)
    for row in rows:
        assert ring.open("note", row.sealed, aad=row.aad) == f"text of {row.id}".encode()
    for version in ring.keyset.versions:
        made = sum(each["sealed"].get(str(version.number), 0) for each in found)
        assert made <= version.seals <= MOST_SEALS, "counted before use, and never beyond the limit"
        assert (version.state is KeyState.DESTROYED) == (version.number in destroyed)


def test_the_decrypt_cap_rotates_and_holds_across_processes(path):
    found = finish([start("decrypt", path) for _ in range(2)])
    versions = load(path).keyset.versions
    assert [each.number for each in versions] == [1, 2, 3]
    assert [each.reason for each in versions] == ["new", "decrypts", "decrypts"]
    for version in versions[:2]:
        granted = sum(each["granted"].get(str(version.number), 0) for each in found)
        assert 0 < granted <= version.decrypts <= MOST_DECRYPTS
        assert version.decrypts >= MOST_DECRYPTS - MOST_DECRYPTS // 16, "not before it is due"


def test_a_process_killed_while_it_rotates_loses_nothing(path):
    ring = load(path)
    kept = [ring.seal("note", b"%d" % at, aad=b"") for at in range(3)]
    for round_ in range(4):
        process = start("rotate", path)
        said = int(process.stdout.readline())
        time.sleep(0.003 * round_)
        process.kill()
        process.communicate(timeout=60)
        assert ring.version >= said, "what was said to be done is done"
        kept.append(ring.seal("note", b"%d" % len(kept), aad=b""))
        fresh = load(path)
        assert [fresh.open("note", each, aad=b"") for each in kept] == [b"%d" % at for at in range(len(kept))]
        assert [each.number for each in fresh.keyset.versions] == list(range(1, fresh.version + 1))


def test_drafts_of_killed_processes_go_when_the_keys_do(path):
    process = start("rotate", path)
    process.stdout.readline()
    process.kill()
    process.communicate(timeout=60)
    ring = load(path)
    sealed = ring.seal("note", b"", aad=b"")
    ring.destroy()
    with pytest.raises(KeyDestroyedError):
        ring.open("note", sealed, aad=b"")
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.lock"]
