"""Files are written whole or not at all."""

from __future__ import annotations

import os

import pytest

from leo_core.storage.whole_file import create_file, replace_file


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def test_what_is_written_takes_the_place_of_what_was_there(path):
    path.write_bytes(b"old")
    with replace_file(path) as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old", "until all is written"
    assert path.read_bytes() == b"new"
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_an_error_leaves_what_was_there_and_nothing_beside_it(path):
    path.write_bytes(b"old")

    def write_half():
        with replace_file(path) as stream:
            stream.write(b"half")
            raise ValueError("cut off")

    with pytest.raises(ValueError, match="cut off"):
        write_half()
    assert path.read_bytes() == b"old"
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_it_is_on_disk_before_it_takes_the_place(path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append((os.fstat(descriptor).st_size, path.exists())))
    with replace_file(path) as stream:
        stream.write(b"four")
    assert done[0] == (4, False)
    assert len(done) == 2
    assert done[1][1], "then the folder"


def test_one_who_comes_second_leaves_the_first_ones_file(path):
    create_file(path, b"first")
    create_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert [each.name for each in path.parent.iterdir()] == ["file"]
    create_file(path.parent / "a" / "b" / "file", b"deep")
    assert (path.parent / "a" / "b" / "file").read_bytes() == b"deep"


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_only_the_owner_may_read_it_unless_it_is_said(path):
    create_file(path, b"secret")
    assert path.stat().st_mode & 0o777 == 0o600
    with replace_file(path, mode=0o644) as stream:
        stream.write(b"public")
    assert path.stat().st_mode & 0o777 == 0o644 & ~_mask()


def _mask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
