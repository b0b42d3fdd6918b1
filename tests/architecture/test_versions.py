"""The three packages carry one version, the changelog tells of it, and what ships beside code is accounted for."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import leo_core

ROOT = Path(__file__).parents[2]


def test_one_version_everywhere():
    projects = {
        path.parent.name: tomllib.loads(path.read_text())["project"]
        for path in (ROOT / "packages").glob("*/pyproject.toml")
    }
    assert {project["version"] for project in projects.values()} == {leo_core.__version__}
    for name in ("leo-langchain", "leo-llamaindex"):
        assert f"leo-core=={leo_core.__version__}" in projects[name]["dependencies"]
    for project in projects.values():
        assert project["license"] == "Apache-2.0"


def read_version(text):
    return tuple(int(number) for number in text.split("."))


def test_the_changelog_leads_from_what_is_unreleased_to_the_oldest_version_and_tells_of_every_tag():
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heads[0] == "Unreleased"
    released = [re.fullmatch(r"(\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}", head) for head in heads[1:]]
    assert all(released), heads
    versions = [read_version(match[1]) for match in released]
    assert versions == sorted(set(versions), reverse=True)
    own = read_version(leo_core.__version__)
    assert all(version <= own for version in versions)
    tags = subprocess.run(["git", "tag", "--list", "v*"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {read_version(tag[1:]) for tag in tags.split()} <= set(versions)


def test_every_table_that_ships_is_on_the_page_of_provenance():
    source = ROOT / "packages/leo-core/src/leo_core"
    page = (ROOT / "docs/reference/provenance.md").read_text(encoding="utf-8")
    kinds = {".py", ".sql", ".typed", ".pyc", ".nbi", ".nbc"}
    files = [path for path in source.rglob("*") if path.is_file() and path.suffix not in kinds]
    tables = [str(path.relative_to(source)) for path in files if path.name != "THESAURUS-LICENSE.txt"]
    assert len(tables) >= 10
    assert [table for table in tables if f"`{table}`" not in page] == []
    assert [name for name in re.findall(r"^\| `([\w/.-]+)` \|", page, re.MULTILINE) if name not in tables] == []
