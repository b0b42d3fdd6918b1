"""Install the wheels of ``dist/`` in fresh environments, and see that they work there. Run it by ``make dist-check``.

* for every interpreter of Python 3.11 to 3.14 that uv finds: install all three, run ``leo doctor`` and ``leo try``;
* with the lowest versions that ``pyproject.toml`` allows (``--resolution lowest-direct``, all extras): the same, and
  smoke tests of both adapters;
* check ``tests/typing`` by mypy and by basedpyright against what is installed, so that ``py.typed`` is seen to work.

It downloads what is not in uv's cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = str(ROOT / ".tools" / "uv" / "bin" / "uv")
DIST = ROOT / "dist"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
PACKAGES = ("leo-core", "leo-langchain", "leo-llamaindex")
PARTNERS = (
    *("langchain-openai>=1.7", "langchain-anthropic>=1.7", "langchain>=1.4", "langgraph>=1.2"),
    "langchain-tests==1.1.9",
)
RAISED_BY_PARTNERS = (
    *("openai", "anthropic", "langsmith", "pydantic", "pydantic-core", "typing-extensions", "httpx"),
    *("pytest", "pytest-asyncio"),  # langchain-tests asks for newer ones than leo-llamaindex[testing] does
)
TOOLS_OF_TESTS = (
    *("pytest", "pytest-asyncio", "pytest-socket", "pytest-timeout", "pytest-benchmark", "pytest-xdist"),
    *("hypothesis", "blockbuster", "jsonschema"),
)
SMOKE = ("tests/core/providers/test_model_contract.py", "tests/core/cli/test_cli.py")
SMOKE_OF_LANGCHAIN = (
    "tests/adapters/langchain/test_langchain_chat_model.py",
    "tests/adapters/langchain/test_langchain_cache.py",
    "tests/adapters/llamaindex/test_llamaindex_llm.py",
)


def main() -> int:
    """Every check in turn; the exit code is the number of those that failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for version in VERSIONS:
            found = find_interpreter(version)
            if found is None:
                print(f"Python {version}: not on this machine, nothing was checked", flush=True)
                continue
            python = make_environment(Path(folder, version), found)
            install(python, *wheels())
            failed += not report(f"Python {version}: installed, doctor, try", run_leo(python))
            if version == VERSIONS[0]:
                failed += not report("types as mypy and basedpyright see them", check_types(python))
        failed += not report("lowest versions: installed, doctor, try, smoke tests", check_lowest(Path(folder)))
    return failed


def check_lowest(folder: Path) -> bool:
    """The lowest versions of what the packages ask for, all extras, and smoke tests on them.

    The partners of LangChain that its tests need ask for newer SDKs than LEO does, so they come after the other tests.
    """
    lowest, python = folder / "lowest.txt", make_environment(folder / "lowest", find_interpreter("3.11") or "3.11")
    projects = [str(ROOT / "packages" / package / "pyproject.toml") for package in PACKAGES]
    options = ["--no-sources", "--resolution", "lowest-direct", "--all-extras", "--no-header", "--no-annotate"]
    uv("compile", *options, "--python", python, *projects, "-o", str(lowest))
    install(python, "-r", str(lowest), *wheels())
    own = [line for line in lowest.read_text(encoding="utf-8").splitlines() if not line.startswith("leo-")]
    lowest.write_text("\n".join(own), encoding="utf-8")
    install(python, "--constraint", str(lowest), *TOOLS_OF_TESTS)
    holds = run_leo(python) and run_tests(python, SMOKE)
    kept = folder / "kept.txt"
    names = tuple(f"{name}==" for name in RAISED_BY_PARTNERS)
    kept.write_text("\n".join(line for line in own if not line.startswith(names)), encoding="utf-8")
    install(python, "--resolution", "lowest-direct", "--constraint", str(kept), *PARTNERS)
    return run_tests(python, SMOKE_OF_LANGCHAIN) and holds


def run_tests(python: str, files: tuple[str, ...]) -> bool:
    """Tests of the checkout against what is installed; warnings of old packages are their own affair."""
    tests = [python, "-m", "pytest", "-q", "-W", "default", *files]
    return subprocess.run(tests, cwd=ROOT, check=False).returncode == 0


def check_types(python: str) -> bool:
    """The typed sample, by both checkers, which see the installed packages and not the sources."""
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder, "sample.py")
        sample.write_bytes((ROOT / "tests" / "typing" / "sample.py").read_bytes())
        checkers = [
            [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, str(sample)],
            [sys.executable, "-m", "basedpyright", "--level", "error", "--pythonpath", python, str(sample)],
        ]
        codes = [subprocess.run(checker, cwd=folder, check=False).returncode for checker in checkers]
        return codes == [0, 0]


def run_leo(python: str) -> bool:
    """``leo doctor`` and ``leo try`` of an environment, away from the sources."""
    leo = str(Path(python).with_name("leo"))
    with tempfile.TemporaryDirectory() as folder:
        commands = [[leo, "doctor"], [leo, "try", "--store", "try.db"], [leo, "log", "audit", "try.db"]]
        return all(subprocess.run(command, cwd=folder, check=False).returncode == 0 for command in commands)


def find_interpreter(version: str) -> str | None:
    """An interpreter of that version: one that uv finds, or one that pyenv has built."""
    found = subprocess.run([UV, "python", "find", version], capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return found.stdout.strip()
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    built = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    return str(built[-1]) if built else None


def make_environment(folder: Path, interpreter: str) -> str:
    """A fresh environment; returns its interpreter."""
    subprocess.run([UV, "venv", "--quiet", "--python", interpreter, str(folder)], check=True)
    return str(folder / "bin" / "python")


def install(python: str, *what: str) -> None:
    """Install into an environment; LEO itself comes from ``dist/``."""
    uv("install", "--python", python, *what)


def uv(command: str, *arguments: str) -> None:
    """A ``uv pip`` command that finds LEO's own wheels in ``dist/``."""
    subprocess.run([UV, "pip", command, "--quiet", "--find-links", str(DIST), *arguments], check=True)


def wheels() -> list[str]:
    """The wheels of all packages."""
    return [str(path) for path in sorted(DIST.glob("*.whl"))]


def report(what: str, holds: bool) -> bool:  # noqa: FBT001 - what was found
    """Say what was found."""
    print(f"{'ok' if holds else 'FAILED'}: {what}", flush=True)
    return holds


if __name__ == "__main__":
    sys.exit(main())
