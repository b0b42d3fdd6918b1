"""``leo doctor`` and ``leo try``: what somebody runs first."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from langchain_core.outputs import Generation
from typer.testing import CliRunner

from leo_core import LEO, LEOConfig
from leo_core.cli import doctor_checks
from leo_core.cli.app import app
from leo_core.cli.doctor_checks import EXTRAS, check_all
from leo_core.providers.extractive import CANNOT_ANSWER, OFFLINE_JURY
from leo_core.records import Message
from leo_core.sample import HANDBOOK, QUESTIONS
from leo_core.stages.embed import load
from leo_langchain import LEOCache

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.stdout, result.exit_code


def doctor(*arguments):
    printed, code = run("doctor", *arguments, "--json")
    facts = json.loads(printed)
    return {finding["name"]: finding for finding in facts["findings"]}, facts, code


def only(monkeypatch, *names):
    """The checks of these names alone: each of the others has a test of its own."""
    for check in ("versions", "extras", "keys", "tables", "kernels", "answer"):
        if check not in names:
            monkeypatch.setattr(doctor_checks, f"_check_{check}", lambda: iter(()))


# ------------------------------------------------------------------------------------------------------- doctor


def test_a_sound_installation_is_told_so_in_words_and_figures(monkeypatch):
    only(monkeypatch, "versions", "tables", "answer")
    found, facts, code = doctor()
    assert code == 0
    assert facts["ok"]
    assert {found[name]["state"] for name in ("python", "leo-core", "leo-langchain", "tables", "answer")} == {"ok"}
    assert metadata.version("langchain-core") in found["leo-langchain"]["found"]
    only(monkeypatch, "versions")
    printed, code = run("doctor")
    assert code == 0
    assert "FAILED" not in printed


def test_every_extra_is_known_to_the_doctor():
    project = tomllib.loads((ROOT / "packages/leo-core/pyproject.toml").read_text())["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"])


def test_an_extra_that_is_absent_is_a_note_with_its_pip_line(monkeypatch):
    only(monkeypatch, "extras")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "hvac" else found(name, *rest))
    findings, _, code = doctor()
    assert code == 0
    assert findings["extra vault"]["state"] == "note"
    assert findings["extra vault"]["fix"] == 'pip install "leo-core[vault]"'
    assert findings["extra openai"]["state"] == "ok"


def test_an_extra_that_is_too_old_fails(monkeypatch):
    only(monkeypatch, "extras")
    known = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "1.99.9" if name == "openai" else known(name))
    findings, facts, code = doctor()
    assert code == 1
    assert facts["failed"] == ["extra openai"]
    assert "openai 1.99.9 < 2" in findings["extra openai"]["found"]


def test_adapters_of_another_version_fail_with_the_line_that_helps(monkeypatch):
    only(monkeypatch, "versions")
    known = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.0.9" if name == "leo-langchain" else known(name))
    findings, _, code = doctor()
    assert code == 1
    assert findings["leo-langchain"]["fix"] == f"pip install leo-langchain=={known('leo-core')}"
    assert findings["leo-llamaindex"]["state"] == "ok"


def test_keys_are_named_and_never_shown(monkeypatch):
    only(monkeypatch, "keys")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-SECRET-1")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    findings, _, code = doctor()
    assert code == 0
    assert findings["OPENAI_API_KEY"]["state"] == "ok"
    assert findings["ANTHROPIC_API_KEY"]["state"] == "note"
    assert "SECRET" not in run("doctor")[0] + json.dumps(findings)


def test_a_table_that_does_not_load_fails_and_the_other_checks_go_on(monkeypatch):
    only(monkeypatch, "tables", "versions")

    def broken(*_, **__):
        message = "cannot reshape array"
        raise ValueError(message)

    monkeypatch.setattr(load, "load_embedder", broken)
    findings, facts, code = doctor()
    assert code == 1
    assert facts["failed"] == ["tables"]
    assert "cannot reshape array" in findings["tables"]["found"]
    assert "--force-reinstall" in findings["tables"]["fix"]


def test_an_answer_that_is_not_as_it_should_be_fails(monkeypatch):
    only(monkeypatch, "answer")
    monkeypatch.setattr("leo_core.OFFLINE_JURY", ("extractive",), raising=False)
    monkeypatch.setattr("leo_core.providers.extractive.ExtractiveModel._find", lambda self, passage: None)
    findings, _, code = doctor()
    assert code == 1
    assert "the answer" in findings["answer"]["found"]


def test_kernels_without_a_place_for_their_code_are_a_note(monkeypatch):
    monkeypatch.setattr("leo_core.kernels.warm.find_cache", lambda: ("", 0))
    (finding,) = doctor_checks._check_kernels()
    assert finding.state == "note"
    assert "NUMBA_CACHE_DIR" in finding.fix


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small="extractive", store=path) as leo:
        leo.ask("Who?")
    return path


def store_finding(monkeypatch, path):
    only(monkeypatch)
    return check_all(path)[-1]


def test_a_store_that_opens_is_counted_and_one_that_is_not_there_is_not_made(store, monkeypatch):
    found = store_finding(monkeypatch, store)
    assert (found.state, found.found) == ("ok", f"{store} opens: 1 receipts, 1 tenants")
    absent = store.with_name("absent.db")
    assert store_finding(monkeypatch, absent).state == "note"
    assert not absent.exists()


def test_a_store_that_never_signed_is_sound_without_a_key(tmp_path, monkeypatch):
    """The store of a cache alone; it was FAILED, and its key was to be put back, which never was."""
    path = tmp_path / "cache.db"
    with LEOCache(path) as cache:
        cache.update("[]", "model", [Generation(text="At 9:40.")])
    found = store_finding(monkeypatch, path)
    assert (found.state, found.found) == ("ok", f"{path} opens: 0 receipts, 1 tenants")


def test_keys_that_cannot_be_used_fail_with_what_to_do_about_them(store, monkeypatch):
    """A key that others can read was to be put back; a seal key that the engine refuses was not looked at."""
    key, seal = store.with_name("leo.db.key"), store.with_name("leo.db.seal")
    for file in (key, seal):
        file.chmod(0o644)
        found = store_finding(monkeypatch, store)
        assert (found.state, found.fix) == ("failed", f"chmod 600 {file}")
        file.chmod(0o600)
        kept = file.read_bytes()
        file.write_bytes(b"not a key")
        found = store_finding(monkeypatch, store)
        assert (found.state, found.fix) == ("failed", f"restore {file} from a copy")
        file.write_bytes(kept)
    seal.unlink()
    found = store_finding(monkeypatch, store)
    assert (found.state, "none of the 1 entries is served" in found.found) == ("note", True)
    assert found.fix == f"put its key back beside it: {seal}, or give it as seal_key"
    assert not seal.exists()


@pytest.mark.parametrize("address", ["chroma://127.0.0.1:1/shop", "chroma:folder", ":memory:"])
def test_a_store_that_is_no_file_is_said_to_be_none(address, monkeypatch):
    """It was not there yet, and made when it is first used."""
    found = store_finding(monkeypatch, Path(address))
    assert (found.state, "is no file" in found.found) == ("note", True)


def test_a_locked_store_a_foreign_file_a_newer_store_and_a_lost_key_fail_with_what_to_do(store, monkeypatch):
    monkeypatch.setattr(doctor_checks, "_PATIENCE_S", 0.01)
    holder = sqlite3.connect(store, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    locked = store_finding(monkeypatch, store)
    holder.close()
    assert (locked.state, "end the process" in locked.fix) == ("failed", True)

    key = store.with_name("leo.db.key")
    key.rename(store.with_name("lost.key"))
    lost = store_finding(monkeypatch, store)
    assert (lost.state, lost.fix) == ("failed", f"put its key back beside it: {store}.key")

    connection = sqlite3.connect(store)
    connection.execute("PRAGMA user_version = 999")
    connection.commit()
    connection.close()
    newer = store_finding(monkeypatch, store)
    assert (newer.state, newer.fix.startswith("pip install --upgrade leo-core")) == ("failed", True)

    foreign = store.with_name("notes.db")
    foreign.write_bytes(b"My notes. " * 500)
    strange = store_finding(monkeypatch, foreign)
    assert (strange.state, strange.fix) == ("failed", "restore a copy, or choose another path")


# ---------------------------------------------------------------------------------------------------------- try


def test_try_verifies_serves_another_wording_and_leaves_a_log_that_audits(tmp_path):
    store = tmp_path / "try.db"
    printed, code = run("try", "--store", store, "--json")
    facts = json.loads(printed)
    assert code == 0
    assert facts["verified"]["agree"] == facts["verified"]["votes"] == len(OFFLINE_JURY)
    assert facts["verified"]["receipt"].startswith("leo:rcpt:")
    assert facts["hit"]["request"] > LEOConfig().cache.min_explored
    assert facts["hit"]["question"] != facts["verified"]["question"]
    assert facts["semantic_hits"] > 0
    assert facts["wrong_hits"] <= facts["max_wrong_hits"] * facts["questions"]
    assert facts["receipts"] == facts["audited"] == facts["questions"] == len(QUESTIONS)
    assert run("log", "audit", store) == (f"valid: {len(QUESTIONS)} receipts\n", 0)


def test_the_sample_asks_for_each_fact_in_words_that_fit_no_other_and_holds_every_fact_once():
    facts = [question.fact for question in QUESTIONS]
    assert len({question.text for question in QUESTIONS}) == len(QUESTIONS)
    assert all(HANDBOOK.count(fact) == 1 for fact in set(facts))
    assert {facts.count(fact) for fact in set(facts)} == {len(facts) // len(set(facts))}


def test_the_readers_of_the_offline_jury_abstain_on_what_the_context_does_not_say():
    with LEO(jury=OFFLINE_JURY) as leo:
        for question in ("Who won the world cup in 1998?", "How do I bake bread?"):
            turns = [Message(role="system", content=HANDBOOK), Message(role="user", content=question)]
            assert leo.ask(turns).text == CANNOT_ANSWER
