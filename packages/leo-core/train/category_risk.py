"""Train the classifier of high-risk questions and report its held-out recall and precision.

    python packages/leo-core/train/category_risk.py [--write]

Reads ``data/high_risk.jsonl`` beside this file (labelled by hand, see ``README.md``). One fifth of the questions,
stratified by category and seeded, is held out for the first report; the second pools five such parts, each scored by
a model that did not see it. The topic vocabularies were written by the same hand as the questions, so expect less on
foreign traffic. Where the public data sets are at hand (``--data``), 100 GSM8K questions of the training fifth
and 120 train requests of BANKING77 join the training as "none" (word problems about money, card service), and the
false-alarm rate on the rest of both is printed. ``data/high_risk_unseen.jsonl`` was written by somebody who had seen
neither vocabularies nor model; the model is measured on it and not trained on it. With ``--write`` the model that ships
is then fitted on all questions and stored in ``stages/risk/models/categories.json``.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split

from leo_core.stages.risk.categories import category_features, read_words
from leo_core.stages.risk.topics import topic_features

HERE = Path(__file__).parent
TARGET = HERE.parent / "src/leo_core/stages/risk/models/categories.json"
CATEGORIES = ("medical", "legal", "financial", "safety")
BUCKETS = 4096
SCALE = 100
STRENGTH = 3.0
"""Inverse ridge penalty (scikit-learn's C); 0.3 to 10 give the same recall within a few questions."""


def matrix(texts: list[str]) -> csr_matrix:
    """Hashed features as unit rows, then topic features, shape ``(n, BUCKETS + topics)``."""
    rows, columns, values = [], [], []
    for row, text in enumerate(texts):
        found = category_features(read_words(text), BUCKETS)
        rows += [row] * len(found)
        columns += found
        values += [1.0 / math.sqrt(max(len(found), 1))] * len(found)
    hashed = csr_matrix((values, (rows, columns)), shape=(len(texts), BUCKETS))
    topical = np.array([topic_features(read_words(text)) for text in texts])
    return csr_matrix(hstack([hashed, csr_matrix(topical)]))


def foreign(data: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Questions that are "none" by construction: those to train on, and the held-out rest by name."""
    if not (data / "routing").is_dir():
        return [], {}

    def read(name: str) -> list[dict[str, str]]:
        with gzip.open(data / name, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    gsm = [row["question"] for row in read("routing/gsm8k_mixtral_gpt4.jsonl.gz")]
    banking = read("streams/banking77.jsonl.gz")
    rng = np.random.default_rng(7)
    service = rng.permutation([row["text"] for row in banking if row["split"] == "train"])[:120].tolist()
    inside = [int(hashlib.sha256(question.encode()).hexdigest(), 16) % 5 == 0 for question in gsm]
    held = {
        "gsm8k": [question for question, part in zip(gsm, inside, strict=True) if not part],
        "banking77": [row["text"] for row in banking if row["split"] == "test"],
    }
    return [question for question, part in zip(gsm, inside, strict=True) if part][:100] + service, held


def fit_one(x: csr_matrix, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and intercept of one category, Platt-scaled on out-of-fold scores."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    outside = np.zeros(len(y))
    for inside, held in folds.split(x, y):
        outside[held] = (
            LogisticRegression(C=STRENGTH, max_iter=2000).fit(x[inside], y[inside]).decision_function(x[held])
        )
    platt = LogisticRegression(C=1e6).fit(outside[:, None], y)
    slope, shift = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    model = LogisticRegression(C=STRENGTH, max_iter=2000).fit(x, y)
    return slope * model.coef_[0], slope * float(model.intercept_[0]) + shift


def fit(x: csr_matrix, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``(BUCKETS + topics, 4)`` and intercepts ``(4,)``."""
    fitted = [fit_one(x, (labels == category).astype(int)) for category in CATEGORIES]
    return np.stack([weights for weights, _ in fitted], axis=1), np.array([shift for _, shift in fitted])


def wilson(successes: int, trials: int) -> str:
    """Share with its 95 % Wilson interval."""
    if not trials:
        return "-"
    z, share = 1.96, successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return f"{share:.3f} [{centre - half:.3f}, {centre + half:.3f}] ({successes}/{trials})"


def predict(x: csr_matrix, weights: np.ndarray, intercepts: np.ndarray) -> np.ndarray:
    """Probabilities, shape ``(n, 4)``."""
    return 1 / (1 + np.exp(-(x @ weights + intercepts)))


def report(probability: np.ndarray, labels: np.ndarray, threshold: float) -> None:
    """Print recall and precision per category and for "any high-risk category"."""
    harmful = 1 - np.prod(1 - probability, axis=1)
    columns = [(name, probability[:, i], labels == name) for i, name in enumerate(CATEGORIES)]
    for name, score, truth in [*columns, ("high risk", harmful, labels != "none")]:
        called = score >= threshold
        right = int((called & truth).sum())
        print(f"{name:10s} recall {wilson(right, int(truth.sum()))}  precision {wilson(right, int(called.sum()))}")


def main() -> None:
    """Report on the held-out part; with ``--write`` store the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--data", type=Path, default=HERE.parents[2].parent / "shared/data")
    parser.add_argument("--threshold", type=float, default=0.25)
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in (HERE / "data/high_risk.jsonl").read_text(encoding="utf-8").splitlines()]
    labels = np.array([row["category"] for row in rows])
    x = matrix([row["text"] for row in rows])
    none, held_out = foreign(arguments.data)
    extra, extra_labels = matrix(none) if none else x[:0], np.array(["none"] * len(none))

    def train_on(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return fit(csr_matrix(vstack([x[part], extra])), np.concatenate([labels[part], extra_labels]))

    train, test = train_test_split(np.arange(len(rows)), test_size=0.2, stratify=labels, random_state=7)
    print(f"{len(rows)} questions, {len(test)} held out, threshold {arguments.threshold}")
    report(predict(x[test], *train_on(train)), labels[test], arguments.threshold)
    pooled = np.zeros((len(rows), len(CATEGORIES)))
    for inside, held in StratifiedKFold(5, shuffle=True, random_state=7).split(x, labels):
        pooled[held] = predict(x[held], *train_on(inside))
    print("five held-out parts, pooled")
    report(pooled, labels, arguments.threshold)
    for name, texts in held_out.items():
        harmful = 1 - np.prod(1 - predict(matrix(texts), *train_on(train)), axis=1)
        alarms = int((harmful >= arguments.threshold).sum())
        print(f"false alarms on {name}: {wilson(alarms, len(texts))}")
    lines = (HERE / "data/high_risk_unseen.jsonl").read_text(encoding="utf-8").splitlines()
    unseen = [json.loads(line) for line in lines]
    print(f"{len(unseen)} questions written without sight of the classifier")
    probability = predict(matrix([row["text"] for row in unseen]), *train_on(np.arange(len(rows))))
    report(probability, np.array([row["category"] for row in unseen]), arguments.threshold)
    hard = np.array([row.get("hard", False) for row in unseen])
    alarms = int((1 - np.prod(1 - probability[hard], axis=1) >= arguments.threshold).sum())
    print(f"false alarms on hard negatives: {wilson(alarms, int(hard.sum()))}")
    if arguments.write:
        weights, intercepts = train_on(np.arange(len(rows)))
        document = {
            "categories": CATEGORIES,
            "trained_on": "train/data/high_risk.jsonl (all rows; figures: held-out), GSM8K (100), BANKING77 (120)",
            "weight_scale": SCALE,
            "intercepts": np.round(intercepts, 4).tolist(),
            "weights": np.round(weights[:BUCKETS].T * SCALE).astype(int).tolist(),
            "topic_weights": np.round(weights[BUCKETS:].T * SCALE).astype(int).tolist(),
        }
        TARGET.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
