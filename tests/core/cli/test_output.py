"""What commands print is whole, in a terminal and in a pipe."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from leo_core import LEO, Budget, LEOConfig
from leo_core.cli import output
from leo_core.cli.output import make_table, print_whole
from leo_core.providers.scripted import ScriptedModel

WIDE = "w" * 200


def leo(*arguments, width=None):
    """The command in a process of its own, without a terminal."""
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "PYTHONUTF8")}
    environment |= {"PYTHONIOENCODING": "utf-8"} | ({"COLUMNS": width} if width else {})
    command = [sys.executable, "-c", "from leo_core.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env=environment, check=False)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small=ScriptedModel("parrot", replies="29"), store=path) as engine:
        engine.ask("How many days?")
    return path


@pytest.fixture
def column(monkeypatch):
    """What is printed where ``COLUMNS`` is as given."""

    def show(width):
        console = output._Console(file=io.StringIO(), soft_wrap=True, width=width)
        monkeypatch.setattr(output, "out", console)
        monkeypatch.setenv("COLUMNS", str(width)) if width else monkeypatch.delenv("COLUMNS", raising=False)
        return console

    return show


# -------------------------------------------------------------------------------------------------- width


@pytest.mark.parametrize("width", [None, "40"])
def test_a_listed_receipt_can_be_copied_and_shown(store, width):
    """The id was cut off, in a terminal and in a pipe, and no other way led to it but --json."""
    listed = leo("log", "list", store, width=width).stdout.decode().splitlines()
    receipt = listed[1].split()[-1]
    assert len(listed) == 2
    assert len(receipt) == len("leo:rcpt:") + 64
    assert json.loads(leo("log", "show", store, receipt).stdout)["format"] == "leo-receipt/1"


def test_lines_are_whole_in_a_pipe(tmp_path):
    """An error was broken after 80 characters, and with it the path or the pip line that it names."""
    store = tmp_path / WIDE
    assert leo("stats", store).stderr.decode() == f"ConfigError: there is no store {store}\n"


def test_tables_are_whole_in_a_pipe_and_broken_where_they_do_not_fit(column):
    table = make_table("name", "value")
    table.add_row(WIDE, "1")
    console = column(None)
    console.print(table)
    assert WIDE in console.file.getvalue()
    console = column(40)
    console.print(table)
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) == 40
    assert shown.count("w") == len(WIDE)
    print_whole(table)
    assert WIDE in console.file.getvalue()


def test_owners_and_ends_of_budgets_are_shown_whole(tmp_path):
    path = tmp_path / "leo.db"
    config = LEOConfig(budgets=(Budget(limit_usd=1.0, per="user", period="month", name="trial"),))
    with LEO(small=ScriptedModel("desk", replies="29", cost=0.1), store=path, config=config) as engine:
        engine.ask("How many days?", user="anna")
    shown = leo("stats", path).stdout.decode()
    facts = json.loads(leo("stats", path, "--json").stdout)["budgets"][0]
    assert facts["owner"] in shown
    assert facts["ends_at"] in shown


@pytest.mark.parametrize("command", [("log", "audit"), ("export",)])
def test_nobody_who_looks_no_bar(store, tmp_path, command):
    """An empty line on stderr stood for the bar, and a scheduler sent a mail about it."""
    arguments = (*command, store, *([tmp_path / "pairs.jsonl"] if command == ("export",) else ()))
    result = leo(*arguments)
    assert (result.returncode, result.stderr) == (0, b"")
