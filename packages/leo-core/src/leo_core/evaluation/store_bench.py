"""``leo bench store``: a full store: look-ups beside other caches, adding while others search, opening, memory."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from leo_core.config import LEOConfig
from leo_core.engine.assembly import make_plan
from leo_core.engine.leo import LEO
from leo_core.evaluation.core_bench import read_texts
from leo_core.evaluation.paired import describe_machine, find_module
from leo_core.records import CacheEntry, Message, Request, Route, Usage
from leo_core.stages.cache.identity import identify
from leo_core.storage.sqlite import SqliteStore
from leo_core.storage.vector_cache import VectorCache
from leo_core.storage.vector_index import ScopeIndex, find_nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from leo_core.ports import Embedder, Store

    Rows = npt.NDArray[np.float32]
    Look = Callable[[int], object]

__all__ = ["make_entries", "make_question", "run_store", "split_texts"]

LOOKUPS = 300
"""Questions of each kind: asked for the first time, asked again, and kept."""
TURN = 20
WARM_UP = 20
BATCH = 256
_REPORTED = 100
"""Batches from one report to the next."""
SINGLE = 1_000
ADDED = 10_240
_TENANT = "default"


def run_store(
    *,
    pairs: Path | None,
    entries: int = 100_000,
    embedder: str = "default",
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Fill a store, open it anew, and measure.

    Args:
        pairs: Question pairs ``{"a", "b"}``, whose texts are asked and kept; without, made-up questions.
        entries: Entries in the store. Beyond the file's texts, numbered copies of them.
        embedder: Name of the embedder.
        seed: Order of the texts. Those that are only asked are the same 600 whatever ``entries`` is.
        report: Called with what is measured next.
    """
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

    made = load_embedder(embedder)
    asked, kept = split_texts(read_texts(pairs), entries, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        report(f"filling with {len(kept):,} entries")
        rows, filled_per_s = _fill(path, kept, made, report)
        report("opening")
        started = time.perf_counter()
        with SqliteStore(path) as store:
            opened_s = time.perf_counter() - started
            memory = _weigh(store, path, asked[0], made)
        with LEO(store=path, embedder=made, seed=seed) as leo:
            leo.warm_up()
            started = time.perf_counter()
            leo.cache.lookup(make_question(asked[0]))
            first_s = time.perf_counter() - started
            report("look-ups")
            lookups = _compare_lookups(leo, asked, kept, rows, made, Path(folder), report)
            report("adding while another thread searches")
            adds = [_add_to_index(rows), *_add_to_store(leo.store, kept, rows)]
    return {
        **describe_machine(),
        "benchmark": "store",
        "embedder": embedder,
        "seed": seed,
        "entries": len(kept),
        "filled_per_s": filled_per_s,
        "open_s": opened_s,
        "first_lookup_s": first_s,
        **memory,
        "lookups": lookups,
        "adds": adds,
    }


def split_texts(texts: list[str], entries: int, seed: int) -> tuple[list[str], list[str]]:
    """Questions that are only asked, and as many as ``entries`` that are kept: numbered copies beyond the texts."""
    order = [texts[place] for place in np.random.default_rng(seed).permutation(len(texts))]
    count = min(2 * LOOKUPS, len(order) // 4 // 2 * 2)
    asked, kept = order[:count], order[count:]
    copies = 1
    base = list(kept)
    while len(kept) < entries:
        copies += 1
        kept += [f"{text} ({copies})" for text in base[: entries - len(kept)]]
    return asked, kept[:entries]


def make_question(text: str) -> Request:
    """The request that asks a question."""
    return Request(messages=(Message(role="user", content=text),), tenant=_TENANT)


def _answer(text: str) -> str:
    """An answer of ordinary length to a question of one line, another one to each."""
    return f"To answer {text!r}: an answer of ordinary length, as a model gives it to a question of one line."


def make_entries(texts: Sequence[str], prefix: str = "") -> list[CacheEntry]:
    """Entries as the cache itself would keep them, for a LEO without members."""
    fingerprint = make_plan(None, None, (), LEOConfig(), audits=False).fingerprint
    usage = Usage(input_tokens=20, output_tokens=30, calls=1, cost_usd=0.001)
    entries = []
    for number, text in enumerate(texts):
        identity = identify(make_question(text), models=fingerprint)
        entries.append(
            CacheEntry(
                id=f"{prefix}{number:032x}",
                tenant=_TENANT,
                exact_key=identity.exact_key,
                scope_key=identity.scope_key,
                text=identity.text,
                message=Message(role="assistant", content=_answer(text)),
                members=("model",),
                model="model",
                route=Route.LARGE,
                usage=usage,
                receipt_id="",
                created_at=0.0,
                size_bytes=len(text) + len(_answer(text)),
            )
        )
    return entries


def _fill(
    path: Path, texts: Sequence[str], embedder: Embedder, report: Callable[[str], None] = lambda _: None
) -> tuple[Rows, float]:
    rows = np.concatenate([embedder.embed(texts[first : first + 4096]) for first in range(0, len(texts), 4096)])
    entries = make_entries(texts)
    with LEO(store=path, embedder=embedder) as leo:
        started = time.perf_counter()
        for first in range(0, len(entries), BATCH):
            leo.store.put_many(list(zip(entries[first : first + BATCH], rows[first : first + BATCH], strict=True)))
            if first // BATCH % _REPORTED == _REPORTED - 1:
                report(f"filled {first + BATCH:,} of {len(entries):,}")
        elapsed = time.perf_counter() - started
    return np.asarray(rows, dtype=np.float32), len(entries) / elapsed


# ------------------------------------------------------------------------------------------------ look-ups


def _compare_lookups(
    leo: LEO,
    asked: Sequence[str],
    kept: Sequence[str],
    rows: Rows,
    embedder: Embedder,
    folder: Path,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Every cache answers the same questions in turns: LEO's whole decision, the peers without their embedding."""
    count = len(asked) // 2
    known = [kept[place] for place in np.linspace(0, len(kept) - 1, count, dtype=int)]
    again, first = [make_question(text) for text in asked[:count]], [make_question(text) for text in asked[count:]]
    repeated = [make_question(text) for text in known]
    for request in again:
        leo.cache.decide(request)
    looks: dict[str, Look] = {
        "LEO decision, unseen question, near ones in memory": lambda number: leo.cache.decide(again[number]),
        "LEO decision, unseen question, first time": lambda number: leo.cache.decide(first[number]),
        "LEO look-up, kept question": lambda number: leo.cache.lookup(repeated[number]),
    }
    gptcache = _open_gptcache(kept, rows, asked[:count], embedder, folder)
    if gptcache is None:
        report("GPTCache is left out: install gptcache, faiss-cpu and sqlalchemy to have it beside LEO")
    else:
        looks["GPTCache get, unseen question, without embedding"] = gptcache
    caches = find_module("langchain_core.caches")
    if caches is not None:
        memory = caches.InMemoryCache()
        for text in kept:
            memory.update(text, "model", [_answer(text)])
        looks["langchain InMemoryCache, kept question"] = lambda number: memory.lookup(known[number], "model")
    return _time_in_turns(looks, count)


def _time_in_turns(looks: dict[str, Look], count: int) -> list[dict[str, Any]]:
    times = {name: np.empty(count) for name in looks}
    cpu = dict.fromkeys(looks, 0.0)
    for number in range(min(WARM_UP, count)):
        for look in looks.values():
            look(number)
    for first in range(0, count, TURN):
        for name, look in looks.items():
            began = time.thread_time()
            for number in range(first, min(first + TURN, count)):
                started = time.perf_counter()
                look(number)
                times[name][number] = time.perf_counter() - started
            cpu[name] += time.thread_time() - began
    own = next(iter(looks))
    rows = []
    for name, taken in times.items():
        p50, p99 = np.percentile(taken, [50, 99]) * 1e6
        row: dict[str, Any] = {"cache": name, "p50_us": float(p50), "p99_us": float(p99)}
        row["cpu_us"] = cpu[name] / count * 1e6
        row["ratio"] = float(np.median(taken / times[own]))
        rows.append(row)
    return rows


def _open_gptcache(
    kept: Sequence[str], rows: Rows, asked: Sequence[str], embedder: Embedder, folder: Path
) -> Look | None:
    """GPTCache with SQLite and faiss, its defaults otherwise, holding the same questions under the same vectors."""
    gptcache, api = find_module("gptcache"), find_module("gptcache.adapter.api")
    if gptcache is None or api is None or find_module("faiss") is None or find_module("sqlalchemy") is None:
        return None
    processor, manager = find_module("gptcache.processor.pre"), find_module("gptcache.manager")
    evaluation = find_module("gptcache.similarity_evaluation")
    if processor is None or manager is None or evaluation is None:
        return None
    vectors = dict(zip(asked, embedder.embed(asked), strict=True))
    data = manager.manager_factory(
        "sqlite,faiss",
        data_dir=str(folder / "gptcache"),
        max_size=2 * len(kept),
        vector_params={"dimension": rows.shape[1]},
    )
    for first in range(0, len(kept), BATCH):
        part = list(kept[first : first + BATCH])
        data.import_data(part, [_answer(text) for text in part], list(rows[first : first + BATCH]), [None] * len(part))
    cache = gptcache.Cache()
    cache.init(
        pre_embedding_func=processor.get_prompt,
        embedding_func=lambda text, **_: vectors[text],
        data_manager=data,
        similarity_evaluation=evaluation.SearchDistanceEvaluation(),
    )
    return cast("Look", lambda number: api.get(asked[number], cache_obj=cache))


# ------------------------------------------------------------------------------------------------- memory


def _weigh(store: SqliteStore, path: Path, text: str, embedder: Embedder) -> dict[str, Any]:
    (entry,) = make_entries([text])
    vectors = VectorCache(max_bytes=1 << 40)
    with store.database.read() as connection:
        started = time.perf_counter()
        view = vectors.view(connection, _TENANT, entry.scope_key, dimension=embedder.fingerprint.dimension)
        loaded_s = time.perf_counter() - started
    size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
    return {
        "index_load_s": loaded_s,
        "index_bytes_per_entry": vectors.size_bytes / len(view.questions),
        "file_bytes_per_entry": size / len(view.questions),
    }


# ------------------------------------------------------------------------------------------------- adding


def _add_while_searching(
    what: str, count: int, add: Callable[[], None], search: Callable[[], object]
) -> dict[str, Any]:
    done = threading.Event()
    searches: list[float] = []

    def work() -> None:
        while not done.is_set():
            started = time.perf_counter()
            search()
            searches.append(time.perf_counter() - started)

    thread = threading.Thread(target=work)
    thread.start()
    started, cpu = time.perf_counter(), time.thread_time()
    try:
        add()
    finally:
        elapsed, cpu = time.perf_counter() - started, time.thread_time() - cpu
        done.set()
        thread.join()
    return {
        "adding": what,
        "adds": count,
        "adds_per_s": count / elapsed,
        "adds_per_cpu_s": count / cpu,
        "searches_meanwhile": len(searches),
        "search_p50_us": float(np.median(searches) * 1e6) if searches else None,
    }


def _add_to_index(rows: Rows) -> dict[str, Any]:
    """The index alone, filled with ``rows``, one vector at a time."""
    index, numbers, never = ScopeIndex(rows.shape[1]), np.arange(1, len(rows) + ADDED + 1), np.full(1, np.inf)
    index.append(numbers[: len(rows)], numbers[: len(rows)], np.full(len(rows), np.inf), rows)
    lock = threading.Lock()

    def read(asked: npt.NDArray[np.int64]) -> Rows:
        return rows[(asked - 1) % len(rows)]

    def add() -> None:
        for step in range(ADDED):
            place = len(rows) + step
            with lock:
                index.append(
                    numbers[place : place + 1], numbers[place : place + 1], never, rows[step % len(rows)][np.newaxis]
                )

    def search() -> object:
        with lock:
            view = index.view()
        return find_nearest(view, rows[0], k=1, now=0.0, read_vectors=read)

    search()
    return _add_while_searching("index, one by one", ADDED, add, search)


def _add_to_store(store: Store, texts: Sequence[str], rows: Rows) -> list[dict[str, Any]]:
    """New entries into the full store: one transaction each, and 256 in one."""
    new = make_entries([f"{text} (added)" for text in texts[: SINGLE + ADDED]], prefix="a")
    scope_key, vectors = new[0].scope_key, rows[: len(new)]
    single = min(SINGLE, len(new) // 2)

    def search() -> object:
        return store.search(_TENANT, scope_key, rows[0], k=1, now=0.0)

    def add_each() -> None:
        for entry, vector in zip(new[:single], vectors[:single], strict=True):
            store.put(entry, vector)

    def add_many() -> None:
        for first in range(single, len(new), BATCH):
            part = slice(first, first + BATCH)
            store.put_many(list(zip(new[part], vectors[part], strict=True)))

    search()
    return [
        _add_while_searching("store, one by one", single, add_each, search),
        _add_while_searching(f"store, {BATCH} at a time", len(new) - single, add_many, search),
    ]
