"""Run the replay benchmark on both recordings and put what it prints into ``docs/benchmarks.md`` and ``README.md``.

The results go to ``out/results``, and the figures in ``docs/assets/bench`` are drawn from there.

Usage: ``python tools/refresh_figures.py [FOLDER]``; the folder holds ``gsm.jsonl.gz`` and ``crux.jsonl.gz``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SMALL, LARGE = "gpt-4o-mini-2024-07-18", "claude-3-5-sonnet-20241022"
JURY = f"{SMALL},gemma-2-9b-it,Meta-Llama-3.1-70B-Instruct,claude-3-haiku-20240307,gpt-4o-2024-08-06"


def run_leo(*words: str) -> str:
    """What a command of ``leo`` prints."""
    done = subprocess.run(
        [Path(sys.executable).with_name("leo"), *words],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "118", "TERM": "dumb"},
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def run_benchmark(data: Path, results: Path) -> tuple[str, str]:
    """What ``leo bench replay --full`` prints for one recording: the plain replay, and the rest."""
    roles = ("--small", SMALL, "--large", LARGE, "--jury", JURY)
    save = results / f"{data.name.partition('.')[0]}.json"
    plain, mark, rest = run_leo(
        "bench", "replay", "--data", str(data), *roles, "--full", "--save", str(save)
    ).partition("Prices as recorded")
    return plain.rstrip(), mark + rest


def run_and_draw(words: list[str], save: Path) -> str:
    """What a benchmark prints, with its result saved and the figures drawn that this allows."""
    save.parent.mkdir(parents=True, exist_ok=True)
    printed = run_leo("bench", *words, "--save", str(save))
    run_leo("bench", "figures", str(ROOT / "docs/assets/bench"), "--results", str(save))
    return printed


def insert_figures(page: str, name: str, printed: str) -> str:
    """The page with what was printed in the block of this name.

    Raises:
        ValueError: The page has no such block.
    """
    pattern = rf"(<!-- figures: {name} -->\n```text\n).*?(```)"
    page, count = re.subn(pattern, lambda match: f"{match[1]}{printed}\n{match[2]}", page, flags=re.DOTALL)
    if not count:
        message = f"there is no block for the figures of {name}"
        raise ValueError(message)
    return page


def read_rules(printed: str) -> dict[str, tuple[str, str]]:
    """Accuracy and cost per rule of a printed table."""
    rows = ([cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line.startswith("│"))
    return {row[0]: (row[1], row[3]) for row in rows if row[0]}


def main() -> None:
    """Refresh both pages."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data/replay"
    results = ROOT / "out/results"
    results.mkdir(parents=True, exist_ok=True)
    both = {name: run_benchmark(folder / f"{name}.jsonl.gz", results) for name in ("gsm", "crux")}
    printed = {name: plain for name, (plain, _) in both.items()}
    page = ROOT / "docs/benchmarks.md"
    text = page.read_text(encoding="utf-8")
    for name, table in printed.items():
        text = insert_figures(text, name, table)
        text = insert_figures(text, f"full {name}", both[name][1])
    page.write_text(text, encoding="utf-8")
    school, functions = read_rules(printed["gsm"]), read_rules(printed["crux"])
    rows = "\n".join(f"| {rule} | {' | '.join((*school[rule], *functions[rule]))} |" for rule in school)
    readme = ROOT / "README.md"
    head, mark, rest = readme.read_text(encoding="utf-8").partition("<!-- figures: gsm crux -->")
    table = re.sub(r"(\|---.*?\n).*?(?=\n\n)", lambda match: match[1] + rows, rest, count=1, flags=re.DOTALL)
    readme.write_text(head + mark + table, encoding="utf-8")
    saved = [word for name in both for word in ("--results", str(results / f"{name}.json"))]
    print(run_leo("bench", "figures", str(ROOT / "docs/assets/bench"), *saved))
    print(rows)


if __name__ == "__main__":
    main()
