from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leo_core import LEO, Budget, LEOConfig
from leo_core._version import __version__
from leo_core.cli.app import app
from leo_core.evaluation.stats import list_balances
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Route, RouteChange
from leo_core.stages.route.observations import observe_change

PROMPT = "Context: The ferry leaves at 9:40.\n\nQuestion: When does the ferry leave?"


def leo(*arguments, stdin=None):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def as_json(*arguments, **more):
    result = leo(*arguments, "--json", **more)
    return json.loads(result.stdout), result.exit_code


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small=ScriptedModel("parrot", replies="29", cost=0.5), store=path) as engine:
        engine.ask("How many days?", tenant="acme")
        engine.ask("How many days?", tenant="acme")
        engine.feedback(engine.ask("Another?"), wrong=True)
        (tmp_path / "leo.pub").write_text(engine.public_key)
    return path


def test_version_and_help():
    assert leo("--version").stdout.strip() == __version__
    assert leo().exit_code == 2


def test_ask_streams_the_answer_and_shows_route_and_receipt(tmp_path):
    result = leo("ask", "-", "--explain", "--receipt", tmp_path / "r.json", stdin=PROMPT)
    assert result.exit_code == 0
    assert "9:40" in result.stdout
    assert "· route: small" in result.stdout
    assert "leo:rcpt:" in result.stderr
    assert json.loads((tmp_path / "r.json").read_text())["format"] == "leo-receipt/1"


def test_ask_as_json_is_one_object():
    facts, code = as_json("ask", PROMPT, "--jury", "extractive", "--explain")
    assert code == 0
    assert "9:40" in facts["answer"]
    assert facts["route"] == "large"
    assert facts["explain"]["words"]
    assert facts["public_key"].startswith("-----BEGIN PUBLIC KEY-----")


@pytest.mark.parametrize(
    ("arguments", "error", "code"),
    [
        (["ask", ""], "RequestError", 1),
        (["ask", "q", "--small", "nonsense"], "ConfigError", 2),
        (["ask", "q", "--route", "fastest"], "ConfigError", 2),
        (["ask", "q", "--max-error", "3"], "RequestError", 1),
        (["log", "audit", "nowhere.db"], "ConfigError", 2),
        (["stats", "nowhere.db"], "ConfigError", 2),
        (["bench", "replay", "--data", "nowhere.jsonl", "--small", "m"], "ConfigError", 2),
        (["bench", "replay", "--data", "nowhere.jsonl", "--small", "m", "--plot", "plot.xyz"], "ConfigError", 2),
        (["bench", "replay", "--data", "nowhere.jsonl", "--small", "m", "--preset", "econmy"], "ConfigError", 2),
        (["bench", "coherence", "--data", sys.executable], "ConfigError", 2),
        (["keys", "public", "nowhere.pem"], "SigningKeyError", 2),
    ],
)
def test_errors_have_a_name_and_an_exit_code(arguments, error, code):
    facts, exit_code = as_json(*arguments)
    assert (facts["error"], exit_code) == (error, code)
    plain = leo(*arguments)
    assert plain.exit_code == code
    assert error in plain.stderr
    assert plain.stdout == ""


def test_verify_accepts_and_refuses_by_exit_code(store, tmp_path):
    listed, _ = as_json("log", "list", store)
    document, _ = as_json("log", "show", store, listed["receipts"][0]["receipt"])
    good, key = tmp_path / "good.json", tmp_path / "leo.pub"
    good.write_text(json.dumps(document))
    assert as_json("verify", good, "--key", key) == ({"valid": True, "receipt": str(good)}, 0)
    assert leo("verify", good, "--key", key).stdout.strip() == "valid"
    document["log"]["index"] += 1
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(document))
    facts, code = as_json("verify", bad, "--key", key)
    assert (facts["check"], code) == ("inclusion", 1)
    for content in ("[]", "{", "no json", "{}", "[" * 100_000):
        bad.write_text(content)
        assert as_json("verify", bad, "--key", key)[1] == 2
    assert as_json("verify", tmp_path / "absent.json", "--key", key)[1] == 2
    assert as_json("verify", good, "--key", good)[1] == 2


