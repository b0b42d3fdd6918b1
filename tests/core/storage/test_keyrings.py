"""The keyrings of a store: made when they are asked for, shared by processes, naming nobody."""

from __future__ import annotations

import stat
import threading

import pytest

from leo_core.errors import KekError, KeyringError
from leo_core.privacy.keys.kek import LocalKek
from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.storage.keyrings import KEK_FILE, Keyrings
from tests.core.storage.test_store_processes import finish, start


def test_a_folder_is_made_for_its_owner_alone_and_names_nobody(tmp_path):
    folder = tmp_path / "deep" / "keys"
    rings = Keyrings.in_folder(folder)
    assert {path.name for path in folder.iterdir()} == {KEK_FILE, "store.ring"}
    rings.of("acme")
    assert len(list(folder.glob("*.ring"))) == 2
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert not any(b"acme" in path.name.encode() + path.read_bytes() for path in folder.iterdir())


def test_the_same_keys_are_found_again(tmp_path):
    sealed = Keyrings.in_folder(tmp_path).of("acme").seal("note", b"hello", aad=b"here")
    again = Keyrings.in_folder(tmp_path)
    assert again.of("acme").open("note", sealed, aad=b"here") == b"hello"
    assert again.of("acme") is again.of("acme")
    assert again.of("other").pseudonym("tag", "x") != again.of("acme").pseudonym("tag", "x")


@pytest.mark.parametrize("tenant", ["", "caf\ud800é", "a/b", "x" * 5000, "\0"])
def test_any_tenant_gets_a_keyring(tmp_path, tenant):
    rings = Keyrings.in_folder(tmp_path)
    assert rings.of(tenant).seal("note", b"", aad=b"")


def test_another_kek_is_refused(tmp_path):
    kek = LocalKek.generate()
    Keyrings.in_folder(tmp_path, kek=kek)
    assert not (tmp_path / KEK_FILE).exists(), "with a KEK of one's own none is made"
    with pytest.raises(KekError):
        Keyrings.in_folder(tmp_path, kek=LocalKek.generate())
    Keyrings.in_folder(tmp_path, kek=kek)


def test_the_policy_reaches_the_keyrings(tmp_path):
    policy = RotationPolicy(max_age_s=5.0)
    rings = Keyrings.in_folder(tmp_path, policy=policy)
    assert (rings.root.policy, rings.of("acme").policy) == (policy, policy)
    assert Keyrings.in_memory(policy=policy).of("acme").policy == policy


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyringError, match="cannot be made"):
        Keyrings.in_folder(tmp_path / "file" / "keys")


def test_threads_and_processes_end_with_the_same_keys(tmp_path):
    script = """
from leo_core.storage.keyrings import Keyrings
say(Keyrings.in_folder(sys.argv[1]).of("acme").pseudonym("tag", "x"))
"""
    running = [start(script, tmp_path) for _ in range(2)]
    found = {line for process in running for line in finish(process)}
    rings = Keyrings.in_folder(tmp_path)
    seen: list[object] = []
    threads = [threading.Thread(target=lambda: seen.append(rings.of("acme"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {id(ring) for ring in seen} == {id(rings.of("acme"))}
    assert found == {rings.of("acme").pseudonym("tag", "x")}
