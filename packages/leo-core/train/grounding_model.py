"""Train the support of sentences by sources and report it on held-out contexts.

    python packages/leo-core/train/grounding_model.py [--data PATH] [--seed 0] [--write]

Head "sentence": BEGIN Wizard-of-Wikipedia, HaluEval QA at a tenth of the weight (its classes differ in length), and
minimal edits of the training contexts' own sentences (a number, a name, a negation, an opposite), made by rule. Of an
ungrounded answer of several sentences the worst one counts, as the fit of the answers of one sentence sees it
(multiple-instance learning). Head "answer": the sentences' log-odds, from models that have not seen the context. Only
questions with sha256(question) % 5 == 0 are trained on; figures are of the rest, without any context of the training
part.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fitting import auroc, calibration_error
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from leo_core.engine.grounding import load_knowledge
from leo_core.evaluation.grounding_data import make_edits, read_grounded, split_grounded
from leo_core.records import Source
from leo_core.stages.grounding.features import FEATURES
from leo_core.stages.grounding.model import ANSWER_FEATURES, describe_answer
from leo_core.stages.grounding.policy import Grounder

HERE = Path(__file__).parent
TARGET = HERE.parent / "src/leo_core/stages/grounding/support.json"
STRENGTH = 0.3
"""Inverse of the ridge; chosen with the weights below by cross-validation inside the training part."""
HALUEVAL_WEIGHT, EDIT_WEIGHT = 0.1, 0.03
ROUNDS = 3


@dataclass
class Item:
    """An answer: per sentence its features and words, the label of the whole, its context, set and weight."""

    features: np.ndarray
    sizes: list[int]
    wrong: int
    context: str
    kind: str
    weight: float
    length: int


def describe(answer: str, context: str, question: str, *, wrong: bool, kind: str, weight: float) -> Item | None:
    """An answer as an item; ``None`` where it has no sentence."""
    found = list(Grounder([Source("0", context)], question=question, knowledge=load_knowledge()).describe(answer))
    if not found:
        return None
    features = np.array([[row[2][name] for name in FEATURES] for row in found])
    sizes = [len(row[0].reading.words) for row in found]
    return Item(features, sizes, int(wrong), context, kind, weight, len(answer))


def gather(rows: list, seed: int) -> list[Item]:
    """Items of recorded rows and of edits of their contexts."""
    items = [
        describe(
            row.answer,
            row.context,
            row.question,
            wrong=not row.grounded,
            kind=row.source,
            weight=1.0 if row.source == "begin_wow" else HALUEVAL_WEIGHT,
        )
        for row in rows
    ]
    items += [
        describe(edit.claim, edit.context, "", wrong=not edit.grounded, kind=f"edit {edit.kind}", weight=EDIT_WEIGHT)
        for edit in make_edits([row.context for row in rows], seed)
    ]
    return [item for item in items if item is not None]


class Fit:
    """A logistic on clipped, standardised features, in the units of the features."""

    def __init__(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, strength: float) -> None:
        self.low, self.high = np.quantile(x, 0.002, axis=0), np.quantile(x, 0.998, axis=0)
        clipped = self.clip(x)
        centre, spread = clipped.mean(0), clipped.std(0) + 1e-9
        model = LogisticRegression(C=strength, max_iter=5000)
        model.fit((clipped - centre) / spread, y, sample_weight=weight)
        self.weights = model.coef_[0] / spread
        self.intercept = float(model.intercept_[0] - self.weights @ centre)

    def clip(self, x: np.ndarray) -> np.ndarray:
        """Features inside the range of the training."""
        return np.minimum(np.maximum(x, self.low), self.high)

    def score(self, x: np.ndarray) -> np.ndarray:
        """Log-odds."""
        return self.clip(x) @ self.weights + self.intercept

    def scaled(self, slope: float, shift: float) -> Fit:
        """The same fit with its log-odds calibrated."""
        self.weights = self.weights * slope
        self.intercept = self.intercept * slope + shift
        return self

    def document(self, names: tuple[str, ...]) -> dict:
        """The JSON form that ``model.read_logistic`` reads."""
        return {
            "names": list(names),
            "low": np.round(self.low, 5).tolist(),
            "high": np.round(self.high, 5).tolist(),
            "weights": np.round(self.weights, 5).tolist(),
            "intercept": round(self.intercept, 5),
        }


def fit_sentences(items: list[Item]) -> Fit:
    """Of grounded answers all sentences; of ungrounded ones the worst, by the fit before."""
    fit = None
    for _ in range(ROUNDS):
        x, y, weight = [], [], []
        for item in items:
            if not item.wrong:
                rows = item.features
            elif len(item.features) == 1 or fit is not None:
                rows = item.features[[0 if fit is None else int(np.argmax(fit.score(item.features)))]]
            else:
                continue
            x.append(rows)
            y += [item.wrong] * len(rows)
            weight += [item.weight / len(rows)] * len(rows)
        fit = Fit(np.concatenate(x), np.array(y), np.array(weight), STRENGTH)
    return fit


def out_of_fold(items: list[Item]) -> list[np.ndarray]:
    """Log-odds of every item's sentences from fits that have not seen its context."""
    groups = np.unique([item.context for item in items], return_inverse=True)[1]
    scores: list = [None] * len(items)
    for inside, outside in GroupKFold(5).split(groups, groups=groups):
        fit = fit_sentences([items[at] for at in inside])
        for at in outside:
            scores[at] = fit.score(items[at].features)
    return scores


