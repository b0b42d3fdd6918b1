"""Streams that do not take every character, arguments that are no text, and a stdin that is closed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from leo_core import LEO
from leo_core.cli import main
from leo_core.cli.output import print_json
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.receipt.keys import SigningKey
from leo_core.storage.database import Database
from leo_core.storage.receipt_log import InMemoryReceiptLog, SqliteReceiptLog

SURROGATE = "\udcff"  # what a byte that is no UTF-8 is in an argument


def leo(*arguments, encoding="utf-8:strict", **more):
    """The command in a process of its own, without a terminal."""
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "PYTHONUTF8")}
    environment |= {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-c", "from leo_core.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env=environment, check=False, **more)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small=ScriptedModel("parrot", replies="29"), store=path) as engine:
        engine.ask("How many days?")
    return path


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_stream_that_does_not_take_every_character_breaks_no_command_off(store, encoding):
    """``leo doctor > report.txt`` ended in a UnicodeEncodeError where pipes are cp1252, as those of Windows are."""
    prompt = "Context: Die Fähre → Ulva fährt um 9:40 🚢.\n\nQuestion: Wann fährt die Fähre?"
    result = leo("ask", "-", "--explain", encoding=encoding, input=prompt.encode(encoding, "ignore"))
    assert (result.returncode, b"9:40" in result.stdout) == (0, True)
    assert leo("stats", store, encoding=encoding).returncode == 0


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii"])
def test_json_is_json_whatever_stdout_takes(store, encoding):
    result = leo("stats", store, "--tenant", "Grüße", "--json", encoding=encoding)
    assert result.returncode == 0
    assert list(json.loads(result.stdout.decode())["tenants"]) == ["Grüße"]


def test_json_escapes_what_stdout_cannot_hold(capsys):
    print_json({"tenant": SURROGATE, "name": "Anna"})
    assert json.loads(capsys.readouterr().out) == {"tenant": SURROGATE, "name": "Anna"}


def test_streams_keep_what_they_were_told_to_do_with_what_they_cannot_hold(monkeypatch):
    streams = [io.TextIOWrapper(io.BytesIO(), "ascii", errors=errors) for errors in ("strict", "surrogateescape")]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    monkeypatch.setattr(sys, "argv", ["leo", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert [stream.errors for stream in streams] == ["backslashreplace", "surrogateescape"]


def test_an_argument_that_is_no_text_names_no_receipt(store):
    result = leo("log", "show", store, SURROGATE)
    assert (result.returncode, b"there is no receipt \\udcff" in result.stderr) == (2, True)


def test_no_log_knows_a_receipt_whose_id_is_no_text(store):
    key = SigningKey.generate()
    with Database(store) as database:
        for log in (SqliteReceiptLog(database, key, "leo.local/log"), InMemoryReceiptLog(key, "leo.local/log")):
            assert log.get(SURROGATE) is None
            assert log.erase_openings(SURROGATE) == 0


def test_a_stdin_that_is_closed_is_told():
    """It ended in an AttributeError."""
    code = "import sys; sys.stdin = None; from leo_core.cli import main; sys.argv[1:] = ['ask', '-']; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (result.returncode, b"stdin is closed" in result.stderr) == (1, True)
