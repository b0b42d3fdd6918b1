"""Run the benchmarks of the semantic cache; what they print and draw goes into ``docs/stages/cache.md``.

Usage: ``python tools/refresh_cache_figures.py [FOLDER] [NAME…]``; the folder is that of the data sets, the names choose
among those of ``COMMANDS``. All of them take an hour or more.
"""

from __future__ import annotations

import sys
from pathlib import Path

from refresh_figures import ROOT, insert_figures, run_leo

BANKING, QQP = "streams/banking77.jsonl.gz", "paraphrase/qqp_pairs.jsonl.gz"
TWENTY = ("--seeds", "20", "--first-seed", "200")
DELTAS = ("--max-wrong-hits", "0.005,0.01,0.02,0.05")
COMMANDS = {
    "banking77": ("--stream", BANKING, *DELTAS, *TWENTY),
    "banking77 minilm": ("--stream", BANKING, "--embedder", "minilm", *DELTAS, *TWENTY),
    "qqp": ("--pairs", QQP, "--max-wrong-hits", "0.01", *TWENTY),
    "drift": ("--stream", BANKING, "--max-wrong-hits", "0.01,0.05", "--seeds", "5", "--first-seed", "200", "--drift"),
}


def main() -> None:
    """Refresh the page and its plots."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data"
    page = ROOT / "docs/stages/cache.md"
    for name in sys.argv[2:] or COMMANDS:
        words = (str(folder / word) if word.endswith(".gz") else word for word in COMMANDS[name])
        plot = ROOT / "docs/assets" / f"cache-{name.replace(' ', '-')}.svg"
        printed = run_leo("bench", "cache", *words, "--plot", str(plot))
        page.write_text(insert_figures(page.read_text(encoding="utf-8"), name, printed), encoding="utf-8")
        print(name, printed, sep="\n")


if __name__ == "__main__":
    main()
