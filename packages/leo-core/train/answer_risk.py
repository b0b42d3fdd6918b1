"""Train the risk of an answer and report it on held-out questions.

    python packages/leo-core/train/answer_risk.py [--data PATH] [--write]

Head "reasoning": recorded answers to GSM8K and CRUXEval (11 models) and the two models of the GSM8K routing set; head
"grounded": BEGIN Wizard-of-Wikipedia, with HaluEval QA at a tenth of the weight; head "verdict": see
``verdict_head.py``. Only questions with
sha256(question) % 5 == 0 are trained on; all figures are of the rest. Beside each stand the answer's length alone and
the agreement of the other drafts alone. Intervals are bootstraps over questions.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from fitting import auroc, calibration_error, document_of, fit_linear, read_rows, trains
from request_risk import apgr, cpt
from sklearn.linear_model import LogisticRegression
from verdict_head import train_verdict

from leo_core.records import Draft, Message, Request
from leo_core.stages.risk.answer_features import evidence_features, reasoning_features
from leo_core.stages.risk.grounding import grounding_features

HERE = Path(__file__).parent
TARGET = HERE.parent / "src/leo_core/stages/risk/models/answer.json"
BASE = 0.72
STRENGTH = 0.03
"""Inverse of the ridge of the head "reasoning"; chosen by cross-validation inside the training fifth."""
HALUEVAL_WEIGHT = 0.1
HAND_SET = {"token_surprise": 1.0, "worst_token": 0.5, "cut_off": 1.5, "refusal": 1.5, "format_missed": 0.7}
"""Log-odds per unit where the recordings hold no example (log-probabilities) or too few (cut-offs, refusals)."""
HAND_SET_VARIANCE = 0.25
SHARED = ("agreed", "disagreed", "compared", "record")


def canonical(final: str) -> str:
    """A recorded final answer in a form that compares."""
    plain = "".join(final.split()).strip("$.").lower().replace(",", "")
    try:
        return f"{float(plain):g}"
    except ValueError:
        return plain


def reasoning_rows(data: Path) -> list[dict]:
    """One row per recorded answer: question, text, final, model, wrong, others (model -> canonical final)."""
    rows = []
    for name in ("gsm", "crux"):
        for item in read_rows(data / f"replay/{name}.jsonl.gz"):
            finals = {model: canonical(str(answer["final"])) for model, answer in item["answers"].items()}
            for model, answer in item["answers"].items():
                others = {other: final for other, final in finals.items() if other != model}
                row = {"set": name, "question": item["question"], "text": answer["text"], "final": finals[model]}
                rows.append(row | {"model": model, "wrong": int(not answer["correct"]), "others": others})
    for item in read_rows(data / "routing/gsm8k_mixtral_gpt4.jsonl.gz"):
        for size in ("small", "large"):
            row = {"set": "routing", "question": item["question"], "text": item[f"{size}_text"], "final": ""}
            wrong = int(not item[f"{size}_correct"])
            rows.append(
                row | {"model": f"routing-{size}", "wrong": wrong, "others": {}, "large": item["large_correct"]}
            )
    return rows


def evidence(row: dict, *, agreed: float, disagreed: float, record: float | None) -> dict[str, float]:
    """Evidence features of a recorded answer, which has no log-probabilities and ended by itself."""
    request = Request(messages=(Message(role="user", content=row["question"]),))
    draft = Draft(member="m", model="m", message=Message(role="assistant", content=row["text"]))
    return evidence_features(request, draft, agreed=agreed, disagreed=disagreed, record=record, base=BASE)


def training_matrix(rows: list[dict], rng: np.random.Generator) -> tuple[list[str], np.ndarray, list[dict]]:
    """Two rows per answer: alone, and beside a random committee of one to six; half of each know the model's record."""
    records = model_records(rows)
    features, kept = [], []
    for row in rows:
        own = reasoning_features(row["question"], row["text"])
        for committee in (False, True):
            agreed = disagreed = 0
            if committee and row["others"]:
                chosen = rng.choice(sorted(row["others"]), size=rng.integers(1, 7), replace=False)
                agreed = sum(row["others"][other] == row["final"] for other in chosen)
                disagreed = len(chosen) - agreed
            record = records[row["set"], row["model"]] if rng.random() < 0.5 else None  # noqa: PLR2004 - every other one
            features.append(evidence(row, agreed=agreed, disagreed=disagreed, record=record) | own)
            kept.append(row)
    names = list(features[0])
    return names, np.array([[row[name] for name in names] for row in features]), kept


