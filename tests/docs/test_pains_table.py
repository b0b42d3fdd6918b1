"""The page of pains and features: every row is there, and every test that it names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/pains.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)((?:::\w+)*)`")
PAINS, EXTRA, FEATURES, PEERS = 15, 3, 14, 14


def rows_under(heading: str) -> list[list[str]]:
    """The cells of the table's rows, without its head."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def defines(path: Path, names: list[str]) -> bool:
    """Whether a module has a test, or a class with that test, of this name; classes may inherit it."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for name in names:
        found = [node for node in body if getattr(node, "name", None) == name]
        if not found:
            return False
        body = getattr(found[0], "body", [])
    return True


@pytest.mark.parametrize(
    ("heading", "count"),
    [
        ("Pains", PAINS + EXTRA),
        ("What a semantic cache should have", FEATURES),
        ("What other caches leave open", PEERS),
    ],
)
def test_every_row_names_a_test_that_exists(heading, count):
    rows = rows_under(heading)
    assert len(rows) == count
    for row in rows:
        named = NAMED.findall(row[-1])
        assert named, row[0]
        for path, names in named:
            assert (ROOT / path).is_file(), path
            assert defines(ROOT / path, names.split("::")[1:]), path + names


def test_the_pains_are_numbered_and_each_has_a_file_of_its_own():
    rows = rows_under("Pains")
    assert [row[0] for row in rows] == [str(number) for number in range(1, PAINS + 1)] + ["+"] * EXTRA
    named = [NAMED.search(row[-1])[1] for row in rows]
    kept = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/adapters/pains/test_pain_*.py"))
    assert named == kept
    assert [int(re.search(r"test_pain_(\d+)_", path)[1]) for path in named] == list(range(1, PAINS + EXTRA + 1))


def test_a_test_that_is_missing_would_be_seen():
    path = ROOT / "tests/adapters/pains/test_pain_17_stampede.py"
    assert defines(path, ["test_llamaindex"])
    assert not defines(path, ["test_nothing"])
    assert not defines(path, ["test_llamaindex", "test_inside"])
