"""No acknowledged receipt is lost when the process is killed, whenever that happens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from leo_core import LEO
from leo_core.providers.scripted import ScriptedModel

KILLS = 200


@pytest.mark.timeout(900)
def test_two_hundred_kills_lose_no_acknowledged_receipt(tmp_path):
    store, acks = tmp_path / "leo.db", tmp_path / "acks"
    harness = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, harness, store, acks, str(KILLS), "20"], capture_output=True, text=True, timeout=840
    )
    assert done.returncode == 0, done.stderr
    lines = acks.read_text().splitlines()
    acknowledged = {line for line in lines if line.startswith("leo:rcpt:")}
    assert len(acknowledged) > KILLS
    member = ScriptedModel("parrot", replies=lambda request: request.question)
    with LEO(small=member, store=store) as leo:
        logged = {receipt.id for receipt in leo.log.receipts()}
        assert acknowledged <= logged
        assert leo.log.audit() == len(logged)
        assert leo.store.count_entries() > 0
        assert leo.ask("and after all that?").text == "and after all that?"