def model_records(rows: list[dict]) -> dict[tuple[str, str], float]:
    """Rate of right answers per set and model."""
    keys = {(row["set"], row["model"]) for row in rows}
    return {
        key: 1 - float(np.mean([r["wrong"] for r in rows if (r["set"], r["model"]) == key])) for key in sorted(keys)
    }


def between_models(x: np.ndarray, y: np.ndarray, groups: np.ndarray, models: np.ndarray, strength: float) -> float:
    """Variance of the log-odds between models: each is left out, and the shift that would calibrate it is measured."""
    shifts = []
    for model in np.unique(models):
        held = models == model
        weights, intercept, _, _ = fit_linear(x[~held], y[~held], groups[~held], strength=strength)
        score = x[held] @ weights + intercept
        shift = 0.0
        for _ in range(20):
            p = 1 / (1 + np.exp(-(score + shift)))
            shift += float((y[held] - p).sum() / ((p * (1 - p)).sum() + 1e-9))
        shifts.append(shift)
    print("  shift per left-out model:", " ".join(f"{shift:+.2f}" for shift in shifts))
    return float(np.mean(np.square(shifts)))


def with_hand_set(names: list[str], fitted: tuple) -> tuple:
    """Replace the weights of features that the recordings cannot teach, with a stated variance."""
    weights, intercept, covariance, outside = (np.array(part) for part in fitted)
    for name, weight in HAND_SET.items():
        index = names.index(name)
        weights[index] = weight
        covariance[index, :] = covariance[:, index] = 0.0
        covariance[index, index] = HAND_SET_VARIANCE
    return weights, float(intercept), covariance, outside


def train_reasoning(rows: list[dict]) -> tuple[list[str], np.ndarray, tuple, float]:
    """Fit the head on the training fifth."""
    names, x, kept = training_matrix(rows, np.random.default_rng(11))
    y = np.array([row["wrong"] for row in kept])
    groups = np.unique([row["question"] for row in kept], return_inverse=True)[1]
    learned = [index for index, name in enumerate(names) if name not in HAND_SET]
    fitted = expand(fit_linear(x[:, learned], y, groups, strength=STRENGTH), learned, len(names))
    models = np.array([row["model"] for row in kept])
    spread = between_models(x[:, learned], y, groups, models, strength=STRENGTH)
    return names, x, with_hand_set(names, fitted), spread


def expand(fitted: tuple, learned: list[int], size: int) -> tuple:
    """A fit on some columns as one on all of them, zero elsewhere."""
    weights, covariance = np.zeros(size), np.zeros((size + 1, size + 1))
    weights[learned] = fitted[0]
    index = np.array([*learned, size])
    covariance[np.ix_(index, index)] = fitted[2]
    return weights, fitted[1], covariance, fitted[3]