def answer_rows(items: list[Item], scores: list[np.ndarray]) -> np.ndarray:
    """Features of the answers."""
    described = [describe_answer(s.tolist(), item.sizes) for item, s in zip(items, scores, strict=True)]
    return np.array([[row[name] for name in ANSWER_FEATURES] for row in described])


def report(items: list[Item], sentence: Fit, answer: Fit) -> None:
    """AUROC and calibration error per set, beside length and lexical overlap."""
    scores = [sentence.score(item.features) for item in items]
    risk = 1 / (1 + np.exp(-answer.score(answer_rows(items, scores))))
    column = FEATURES.index("word_support")
    overlap = np.array([-np.average(item.features[:, column], weights=item.sizes) for item in items])
    kinds = np.array([item.kind for item in items])
    y = np.array([item.wrong for item in items])
    groups = np.unique([item.context for item in items], return_inverse=True)[1]
    length = np.array([item.length for item in items], dtype=float)
    edits = np.char.startswith(kinds.astype(str), "edit")
    same = (kinds == "edit kept") | (kinds == "edit cut")
    parts = {name: kinds == name for name in ("begin_wow", "halueval_qa")} | {"edits": edits}
    parts |= {f"edits, {name}": same | (kinds == f"edit {name}") for name in ("number", "name", "negation", "opposite")}
    for name, part in parts.items():
        print(f"{name}: {part.sum()} held out, unsupported {y[part].mean():.3f}")
        print(f"  length           AUROC {auroc(y[part], length[part], groups[part])}")
        print(f"  lexical overlap  AUROC {auroc(y[part], overlap[part], groups[part])}")
        ece = calibration_error(y[part], risk[part], groups[part])
        print(f"  model            AUROC {auroc(y[part], risk[part], groups[part])}  ECE {ece}")


def main() -> None:
    """Train, report, and with ``--write`` store the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=HERE.parents[2].parent / "shared/data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    train, held = (gather(part, arguments.seed) for part in split_grounded(read_grounded(arguments.data)))
    scores = out_of_fold(train)
    y = np.array([item.wrong for item in train])
    weight = np.array([item.weight for item in train])
    single = np.array([len(item.sizes) == 1 for item in train])
    alone = np.array([s.max() for s in scores])
    platt = LogisticRegression(C=1e6).fit(alone[single, None], y[single], sample_weight=weight[single])
    slope, shift = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    sentence = fit_sentences(train).scaled(slope, shift)
    answer = Fit(answer_rows(train, [slope * s + shift for s in scores]), y, weight, 10.0)
    print(f"{len(train)} answers and edits to train on; calibration slope {slope:.2f}, shift {shift:+.2f}")
    for name, weight_of in sorted(
        zip(FEATURES, sentence.weights.tolist(), strict=True), key=lambda each: -abs(each[1])
    ):
        print(f"  {name:22s} {weight_of:+.2f}")
    print("  answer:", dict(zip(ANSWER_FEATURES, np.round(answer.weights, 2).tolist(), strict=True)))
    report(held, sentence, answer)
    if arguments.write:
        document = {"sentence": sentence.document(FEATURES), "answer": answer.document(ANSWER_FEATURES)}
        TARGET.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
