"""Print what second opinions are worth on recorded answers: the constants of the cascade.

    python packages/leo-core/train/opinions.py [--data PATH]

Over all triples of cheap models (a small member and two jurors) and three strong ones as the large member, on the
questions with sha256(question) % 5 == 0 that benchmarks leave out: ``REPEATED`` and the priors of
``leo_core/stages/route/opinions.py``, ``_MENDED`` and ``_JURY`` of ``next_step.py``. The priors that ship are the round
figures of school mathematics, so that a cascade is tried first; a few cascades move them.
"""

from __future__ import annotations

import argparse
from itertools import permutations
from pathlib import Path

import numpy as np

from leo_core.evaluation.committees import read_recording
from leo_core.evaluation.datasets import is_held_out

HERE = Path(__file__).parent
STRONG = ("gpt-4o-2024-08-06", "claude-3-5-sonnet-20241022", "Mistral-Large-2")
CHEAP = (
    "gpt-4o-mini-2024-07-18", "Meta-Llama-3.1-70B-Instruct", "gemma-2-9b-it", "claude-3-haiku-20240307",
    "gpt-3.5-turbo-0125", "Meta-Llama-3.1-8B-Instruct",
)  # fmt: skip
PATTERNS = ("", "+", "-", "++", "+-", "-+", "--")


def count(path: Path) -> dict[str, np.ndarray]:
    """Per pattern, sums over triples: seen, small wrong, mended less spoilt, overruled, wrong vote of the three."""
    recording = read_recording(path)
    kept = np.array([not is_held_out(question) for question in recording.questions])
    classes, right = recording.classes[kept], recording.right[kept]
    found = {pattern: np.zeros(5) for pattern in PATTERNS}
    for names in permutations(CHEAP, 3):
        small, first, second = (recording.models.index(name) for name in names)
        agree = [classes[:, small] == classes[:, other] for other in (first, second)]
        votes = np.where(~agree[0] & (classes[:, first] == classes[:, second]), right[:, first], right[:, small])
        for name in STRONG:
            large = recording.models.index(name)
            gain = right[:, large].astype(float) - right[:, small]
            over = classes[:, small] != classes[:, large]
            for pattern in PATTERNS:
                rows = np.ones(len(classes), dtype=bool)
                for said, letter in zip(agree, pattern, strict=False):
                    rows &= said == (letter == "+")
                parts = (np.ones(len(rows)), ~right[:, small], gain, over, ~votes)
                found[pattern] += [float(part[rows].sum()) for part in parts]
    return found


def report(name: str, found: dict[str, np.ndarray]) -> None:
    """Print the shares of one recording, or of all."""
    print(name)
    for pattern, (seen, wrong, mended, over, votes) in found.items():
        share = seen / found[pattern[:-1]][0]
        print(
            f"  {pattern or 'any':4s} share {share:.3f}  wrong {wrong / seen:.3f}  overruled {over / seen:.3f}"
            f"  mended of wrong {mended / wrong:.2f}  wrong votes of wrong {votes / wrong:.2f}"
        )
    for pattern in ("+", "++", "-+"):
        print(f"  repeated {pattern}: {found[pattern][1] / found[pattern[:-1] + '-'][3]:.2f}")
    shares = [found[pattern][1] / found[pattern][0] for pattern in PATTERNS]
    mended = [found[pattern][2] / found[pattern][1] for pattern in PATTERNS]
    wrong = np.array([found[pattern][1] for pattern in PATTERNS])
    for how, weight in (("each pattern alike", np.ones(len(wrong))), ("by wrong answers", wrong)):
        slope, base = np.polyfit(shares, mended, 1, w=np.sqrt(weight))
        print(f"  mended of wrong w, {how}: {base:.2f} + {slope:.2f} w")


def main() -> None:
    """Read both recordings and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=HERE.parents[2].parent / "shared/data")
    data = parser.parse_args().data
    both = [count(data / f"replay/{name}.jsonl.gz") for name in ("gsm", "crux")]
    report("gsm", both[0])
    report("crux", both[1])
    report("both, each with the same weight", {each: sum(one[each] / one[""][0] for one in both) for each in PATTERNS})


if __name__ == "__main__":
    main()