def report_reasoning(rows: list[dict], names: list[str], x: np.ndarray, fitted: tuple, records: dict) -> None:
    """AUROC and ECE on held-out questions: alone, with four others, and with the model's record."""
    low, high = np.quantile(x, 0.01, axis=0), np.quantile(x, 0.99, axis=0)
    rng = np.random.default_rng(5)
    for part in ("gsm", "crux", "routing"):
        held = [row for row in rows if row["set"] == part]
        y = np.array([row["wrong"] for row in held])
        groups = np.unique([row["question"] for row in held], return_inverse=True)[1]
        own = [reasoning_features(row["question"], row["text"]) for row in held]
        counts = [_count(row, rng, 4) for row in held]
        length = np.array([len(row["text"]) for row in held], dtype=float)
        print(f"reasoning, {part}: {len(held)} answers held out, wrong {y.mean():.3f}")
        print(f"  length only             AUROC {auroc(y, length, groups)}")
        if part != "routing":
            print(f"  agreement of 4 only     AUROC {auroc(y, -np.array([a for a, _ in counts]), groups)}")
        for label, agree, record in (("answer alone", 0, 0), ("with 4 others", 1, 0), ("with 4 others, record", 1, 1)):
            values = [
                evidence(
                    row,
                    agreed=agree * a,
                    disagreed=agree * d,
                    record=records[row["set"], row["model"]] if record else None,
                )
                | mine
                for row, mine, (a, d) in zip(held, own, counts, strict=True)
            ]
            matrix = np.clip(np.array([[value[name] for name in names] for value in values]), low, high)
            p = 1 / (1 + np.exp(-(matrix @ fitted[0] + fitted[1])))
            print(f"  {label:23s} AUROC {auroc(y, p, groups)}  ECE {calibration_error(y, p, groups)}")
            if part == "routing":
                break


def _count(row: dict, rng: np.random.Generator, size: int) -> tuple[int, int]:
    if not row["others"]:
        return 0, 0
    chosen = rng.choice(sorted(row["others"]), size=size, replace=False)
    agreed = sum(row["others"][other] == row["final"] for other in chosen)
    return agreed, size - agreed


def report_cascade(data: Path, names: list[str], x: np.ndarray, fitted: tuple) -> None:
    """Cascade on held-out GSM8K: Mixtral first, GPT-4 where the risk is high; with and without four weak models."""
    low, high = np.quantile(x, 0.01, axis=0), np.quantile(x, 0.99, axis=0)
    weak = ("gemma-2-2b-it", "gemma-2-9b-it", "gpt-3.5-turbo-0125", "Meta-Llama-3.1-8B-Instruct")
    replay = {item["question"]: item["answers"] for item in read_rows(data / "replay/gsm.jsonl.gz")}
    items = [row for row in read_rows(data / "routing/gsm8k_mixtral_gpt4.jsonl.gz") if not trains(row["question"])]
    small = np.array([float(row["small_correct"]) for row in items])
    large = np.array([float(row["large_correct"]) for row in items])
    for label, others in (("alone", ()), ("with 4 weak models", weak)):
        scores = []
        for item in items:
            final = canonical(item["small_text"].rpartition("####")[2])
            given = [canonical(str(replay[item["question"]][m]["final"])) for m in others if item["question"] in replay]
            agreed = sum(answer == final for answer in given)
            row = {"question": item["question"], "text": item["small_text"]}
            value = evidence(row, agreed=agreed, disagreed=len(given) - agreed, record=None)
            value |= reasoning_features(item["question"], item["small_text"])
            scores.append(np.clip(np.array([value[name] for name in names]), low, high) @ fitted[0])
        s = np.array(scores)
        points = " ".join(f"CPT{share:.0%} {cpt(s, small, large, share):.3f}" for share in (0.5, 0.8))
        order = np.argsort(-s)
        best = (small.mean() + np.cumsum((large - small)[order]) / len(s)).max() - large.mean()
        print(f"cascade {label}: n {len(s)}  APGR {apgr(s, small, large):.3f}  {points}  best over large {best:+.3f}")


def grounded_rows(data: Path) -> list[dict]:
    """Answers with a context: context, question, text, model, wrong, weight."""
    rows = []
    for name, weight in (("begin_wow", 1.0), ("halueval_qa", HALUEVAL_WEIGHT)):
        for item in read_rows(data / f"grounding/{name}.jsonl.gz"):
            row = {key: item[key] for key in ("context", "question", "model")}
            rows.append(
                row | {"set": name, "text": item["answer"], "wrong": int(not item["grounded"]), "weight": weight}
            )
    return rows


def fold(context: str) -> str:
    """A context without case and spacing: some come twice, once in lower case, and must not be on both sides."""
    return " ".join(context.lower().split())


