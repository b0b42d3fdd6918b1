"""Run the benchmark of committees on both recordings; what it prints goes into ``docs/stages/consensus.md``.

The results go to ``out/results``, and the figures of ``docs/assets/bench`` are drawn from there.

Usage: ``python tools/refresh_consensus_figures.py [FOLDER]``; the folder holds ``gsm.jsonl.gz`` and ``crux.jsonl.gz``.
Takes an hour and a half.
"""

from __future__ import annotations

import sys
from pathlib import Path

from refresh_figures import ROOT, insert_figures, run_and_draw, run_leo

SEED = "1000"
"""No constant was chosen on its committees."""
DRAWS = {"gsm": "50", "crux": "500"}
"""Committees a row: members of crux are so far apart in accuracy that 50 leave the averages open by a point."""
MANY = (("8", "3"), ("7", "4"))
MANY_DRAWS = {"gsm": "50", "crux": "100"}


def main() -> None:
    """Refresh the page."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data/replay"
    page = ROOT / "docs/stages/consensus.md"
    many = []
    for name in ("gsm", "crux"):
        words = ("bench", "consensus", "--data", str(folder / f"{name}.jsonl.gz"), "--seed", SEED)
        drawn = run_and_draw([*words[1:], "--draws", DRAWS[name]], ROOT / f"out/results/consensus/{name}.json")
        put(page, f"consensus {name}", drawn)
        many += [
            run_leo(
                *words, "--draws", MANY_DRAWS[name], "--committee", size, "--adversaries", count, "--kind", "collude"
            )
            for size, count in MANY
        ]
    words = ("bench", "consensus", "--data", str(folder / "gsm.jsonl.gz"), "--seed", SEED)
    put(page, "consensus early", run_leo(*words, "--adversaries", "0", "--early-stop", "0.99"))
    put(page, "consensus many", "\n".join(many))


def put(page: Path, name: str, printed: str) -> None:
    """Write what was printed into the page's block of this name, and show it."""
    page.write_text(insert_figures(page.read_text(encoding="utf-8"), name, printed), encoding="utf-8")
    print(printed, flush=True)


if __name__ == "__main__":
    main()
