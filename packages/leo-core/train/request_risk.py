"""Train the priors of P(the small model is wrong | request) and of the large model's gain; report both held out.

    python packages/leo-core/train/request_risk.py [--data PATH] [--write]

Trains on the questions of the routing sets with sha256(question) % 5 == 0 (Mixtral-8x7B-Instruct is the small model,
GPT-4-1106 the large one); everything else is evaluation. The gain on a question with options comes from a boosted
forest; on one without options from a ridge regression on counted features, whose target is the mean over the recorded
models of ``replay/gsm.jsonl.gz``, weak ones less strong ones, because one model's answer to a question says little of
the question; a second one reads the vector of the shipped embedder too. Figures: AUROC of "the small model is wrong",
calibration error, and APGR of the gain, the average performance gap recovered over the share of strong calls (random
0.5), beside the length.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
from fitting import auroc, calibration_error, document_of, fit_linear, read_rows, trains
from scipy.sparse import csr_matrix
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold

from leo_core.stages.embed.load import load_embedder
from leo_core.stages.risk.likeness import wording_features
from leo_core.stages.risk.open_gain import read_embedded_gain
from leo_core.stages.risk.request_features import text_features, vocabulary_buckets
from leo_core.stages.risk.tokens import words

HERE = Path(__file__).parent
TARGET = HERE.parent / "src/leo_core/stages/risk/models/request.json"
BUCKETS = 8192
VOCABULARY_STRENGTH = 3.0
OPEN_RIDGE = 100.0
VECTOR_SCALES = (0.0, 4.0, 8.0, 16.0, 32.0)
VECTOR_RIDGES = (30.0, 100.0, 300.0, 1000.0)
"""How much a vector counts beside standardised features, and ridges, among which folds of the trained fifth choose."""
OPEN_SOURCE = "GSM8K, answers of twelve models, sha256(question) % 5 == 0"
WEAK = (
    "gemma-2-2b-it",
    "gemma-2-9b-it",
    "Meta-Llama-3.1-8B-Instruct",
    "gpt-3.5-turbo-0125",
    "Mixtral-8x7B-Instruct-v0.1",
    "claude-3-haiku-20240307",
)
STRONG = ("gpt-4o-2024-08-06", "claude-3-5-sonnet-20241022", "Mistral-Large-2", "Meta-Llama-3.1-70B-Instruct")


def vocabulary_matrix(texts: list[str]) -> csr_matrix:
    """Hashed words and pairs as unit rows, shape ``(n, BUCKETS)``."""
    found = [vocabulary_buckets(words(text[:4000]), BUCKETS) for text in texts]
    values = np.concatenate([np.full(len(row), 1 / math.sqrt(max(len(row), 1))) for row in found])
    pointers = np.concatenate([[0], np.cumsum([len(row) for row in found])])
    return csr_matrix((values, np.concatenate(found), pointers), shape=(len(texts), BUCKETS))


def apgr(score: np.ndarray, small: np.ndarray, large: np.ndarray) -> float:
    """Average performance gap recovered when the riskiest questions go to the large model first."""
    order = np.argsort(-score, kind="stable")
    quality = small.mean() + np.concatenate([[0], np.cumsum((large - small)[order])]) / len(score)
    recovered = (quality - small.mean()) / (large.mean() - small.mean())
    return float(np.trapezoid(recovered, np.linspace(0, 1, len(recovered))))


def cpt(score: np.ndarray, small: np.ndarray, large: np.ndarray, share: float) -> float:
    """Share of large calls that first recovers ``share`` of the gap."""
    order = np.argsort(-score, kind="stable")
    gained = np.concatenate([[0], np.cumsum((large - small)[order])]) / len(score)
    return float(np.argmax(gained >= share * (large.mean() - small.mean())) / len(score))


def cross_fitted(hashed: csr_matrix, part: np.ndarray, fit: object) -> tuple[np.ndarray, np.ndarray]:
    """Vocabulary scores ``(n,)``, out of fold inside the training part, and the weights in hundredths."""
    inside, scores = np.flatnonzero(part), np.zeros(len(part))
    for train, held in KFold(10, shuffle=True, random_state=0).split(inside):
        scores[inside[held]] = hashed[inside[held]] @ fit(inside[train])
    weights = np.round(fit(inside) * 100)
    scores[~part] = hashed[~part] @ weights / 100
    return scores, weights


def forest_of(model: GradientBoostingRegressor, names: list[str]) -> dict:
    """A fitted boosting model in the JSON form that ``forest.read_forest`` reads."""
    trees = []
    for fitted in model.estimators_[:, 0]:
        tree, leaf = fitted.tree_, fitted.tree_.feature < 0
        value = np.where(leaf, model.learning_rate * tree.value[:, 0, 0], tree.threshold)
        nodes = {"feature": np.where(leaf, -1, tree.feature), "left": tree.children_left, "right": tree.children_right}
        trees.append(
            {key: column.tolist() for key, column in nodes.items()} | {"threshold": np.round(value, 6).tolist()}
        )
    return {"names": names, "start": float(model.init_.constant_[0, 0]), "trees": trees}


def mean_gains(rows: list[dict], recorded: list[dict]) -> np.ndarray:
    """Mean P(right) of the strong models less that of the weak ones, the row's own pair among them, ``(n,)``."""
    answers = {row["question"]: row["answers"] for row in recorded}

    def share(row: dict, own: str, others: tuple[str, ...]) -> float:
        known = answers.get(row["question"], {})
        return float(np.mean([row[own], *(known[name]["correct"] for name in others if name in known)]))

    return np.array([share(row, "large_correct", STRONG) - share(row, "small_correct", WEAK) for row in rows])


