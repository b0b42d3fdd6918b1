"""``leo bench replay --full`` and ``leo bench figures`` as commands."""

from __future__ import annotations

import json

import pytest

from tests.core.cli.test_cli import as_json, leo
from tests.core.evaluation.test_replay_study import LARGE, SMALL, WITNESS, write_recording


def test_what_the_replay_wrote_can_be_drawn(tmp_path):
    data = write_recording(tmp_path / "tiny.jsonl", count=6)
    arguments = ["bench", "replay", "--data", data, "--small", SMALL, "--large", LARGE, "--all", "--full"]
    arguments += ["--jury", f"{SMALL},{WITNESS},{LARGE}", "--seeds", "1", "--prices", "today"]
    facts, code = as_json(*arguments)
    assert code == 0
    assert facts["full"]["cells"][0]["prices"] == "today"
    file = tmp_path / "results" / "tiny.json"
    file.parent.mkdir()
    file.write_text(json.dumps(facts))
    drawn, code = as_json("bench", "figures", tmp_path / "out", "--results", file.parent)
    assert code == 0
    assert {each["figure"] for each in drawn["drawn"]} == {
        "cost-against-quality",
        "learning",
        "ablation",
        "route-shares",
    }
    assert {each["figure"] for each in drawn["left_out"]} == {"routers", "committees", "promotion-timeline"}
    words = leo("bench", "figures", tmp_path / "out", "--results", file).stdout
    assert "learning-tiny.svg: from tiny.json" in words
    assert "routers left out: no result of leo bench route --json" in words


def test_the_printed_tables_name_rules_prices_and_dominance(tmp_path):
    data = write_recording(tmp_path / "tiny.jsonl", count=6)
    arguments = ["bench", "replay", "--data", data, "--small", SMALL, "--large", LARGE, "--all", "--full"]
    done = leo(*arguments, "--seeds", "1")
    assert done.exit_code == 0
    for words in ("Prices as recorded", "Prices of today", "cheaper and better than LEO", "best single: "):
        assert words in done.stdout


@pytest.mark.parametrize("wrong", [("--prices", "tomorrow"), ("--route", "small")])
def test_what_makes_no_sense_is_refused(tmp_path, wrong):
    data = write_recording(tmp_path / "tiny.jsonl", count=3)
    facts, code = as_json("bench", "replay", "--data", data, "--small", SMALL, "--all", "--full", *wrong)
    assert (facts["error"], code) == ("ConfigError", 2)
    assert wrong[0] in facts["message"]
