"""The measurement of streams: every way under every policy, and corrections where the script says otherwise."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from leo_core.cli.app import app


def test_every_way_is_measured_under_every_policy():
    done = CliRunner().invoke(app, ["bench", "stream", "--rounds", "1", "--scale", "0.02", "--json"])
    result = json.loads(done.stdout)
    corrected = {(row["way"], row["policy"]): row["corrected"] for row in result["rows"]}
    ways = ("one member", "cascade accepted", "cascade confirmed", "cascade overruled", "jury agrees", "jury overrules")
    assert set(corrected) == {(way, policy) for way in ways for policy in ("verified", "optimistic", "cascade")}
    overruled = {("cascade overruled", "optimistic"), ("jury overrules", "optimistic")}
    assert {key for key, count in corrected.items() if count} == overruled
    for row in result["rows"]:
        assert 0.0 < row["first_s"] <= row["last_s"] <= row["verdict_s"]
        assert row["policy"] != "verified" or row["first_ratio"] == row["last_ratio"] == 1.0
    assert set(result["members"]) == {"small", "large"}


def test_the_table_says_what_was_corrected():
    done = CliRunner().invoke(app, ["bench", "stream", "--rounds", "1", "--scale", "0"], env={"COLUMNS": "100"})
    assert "corrected: cascade overruled 1 of 1, jury overrules 1 of 1" in " ".join(done.stdout.split())