def test_the_log_lists_shows_proves_and_audits(store, tmp_path):
    listed, code = as_json("log", "list", store, "--count", "2")
    assert (code, listed["size"], len(listed["receipts"])) == (0, 3, 2)
    assert [row["route"] for row in listed["receipts"]] == ["small", "cache"]
    assert "parrot" in leo("log", "list", store).stdout
    receipt = listed["receipts"][1]["receipt"]
    assert receipt.removeprefix("leo:rcpt:") or leo("log", "show", store, receipt).stdout
    assert '"format"' in leo("log", "show", store, receipt).stdout
    assert as_json("log", "show", store, "leo:rcpt:none")[1] == 2
    proof, _ = as_json("log", "prove", store, "1")
    assert (proof["old_size"], proof["new_size"]) == (1, 3)
    assert proof["proof"]
    assert '"proof"' in leo("log", "prove", store, "1", "2").stdout
    assert as_json("log", "prove", store, "4")[1] == 2
    audited, code = as_json("log", "audit", store, "--key", tmp_path / "leo.pub")
    assert (audited["valid"], audited["size"], code) == (True, 3, 0)
    assert "valid: 3 receipts" in leo("log", "audit", store).stdout


def test_an_audit_against_another_key_fails(store, tmp_path):
    leo("keys", "new", tmp_path / "other.pem")
    other = tmp_path / "other.pub"
    other.write_text(leo("keys", "public", tmp_path / "other.pem").stdout)
    facts, code = as_json("log", "audit", store, "--key", other)
    assert code == 1
    assert facts["check"]


def test_stats_counts_money_hits_and_tenants(store):
    facts, code = as_json("stats", store)
    assert code == 0
    assert facts["traffic"]["spent_usd"] == pytest.approx(1.0)
    assert facts["traffic"]["saved_usd"] == pytest.approx(0.5)
    assert facts["traffic"]["routes"] == {"small": 2, "cache": 1}
    assert facts["tenants"]["acme"]["hits"] == {"exact": 1, "semantic": 0}
    assert facts["tenants"]["default"]["trust"]["parrot"] < 0.8
    assert "acme" in leo("stats", store).stdout
    only, _ = as_json("stats", store, "--tenant", "acme")
    assert list(only["tenants"]) == ["acme"]


def test_names_are_shown_as_they_are_and_never_as_markup(tmp_path):
    """Rich reads "[/b]" as a closing tag without an opening one, and ":cat:" as a picture."""
    with LEO(small=ScriptedModel("vllm:[/b]:cat:7b", replies="29"), store=tmp_path / "leo.db") as engine:
        engine.ask("How many days?", tenant="[red]a[/b]:cat:")
    for command in ("stats", "log list"):
        result = leo(*command.split(), tmp_path / "leo.db")
        assert (result.exit_code, result.exception) == (0, None)
        assert "[/b]:cat:" in result.stdout
    assert "[red]a[/b]:cat:" in leo("stats", tmp_path / "leo.db").stdout


def test_private_stats_are_charged_and_refused_when_the_budget_is_spent(store):
    options = ("stats", store, "--private", "--epsilon", "0.5", "--budget-epsilon", "0.8", "--contribution", "10")
    facts, code = as_json(*options)
    assert code == 0
    assert (facts["unit"], facts["contribution"], facts["epsilon"], facts["delta"]) == ("tenant", 10, 0.5, 1e-6)
    assert "traffic" not in facts
    assert store.with_name("leo.db.privacy").is_file()
    table = leo(*options).stdout
    assert "hit_rate" in table
    assert "of 0.8" in table
    refused, code = as_json(*options)
    assert (refused["error"], code) == ("PrivacyBudgetError", 1)
    wrong, code = as_json("stats", store, "--private", "--unit", "user")
    assert (wrong["error"], code) == ("ConfigError", 2)


def test_stats_shows_budgets(tmp_path):
    budgets = (Budget(limit_usd=2.0, period="total"), Budget(limit_usd=0.5, per="user", period="day", name="readers"))
    parrot = ScriptedModel("parrot", replies="29", cost=0.5)
    with LEO(small=parrot, store=tmp_path / "leo.db", config=LEOConfig(budgets=budgets)) as engine:
        engine.ask("How many days?", tenant="acme", user="ann")
        engine.ask("How many days?", tenant="globex")
        engine.ask("How many weeks?", tenant="globex", user="bob")
        balances = engine.budgets()
    found, code = as_json("stats", tmp_path / "leo.db")
    assert code == 0
    assert found["budgets"] == list_balances(balances)
    totals = {row["tenant"]: row for row in found["budgets"] if row["budget"] == "tenant/total"}
    assert (totals["acme"]["spent_usd"], totals["globex"]["spent_usd"]) == (0.5, 1.0)
    assert (totals["globex"]["left_usd"], totals["globex"]["ends_at"], totals["globex"]["owner"]) == (1.0, None, None)
    readers = [row for row in found["budgets"] if row["budget"] == "readers"]
    assert [(row["limit_usd"], row["left_usd"], row["owner"][:5]) for row in readers] == [(0.5, 0.0, "user:")] * 3
    assert all(row["ends_at"].endswith("T00:00:00Z") for row in readers)
    table = leo("stats", tmp_path / "leo.db").stdout
    assert "readers" in table
    assert "ann" not in table
    only, _ = as_json("stats", tmp_path / "leo.db", "--tenant", "acme")
    assert {row["tenant"] for row in only["budgets"]} == {"acme"}


