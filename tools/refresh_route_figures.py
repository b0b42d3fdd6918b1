"""Run the benchmarks of routers, of the agreement cascade and of promotion; what they print goes into the docs.

The results go to ``out/results``, and figures in ``docs/assets/bench`` are drawn from there.

Usage: ``python tools/refresh_route_figures.py [FOLDER] [NAME…]``; the folder is that of the data sets, the names choose
among ``mmlu``, ``gsm8k``, ``gsm8k minilm``, ``agreement`` and ``promotion``; ``mmlu minilm`` works where the page has
such a block.
"""

from __future__ import annotations

import sys
from pathlib import Path

from refresh_figures import ROOT, insert_figures, run_and_draw, run_leo

WEAK = "gemma-2-2b-it,gemma-2-9b-it,gpt-3.5-turbo-0125,Meta-Llama-3.1-8B-Instruct"
CHEAP = "gemma-2-9b-it,Meta-Llama-3.1-8B-Instruct,gpt-4o-mini-2024-07-18"
STRONG = "claude-3-5-sonnet-20241022"


def name_command(name: str, folder: Path) -> list[str]:
    """Words of the command whose output the block of this name holds."""
    replay = str(folder / "replay/gsm.jsonl.gz")
    if name == "promotion":
        return ["promotion"]
    if name == "agreement":
        return ["agreement", "--data", replay, "--weak", CHEAP, "--strong", STRONG]
    data, _, embedder = name.partition(" ")
    file = str(folder / f"routing/{data}_mixtral_gpt4.jsonl.gz")
    words = ["route", "--train", file, "--test", file, "--embedder", embedder or "static"]
    return [*words, "--replay", replay, "--weak", WEAK] if data == "gsm8k" else words


def main() -> None:
    """Refresh the pages."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data"
    for name in sys.argv[2:] or ("mmlu", "gsm8k", "gsm8k minilm", "agreement", "promotion"):
        words = name_command(name, folder)
        if name == "agreement":
            printed = run_leo("bench", *words)
        else:
            file = "simulated" if name == "promotion" else name.replace(" ", "-")
            printed = run_and_draw(words, ROOT / f"out/results/{words[0]}/{file}.json")
        block = name if name == "promotion" else f"route {name}"
        page = ROOT / ("docs/benchmarks.md" if name == "promotion" else "docs/stages/route.md")
        page.write_text(insert_figures(page.read_text(encoding="utf-8"), block, printed), encoding="utf-8")
        print(name, printed, sep="\n", flush=True)


if __name__ == "__main__":
    main()
