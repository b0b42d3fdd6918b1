"""Every example of the documentation runs, offline, as it is written."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import tomllib
from itertools import takewhile
from pathlib import Path

import langchain_core.globals
import pytest
import typer
import typer.main
from typer.testing import CliRunner

from leo_core.cli.app import app
from tests.docs.blocks import (
    BLOCK_REASONS,
    LINE_REASONS,
    PAGES,
    PRINTS,
    ROOT,
    Block,
    is_marked,
    name_of,
    pages_with,
    read_blocks,
)

MOST_MARKED = 18
ANSI_C = re.compile(r"\$'((?:[^'\\]|\\.)*)'")


@pytest.fixture(autouse=True)
def no_global_cache():
    before = langchain_core.globals.get_llm_cache()
    yield
    langchain_core.globals.set_llm_cache(before)


def compile_block(block: Block, page: Path):
    padding = "\n" * block.line  # so that a traceback names the line of the page
    return compile(padding + block.body, name_of(page), "exec")


@pytest.mark.parametrize("page", pages_with("python", "console"), ids=name_of)
def test_every_block_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "LEO_API_KEY", "LEO_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    for block in read_blocks(page):
        where = f"{name_of(page)}:{block.line}"
        if block.reason == "a store of yours":
            assert CliRunner().invoke(app, commands_in(block.body)[0]).exit_code, f"{where} runs: take the mark away"
        elif block.language == "python" and not is_marked(block):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile_block(block, page), namespace)
            printed = out.getvalue()
        elif block.language == "console" and not is_marked(block):
            run_console(block, where)
        elif block.language == "text" and block.above == PRINTS:
            assert printed.strip() == block.body.strip(), where


def run_console(block: Block, where: str) -> None:
    """Run the ``leo`` commands of a block; lines between them are what they print."""
    for line, shown in console_calls(block.body):
        if any(pattern.match(line) for pattern in LINE_REASONS.values()):
            assert not shown, f"{where}: {line}: it prints something here, and is not run"
            continue
        words = shlex.split(line, comments=True)
        assert words[0] == "leo", f"{where}: {line}: only leo is run; tests/docs/blocks.py says what is not"
        end = next((place for place, word in enumerate(words) if word in {">", "|", "<", "&&"}), len(words))
        done = CliRunner().invoke(app, words[1:end])
        assert done.exit_code == 0, f"{where}: {line}: {done.output}"
        if words[end : end + 1] == [">"]:
            Path(words[end + 1]).write_text(done.stdout, encoding="utf-8")
        if shown:
            assert done.stdout.split() == shown.split(), f"{where}: {line}"


def console_calls(text: str) -> list[tuple[str, str]]:
    """Each command of a console block with the lines that follow it; continuation lines joined, escapes read."""
    calls: list[tuple[str, str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            read = ANSI_C.sub(lambda found: shlex.quote(found[1].encode().decode("unicode_escape")), line[2:])
            calls.append((read, ""))
        elif calls:
            calls[-1] = (calls[-1][0], calls[-1][1] + line + "\n")
    return calls


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_that_are_not_run_compile_and_every_block_says_its_language(page):
    for block in read_blocks(page):
        where = f"{name_of(page)}:{block.line}"
        assert block.language, f"{where} names no language"
        assert block.language != "py", f"{where}: write python, and say above it why it is not run"
        if block.language == "python":
            compile_block(block, page)
        if block.language == "json":
            assert all(isinstance(json.loads(line), dict) for line in block.body.splitlines()), where
        if is_marked(block):
            assert block.language in {"python", "console"}, where
            assert BLOCK_REASONS[block.reason].search(block.body), (
                f"{where}: {block.reason}? nothing in the block says so"
            )
        if block.above == PRINTS:
            assert block.language == "text", where


@pytest.mark.parametrize("page", pages_with("bash"), ids=name_of)
def test_what_is_to_be_typed_into_a_shell_exists(page):
    """Targets of make, and packages of this repository with their extras."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for block in read_blocks(page):
        for line in block.body.splitlines() if block.language == "bash" else ():
            words = shlex.split(line, comments=True)
            if words[0] == "make":
                assert words[1] in targets, line
            else:
                assert words[:2] == ["pip", "install"], f"{name_of(page)}:{block.line}: {line}"
                for word in words[2:]:
                    name, _, extras = word.removeprefix("./packages/").rstrip("]").partition("[")
                    project = tomllib.loads((ROOT / f"packages/{name}/pyproject.toml").read_text(encoding="utf-8"))
                    known = project["project"].get("optional-dependencies", {})
                    assert set(filter(None, extras.split(","))) <= set(known), line