def test_keys_are_made_once_and_shown_publicly(store, tmp_path):
    path = tmp_path / "key.pem"
    made, code = as_json("keys", "new", path)
    assert code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert as_json("keys", "public", path)[0] == made
    assert as_json("keys", "new", path)[1] == 2
    assert leo("keys", "public", store).stdout == (tmp_path / "leo.pub").read_text()
    path.chmod(0o644)
    facts, code = as_json("keys", "public", path)
    assert (facts["error"], code) == ("SigningKeyError", 2)


@pytest.mark.parametrize("command", ["public", "rotate"])
def test_a_store_without_its_key_is_named_as_such_and_not_taken_for_a_key(store, command):
    """It said of the store that others can read it: chmod 600, or that it is no PEM."""
    store.with_name("leo.db.key").unlink()
    facts, code = as_json("keys", command, store)
    assert (facts["error"], code) == ("ConfigError", 2)
    assert "there is no key leo.db.key beside it" in facts["message"]


@pytest.fixture
def unsigned(tmp_path):
    """The store of a cache alone: nothing was ever signed in it, so no key lies beside it."""
    path = tmp_path / "cache.db"
    config = replace(LEOConfig(), receipts=replace(LEOConfig().receipts, enabled=False))
    with LEO(small=ScriptedModel("parrot", replies="29"), store=path, config=config) as engine:
        engine.ask("How many days?")
    assert not path.with_name("cache.db.key").exists()
    return path


def test_a_store_that_never_signed_is_read_without_a_key(unsigned):
    """It was told that its signing key cannot be read."""
    facts, code = as_json("stats", unsigned)
    assert (facts["receipts"], facts["tenants"]["default"]["entries"], code) == (0, 1, 0)
    assert as_json("log", "list", unsigned) == ({"size": 0, "receipts": []}, 0)
    facts, code = as_json("log", "audit", unsigned)
    assert (facts["error"], code) == ("ConfigError", 2)
    assert "nothing can be audited" in facts["message"]


def test_a_log_whose_head_and_key_were_taken_away_is_not_valid(store):
    with sqlite3.connect(store) as connection:
        connection.execute("DELETE FROM receipt_head")
    connection.close()
    store.with_name("leo.db.key").unlink()
    assert as_json("log", "audit", store)[1] == 2


def test_an_empty_log_is_proved_exported_and_audited_with_its_key(tmp_path):
    """It was told to give the signing key, which lay beside it."""
    path = tmp_path / "leo.db"
    with LEO(small="extractive", store=path) as engine:
        (tmp_path / "leo.pub").write_text(engine.public_key)
    for options in ((), ("--key", tmp_path / "leo.pub")):
        assert as_json("log", "audit", path, *options) == ({"valid": True, "size": 0, "checkpoint": None}, 0)
    assert as_json("log", "prove", path, 0)[0]["proof"] == []
    assert as_json("log", "export", path, tmp_path / "all.jsonl")[0]["receipts"] == 0
    facts, code = as_json("verify", tmp_path / "all.jsonl", "--key", tmp_path / "leo.pub")
    assert (facts["valid"], facts["receipts"], code) == (True, 0, 0)


def test_a_day_that_is_none_is_wrong_use(store, tmp_path):
    facts, code = as_json("log", "audits", store, tmp_path / "audits.json", "--day", "2026-13-01")
    assert (facts["error"], code) == ("ConfigError", 2)
    assert "--day" in facts["message"]


