"""Retention: content and nonces are gone from the file, receipts and log stay whole."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from leo_core import LEO, verify_receipt
from leo_core.cli.app import app
from leo_core.errors import ReceiptError, StorageError, StoreLockedError
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.receipt.document import read_statement, stated_time
from leo_core.storage.database import Database
from leo_core.storage.retention import erase_before

SECRET = "Zanzibarquartett"
LATER = "Oberammergauer"


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def fill(path):
    with LEO(small=ScriptedModel("small", replies=f"It was {SECRET}."), store=path) as leo:
        old = [leo.ask(f"What was it, said {SECRET}?", idempotency_key="k1"), leo.ask("And then?", tenant="acme")]
        leo.flush()
        nonces = [opening for answer in old for opening in answer.receipt.openings.values()]
    time.sleep(0.02)
    instant = time.time()
    time.sleep(0.02)
    with LEO(small=ScriptedModel("small", replies=f"It was {LATER}."), store=path) as leo:
        new = leo.ask(f"What is it, said {LATER}?", idempotency_key="k2")
        leo.flush()
    return old, nonces, new, instant


def content(path):
    return b"".join(each.read_bytes() for each in path.parent.iterdir() if each.name.startswith(path.name))


def iso(at):
    return datetime.fromtimestamp(at, UTC).isoformat()


def test_what_is_old_leaves_the_file_and_the_log_stays_whole(tmp_path):
    path = tmp_path / "leo.db"
    old, nonces, new, instant = fill(path)
    held = content(path)
    assert SECRET.encode() in held
    assert all(nonce.encode() in held for nonce in nonces)
    done = run("log", "erase", path, "--before", iso(instant), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"receipts": 2, "entries": 2, "requests": 1}
    held = content(path)
    assert SECRET.encode() not in held
    assert not any(nonce.encode() in held for nonce in nonces)
    assert LATER.encode() in held
    with LEO(small=ScriptedModel("small", replies="Fresh."), store=path) as leo:
        assert leo.log.audit() == 3
        for answer in old:
            kept = leo.log.get(answer.receipt.id)
            assert stated_time(read_statement(kept)).timestamp() < instant
            verify_receipt(kept, public_key=leo.public_key)
            with pytest.raises(ReceiptError, match="erased"):
                verify_receipt(kept, public_key=leo.public_key, contents={"answer": answer.text})
        verify_receipt(leo.log.get(new.receipt.id), public_key=leo.public_key, contents={"answer": new.text})
        assert leo.ask(f"What was it, said {SECRET}?").text == "Fresh."
        assert leo.ask(f"What is it, said {LATER}?").text == new.text
    again = run("log", "erase", path, "--before", iso(instant), "--json")
    assert json.loads(again.stdout) == {"receipts": 0, "entries": 0, "requests": 0}


def test_the_command_says_what_it_did_and_refuses_what_is_no_instant(tmp_path):
    path = tmp_path / "leo.db"
    fill(path)
    wrong = run("log", "erase", path, "--before", "yesterday")
    assert wrong.exit_code == 2
    assert "--before" in wrong.output
    said = run("log", "erase", path, "--before", "2001-01-01")
    assert said.exit_code == 0
    assert "0 receipts, 0 cached answers, 0 journalled requests" in " ".join(said.stdout.split())


def test_while_others_read_the_file_it_says_that_rests_may_be_left(tmp_path):
    path = tmp_path / "leo.db"
    _, _, _, instant = fill(path)
    with Database(path) as reader, reader.read() as connection:
        connection.execute("SELECT count(*) FROM receipts").fetchone()
        with (
            LEO(small=ScriptedModel("small", replies="x"), store=path) as leo,
            pytest.raises(StoreLockedError, match="read by another"),
        ):
            erase_before(leo.store.inner, leo.log, instant)
    assert run("log", "erase", path, "--before", iso(instant), "--json").exit_code == 0
    assert SECRET.encode() not in content(path)


def test_a_store_is_not_compacted_inside_a_transaction(tmp_path):
    with (
        Database(tmp_path / "leo.db") as database,
        database.write(),
        pytest.raises(StorageError, match="outside"),
    ):
        database.compact()


def test_a_period_is_exported_and_verified_by_commands(tmp_path):
    path, file, key = tmp_path / "leo.db", tmp_path / "period.jsonl", tmp_path / "leo.pub"
    _, _, _, instant = fill(path)
    key.write_text(run("keys", "public", path).stdout)
    assert run("log", "export", path, file, "--until", iso(instant)).exit_code == 0
    found = json.loads(run("verify", file, "--key", key, "--json").stdout)
    assert (found["valid"], found["size"]) == (True, 3)
    assert found["receipts"] == 2
    assert "none is missing" in " ".join(run("verify", file, "--key", key).stdout.split())
    assert SECRET.encode() not in file.read_bytes()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], *lines[2:]]))
    cut = run("verify", file, "--key", key, "--json")
    assert cut.exit_code == 1
    assert json.loads(cut.stdout)["check"] == "sequence"
    assert run("log", "export", path, tmp_path / "none" / "x", "--since", "2001-01-01").exit_code == 2
    assert run("log", "export", path, file, "--since", "soon").exit_code == 2
    assert not list(tmp_path.glob(".*draft"))
