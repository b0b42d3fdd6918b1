"""Run the benchmark of grounding; what it prints goes into ``docs/stages/grounding.md``.

Usage: ``python tools/refresh_grounding_figures.py [FOLDER]``; the folder holds ``grounding/*.jsonl.gz``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from refresh_figures import ROOT, insert_figures, run_leo


def main() -> None:
    """Refresh the page."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data"
    page = ROOT / "docs/stages/grounding.md"
    printed = run_leo("bench", "grounding", "--data", str(folder))
    page.write_text(insert_figures(page.read_text(encoding="utf-8"), "grounding", printed), encoding="utf-8")
    print(printed)


if __name__ == "__main__":
    main()