def test_bench_replay_prints_a_table_and_json(tmp_path):
    rows = [
        {
            "id": f"q{number}",
            "question": f"What is 2 + {number}?",
            "gold": "x",
            "answers": {"m": {"text": f"The answer is {number + 2}.", "final": str(number + 2), "correct": True}},
        }
        for number in range(6)
    ]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(item) + "\n" for item in rows))
    arguments = ["bench", "replay", "--data", data, "--small", "m", "--all"]
    table = leo(*arguments, "--plot", tmp_path / "plot.svg")
    assert table.exit_code == 0
    assert "always small" in table.stdout
    assert "unknown" in table.stdout
    assert (tmp_path / "plot.svg").exists()
    facts, code = as_json(*arguments, "--jury", "m", "--limit", "3")
    assert (facts["accuracy"], facts["questions"], facts["receipts_verified"], code) == (1.0, 3, 3, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ("core", "--sizes", "a,b"),
        ("core", "--sizes", ","),
        ("core", "--sizes", "-5"),
        ("cache", "--stream", "none.jsonl", "--max-wrong-hits", "1%"),
        ("cache", "--stream", "none.jsonl", "--max-wrong-hits", "2"),
    ],
)
def test_a_list_of_numbers_that_makes_no_sense_is_refused(arguments):
    facts, code = as_json("bench", *arguments)
    assert (facts["error"], code) == ("ConfigError", 2)


def test_the_command_is_installed():
    script = Path(sys.executable).with_name("leo")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == __version__


def test_a_receipt_that_cannot_be_written_and_a_question_that_is_no_text_are_errors(tmp_path):
    facts, code = as_json("ask", PROMPT, "--receipt", tmp_path / "nowhere" / "r.json")
    assert (facts["error"], code) == ("ConfigError", 2)
    assert "cannot write" in facts["message"]
    facts, code = as_json("ask", "-", stdin=b"\xff\xfe\x00")
    assert (facts["error"], code) == ("RequestError", 1)
    assert "convert it first" in facts["message"]


def test_cache_export_import_and_check(store, tmp_path):
    file, other = tmp_path / "cache.jsonl", tmp_path / "other.db"
    facts, code = as_json("cache", "export", store, file)
    assert (code, facts["entries"], facts["refused"]) == (0, 1, 0)
    (tmp_path / "export.pub").write_text(facts["public_key"])
    refused, code = as_json("cache", "import", other, file)
    assert (code, refused["error"]) == (1, "StoreCorruptError")
    assert as_json("cache", "import", other, file, "--key", tmp_path / "export.pub") == ({"kept": 1}, 0)
    assert as_json("cache", "import", other, file, "--key", tmp_path / "export.pub") == ({"kept": 0}, 0)
    assert as_json("cache", "check", other) == ({"readable": 1, "refused": [], "removed": 0}, 0)
    assert as_json("cache", "export", store, file, "--tenant", "nobody")[0]["entries"] == 0
    assert "1 entries" in leo("cache", "export", store, file).stdout
    with LEO(small=ScriptedModel("parrot", replies="30", cost=0.5), store=other) as engine:
        assert engine.ask("How many days?", tenant="acme").text == "29"


def test_cache_check_finds_what_was_altered(store):
    with sqlite3.connect(store) as connection:
        connection.execute("""UPDATE entries SET body = replace(body, '"29"', '"31"')""")
    connection.close()
    found, code = as_json("cache", "check", store)
    assert (code, found["readable"], [row["why"] for row in found["refused"]], found["removed"]) == (1, 0, ["seal"], 0)
    assert "seal" in leo("cache", "check", store, "--remove").stderr
    assert as_json("cache", "check", store) == ({"readable": 0, "refused": [], "removed": 0}, 0)


def test_cache_warm_and_invalidate(tmp_path):
    store, log = tmp_path / "leo.db", tmp_path / "log.jsonl"
    log.write_text('{"prompt": "When?", "answer": "Now.", "tags": ["a"], "sources": ["doc-1"]}\n', encoding="utf-8")
    assert as_json("cache", "warm", store, log, "--small", "extractive", "--tenant", "acme") == ({"kept": 1}, 0)
    with LEO(small="extractive", store=store) as engine:
        assert engine.ask("When?", tenant="acme").text == "Now."
    assert as_json("cache", "invalidate", store, "--source", "doc-2") == ({"removed": 0}, 0)
    assert as_json("cache", "invalidate", store, "--tenant", "acme", "--tag", "a") == ({"removed": 1}, 0)
    assert "1 entries kept" in leo("cache", "warm", store, log, "--small", "extractive").stdout
    assert as_json("cache", "invalidate", store, "--all") == ({"removed": 1}, 0)


