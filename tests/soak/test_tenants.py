"""Tenants at random: a short run of what ``make soak`` does at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from leo_langchain import cache as cache_module
from tests.soak.tenants import run


def test_no_tenant_sees_anothers_answers(tmp_path: Path) -> None:
    found = run(tmp_path, 1_000, seed=1)
    assert found["leaks"] == 0
    assert found["operations"] == 1_000
    assert min(found["hit"], found["miss"], found["update"], found["clear"]) > 5


def test_a_leak_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "current_tenant", lambda: None)
    assert run(tmp_path, 400, seed=1)["leaks"] > 0