def test_few_blocks_are_not_run():
    blocks = [block for page in PAGES for block in read_blocks(page) if block.language == "python"]
    marked = [block for block in blocks if is_marked(block)]
    assert len(blocks) - len(marked) >= 90
    assert len(marked) <= min(MOST_MARKED, len(blocks) // 4)


def test_no_marker_stands_without_its_block():
    for page in PAGES:
        above = [block.above for block in read_blocks(page)]
        text = page.read_text(encoding="utf-8")
        markers = re.findall(r"^(<!-- (?:prints|needs a key|not run: .*) -->)$", text, re.MULTILINE)
        for marker in markers:
            assert markers.count(marker) == above.count(marker), f"{name_of(page)}: {marker}"


# ------------------------------------------------------------------------------------------- the command line


def commands_in(text: str) -> list[list[str]]:
    """The calls of ``leo`` in a console block: arguments without redirections, continuation lines joined."""
    lines = text.replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        call = re.match(r"\$ (?:\.venv/bin/|\.\./)?leo\b(.*)", line)
        if call:
            words = shlex.split(call.group(1), comments=True)
            end = next((place for place, word in enumerate(words) if word in {">", "|", "<", "&&"}), len(words))
            found.append(words[:end])
    return found


def parse(arguments: list[str]) -> str:
    """What is wrong with the arguments; empty when ``leo`` would run them. Runs nothing."""
    command, name, parent = typer.main.get_command(app), "leo", None
    try:
        while hasattr(command, "commands"):
            options = list(takewhile(lambda word: word.startswith("-"), arguments))
            parent = command.make_context(name, [*options, *command.commands][: len(options) + 1], parent=parent)
            arguments = arguments[len(options) :]
            if not arguments or arguments[0] not in command.commands:
                return f"there is no command {' '.join(arguments[:1])!r} in {name}"
            name, command, arguments = arguments[0], command.commands[arguments[0]], arguments[1:]
        command.make_context(name, list(arguments), parent=parent)
    except typer.Exit:
        return ""  # an option like --version or --help that ends the program
    except Exception as error:
        if any(kind.__name__ == "UsageError" for kind in type(error).__mro__):
            return str(error)
        raise
    return ""


@pytest.mark.parametrize("page", pages_with("console"), ids=name_of)
def test_every_command_line_exists_with_its_options(page, capsys):
    for block in read_blocks(page):
        if block.language == "console":
            for arguments in commands_in(block.body):
                wrong = parse(arguments)
                assert not wrong, f"{name_of(page)}:{block.line}: leo {shlex.join(arguments)}: {wrong}"


def test_every_command_is_documented():
    documented = {
        tuple(words[:2]) for page in PAGES for block in read_blocks(page) for words in commands_in(block.body)
    }
    command = typer.main.get_command(app)
    for name, found in command.commands.items():
        if hasattr(found, "commands"):
            for below in found.commands:
                assert (name, below) in documented, f"leo {name} {below} is in no example"
        else:
            assert any(words[:1] == (name,) for words in documented), f"leo {name} is in no example"


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "r.json", "--public-key", "leo.pub"],
        ["verify", "r.json"],
        ["verify", "r.json", "s.json", "--key", "leo.pub"],
        ["certify", "r.json"],
        ["log", "lists", "leo.db"],
        ["log", "list", "leo.db", "--count", "many"],
        ["--colour", "ask", "Hello?"],
    ],
)
def test_wrong_use_of_the_command_line_is_noticed(arguments):
    assert parse(arguments)


def test_right_use_of_the_command_line_passes(capsys):
    assert not parse(["log", "list", "leo.db", "--count", "3", "--json"])
    assert not parse(["--version"])