def fit_open_gain(x: np.ndarray, target: np.ndarray) -> tuple:
    """Ridge regression on standardised features in the form that ``document_of`` takes; no variance is claimed."""
    centre, spread = x.mean(0), x.std(0) + 1e-9
    model = Ridge(alpha=OPEN_RIDGE).fit((x - centre) / spread, target)
    weights = model.coef_ / spread
    return weights, float(model.intercept_ - weights @ centre), np.zeros((x.shape[1] + 1,) * 2), None


def fit_embedded_gain(x: np.ndarray, vectors: np.ndarray, target: np.ndarray) -> dict:
    """The gain by features and vectors, in the JSON form that ``open_gain.read_embedded_gain`` reads.

    Ridge and scale of the vectors are those whose predictions correlate most with the target, in five times ten folds.
    """
    spread = x.std(0)
    centre, spread = x.mean(0), np.where(spread > 1e-6, spread, np.inf)  # noqa: PLR2004 - constant
    middle = vectors.mean(0)

    def wide(scale: float) -> np.ndarray:
        return np.hstack([(x - centre) / spread, scale * (vectors - middle)])

    def judge(scale: float, ridge: float) -> float:
        found = []
        for seed in range(5):
            held = np.zeros(len(x))
            for inside, out in KFold(10, shuffle=True, random_state=seed).split(x):
                held[out] = Ridge(alpha=ridge).fit(wide(scale)[inside], target[inside]).predict(wide(scale)[out])
            found.append(float(np.corrcoef(held, target)[0, 1]))
        return float(np.mean(found))

    judged = {(scale, ridge): judge(scale, ridge) for scale in VECTOR_SCALES for ridge in VECTOR_RIDGES}
    scale, ridge = max(judged, key=judged.__getitem__)
    plain = max(value for (each, _), value in judged.items() if not each)
    print(
        f"embedded gain: scale {scale:g}, ridge {ridge:g}, correlation {judged[scale, ridge]:.3f} (without {plain:.3f})"
    )
    model = Ridge(alpha=ridge).fit(wide(scale), target)
    weights, turned = model.coef_[: x.shape[1]] / spread, scale * model.coef_[x.shape[1] :]
    return {
        "low": np.round(np.quantile(x, 0.01, axis=0), 5).tolist(),
        "high": np.round(np.quantile(x, 0.99, axis=0), 5).tolist(),
        "weights": np.round(weights, 5).tolist(),
        "vector_weights": np.round(turned, 5).tolist(),
        "intercept": round(float(model.intercept_ - weights @ centre - turned @ middle), 5),
    }


def learn_embedded_gain(texts: list[str], put: list[dict], part: np.ndarray, targets: np.ndarray) -> tuple:
    """The gain by features and vectors, fitted on a part of the questions: its document, and what it says of all."""
    embedder = load_embedder("static")
    vectors = np.asarray(embedder.embed(texts), dtype=float)
    document = {"names": list(put[0]), "table_sha256": embedder.fingerprint.table_sha256}
    worded = np.array([list(row.values()) for row in put])
    document |= fit_embedded_gain(worded[part], vectors[part], targets)
    document["facts"] = {"rows": int(part.sum()), "trained_on": OPEN_SOURCE}
    line = read_embedded_gain(document)
    return document, [line.predict(row, vector) for row, vector in zip(put, vectors, strict=True)]


