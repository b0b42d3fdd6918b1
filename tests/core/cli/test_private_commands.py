"""The commands read a private store with the keyrings beside it, and show what they show of any other."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from leo_core import LEO
from leo_core.cli.app import app
from leo_core.errors import StoreMismatchError
from tests.adapters.private_bytes import find_texts, read_folder

QUESTION = "Which river flows through Prague?"


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "leo.db"
    for options in (("--privacy", "sealed_local"), ()):  # where the keys are it stays private
        answer = json.loads(run("ask", QUESTION, "--store", file, "--tenant", "zanzibar", "--json", *options))
        assert answer["route"] == ("small" if options else "cache")
    return file


def test_commands_open_it_and_the_file_stays_sealed(path, tmp_path):
    stats = json.loads(run("stats", path, "--json"))
    assert list(stats["tenants"]) == ["zanzibar"]
    assert stats["receipts"] == 2
    run("log", "audit", path)
    assert json.loads(run("cache", "check", path, "--json"))["readable"] == 1
    assert "no gaps" in run("gaps", path, "--tenant", "zanzibar")
    assert find_texts(read_folder(tmp_path), [QUESTION, "zanzibar"]) == set()
    run("cache", "export", path, tmp_path / "out.jsonl")
    assert QUESTION in (tmp_path / "out.jsonl").read_text()


def test_what_is_refused_is_removed_when_asked(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE questions SET seal = 'AAAA'")
    found = json.loads(run("cache", "check", path, "--remove", "--json", code=1))
    assert (found["readable"], found["removed"], found["refused"][0]["tenant"]) == (0, 1, "zanzibar")
    assert json.loads(run("cache", "check", path, "--json")) == {"readable": 0, "refused": [], "removed": 0}


@pytest.mark.parametrize(
    "command",
    ["stats", "gaps", "log list", "log audit", "cache check", "cache invalidate --source a.txt", "doctor --store"],
)
def test_without_its_keyrings_it_is_told_to_be_private_and_not_to_be_damaged(path, command):
    """Log and stats called it damaged, the doctor sound, and no entry of a source was found in it."""
    keys = path.with_name("leo.db.keys")
    keys.rename(path.with_name("elsewhere"))
    first, *options = command.split(" --")
    words = [*first.split(), *(word for option in options for word in f"--{option}".split())]
    told = run(*words, path, "--json", code=1 if first == "doctor" else 2)
    assert f"{path} is private" in told
    assert f"the keyrings that sealed it are not at {keys}" in told
    if first == "doctor":
        assert f"put its keyrings back beside it: {keys}" in told


def test_python_is_told_to_open_it_with_its_keyrings(path):
    path.with_name("leo.db.keys").rename(path.with_name("elsewhere"))
    with pytest.raises(StoreMismatchError, match="private: what it holds is sealed; open it with privacy="):
        LEO(small="extractive", store=path)


def test_old_requests_are_erased(path):
    assert json.loads(run("log", "erase", path, "--before", "2100-01-01", "--json"))["entries"] == 1
    run("log", "audit", path)


def test_a_misspelt_mode_is_told(tmp_path):
    assert "sealed_local" in run("ask", QUESTION, "--store", tmp_path / "x.db", "--privacy", "sealed", code=2)
