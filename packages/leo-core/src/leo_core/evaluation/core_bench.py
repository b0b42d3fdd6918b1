"""``leo bench core``: kernels, index, solver and starts in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.coherence_bench import check_admm
from leo_core.evaluation.datasets import read_jsonl
from leo_core.evaluation.index_bench import QUERIES, compare_indexes, extend_rows
from leo_core.evaluation.kernel_bench import compare_kernels
from leo_core.evaluation.paired import describe_machine
from leo_core.evaluation.path_bench import measure_path
from leo_core.evaluation.start_bench import measure_starts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["make_texts", "read_texts", "run_core"]

DEFAULT_SIZES = (1_000, 10_000, 100_000)


def run_core(
    *,
    pairs: Path | None,
    embedder: str = "default",
    sizes: Sequence[int] = DEFAULT_SIZES,
    graphs_up_to: int = 10_000,
    instances: int = 1_000,
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """The table of ratios, the index at several sizes, the solver's exactness, cold and warm start.

    Args:
        pairs: Question pairs ``{"a", "b"}``, whose texts are embedded for the index; without, made-up questions.
        embedder: Name of the embedder of the index's vectors.
        sizes: Vectors in the index.
        graphs_up_to: Most vectors for which the libraries' graphs are built.
        instances: Random instances of the consensus problem.
        seed: Of everything drawn.
        report: Called with what is measured next.

    Raises:
        ConfigError: A size is below 1, or the file holds no pairs.
    """
    if min(sizes, default=1) < 1:
        message = f"an index of {min(sizes)} vectors cannot be measured; sizes are at least 1"
        raise ConfigError(message)
    from leo_core.engine.assembly import load_pair_model  # noqa: PLC0415 - loads numba
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

    texts = read_texts(pairs)
    report("kernels")
    kernels = [comparison.to_json() for comparison in compare_kernels(texts, seed=seed)]
    report("embedding of the index's texts")
    vectors = np.asarray(load_embedder(embedder).embed(texts), dtype=np.float32)
    order = np.random.default_rng(seed).permutation(len(vectors))
    asked = min(QUERIES, len(vectors) // 4)
    queries, rows = vectors[order[:asked]], vectors[order[asked:]]
    indexes = []
    for size in sizes:
        report(f"index of {size:,}")
        indexes += compare_indexes(extend_rows(rows, size, seed=seed), queries, graphs_up_to=graphs_up_to)
    report("embedding, search and pair model together")
    encoder = load_embedder(embedder)
    paths = [measure_path(texts, size, embedder=encoder, pair_model=load_pair_model(), seed=seed) for size in sizes]
    report("consensus problem")
    solver = check_admm(instances, seed=seed)
    report("cold and warm start")
    return {
        **describe_machine(),
        "embedder": embedder,
        "seed": seed,
        "texts": len(texts),
        "kernels": kernels,
        "indexes": indexes,
        "paths": paths,
        "admm": solver,
        "start": measure_starts(),
    }


def make_texts() -> list[str]:
    """2,000 made-up questions, for when there are no real ones at hand."""
    subjects, actions = ("card", "order", "loan", "ticket", "phone"), ("cancel", "change", "find", "pay for", "lose")
    return [f"How do I {a} my {s} number {n}?" for n in range(80) for s in subjects for a in actions]


def read_texts(pairs: Path | None) -> list[str]:
    """The different texts of a file of question pairs, in order; without a file, made-up questions."""
    if pairs is None:
        return make_texts()
    texts = list(dict.fromkeys(str(row[side]) for row in read_jsonl(pairs) for side in ("a", "b") if side in row))
    if not texts:
        message = f"{pairs.name} holds no pairs with a and b"
        raise ConfigError(message)
    return texts
