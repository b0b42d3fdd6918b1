"""Run the benchmarks of the numeric core and put what they print into ``docs/benchmarks.md``.

Usage: ``python tools/refresh_core_figures.py [FOLDER] [NAME…]``; the folder is that of the data sets, the names choose
among ``core``, ``embed``, ``coherence gsm``, ``coherence crux``, ``novelty``, ``store`` and ``promotion``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from refresh_figures import ROOT, insert_figures, run_leo

PAIRS = "paraphrase/qqp_pairs.jsonl.gz"
COMMANDS = {
    "core": ("core", "--pairs", PAIRS, "--instances", "10000"),
    "embed": ("embed", "--pairs", PAIRS),
    "coherence gsm": ("coherence", "--data", "replay/gsm.jsonl.gz"),
    "coherence crux": ("coherence", "--data", "replay/crux.jsonl.gz"),
    "novelty": ("novelty", "--stream", "streams/banking77.jsonl.gz"),
    "store": ("store", "--pairs", PAIRS, "--entries", "100000"),
    "promotion": ("promotion",),
}


def main() -> None:
    """Refresh the page."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data"
    page = ROOT / "docs/benchmarks.md"
    for name in sys.argv[2:] or COMMANDS:
        words = (str(folder / word) if word.endswith(".gz") else word for word in COMMANDS[name])
        printed = run_leo("bench", *words)
        page.write_text(insert_figures(page.read_text(encoding="utf-8"), name, printed), encoding="utf-8")
        print(name, printed, sep="\n")


if __name__ == "__main__":
    main()
