"""What a question costs that the cache does not know: embed it, find the nearest kept one, compare the two."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.evaluation.index_bench import QUERIES, extend_rows
from leo_core.evaluation.paired import hold_one_thread
from leo_core.storage.vector_index import ScopeIndex, find_nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from leo_core.ports import Embedder
    from leo_core.stages.cache.pair import PairModel

__all__ = ["measure_path"]

_WARM_UP = 50
_BATCH = 4096


def measure_path(
    texts: Sequence[str], size: int, *, embedder: Embedder, pair_model: PairModel, seed: int = 0
) -> dict[str, Any]:
    """CPU time of embedding, search and pair model together, for questions that are not among ``size`` kept ones.

    Where there are fewer texts, jittered copies of their vectors are kept too; a copy has the text of its nearest
    original. Neither the question nor, mostly, its neighbour was compared before.

    Args:
        texts: Different texts, at least 8.
        size: How many are kept.
        embedder: Embeds them.
        pair_model: One that has read none of them: what was read is remembered.
        seed: Of the draw of the questions.

    Returns:
        ``rows``, ``questions``, CPU microseconds ``p50_us``, ``mean_us``, ``p99_us``, of them ``embed_us``,
        ``search_us``, ``pair_us`` (means), and ``network_share``: of the questions for which the network was asked.
    """
    order = np.random.default_rng(seed).permutation(len(texts))
    asked = min(QUERIES + _WARM_UP, len(texts) // 4)
    warm = min(_WARM_UP, asked // 2)
    questions, kept = [texts[at] for at in order[:asked]], [texts[at] for at in order[asked:]][:size]
    originals = np.asarray(embedder.embed(kept), dtype=np.float32)
    rows = extend_rows(originals, size, seed=seed)
    owners = np.concatenate([np.arange(len(kept)), _find_owners(originals, rows[len(kept) :])])
    index, numbers = ScopeIndex(rows.shape[1]), np.arange(1, size + 1)
    for first in range(0, size, _BATCH):
        part = numbers[first : first + _BATCH]
        index.append(part, part, np.full(len(part), np.inf), rows[first : first + _BATCH])
    view, times, shares = index.view(), [], []
    with hold_one_thread():
        for question in questions:
            begun = time.thread_time()
            vector = np.asarray(embedder.embed([question]), dtype=np.float32)[0]
            embedded = time.thread_time()
            nearest = find_nearest(view, vector, k=1, now=0.0, read_vectors=lambda at: rows[at - 1])[0]
            found = time.thread_time()
            neighbour = kept[owners[nearest.question - 1]]
            pair_model.probability_at([nearest.cosine], [neighbour], [question])
            times.append((embedded - begun, found - embedded, time.thread_time() - found))
            shares.append(pair_model.leaves_open(nearest.cosine, neighbour, question))
    parts = np.array(times[warm:]) * 1e6
    total = parts.sum(axis=1)
    means = parts.mean(axis=0)
    return {
        "rows": size,
        "questions": len(total),
        "p50_us": float(np.median(total)),
        "mean_us": float(total.mean()),
        "p99_us": float(np.percentile(total, 99)),
        "embed_us": float(means[0]),
        "search_us": float(means[1]),
        "pair_us": float(means[2]),
        "network_share": float(np.mean(shares[warm:])),
    }


def _find_owners(originals: npt.NDArray[np.float32], copies: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The nearest original of each copy."""
    found = [(copies[first : first + 512] @ originals.T).argmax(axis=1) for first in range(0, len(copies), 512)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *found])