def main() -> None:
    """Train, report, and with ``--write`` store the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=HERE.parents[2].parent / "shared/data")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    sets = {name: read_rows(arguments.data / f"routing/{name}_mixtral_gpt4.jsonl.gz") for name in ("mmlu", "gsm8k")}
    rows = [row | {"set": name} for name, listed in sets.items() for row in listed]
    texts = [row["question"] for row in rows]
    part = np.array([trains(text) for text in texts])
    wrong = np.array([not row["small_correct"] for row in rows], dtype=int)
    large = np.array([row["large_correct"] for row in rows], dtype=float)
    counted = [text_features(text[:4000], words(text[:4000])) for text in texts]
    names = [*counted[0], "vocabulary"]
    dense = np.array([list(row.values()) for row in counted])
    hashed = vocabulary_matrix(texts)
    vocabulary, hundredths = cross_fitted(
        hashed,
        part,
        lambda rows: LogisticRegression(C=VOCABULARY_STRENGTH, max_iter=2000).fit(hashed[rows], wrong[rows]).coef_[0],
    )
    gained = large - (1 - wrong)
    gain_vocabulary, gain_hundredths = cross_fitted(
        hashed, part, lambda rows: Ridge(alpha=3.0).fit(hashed[rows], gained[rows]).coef_
    )
    x = np.column_stack([dense, vocabulary])
    wide = np.column_stack([dense, gain_vocabulary])
    choosing = np.array([row["multiple_choice"] > 0.0 for row in counted])
    forest = GradientBoostingRegressor(
        max_depth=3, n_estimators=100, learning_rate=0.04, subsample=0.5, min_samples_leaf=20, random_state=0
    ).fit(wide[part & choosing], gained[part & choosing])
    put = [one | wording_features(text) for one, text in zip(counted, texts, strict=True)]
    worded = np.array([list(row.values()) for row in put])
    open_part = part & ~choosing
    targets = mean_gains(rows, read_rows(arguments.data / "replay/gsm.jsonl.gz"))[open_part]
    open_fitted = fit_open_gain(worded[open_part], targets)
    opened = np.flatnonzero(~choosing)
    embedded, read = learn_embedded_gain(
        [texts[at] for at in opened], [put[at] for at in opened], part[opened], targets
    )
    held_in = np.clip(worded, *np.quantile(worded[open_part], [0.01, 0.99], axis=0))
    gain = np.where(choosing, forest.predict(wide), held_in @ open_fitted[0] + open_fitted[1])
    with_vector = gain.copy()
    with_vector[opened] = read
    groups = np.arange(len(rows))
    fitted = fit_linear(x[part], wrong[part], groups[part], strength=0.3)
    bounded = np.clip(x, np.quantile(x[part], 0.01, axis=0), np.quantile(x[part], 0.99, axis=0))
    score = bounded @ fitted[0] + fitted[1]
    for name in sets:
        held = ~part & np.array([row["set"] == name for row in rows])
        y, p = wrong[held], 1 / (1 + np.exp(-score[held]))
        gap = (1.0 - wrong[held], large[held])
        print(f"{name} held out {held.sum()}, wrong {y.mean():.3f}")
        print(f"  AUROC {auroc(y, p, groups[held])}  ECE {calibration_error(y, p, groups[held])}")
        for label, ranked in (("risk", p), ("gain", gain[held]), ("gain with vector", with_vector[held])):
            points = [f"CPT{share:.0%} {cpt(ranked, *gap, share):.3f}" for share in (0.5, 0.8)]
            print(f"  {label}: APGR {apgr(ranked, *gap):.3f}", *points)
        length = np.array([len(text) for text in texts], dtype=float)[held]
        print(f"  length only: AUROC {auroc(y, length, groups[held])}  APGR {apgr(length, *gap):.3f}")
    if arguments.write:
        head = document_of(
            names, x[part], fitted, 0.25, rows=int(part.sum()), trained_on="routing sets, sha256(question) % 5 == 0"
        )
        document = {
            "heads": {
                "small_wrong": head,
                "open_gain": document_of(
                    list(put[0]),
                    worded[open_part],
                    open_fitted,
                    0.0,
                    rows=int(open_part.sum()),
                    trained_on=OPEN_SOURCE,
                ),
            },
            "vocabulary": {"hundredths": hundredths.astype(int).tolist()},
            "embedded_gain": embedded,
            "gain": forest_of(forest, [*names[:-1], "gain_vocabulary"]),
            "gain_vocabulary": {"hundredths": gain_hundredths.astype(int).tolist()},
        }
        TARGET.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
