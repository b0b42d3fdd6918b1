"""Run the benchmarks of routers and of the agreement cascade; what they print goes into ``docs/stages/route.md``.

Usage: ``python tools/refresh_route_figures.py [FOLDER] [NAME…]``; the folder is that of the data sets, the names choose
among ``mmlu``, ``gsm8k``, ``gsm8k minilm`` and ``agreement``; ``mmlu minilm`` works where the page has such a block.
"""

from __future__ import annotations

import sys
from pathlib import Path

from refresh_figures import ROOT, insert_figures, run_leo

WEAK = "gemma-2-2b-it,gemma-2-9b-it,gpt-3.5-turbo-0125,Meta-Llama-3.1-8B-Instruct"
CHEAP = "gemma-2-9b-it,Meta-Llama-3.1-8B-Instruct,gpt-4o-mini-2024-07-18"
STRONG = "claude-3-5-sonnet-20241022"


def name_command(name: str, folder: Path) -> list[str]:
    """Words of the command whose output the block of this name holds."""
    replay = str(folder / "replay/gsm.jsonl.gz")
    if name == "agreement":
        return ["agreement", "--data", replay, "--weak", CHEAP, "--strong", STRONG]
    data, _, embedder = name.partition(" ")
    file = str(folder / f"routing/{data}_mixtral_gpt4.jsonl.gz")
    words = ["route", "--train", file, "--test", file, "--embedder", embedder or "static"]
    return [*words, "--replay", replay, "--weak", WEAK] if data == "gsm8k" else words


def main() -> None:
    """Refresh the page."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data"
    page = ROOT / "docs/stages/route.md"
    for name in sys.argv[2:] or ("mmlu", "gsm8k", "gsm8k minilm", "agreement"):
        printed = run_leo("bench", *name_command(name, folder))
        text = insert_figures(page.read_text(encoding="utf-8"), f"route {name}", printed)
        page.write_text(text, encoding="utf-8")
        print(name, printed, sep="\n", flush=True)


if __name__ == "__main__":
    main()
