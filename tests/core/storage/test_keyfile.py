"""The file of the signing key."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from leo_core.errors import SigningKeyError
from leo_core.storage.keyfile import load_key, load_or_create_key
from tests.core.receipt.examples import KEY
from tests.core.receipt.test_receipt_signing import ELLIPTIC_PRIVATE

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys" / "leo.key"


def write(path, data, mode=0o600):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def test_a_key_is_created_once_with_mode_600(path):
    key = load_or_create_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_key(str(path)).id == load_key(path).id == key.id
    assert [file.name for file in path.parent.iterdir()] == ["leo.key"]


def test_the_mode_does_not_depend_on_the_umask(path):
    before = os.umask(0)
    try:
        load_or_create_key(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_file_open_to_others_is_refused_with_the_remedy(path, mode):
    write(path, KEY.to_pem().encode(), mode)
    with pytest.raises(SigningKeyError, match="chmod 600") as refused:
        load_or_create_key(path)
    assert KEY.to_pem().split("\n")[1] not in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"junk", KEY.public.to_pem().encode(), ELLIPTIC_PRIVATE])
def test_a_file_without_an_ed25519_key_is_refused_and_kept(path, data):
    write(path, data)
    with pytest.raises(SigningKeyError, match=r"leo\.key"):
        load_or_create_key(path)
    assert path.read_bytes() == data


def test_a_missing_file_is_not_made_up_by_load_key(path):
    with pytest.raises(SigningKeyError, match="cannot be read"):
        load_key(path)


def test_a_folder_is_no_key(tmp_path):
    with pytest.raises(SigningKeyError, match="cannot be read"):
        load_or_create_key(tmp_path)


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SigningKeyError, match="cannot be created"):
        load_or_create_key(tmp_path / "file" / "leo.key")


def test_one_who_comes_second_takes_the_first_key(path, monkeypatch):
    load_or_create_key(path)
    first = path.read_bytes()
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert load_or_create_key(path).to_pem().encode() == first
    assert [file.name for file in path.parent.iterdir()] == ["leo.key"]


def test_threads_and_processes_at_once_end_with_one_key(path):
    code = "import sys; from leo_core.storage.keyfile import load_or_create_key as k; print(k(sys.argv[1]).id)"
    command = [sys.executable, "-c", code, str(path)]
    writers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        ids = {key.id for key in pool.map(load_or_create_key, [path] * 4)}
    for writer in writers:
        ids.add(writer.communicate(timeout=240)[0].strip())
    assert len(ids) == 1
    assert [file.name for file in path.parent.iterdir()] == ["leo.key"]
