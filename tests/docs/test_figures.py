"""Each figure of the benchmarks stands in one printed table; what repeats it has to agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def printed_rules(name: str) -> dict[str, tuple[str, str]]:
    """Accuracy and cost per rule in a table that ``leo bench replay`` printed into ``docs/benchmarks.md``."""
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    table = page.partition(f"<!-- figures: {name} -->\n```text\n")[2].partition("\n```")[0]
    rows = ([cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if line.startswith("│"))
    return {row[0]: (row[1], row[3]) for row in rows if row[0]}


def repeated_rules() -> dict[str, tuple[str, ...]]:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    table = page.partition("<!-- figures: gsm crux -->")[2].partition("\n\n|")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {row[0]: tuple(row[1:]) for row in rows[2:]}


def test_readme_repeats_the_printed_figures():
    school, functions = printed_rules("gsm"), printed_rules("crux")
    assert set(school) == {"LEO", "always small", "always large", "best single", "plain majority"}
    assert repeated_rules() == {rule: (*school[rule], *functions[rule]) for rule in school}


@pytest.mark.parametrize("name", ["gsm", "crux"])
def test_every_receipt_of_the_printed_runs_was_verified(name):
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    found = re.search(
        rf"{name}\.jsonl\.gz: (\d+) questions.*?receipts verified: (\d+) of (\d+); failures: 0", page, re.DOTALL
    )
    assert found is not None
    assert len(set(found.groups())) == 1
