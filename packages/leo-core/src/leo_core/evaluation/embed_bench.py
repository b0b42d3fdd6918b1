"""``leo bench embed``: how well embedders and the pair model know which two questions ask for the same."""

from __future__ import annotations

import re
import time
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.datasets import read_jsonl
from leo_core.evaluation.minilm import INSTALL, MiniLM, is_installed
from leo_core.evaluation.paired import compare, describe_machine
from leo_core.evaluation.ranking import (
    bootstrap_auroc,
    bootstrap_difference,
    measure_auroc,
    measure_ece,
    recall_at_precision,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from leo_core.ports import Embedder

__all__ = ["name_components", "run_embed"]

VALIDATION = 0.2
"""Share of the components that the training scripts leave alone: those whose place is 0.8 or above."""

PRECISION = 0.9
TIMED = 300
SHORT = 0.25
"""Quantile of the lengths of the validation texts that is the short question."""

MANY = 1_000
MANY_ROUNDS = 5
_WORD = re.compile(r"\w+")


def run_embed(
    pairs: Path,
    *,
    embedders: Sequence[str] = ("hashed", "static"),
    peer: bool = True,
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """AUC, recall at precision 0.9 and calibration on the component-disjoint validation part of a file of pairs.

    Beside them: token overlap, difference of lengths, and MiniLM where it is installed, with the CPU time of the last
    of the embedders against its own, for one short question and for 1,000, in turns on one thread. Intervals are
    bootstrapped over components.

    Args:
        pairs: ``{"a", "b", "same"}`` lines.
        embedders: Names of the embedders.
        peer: Whether to measure MiniLM, which takes minutes.
        seed: Of the split; the training scripts use 0.
        report: Called with what is measured next.

    Raises:
        ConfigError: The file holds no such pairs.
    """
    from leo_core.engine.assembly import load_pair_model  # noqa: PLC0415 - loads the engine
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

    try:
        rows = [(str(row["a"]), str(row["b"]), bool(row["same"])) for row in read_jsonl(pairs)]
    except KeyError as error:
        message = f"a line of {pairs.name} lacks a, b or same"
        raise ConfigError(message) from error
    names = name_components([a for a, _, _ in rows], [b for _, b, _ in rows])
    kept = [index for index, name in enumerate(names) if _place(name, seed) >= 1 - VALIDATION]
    if len({rows[index][2] for index in kept}) < 2:  # noqa: PLR2004 - both kinds of pair
        message = f"the validation part of {pairs.name} holds {len(kept)} pairs, not of both kinds"
        raise ConfigError(message)
    first, second = [rows[index][0] for index in kept], [rows[index][1] for index in kept]
    same = np.array([rows[index][2] for index in kept])
    groups = np.unique([names[index] for index in kept], return_inverse=True)[1].astype(np.int64)
    results, cosines_of = [], {}
    for name in embedders:
        report(f"embedder {name}")
        encoder = load_embedder(name)
        left, right = np.asarray(encoder.embed(first)), np.asarray(encoder.embed(second))
        cosines = (left * right).sum(axis=1).astype(np.float64)
        times = [_time(partial(encoder.embed, [text])) for text in first[:TIMED]]
        unrelated = float((left * np.roll(right, 1, axis=0)).sum(axis=1).mean())
        extra = {"cpu_us_per_query": float(np.median(times)) * 1e6, "unrelated_cosine": unrelated}
        results.append({**_score(f"embedder {name}", cosines, same, groups), **extra})
        cosines_of[name] = cosines
    beside: dict[str, Any] = {"minilm": None, "install_minilm": INSTALL}
    if peer and is_installed():
        report("MiniLM")
        minilm = MiniLM()
        left, right = minilm.embed(first), minilm.embed(second)
        cosines = (left * right).sum(axis=1).astype(np.float64)
        extra = {"unrelated_cosine": float((left * np.roll(right, 1, axis=0)).sum(axis=1).mean())}
        results.append({**_score("MiniLM", cosines, same, groups), **extra})
        report("MiniLM, in turns")
        beside = {"minilm": _compare_times(embedders[-1], encoder, minilm, first)}
        beside["minilm"]["auc_differences"] = [
            {
                "embedder": name,
                "auc_minus_minilm": measure_auroc(own, same) - measure_auroc(cosines, same),
                "interval": bootstrap_difference(own, cosines, same, groups=groups, draws=200),
            }
            for name, own in cosines_of.items()
        ]
    report("pair model")
    model = load_pair_model()
    probabilities = np.asarray(model.probability(first, second), dtype=np.float64)
    times = [_time(partial(model.probability, [a], [b])) for a, b in zip(first[:TIMED], second[:TIMED], strict=True)]
    extra = {"ece": measure_ece(probabilities, same), "cpu_us_per_query": float(np.median(times)) * 1e6}
    results.append({**_score("pair model", probabilities, same, groups), **extra})
    overlap = np.array([_overlap(a, b) for a, b in zip(first, second, strict=True)])
    lengths = -np.abs(np.array([len(a) - len(b) for a, b in zip(first, second, strict=True)], dtype=np.float64))
    results += [_score("token overlap", overlap, same, groups), _score("difference of lengths", lengths, same, groups)]
    return {
        "pairs": pairs.name,
        "validation": len(kept),
        "same": float(same.mean()),
        "components": int(groups.max()) + 1,
        "seed": seed,
        "scores": results,
        **beside,
        **describe_machine(),
    }


def _compare_times(name: str, encoder: Embedder, minilm: MiniLM, texts: Sequence[str]) -> dict[str, Any]:
    """CPU time for one short question and for 1,000, LEO's beside MiniLM's, on one thread each."""
    by_length = sorted(texts, key=len)
    one, many = [by_length[int(SHORT * len(by_length))]], list(texts[:MANY])
    peer = "all-MiniLM-L6-v2, ONNX fp32, 1 thread"
    short = f"embed 1 question of {len(one[0])} characters ({name})"
    pairs = [
        compare(short, peer, partial(encoder.embed, one), partial(minilm.embed, one)),
        compare(
            f"embed {len(many):,} questions ({name})",
            peer,
            partial(encoder.embed, many),
            partial(minilm.embed, many),
            rounds=MANY_ROUNDS,
        ),
    ]
    return {"times": [pair.to_json() for pair in pairs]}


def name_components(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """For each pair the least text of all that pairs connect it with."""
    parent: dict[str, str] = {}

    def find(text: str) -> str:
        while parent.setdefault(text, text) != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for one, two in zip(first, second, strict=True):
        parent[find(one)] = find(two)
    names: dict[str, str] = {}
    for text in sorted(parent):
        names.setdefault(find(text), text)
    return [names[find(one)] for one in first]


def _place(name: str, seed: int) -> float:
    """A number in [0, 1) per component, the same as in ``packages/leo-core/train/paraphrase.py``."""
    return zlib.crc32(f"{seed}|{name}".encode()) / 2**32


def _score(
    name: str, scores: npt.NDArray[np.float64], same: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64]
) -> dict[str, Any]:
    return {
        "score": name,
        "auc": measure_auroc(scores, same),
        "auc_interval": bootstrap_auroc(scores, same, groups=groups, draws=200),
        "recall_at_precision_0.9": recall_at_precision(scores, same, PRECISION),
    }


def _overlap(a: str, b: str) -> float:
    """Shared words by all words (Jaccard)."""
    one, two = set(_WORD.findall(a.lower())), set(_WORD.findall(b.lower()))
    return len(one & two) / max(1, len(one | two))


def _time(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started
