"""What the lock must not hold, because it could not work or is no longer kept."""

from __future__ import annotations

import tomllib
from pathlib import Path

LOCK = Path(__file__).parents[2] / "uv.lock"


def locked():
    return {package["name"]: package.get("version") for package in tomllib.loads(LOCK.read_text())["package"]}


def test_finding_10_the_package_that_pins_an_old_openai_stays_out_of_the_lock():
    packages = locked()
    assert "llama-index-llms-openai" not in packages
    assert int(packages["openai"].split(".")[0]) >= 3


def test_finding_7_nothing_stands_on_the_sunset_community_package():
    assert "langchain-community" not in locked()


def test_pypis_leo_which_owns_the_top_level_name_is_not_ours():
    assert "leo" not in locked()
    source = LOCK.parent / "packages"
    assert not [path for path in source.glob("*/src/*") if path.name == "leo"]
