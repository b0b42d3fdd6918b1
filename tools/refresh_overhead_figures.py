"""Measure what LEO adds to a call and put what is printed into ``docs/benchmarks.md``.

Usage: ``python tools/refresh_overhead_figures.py [DATA] [WORDS]``; the words go to ``tools/overhead.py``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from refresh_figures import ROOT, insert_figures


def main() -> None:
    """Refresh the page."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data"
    pairs = ("--pairs", str(data / "paraphrase/qqp_pairs.jsonl.gz"))
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/overhead.py"), *pairs, *sys.argv[2:]],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    printed = "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())
    print(printed)
    page = ROOT / "docs/benchmarks.md"
    page.write_text(insert_figures(page.read_text(encoding="utf-8"), "overhead", printed), encoding="utf-8")


if __name__ == "__main__":
    main()
