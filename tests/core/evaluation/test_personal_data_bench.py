"""The labelled sentences are read as they are marked, and found as well as the documentation says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from leo_core.cli.app import app
from leo_core.errors import ConfigError
from leo_core.evaluation.personal_data_bench import measure_personal_data, read_labelled

DATA = Path(__file__).parents[2] / "data" / "personal_data"


def test_marks_become_places(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("no\n\n[[email|a@example.org]] and [[card|1]]!\n")
    assert read_labelled(file) == [
        ("no", frozenset()),
        ("a@example.org and 1!", frozenset({(0, 13, "email"), (18, 19, "card")})),
    ]


def test_misses_and_false_finds_are_counted(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("[[email|a@example.org]] b@example.org [[card|12]]\n")
    kinds = measure_personal_data(file)["kinds"]
    assert (kinds["email"]["precision"], kinds["email"]["recall"], kinds["email"]["wrong"]) == (
        0.5,
        1.0,
        ["b@example.org"],
    )
    assert (kinds["card"]["precision"], kinds["card"]["recall"], kinds["card"]["missed"]) == (None, 0.0, ["12"])


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_labelled(tmp_path / "none.txt")
    (tmp_path / "a.txt").write_text("[[name|Anna]]")
    with pytest.raises(ConfigError, match="unknown kind"):
        read_labelled(tmp_path / "a.txt")


def test_the_sentences_are_many_and_no_kind_is_found_worse_than_it_was():
    found = measure_personal_data(DATA / "labelled.txt")
    assert found["sentences"] >= 400
    assert found["without"] >= 150
    assert set(found["kinds"]) == {"email", "phone", "iban", "card", "national_id", "ip_address", "secret"}
    for facts in found["kinds"].values():
        assert facts["labelled"] >= 20
        assert facts["precision"] == 1.0
        assert facts["recall"] >= 0.95
    held_out = measure_personal_data(DATA / "held_out.txt")["kinds"]
    assert all(facts["recall"] >= 0.7 for facts in held_out.values())


def test_the_command_prints_them(monkeypatch):
    monkeypatch.setattr("leo_core.cli.bench_personal_data.out", Console(width=200))
    printed = CliRunner().invoke(app, ["bench", "personal-data", str(DATA / "held_out.txt")])
    assert printed.exit_code == 0
    assert "national_id" in printed.stdout
    result = CliRunner().invoke(app, ["bench", "personal-data", str(DATA / "held_out.txt"), "--json"])
    assert json.loads(result.stdout)["sentences"] == 96
