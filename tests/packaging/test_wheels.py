"""The wheels, as they ship: built, installed apart from the sources, and used as the README's first screen says."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("leo-core", "leo-langchain", "leo-llamaindex")
QUICK_START = re.compile(r"<!-- quick start -->\n```console\n(.*?)```", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```\n\n<!-- prints -->\n```text\n(.*?)```", re.DOTALL)
CHANCE = ("cache hit", "           request", "cache      ")
"""Beginnings of lines whose figures follow from draws and rounding; only that they are there is checked."""


def load_tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The wheels, built from a copy without the sources' caches."""
    folder = tmp_path_factory.mktemp("wheels")
    for package in PACKAGES:
        copy = folder / "sources" / package
        ignored = shutil.ignore_patterns("__pycache__", "train")
        shutil.copytree(ROOT / "packages" / package, copy, ignore=ignored)
        load_tool("dist").build(copy, folder / "dist", {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    return folder / "dist"


@pytest.fixture(scope="module")
def environment(wheels, tmp_path_factory):
    """An environment that holds LEO from the wheels and sees the dependencies of this one, but none of the sources."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])  # its own .pth files are not followed
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    leo = folder / "bin" / "leo"
    leo.write_text(f"#!{folder}/bin/python\nimport sys\nfrom leo_core.cli import main\nsys.exit(main())\n")
    leo.chmod(0o755)
    take_machine_code(ROOT / "packages/leo-core/src/leo_core", site / "leo_core")
    return folder


def take_machine_code(sources, installed):
    """The kernels' machine code of the sources, where there is some: numba knows it by file name, size and time."""
    for cache in sources.rglob("__pycache__"):
        if any(cache.glob("*.nbi")):
            target = installed / cache.relative_to(sources)
            target.mkdir(exist_ok=True)
            for file in [*cache.glob("*.nbi"), *cache.glob("*.nbc")]:
                shutil.copy2(file, target / file.name)
            for module in cache.parent.glob("*.py"):
                shutil.copystat(module, target.parent / module.name)


def run(environment, folder, *command):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV", "OPENAI"))}
    path = f"{environment}/bin{os.pathsep}{clean['PATH']}"
    return subprocess.run(
        command, cwd=folder, env={**clean, "PATH": path}, capture_output=True, text=True, timeout=300, check=False
    )


def without_chance(printed):
    return [re.split(r"  +", line)[0] if line.startswith(CHANCE) else line for line in printed.rstrip().splitlines()]


@pytest.mark.timeout(900)
def test_the_first_screen_of_the_readme_does_what_it_says(environment, tmp_path):
    screen = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Ten lines each")[0]
    where = run(
        environment,
        tmp_path,
        "python",
        "-c",
        "import leo_core, leo_langchain as l; print(l.__file__, leo_core.__file__)",
    )
    assert where.stdout.count(str(environment)) == 2, where.stderr

    said = {}
    for part in QUICK_START.search(screen)[1].split("$ ")[1:]:
        command, _, expected = part.partition("\n")
        done = run(environment, tmp_path, *shlex.split(command))
        assert done.returncode == 0, done.stderr
        assert without_chance(done.stdout) == without_chance(expected), command
        said[command] = done.stdout
    assert list(said) == ["leo try --store try.db", "leo log audit try.db"]
    first = said["leo try --store try.db"]
    assert "3 of 3 readers agree" in first
    hits, wrong = map(int, re.search(r"(\d+) hits on other wordings, (\d+) of them wrong", first).groups())
    assert hits > 0
    assert wrong == 0

    program, expected = PYTHON.search(screen).groups()
    done = run(environment, tmp_path, "python", "-W", "error::ResourceWarning", "-c", program)
    assert done.stdout == expected, done.stderr
    audited = run(environment, tmp_path, "leo", "log", "audit", "first.db")
    assert (audited.stdout, audited.returncode) == ("valid: 2 receipts\n", 0)


def test_wheels_hold_licences_notice_and_types_and_no_more_than_they_should(wheels):
    dist = load_tool("dist")
    for wheel in sorted(wheels.glob("*.whl")):
        assert dist.check_licences(wheel) == []
        held = zipfile.ZipFile(wheel).namelist()
        tops = {name.partition("/")[0] for name in held if ".dist-info/" not in name}
        assert tops <= {"leo_core", "leo_langchain", "leo_llamaindex", "llama_index"}
        assert {f"{top}/py.typed" for top in tops - {"llama_index"}} <= set(held)
        assert not [name for name in held if "__pycache__" in name or name.endswith((".db", ".key", ".pem"))]
        assert "llama_index/__init__.py" not in held  # a namespace that other packages share
    core = next(wheels.glob("leo_core*.whl"))
    notice = next(name for name in zipfile.ZipFile(core).namelist() if name.endswith("/NOTICE"))
    assert "WordNet" in zipfile.ZipFile(core).read(notice).decode()


def test_sdists_hold_sources_and_no_training(wheels):
    for sdist in sorted(wheels.glob("*.tar.gz")):
        with tarfile.open(sdist) as archive:
            inside = {name.partition("/")[2] for name in archive.getnames()}
        assert {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO"} <= inside
        assert {name.partition("/")[0] for name in inside} <= {
            *("src", "LICENSE", "NOTICE", "README.md", "pyproject.toml", "PKG-INFO", ".gitignore")
        }


def test_builds_are_compared_byte_by_byte(tmp_path):
    dist = load_tool("dist")
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "same.whl").write_bytes(b"1")
    assert dist.compare(first, second) == []
    (second / "same.whl").write_bytes(b"2")
    (first / "alone.whl").write_bytes(b"1")
    assert len(dist.compare(first, second)) == 2
    with zipfile.ZipFile(tmp_path / "leo_core-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("leo_core-1.dist-info/licenses/LICENSE", "…")
    missing = dist.check_licences(tmp_path / "leo_core-1-py3-none-any.whl")
    assert [line.rpartition(" ")[2] for line in missing] == ["NOTICE", dist.THIRD_PARTY]


def test_what_is_built_asks_for_what_the_projects_say(wheels):
    for wheel in sorted(wheels.glob("*.whl")):
        archive = zipfile.ZipFile(wheel)
        name = next(path for path in archive.namelist() if path.endswith(".dist-info/METADATA"))
        built = metadata.PathDistribution(zipfile.Path(archive, name.removesuffix("METADATA")))
        source = ROOT / "packages" / built.metadata["Name"] / "pyproject.toml"
        project = tomllib.loads(source.read_text(encoding="utf-8"))["project"]
        always = [line for line in built.requires or () if "extra ==" not in line]
        assert sorted(map(Requirement, always), key=str) == sorted(map(Requirement, project["dependencies"]), key=str)
        assert set(built.metadata.get_all("Provides-Extra") or ()) == set(project.get("optional-dependencies", ()))
        assert built.metadata["License-Expression"] == "Apache-2.0"
        assert built.version == project["version"]