def test_cache_refuses_wrong_use(store, tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text("no JSON\n", encoding="utf-8")
    assert as_json("cache", "invalidate", store)[1] == 2
    assert as_json("cache", "export", tmp_path / "none.db", tmp_path / "file")[1] == 2
    assert as_json("cache", "check", store, "--seal-key", tmp_path / "none")[1] == 2
    assert as_json("cache", "warm", tmp_path / "new.db", log)[0]["message"].startswith("line 1")
    assert not (tmp_path / "none.db").exists()


@pytest.fixture
def judged(tmp_path):
    """A store in which right and wrong answers were audited, each question in the one region there is."""
    path = tmp_path / "judged.db"
    config = LEOConfig(audit_rate=1.0)
    config = replace(config, novelty=replace(config.novelty, centres=1))
    member = ScriptedModel("m", replies=lambda request: f"It is {len(request.question)}.", cost=0.01)
    with LEO(member, store=path, config=config, checker=lambda request, _: "right" in request.question) as engine:
        for number in range(25):
            engine.ask(f"What is wrong with the number {number}?")
        engine.ask("What is right?")
        engine.ask("Is it right to write to anna@example.org?")
    return path


def test_gaps_shows_where_all_members_fail(judged):
    facts, code = as_json("gaps", judged)
    ((tenant, (gap,)),) = facts["tenants"].items()
    assert (code, tenant, gap["region"], gap["best"]) == (0, "default", 0, "m")
    assert len(gap["examples"]) == 3
    shown = leo("gaps", judged)
    assert (shown.exit_code, "What is wrong" in shown.stdout) == (0, True)
    assert "no gaps" in leo("gaps", judged, "--below", "0.01").stdout
    judged.with_name("judged.db.seal").unlink()
    sealed, _ = as_json("gaps", judged)
    assert sealed["tenants"]["default"][0]["examples"] == []


def test_export_writes_verified_pairs_and_says_what_it_left_out(judged, tmp_path):
    file = tmp_path / "pairs.jsonl"
    facts, code = as_json("export", judged, file)
    assert (code, facts["pairs"]) == (0, 1)
    assert facts["dropped"] == {"found wrong": 25, "personal data": 1}
    (row,) = map(json.loads, file.read_text().splitlines())
    assert [turn["content"] for turn in row["messages"]] == ["What is right?", "It is 14."]
    (source,) = map(json.loads, Path(facts["files"][1]).read_text().splitlines())
    listed, _ = as_json("log", "list", judged, "--count", 50)
    assert source["receipt"] in json.dumps(listed)
    result = leo("export", judged, file, "--format", "hf", "--personal", "redact")
    assert result.exit_code == 0
    assert "2 pairs" in result.stdout
    assert "left out: 25 (found wrong)" in result.stdout
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert rows[1]["messages"][0]["content"] == "Is it right to write to [EMAIL]?"
    assert rows[1]["receipt"].startswith("leo:rcpt:")


def test_export_needs_the_seal_key_and_a_place_to_write(judged, tmp_path):
    facts, code = as_json("export", judged, tmp_path / "nowhere" / "pairs.jsonl")
    assert (facts["error"], code) == ("ConfigError", 2)
    judged.with_name("judged.db.seal").unlink()
    facts, code = as_json("export", judged, tmp_path / "pairs.jsonl")
    assert (facts["error"], code) == ("ConfigError", 2)
    assert not (tmp_path / "pairs.jsonl").exists()
    assert as_json("export", "nowhere.db", tmp_path / "pairs.jsonl")[1] == 2


def test_stats_lists_defaults_and_their_changes(tmp_path):
    path = tmp_path / "defaults.db"
    with LEO(small=ScriptedModel("parrot", replies="29"), store=path) as engine:
        engine.ask("How many days?")
        change = RouteChange(
            change="promoted",
            region=0,
            route=Route.SMALL,
            default=Route.SMALL,
            why="test",
            wealth=91.5,
            alpha=0.0125,
            at=1.8e9,
        )
        engine.store.observe([observe_change(change, incumbent="", tenant="default")])
    facts, code = as_json("stats", path)
    assert code == 0
    assert facts["tenants"]["default"]["defaults"] == {"region 0": "small"}
    (listed,) = facts["tenants"]["default"]["route_changes"]
    assert (listed["change"], listed["route"], listed["wealth"]) == ("promoted", "small", 91.5)
    shown = leo("stats", path).stdout
    assert "small promoted" in shown
    assert "default: small" in shown
