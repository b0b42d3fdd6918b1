"""Run the benchmark of verdicts' risks on both recordings; what it prints goes into ``docs/stages/risk.md``.

Usage: ``python tools/refresh_risk_figures.py [FOLDER]``; the folder holds ``gsm.jsonl.gz`` and ``crux.jsonl.gz``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from refresh_figures import ROOT, insert_figures, run_leo


def main() -> None:
    """Refresh the page."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data/replay"
    page = ROOT / "docs/stages/risk.md"
    text = page.read_text(encoding="utf-8")
    for name in ("gsm", "crux"):
        printed = run_leo("bench", "risk", "--data", str(folder / f"{name}.jsonl.gz"))
        text = insert_figures(text, f"risk {name}", printed)
        print(printed, flush=True)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
