"""Train the cache's pair model and write its numbers into the package.

    python packages/leo-core/train/pair_model.py [pairs.jsonl.gz] [--embedder hashed] [--seed 0] [--dry-run]

The file holds one pair per line: ``{"a": question, "b": question, "same": bool}``. Pairs are split by connected
component of the graph whose edges are the pairs, so no question is on two sides. Prints AUC, ECE and the recall at
precision 0.9 on the validation part as one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from paraphrase import DEFAULT_PAIRS, FIT, TUNE, read_pairs, split_by_component
from scipy.sparse import csr_matrix
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_curve, roc_auc_score

from leo_core.stages.cache.pair import PairModel
from leo_core.stages.cache.pair_features import FEATURES, Traits, WordTable, compare_traits, read_traits, score_words
from leo_core.stages.embed.load import load_embedder

HERE = Path(__file__).resolve()
OUTPUT = HERE.parents[1] / "src" / "leo_core" / "stages" / "cache" / "pair_model.json"
LEAST_COUNT = 8
FOLDS = 5
INCREASING = frozenset(
    """cosine overlap overlap_idf containment_idf pairs letters letters_content content_equal question_equal order
    learned_words""".split()
)
DECREASING = frozenset(
    """missing_idf missing_idf_other rarest_missing conflict negation_differs numbers_differ names_missing
    soft_missing""".split()
)
"""Features in which the probability may only rise or only fall: what holds in every domain."""
EMPTY = WordTable(idf={}, default_idf=1.0, shared={}, missing={})


def learn_idf(traits: list[Traits]) -> tuple[dict[str, float], float]:
    """Smoothed inverse document frequency of the words that occur often enough, and that of all others."""
    counts = Counter(word for each in traits for word in each.bag)
    total = len(traits)
    idf = {word: math.log(total / count) for word, count in counts.items() if count >= LEAST_COUNT}
    return idf, math.log(total / (0.5 * LEAST_COUNT))


def word_rows(pairs: list[tuple[Traits, Traits]], columns: dict[str, int]) -> csr_matrix:
    """Sparse rows: damped indicators of shared words, then of missing words."""
    data, indices, starts = [], [], [0]
    width = len(columns)
    for one, two in pairs:
        for words, offset in ((one.bag & two.bag, 0), (one.bag ^ two.bag, width)):
            weight = 1.0 / math.sqrt(max(len(words), 1))
            known = sorted(columns[word] + offset for word in words if word in columns)
            indices += known
            data += [weight] * len(known)
        starts.append(len(indices))
    return csr_matrix((data, indices, starts), shape=(len(pairs), 2 * width))


def fit_words(rows: csr_matrix, same: np.ndarray) -> np.ndarray:
    """Log-odds weights of shared and missing words."""
    model = LogisticRegression(C=1.0, solver="liblinear", max_iter=200)
    return model.fit(rows, same).coef_[0]


def make_table(idf: dict[str, float], default_idf: float, columns: dict[str, int], weights: np.ndarray) -> WordTable:
    """The table with the learned weights."""
    width = len(columns)
    return WordTable(
        idf=idf,
        default_idf=default_idf,
        shared={word: round(float(weights[at]), 4) for word, at in columns.items()},
        missing={word: round(float(weights[at + width]), 4) for word, at in columns.items()},
    )


def fit_trees(rows: np.ndarray, same: np.ndarray, seed: int) -> HistGradientBoostingClassifier:
    """Boosted trees, small enough to ship, monotone where the sign is known."""
    model = HistGradientBoostingClassifier(
        max_iter=220,
        learning_rate=0.06,
        max_leaf_nodes=12,
        max_depth=5,
        min_samples_leaf=60,
        l2_regularization=5.0,
        monotonic_cst=[(name in INCREASING) - (name in DECREASING) for name in FEATURES],
        random_state=seed,
        early_stopping=False,
    )
    return model.fit(rows, same)


def export_trees(model: HistGradientBoostingClassifier) -> dict[str, object]:
    """All trees as flat arrays; a leaf points to itself, so that every walk has the same length."""
    feature, threshold, left, right, value, roots = [], [], [], [], [], []
    depth = 0
    for (tree,) in model._predictors:  # noqa: SLF001 - the only way to a shippable form
        base = len(feature)
        roots.append(base)
        for at, node in enumerate(tree.nodes):
            leaf = bool(node["is_leaf"])
            feature.append(0 if leaf else int(node["feature_idx"]))
            threshold.append(0.0 if leaf else float(node["num_threshold"]))
            left.append(base + at if leaf else base + int(node["left"]))
            right.append(base + at if leaf else base + int(node["right"]))
            value.append(round(float(node["value"]), 6) if leaf else 0.0)
            depth = max(depth, int(node["depth"]))
    return {
        "feature": feature, "threshold": threshold, "left": left, "right": right, "value": value, "roots": roots,
        "depth": depth,
    }  # fmt: skip


def fit_calibration(raw: np.ndarray, same: np.ndarray) -> list[float]:
    """Slope and intercept of the calibrated logistic."""
    model = LogisticRegression(C=1e6).fit(raw[:, None], same)
    return [float(model.coef_[0, 0]), float(model.intercept_[0])]


def expected_calibration_error(probabilities: np.ndarray, same: np.ndarray, bins: int = 15) -> float:
    """Mean gap between confidence and frequency over equally wide bins, weighted by their size."""
    at = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = [
        abs(probabilities[at == each].mean() - same[at == each].mean()) * (at == each).mean()
        for each in range(bins)
        if (at == each).any()
    ]
    return float(sum(gaps))


def recall_at_precision(probabilities: np.ndarray, same: np.ndarray, precision: float) -> float:
    """Largest recall at a precision not below the one given."""
    precisions, recalls, _ = precision_recall_curve(same, probabilities)
    return float(recalls[precisions >= precision].max())


def main() -> None:
    """Train, report, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("pairs", nargs="?", type=Path, default=DEFAULT_PAIRS)
    arguments.add_argument("--embedder", default="hashed")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--dry-run", action="store_true", help="train and report, write nothing")
    options = arguments.parse_args()

    a, b, same = read_pairs(options.pairs)
    place = split_by_component(a, b, options.seed)
    fit, tune, validate = place < 0.7, (place >= 0.7) & (place < 0.8), place >= 0.8  # noqa: PLR2004
    texts = sorted({*a, *b})
    embedder = load_embedder(options.embedder)
    position = {text: at for at, text in enumerate(texts)}
    vectors = embedder.embed(texts)
    left, right = [position[text] for text in a], [position[text] for text in b]
    cosines = np.einsum("ij,ij->i", vectors[left], vectors[right]).astype(np.float64)
    print(
        f"{len(a)} pairs, {fit.sum()} to fit, {tune.sum()} to calibrate, {validate.sum()} to validate", file=sys.stderr
    )

    bare = {text: read_traits(text, EMPTY) for text in texts}
    fit_texts = sorted({text for text, use in zip([*a, *b], [*fit, *fit], strict=True) if use})
    idf, default_idf = learn_idf([bare[text] for text in fit_texts])
    columns = {word: at for at, word in enumerate(sorted(idf))}
    blank = WordTable(idf=idf, default_idf=default_idf, shared={}, missing={})
    traits = {text: read_traits(text, blank) for text in texts}
    pairs = [(traits[one], traits[two]) for one, two in zip(a, b, strict=True)]
    rows = np.array(
        [compare_traits(one, two, cosine, blank) for (one, two), cosine in zip(pairs, cosines, strict=True)]
    )

    words = word_rows(pairs, columns)
    learned = FEATURES.index("learned_words")
    fold = np.minimum((place / 0.7 * FOLDS).astype(int), FOLDS)
    for each in range(FOLDS):  # scores of the fitting part come from models that have not seen the pair
        inside, outside = fit & (fold == each), fit & (fold != each)
        rows[inside, learned] = words[inside] @ fit_words(words[outside], same[outside])
    table = make_table(idf, default_idf, columns, fit_words(words[fit], same[fit]))
    for at in np.flatnonzero(~fit):
        rows[at, learned] = score_words(*pairs[at], table)

    model = fit_trees(rows[fit], same[fit], options.seed)
    weights: dict[str, object] = {
        "format": 1,
        "embedder": str(embedder.fingerprint),
        "features": list(FEATURES),
        "default_idf": default_idf,
        "words": {
            word: [round(idf[word], 3), round(table.shared[word], 3), round(table.missing[word], 3)] for word in columns
        },
        **export_trees(model),
        "calibration": [1.0, 0.0],
    }
    raw = PairModel(weights).score_rows(rows[tune])
    weights["calibration"] = fit_calibration(np.log(raw / (1.0 - raw)), same[tune])
    probabilities = PairModel(weights).score_rows(rows[validate])
    report = {
        "pairs": int(validate.sum()),
        "auc": round(float(roc_auc_score(same[validate], probabilities)), 4),
        "auc_cosine": round(float(roc_auc_score(same[validate], cosines[validate])), 4),
        "auc_words": round(float(roc_auc_score(same[validate], rows[validate, learned])), 4),
        "ece": round(expected_calibration_error(probabilities, same[validate]), 4),
        "recall_at_precision_0.9": round(recall_at_precision(probabilities, same[validate], 0.9), 4),
        "recall_at_precision_0.8": round(recall_at_precision(probabilities, same[validate], 0.8), 4),
        "seed": options.seed,
        "embedder": str(embedder.fingerprint),
    }
    weights["validation"] = report
    if not options.dry_run:
        OUTPUT.write_text(json.dumps(weights, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")
        print(f"wrote {OUTPUT.stat().st_size / 1024:.0f} KiB to {OUTPUT.name}", file=sys.stderr)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
