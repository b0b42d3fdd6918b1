"""Train P(a passage gives orders to the model that reads it) and report it on held-out passages.

    python packages/leo-core/train/injection_model.py [--write]

``data/injections.jsonl``: passages in 15 languages, written for LEO; among the harmless ones are instructions to
people, texts about language models and about attacks, markup and dialogue. Passages with sha256(text) % 5 below 2 are
held out: no weight, threshold or pattern was chosen by their errors. A ridge-logistic regression on the signals;
calibrated out of fold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from pathlib import Path

import numpy as np
from fitting import auroc, calibration_error
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from leo_core.evaluation.metrics import wilson_interval
from leo_core.stages.grounding.injection_signals import SIGNALS, read_signals

HERE = Path(__file__).parent
DATA = HERE / "data/injections.jsonl"
TARGET = HERE.parent / "src/leo_core/stages/grounding/injection.json"
STRENGTH = 1.0
HELD_OUT = 2
"""Of five parts by hash."""


def holds_out(text: str) -> bool:
    """Whether a passage is held out."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 5 < HELD_OUT


def show(count: int, of: int) -> str:
    """A share with its Wilson interval and counts."""
    low, high = wilson_interval(count, of)
    return f"{count / max(of, 1):.3f} [{low:.3f}, {high:.3f}] ({count}/{of})"


def main() -> None:
    """Train, report, and with ``--write`` store the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    signals = [read_signals(row["text"]) for row in rows]
    x = np.array([[each[name] for name in SIGNALS] for each in signals])
    y = np.array([int(row["injected"]) for row in rows])
    held = np.array([holds_out(row["text"]) for row in rows])
    model = LogisticRegression(C=STRENGTH, max_iter=5000)
    outside = cross_val_predict(model, x[~held], y[~held], cv=10, method="decision_function")
    platt = LogisticRegression(C=1e6).fit(outside[:, None], y[~held])
    slope, shift = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    model.fit(x[~held], y[~held])
    weights, intercept = slope * model.coef_[0], slope * float(model.intercept_[0]) + shift
    risk = 1 / (1 + np.exp(-(x[held] @ weights + intercept)))
    kinds = np.array([row["kind"] for row in rows])[held]
    english = np.array([row["language"] == "en" for row in rows])[held]
    truth, places = y[held], np.arange(int(held.sum()))
    print(f"{(~held).sum()} passages to train on, {held.sum()} held out, {truth.sum()} of these with injections")
    print(f"AUROC {auroc(truth, risk, places)}  ECE {calibration_error(truth, risk, places)}")
    for threshold in (0.5, 0.9):
        called = risk >= threshold
        print(f"risk at least {threshold}")
        print(f"  recall               {show(int((called & (truth == 1)).sum()), int(truth.sum()))}")
        print(f"  precision            {show(int((called & (truth == 1)).sum()), int(called.sum()))}")
        for name, part in (("English", english), ("other languages", ~english)):
            found = called & part & (truth == 1)
            print(f"  recall, {name:15s}{show(int(found.sum()), int((part & (truth == 1)).sum()))}")
        for kind in ("plain", "instructive", "security", "about_ai", "markup", "dialogue"):
            part = kinds == kind
            print(f"  called so, {kind:12s}{show(int((called & part).sum()), int(part.sum()))}")
    if arguments.write:
        head = {
            "names": list(SIGNALS),
            "low": [0.0] * len(SIGNALS),
            "high": np.round(np.maximum(x[~held].max(axis=0), math.log(2)), 5).tolist(),
            "weights": np.round(weights, 5).tolist(),
            "intercept": round(intercept, 5),
        }
        TARGET.write_text(json.dumps({"passage": head}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
