"""The file of a keyring: written whole, under a lock, and shredded."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from leo_core.errors import (
    ConfigError,
    KekError,
    KeyringCorruptError,
    KeyringError,
    StoreLockedError,
    TenantDestroyedError,
)
from leo_core.privacy.keys.kek import LocalKek
from leo_core.privacy.keys.keyring import ClientKeyring
from leo_core.storage.keyfile import load_kek, load_or_create_kek
from leo_core.storage.keyring_file import KeyringFile
from leo_core.storage.keyring_folder import KeyringFolder

ROOT = Path(__file__).parents[3]
KEK = LocalKek(bytes(range(32)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys" / "acme.ring"


@pytest.fixture
def ring(path):
    return ClientKeyring.create(KeyringFile(path), tenant="acme", kek=KEK)


def load(path):
    return ClientKeyring.load(KeyringFile(path), kek=KEK)


def test_a_keyring_is_made_once_with_mode_600(path, ring):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        ClientKeyring.create(KeyringFile(path), tenant="acme", kek=KEK)
    assert path.read_bytes() == before


def test_it_keeps_its_mode_when_it_changes(path, ring):
    before = os.umask(0)
    try:
        ring.rotate()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.with_name("acme.ring.lock").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_keyring_open_to_others_is_refused_with_the_remedy(path, ring, mode):
    path.chmod(mode)
    with pytest.raises(KeyringError, match="chmod 600"):
        load(path)


def test_what_is_no_keyring_is_refused_and_kept(path, ring):
    for data in (b"", b"junk", b"leo-keyring:1:00\n{}", b"leo-keyring:1:" + b"0" * 64 + b"\n{}"):
        path.write_bytes(data)
        with pytest.raises(KeyringCorruptError):
            load(path)
        assert path.read_bytes() == data


def test_a_newer_format_is_named(path, ring):
    path.write_bytes(path.read_bytes().replace(b"leo-keyring:1:", b"leo-keyring:2:", 1))
    with pytest.raises(KeyringCorruptError, match="format 2; this LEO knows 1"):
        load(path)


def test_a_missing_keyring_is_not_made_up(path, ring):
    path.unlink()
    for act in (lambda: load(path), ring.rotate, lambda: ring.seal("answer", b"", aad=b"")):
        with pytest.raises(KeyringError, match="cannot be read"):
            act()
    assert not path.exists()


def test_a_folder_and_a_file_in_the_way_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyringError, match="cannot be created"):
        ClientKeyring.create(KeyringFile(tmp_path / "file" / "k"), tenant="acme", kek=KEK)
    with pytest.raises(KeyringError, match="cannot be read"):
        load(tmp_path)


def test_each_change_has_a_later_time_however_quickly_they_follow(path, ring, monkeypatch):
    """Also where the clock stands still, or was set back."""
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    store = KeyringFile(path)
    text, first = store.read()
    future = path.stat().st_mtime_ns + 10**12
    os.utime(path, ns=(future, future))
    stamps = [first, store.stamp()]
    for _ in range(20):
        store.replace(text)
        stamps.append(store.stamp())
    times = [stamp[1] for stamp in stamps]
    assert times[1:] == sorted(set(times[1:]))
    assert times[1] == future, "and later ones follow"
    assert len(set(stamps)) == len(stamps)


def test_a_file_that_is_shredded_while_it_is_read_is_read_again(path, ring, monkeypatch):
    """Otherwise a reader would see the random bytes that the old file is overwritten with."""
    store, real = KeyringFile(path), os.fstat
    text = store.read()[0]

    def shred_first(descriptor):
        status = real(descriptor)
        monkeypatch.setattr(os, "fstat", real)
        with store.changing():
            store.shred(text)
        return status

    monkeypatch.setattr(os, "fstat", shred_first)
    assert store.read() == (text, store.stamp())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of POSIX")
def test_what_was_counted_ahead_is_not_used_twice_after_a_fork(path, ring):
    code = (
        "import os, sys\n"
        "from tests.core.storage.test_keyring_file import load\n"
        "ring = load(sys.argv[1])\n"
        "for _ in range(2): ring.seal('note', b'', aad=b''); ring.count_decrypts()\n"
        "before = ring.keyset.versions[0]\n"
        "if os.fork() == 0: ring.seal('note', b'', aad=b''); ring.count_decrypts(); os._exit(0)\n"
        "os.wait(); after = ring.keyset.versions[0]\n"
        "sys.stdout.write(f'{after.seals - before.seals} {after.decrypts - before.decrypts}')"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, cwd=ROOT, timeout=120, capture_output=True, text=True, check=True)
    assert done.stdout == "4096 64"


def test_a_change_that_fails_leaves_the_old_keyring(path, ring, monkeypatch):
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyringError, match="No space left"):
        ring.rotate()
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert sorted(each.name for each in path.parent.iterdir()) == ["acme.ring", "acme.ring.lock"]
    assert ring.rotate() == 2


def test_who_waits_too_long_for_the_lock_is_told(path, ring):
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with KeyringFile(path).changing():
            held.set()
            let_go.wait(60)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert held.wait(60)
        hurried = ClientKeyring.load(KeyringFile(path, timeout_s=0.05), kek=KEK)
        with pytest.raises(StoreLockedError, match=r"0\.05 s"):
            hurried.rotate()
        assert hurried.version == 1, "reading waits for nobody"
        let_go.set()
        holding.result()
    assert hurried.rotate() == 2


def test_a_process_that_dies_in_a_change_holds_no_lock(path, ring):
    code = (
        "import os, sys; from leo_core.storage.keyring_file import KeyringFile\n"
        "with KeyringFile(sys.argv[1]).changing(): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, timeout=120).returncode == 9
    assert ring.rotate() == 2


def test_shredding_leaves_drafts_of_a_tenant_whose_name_goes_on(tmp_path):
    """``acme.ring`` is a tenant too, whose file is being written at this moment."""
    folder = KeyringFolder(tmp_path)
    ClientKeyring.create(folder.file("acme"), tenant="acme", kek=KEK)
    other = folder.file("acme.ring").path
    draft = other.with_name(f".{other.name}.0123456789abcdef")
    draft.write_bytes(b"of another tenant")
    ClientKeyring.shred(folder.file("acme"))
    assert draft.read_bytes() == b"of another tenant"


def test_shredding_overwrites_the_old_file_and_the_drafts_of_killed_writers(path, ring):
    draft = path.with_name(f".{path.name}.0123456789abcdef")
    draft.write_bytes(path.read_bytes())
    old = [
        os.link(each, path.parent / f"kept-{at}") or path.parent / f"kept-{at}" for at, each in enumerate((path, draft))
    ]
    size = path.stat().st_size
    secret = ring.keyset.lasting
    assert secret
    ring.destroy()
    for each in old:
        assert each.stat().st_size == size
        assert b"leo-keyring" not in each.read_bytes()
    assert not draft.exists()
    assert path.read_bytes().startswith(b"leo-keyring:1:" + b"0" * 64)
    with pytest.raises(TenantDestroyedError):
        load(path)


def test_what_a_change_leaves_on_disk_holds_no_wrapped_key(path, ring):
    """Every state of the file before the destruction: each of them was replaced, and its blocks are free."""
    with ExitStack() as stack:
        replaced = []
        for _ in range(3):
            replaced.append(stack.enter_context(path.open("rb")))
            ring.rotate()
        ring.disable(1)
        for each in replaced:
            content = each.read()
            assert content
            assert b"leo-keyring" not in content
            assert b"wrapped" not in content


def test_a_change_leaves_a_backup_that_is_a_link_as_it_is(path, ring):
    kept = path.parent / "kept"
    os.link(path, kept)
    before = path.read_bytes()
    ring.rotate()
    assert kept.read_bytes() == before
    assert load(path).version == 2


def test_destroying_one_version_overwrites_what_held_its_key(path, ring):
    ring.rotate()
    os.link(path, path.parent / "kept")
    ring.destroy_version(1)
    assert b"leo-keyring" not in (path.parent / "kept").read_bytes()
    assert ring.rotate() == 3


# ------------------------------------------------------------------------------------------- the file of a KEK


def test_a_kek_is_made_once_with_mode_600(tmp_path):
    path = tmp_path / "safe" / "kek.key"
    kek = load_or_create_kek(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_kek(str(path)).is_same(kek)
    assert load_kek(path).kid == kek.kid
    assert not LocalKek.generate().is_same(kek)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_kek_open_to_others_is_refused_with_the_remedy(tmp_path, mode):
    path = tmp_path / "kek.key"
    secret = load_or_create_kek(path).to_text()
    path.chmod(mode)
    with pytest.raises(KekError, match="chmod 600") as refused:
        load_kek(path)
    assert secret[-64:] not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "junk", "ab" * 32, "leo-kek:1:" + "ab" * 31, "leo-kek:2:" + "ab" * 32, "leo-kek:1:" + "AB" * 32]
)
def test_a_file_without_a_kek_is_refused_and_not_repeated(tmp_path, text):
    path = tmp_path / "kek.key"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(KekError, match=r"kek\.key.*no KEK") as refused:
        load_or_create_kek(path)
    assert "abab" not in str(refused.value)
    assert path.read_text() == text


def test_a_missing_kek_is_not_made_up_and_a_file_in_the_way_is_named(tmp_path):
    with pytest.raises(KekError, match="cannot be read"):
        load_kek(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(KekError, match="cannot be created"):
        load_or_create_kek(tmp_path / "file" / "kek.key")


def test_a_wrapped_key_opens_with_the_same_kek_and_place_only():
    wrapped = KEK.wrap(b"k" * 32, aad=b"here")
    assert LocalKek.from_text(KEK.to_text()).unwrap(wrapped, aad=b"here") == b"k" * 32
    for kek, text, aad in (
        (LocalKek.generate(), wrapped, b"here"),
        (KEK, wrapped, b"there"),
        (KEK, wrapped[:-1], b"here"),
        (KEK, b"", b"here"),
        (KEK, bytes([wrapped[0] ^ 1]) + wrapped[1:], b"here"),
    ):
        with pytest.raises(KekError, match="does not unwrap"):
            kek.unwrap(text, aad=aad)
    for bit in range(8 * len(wrapped)):
        altered = bytearray(wrapped)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KekError, match="does not unwrap"):
            KEK.unwrap(bytes(altered), aad=b"here")
    with pytest.raises(KekError, match="32 bytes, got 31"):
        LocalKek(bytes(31))
