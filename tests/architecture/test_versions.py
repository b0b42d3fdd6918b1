"""The three packages carry one version, and depend on that very version of the core."""

from __future__ import annotations

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
