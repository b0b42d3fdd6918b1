"""Every example of the documentation runs, offline, as it is written."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import langchain_core.globals
import pytest
import typer
import typer.main

from leo_core.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("packages/*/README.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
NEEDS_KEY = "<!-- needs a key -->"
PRINTS = "<!-- prints -->"
MOST_MARKED = 12


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: its language, its text, the line above it, and the line on which it begins."""

    language: str
    body: str
    above: str
    line: int


def read_blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    blocks = []
    for match in FENCE.finditer(text):
        indent = match["indent"]
        body = "".join(line.removeprefix(indent) for line in match["body"].splitlines(keepends=True))
        before = text[: match.start()]
        above = before.rstrip("\n").rpartition("\n")[2].strip()
        blocks.append(Block(language=match["language"], body=body, above=above, line=before.count("\n") + 1))
    return blocks


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def is_marked(block: Block) -> bool:
    return block.above == NEEDS_KEY


def pages_with(language: str) -> list[Path]:
    return [page for page in PAGES if any(block.language == language for block in read_blocks(page))]


@pytest.fixture(autouse=True)
def no_global_cache():
    before = langchain_core.globals.get_llm_cache()
    yield
    langchain_core.globals.set_llm_cache(before)


def compile_block(block: Block, page: Path):
    padding = "\n" * block.line  # so that a traceback names the line of the page
    return compile(padding + block.body, name_of(page), "exec")


@pytest.mark.parametrize("page", pages_with("python"), ids=name_of)
def test_every_python_block_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "LEO_API_KEY", "LEO_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    for block in read_blocks(page):
        if block.language == "python" and not is_marked(block):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile_block(block, page), namespace)
            printed = out.getvalue()
        elif block.language == "text" and block.above == PRINTS:
            assert printed.strip() == block.body.strip(), f"{name_of(page)}:{block.line}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_that_need_a_key_compile_and_every_block_says_its_language(page):
    for block in read_blocks(page):
        where = f"{name_of(page)}:{block.line}"
        assert block.language, f"{where} names no language"
        assert block.language != "py", f"{where}: write python, marked with {NEEDS_KEY} where it needs a key"
        if block.language == "python":
            compile_block(block, page)
        if is_marked(block):
            assert block.language == "python", where
        if block.above == PRINTS:
            assert block.language == "text", where


def test_few_blocks_need_a_key():
    blocks = [block for page in PAGES for block in read_blocks(page) if block.language == "python"]
    marked = [block for block in blocks if is_marked(block)]
    assert len(blocks) - len(marked) >= 30
    assert len(marked) <= min(MOST_MARKED, len(blocks) // 4)


def test_no_marker_stands_without_its_block():
    for page in PAGES:
        above = [block.above for block in read_blocks(page)]
        text = page.read_text(encoding="utf-8")
        for marker in (NEEDS_KEY, PRINTS):
            assert text.count(f"\n{marker}\n") == above.count(marker), name_of(page)


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