def grounded_head(data: Path, reasoning: tuple[list[str], tuple]) -> dict:
    """Fit, report and return the head "grounded"; what others say comes from the other head at half weight."""
    rows = grounded_rows(data)
    features = [grounding_features(row["text"], row["context"], row["question"]) for row in rows]
    names = list(features[0])
    x = np.array([list(row.values()) for row in features])
    y = np.array([row["wrong"] for row in rows])
    weight = np.array([row["weight"] for row in rows])
    part = np.array([trains(row["question"]) for row in rows])
    groups = np.unique([row["context"] for row in rows], return_inverse=True)[1]
    models = np.array([row["model"] for row in rows])
    fitted = fit_linear(x[part], y[part], groups[part], strength=0.1, weight=weight[part])
    spread = between_models(
        x[part & (weight == 1)],
        y[part & (weight == 1)],
        groups[part & (weight == 1)],
        models[part & (weight == 1)],
        0.1,
    )
    contexts = np.unique([fold(row["context"]) for row in rows], return_inverse=True)[1]
    seen = set(contexts[part].tolist())
    score = np.clip(x, np.quantile(x[part], 0.01, axis=0), np.quantile(x[part], 0.99, axis=0)) @ fitted[0] + fitted[1]
    for name in ("begin_wow", "halueval_qa"):
        held = ~part & np.array(
            [row["set"] == name and context not in seen for row, context in zip(rows, contexts, strict=True)]
        )
        p = 1 / (1 + np.exp(-score[held]))
        length = np.array([len(row["text"]) for row in rows], dtype=float)[held]
        print(f"grounded, {name}: {held.sum()} answers held out (contexts unseen), ungrounded {y[held].mean():.3f}")
        one = LogisticRegression(C=1e6).fit(x[part][:, [names.index("word_support")]], y[part])
        support = one.decision_function(x[held][:, [names.index("word_support")]])
        print(f"  length only             AUROC {auroc(y[held], length, groups[held])}")
        print(f"  token precision only    AUROC {auroc(y[held], support, groups[held])}")
        print(
            f"  head                    AUROC {auroc(y[held], p, groups[held])}"
            f"  ECE {calibration_error(y[held], p, groups[held])}"
        )
    borrowed, source = [*SHARED, *HAND_SET], reasoning[1]
    size = len(names) + len(borrowed)
    weights, covariance = np.zeros(size), np.zeros((size + 1, size + 1))
    weights[: len(names)] = fitted[0]
    index = np.array([*range(len(names)), size])
    covariance[np.ix_(index, index)] = fitted[2]
    for offset, name in enumerate(borrowed):
        column = reasoning[0].index(name)
        weights[len(names) + offset] = 0.5 * source[0][column]
        covariance[len(names) + offset, len(names) + offset] = source[2][column, column] + HAND_SET_VARIANCE
    full = np.column_stack([x[part], np.zeros((part.sum(), len(borrowed)))])
    head = document_of([*names, *borrowed], full, (weights, fitted[1], covariance, None), spread, rows=int(part.sum()))
    return open_bounds(head, borrowed)


def open_bounds(head: dict, names: list[str]) -> dict:
    """Lift the training range of features that the training part did not hold or hardly held."""
    for name in names:
        index = head["names"].index(name)
        head["low"][index], head["high"][index] = -4.0, 4.0
    return head


def main() -> None:
    """Train, report, and with ``--write`` store the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=HERE.parents[2].parent / "shared/data")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    rows = reasoning_rows(arguments.data)
    inside = [row for row in rows if trains(row["question"])]
    held = [row for row in rows if not trains(row["question"])]
    names, x, fitted, spread = train_reasoning(inside)
    report_reasoning(held, names, x, fitted, model_records(inside))
    report_cascade(arguments.data, names, x, fitted)
    head = document_of(names, x, fitted, spread, rows=len(inside), trained_on="replay gsm, crux; routing gsm8k")
    borrowed = {name: (0.5 * weight, HAND_SET_VARIANCE) for name, weight in HAND_SET.items()}
    document = {
        "heads": {
            "reasoning": open_bounds(head, list(HAND_SET)),
            "grounded": grounded_head(arguments.data, (names, fitted)),
            "verdict": open_bounds(train_verdict(arguments.data, borrowed), list(HAND_SET)),
        }
    }
    if arguments.write:
        TARGET.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
