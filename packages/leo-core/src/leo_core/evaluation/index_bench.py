"""Nearest neighbours: LEO's index beside a plain scan and the libraries that are installed, at several sizes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.evaluation.paired import find_module, hold_one_thread
from leo_core.storage.vector_index import ScopeIndex, find_nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]
    Search = Callable[[Rows], float]
    Tune = Callable[[int], object]
    Built = tuple[Search, int | None, Tune | None]

__all__ = ["compare_indexes", "extend_rows"]

QUERIES = 500
EFFORTS = (64, 128, 256)
"""``ef`` of the graphs: each is a point of their time against recall, so that equal recalls can be compared."""

WARM_UP = 5
TURN = 20
JITTER = 0.02
BATCH = 4096
_EQUAL = 1e-6
_NEVER = 1 << 60


def extend_rows(rows: Rows, count: int, *, seed: int = 0) -> Rows:
    """``count`` unit rows: the first of ``rows`` (n, d), then jittered copies of random ones of them."""
    if count <= len(rows):
        return rows[:count]
    random = np.random.default_rng(seed)
    extended = np.empty((count, rows.shape[1]), dtype=np.float32)
    extended[: len(rows)] = rows
    for first in range(len(rows), count, BATCH):
        number = min(BATCH, count - first)
        noise = random.standard_normal((number, rows.shape[1]), dtype=np.float32)
        copies = rows[random.integers(0, len(rows), number)] + np.float32(JITTER) * noise
        extended[first : first + number] = copies / np.linalg.norm(copies, axis=1, keepdims=True)
    return extended


def compare_indexes(rows: Rows, queries: Rows, *, graphs_up_to: int) -> list[dict[str, Any]]:
    """Time per query, recall@1, build time and memory of every index over the same ``rows`` (n, d), in turns.

    A graph has a row for each of several efforts; ``ratio`` is its median time by that of LEO as shipped.

    Args:
        rows: Unit rows.
        queries: Unit rows that are not among them, (q, d).
        graphs_up_to: Most rows for which the libraries' graphs, which take minutes, are built.
    """
    with hold_one_thread():
        return _compare(rows, np.ascontiguousarray(queries[:QUERIES]), graphs_up_to)


def _compare(rows: Rows, queries: Rows, graphs_up_to: int) -> list[dict[str, Any]]:
    best = _find_best(rows, queries)
    results: dict[str, dict[str, Any]] = {}
    searches: dict[str, Search] = {}
    for name, build in _list_indexes(rows, graphs_up_to):
        started, cpu = time.perf_counter(), time.process_time()
        search, size_bytes, tune = build()
        result = {
            "rows": len(rows),
            "build_s": time.perf_counter() - started,
            "build_cpu_s": time.process_time() - cpu,
            "bytes_per_vector": size_bytes and size_bytes / len(rows),
        }
        for effort in EFFORTS if tune is not None else (None,):
            full = name if effort is None else f"{name} ef{effort}"
            results[full] = {"index": full, **result}
            searches[full] = search if tune is None or effort is None else _tuned(search, tune, effort)
    times = {name: np.empty(len(queries)) for name in searches}
    found = {name: np.empty(len(queries)) for name in searches}
    for search in searches.values():
        for query in queries[:WARM_UP]:
            search(query)
    for first in range(0, len(queries), TURN):
        for name, search in searches.items():
            for number in range(first, min(first + TURN, len(queries))):
                started = time.perf_counter()
                found[name][number] = search(queries[number])
                times[name][number] = time.perf_counter() - started
    own = times[next(iter(times))]
    for name, result in results.items():
        p50, p99 = np.percentile(times[name], [50, 99]) * 1e6
        recall = float(np.mean(found[name] >= best - _EQUAL))
        ratio = float(np.median(times[name] / own))
        result.update(p50_us=float(p50), p99_us=float(p99), recall_at_1=recall, ratio=ratio)
    return list(results.values())


def _find_best(rows: Rows, queries: Rows) -> npt.NDArray[np.float32]:
    best = np.full(len(queries), -np.inf, dtype=np.float32)
    for first in range(0, len(rows), 65_536):
        np.maximum(best, (queries @ rows[first : first + 65_536].T).max(axis=1), out=best)
    return best


def _tuned(search: Search, tune: Tune, effort: int) -> Search:
    """The search of a graph at this effort; setting it is a tenth of a microsecond."""

    def tuned(query: Rows) -> float:
        tune(effort)
        return search(query)

    return tuned


def _list_indexes(rows: Rows, graphs_up_to: int) -> Iterator[tuple[str, Callable[[], Built]]]:
    yield "LEO, as shipped", lambda: _build_own(rows)
    yield "LEO, sketches only", lambda: _build_own(rows, exact_up_to=0, partition_above=_NEVER)
    yield "LEO, exact scan only", lambda: _build_own(rows, exact_up_to=_NEVER)
    yield "numpy scan", lambda: (lambda query: float((rows @ query).max()), rows.nbytes, None)
    faiss, hnswlib = find_module("faiss"), find_module("hnswlib")
    if faiss is not None:
        faiss.omp_set_num_threads(1)
        yield "faiss Flat", lambda: _build_faiss(rows, faiss.IndexFlatIP(rows.shape[1]))
        kind, metric = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        yield "faiss 8-bit scan", lambda: _build_faiss(rows, faiss.IndexScalarQuantizer(rows.shape[1], kind, metric))
    if len(rows) > graphs_up_to:
        return
    if faiss is not None:
        yield "faiss HNSW M32", lambda: _build_faiss_graph(rows, faiss)
    if hnswlib is not None:
        graph = hnswlib.Index(space="ip", dim=rows.shape[1])
        yield "hnswlib M16", lambda: _build_hnswlib(rows, graph)
    usearch = find_module("usearch.index")
    if usearch is not None:
        yield "usearch f32", lambda: _build_usearch(rows, usearch)


def _build_own(rows: Rows, **settings: int) -> Built:
    index = ScopeIndex(rows.shape[1], **settings)
    numbers = np.arange(1, len(rows) + 1)
    for first in range(0, len(rows), BATCH):
        part = numbers[first : first + BATCH]
        index.append(part, part, np.full(len(part), np.inf), rows[first : first + BATCH])
    view = index.view()

    def search(query: Rows) -> float:
        return find_nearest(view, query, k=1, now=0.0, read_vectors=lambda asked: rows[asked - 1])[0].cosine

    return search, index.size_bytes, None


def _build_faiss(rows: Rows, index: Any) -> Built:
    index.train(rows)
    index.add(rows)
    return lambda query: float(rows[index.search(query[np.newaxis], 1)[1][0, 0]] @ query), None, None


def _build_faiss_graph(rows: Rows, faiss: Any) -> Built:
    index = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    search, size_bytes, _ = _build_faiss(rows, index)
    return search, size_bytes, lambda effort: setattr(index.hnsw, "efSearch", effort)


def _build_hnswlib(rows: Rows, index: Any) -> Built:
    index.init_index(len(rows), M=16, ef_construction=200)
    index.set_num_threads(1)
    index.add_items(rows)
    return lambda query: float(rows[index.knn_query(query, 1)[0][0, 0]] @ query), None, index.set_ef


def _build_usearch(rows: Rows, usearch: Any) -> Built:
    index = usearch.Index(ndim=rows.shape[1], metric="ip", dtype="f32")
    index.add(np.arange(len(rows)), rows, threads=1)
    search: Search = lambda query: float(rows[int(index.search(query, 1).keys[0])] @ query)  # noqa: E731 - as above
    return search, None, lambda effort: setattr(index, "expansion_search", effort)
