"""The benchmark of receipts runs whole, on little."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from leo_core.cli.app import app


def test_receipts_are_appended_audited_and_verified_and_certificates_hold():
    done = CliRunner().invoke(app, ["bench", "receipts", "--count", "120", "--certificates", "30", "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    found, proofs = result["receipts"], result["certificates"]
    assert (found["count"], found["audited"]) == (120, 120)
    assert found["log_bytes"] > found["bare_bytes"] > 1000
    assert found["append_us"] > 0
    assert (proofs["made"], proofs["certified"], proofs["refused"]) == (30, 30, 30)
    assert "home" not in done.stdout


def test_the_table_says_what_was_measured():
    done = CliRunner().invoke(app, ["bench", "receipts", "--count", "5", "--certificates", "5"])
    assert done.exit_code == 0, done.output
    assert "5 of 5 receipts audited" in done.stdout
    assert "5 of 5 tampered ones are refused" in " ".join(done.stdout.split())
