"""Without space or the right to write, caches cost nothing but hits, receipts are not claimed, and files stay whole."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.adapters.filling import CACHES, CALLS

TROUBLES = ("full", "full at the start", "read-only")
TEXT = "Yes, it is so."
FOUND = {"langchain_cache": TEXT, "query_cache": True, "kv": True, "graph": True, "llm": TEXT}
WITH_RECEIPT = {"text": TEXT, "receipt": True}


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What happened in a process of its own, to which the limits apply."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.adapters.filling"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_all_well(calls: dict[str, Any]) -> None:
    for name, expected in FOUND.items():
        assert calls[name] == expected, name
    for name in ("chat_model", "insists"):
        assert {**calls[name], "hit": None} == {**WITH_RECEIPT, "hit": None}, name


@pytest.mark.parametrize("trouble", TROUBLES)
def test_all_is_well_before(told: dict[str, Any], trouble: str) -> None:
    check_all_well(told[trouble]["before"])


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_caches_fail_open_and_say_so(told: dict[str, Any], trouble: str) -> None:
    for calls in told[trouble]["during"]:
        assert (calls["langchain_cache"], calls["query_cache"]) == (TEXT, True)  # the models' own answers
        assert (calls["kv"], calls["graph"]) == (False, False)  # nothing is found, and nothing is raised
    assert all(told[trouble]["counts"][name] >= 1 for name in CACHES), told[trouble]["counts"]
    assert {"leo_langchain", "leo_llamaindex"} <= set(told[trouble]["logged"])


def test_a_disk_that_fills_up_costs_the_receipt_and_not_the_answer(told: dict[str, Any]) -> None:
    for calls in told["full"]["during"]:
        assert calls["chat_model"] == {"text": TEXT, "receipt": False, "hit": False}
        assert calls["llm"] == TEXT
    assert "leo_core" in told["full"]["logged"]


@pytest.mark.parametrize(
    ("trouble", "names", "kind", "advice"),
    [
        ("full", ("insists",), "StoreFullError", "free space"),
        ("full at the start", ("chat_model", "llm", "insists"), "StoreFullError", "free space"),
        ("read-only", ("chat_model", "llm", "insists"), "StorageError", "check that path, folder and rights"),
    ],
)
def test_who_cannot_have_receipts_is_told_why(
    told: dict[str, Any], trouble: str, names: tuple[str, ...], kind: str, advice: str
) -> None:
    for calls in told[trouble]["during"]:
        for name in names:
            assert calls[name]["error"] == kind, name
            assert "LEOError" in calls[name]["kinds"]
            assert advice in calls[name]["said"]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_afterwards_everything_works_and_nothing_acknowledged_is_lost(told: dict[str, Any], trouble: str) -> None:
    check_all_well(told[trouble]["after"])
    check_all_well(told[trouble]["again"])
    assert told[trouble]["again"]["chat_model"]["hit"]  # what was kept before is there
    assert told[trouble]["again"]["insists"]["hit"]
    assert all(counts["cache.hit"] >= 1 for counts in told[trouble]["hits"].values())


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_file_is_whole_and_the_log_holds_what_was_claimed(told: dict[str, Any], trouble: str) -> None:
    whole = told[trouble]["whole"]
    assert all(whole[name] for name in CALLS)
    calls = [told[trouble]["before"], *told[trouble]["during"], told[trouble]["after"], told[trouble]["again"]]
    claimed = sum(call["chat_model"].get("receipt", False) for call in calls)
    assert whole["receipts"] == claimed == 3
