"""``leo bench sealed``: what it costs that the store learns nothing, beside the same store without."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.config import LEOConfig
from leo_core.engine.leo import LEO
from leo_core.evaluation.core_bench import read_texts
from leo_core.evaluation.paired import compare, describe_machine
from leo_core.evaluation.store_bench import BATCH, make_entries, make_question, split_texts
from leo_core.privacy.config import PrivacyConfig
from leo_core.providers.scripted import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from leo_core.ports import Embedder, Store
    from leo_core.records import CacheEntry, Vector

    Rows = npt.NDArray[np.float32]
    Row = tuple[CacheEntry, Vector | None]

__all__ = ["run_sealed"]

OPENINGS = 5
NEIGHBOURS = 8
_TENANT = "default"
_SIDES: dict[str, PrivacyConfig | None] = {"plain": None, "sealed": PrivacyConfig()}


def run_sealed(
    *,
    pairs: Path | None = None,
    entries: int = 10_000,
    embedder: str = "default",
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Fill two SQLite stores with the same entries, one of them sealed, and do the same with both in turns.

    Args:
        pairs: Question pairs ``{"a", "b"}``, whose texts are asked and kept; without, made-up questions.
        entries: Entries in each store. Beyond the file's texts, numbered copies of them.
        embedder: Name of the embedder.
        seed: Order of the texts.
        report: Called with what is measured next.
    """
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

    made = load_embedder(embedder)
    asked, kept = split_texts(read_texts(pairs), entries, seed)
    rows = np.concatenate([made.embed(kept[first : first + 4096]) for first in range(0, len(kept), 4096)])
    filling: list[Row] = list(zip(make_entries(kept), rows, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        paths = {side: Path(folder) / f"{side}.db" for side in _SIDES}
        for side, path in paths.items():
            report(f"filling the {side} store with {len(kept):,} entries")
            with _open(side, path, made) as leo:
                for first in range(0, len(filling), BATCH):
                    leo.store.put_many(filling[first : first + BATCH])
        sizes = {side: path.stat().st_size / len(kept) for side, path in paths.items()}
        report("opening")
        opened = _time_openings(paths, made, rows[0])
        with _open("plain", paths["plain"], made) as plain, _open("sealed", paths["sealed"], made) as sealed:
            sealed.store.search(_TENANT, filling[0][0].scope_key, rows[0], k=NEIGHBOURS, now=0.0)
            memory = getattr(getattr(sealed.store, "index", None), "size_bytes", 0) / len(kept)
            report("writing and reading")
            compared = [
                *_compare_stores(plain.store, sealed.store, filling, made.embed(asked[: len(asked) // 2])),
                *_compare_requests(plain, sealed, asked, kept),
            ]
    return {
        **describe_machine(),
        "benchmark": "sealed",
        "embedder": embedder,
        "seed": seed,
        "entries": len(kept),
        "work": [each.to_json() for each in compared],
        "openings": opened,
        "file_bytes_per_entry": sizes,
        "index_bytes_per_entry": memory,
    }


def _open(side: str, path: Path, embedder: Embedder) -> LEO:
    member = ScriptedModel("clerk", replies=lambda request: f"An answer of ordinary length to {request.question!r}.")
    return LEO(small=member, store=path, embedder=embedder, config=LEOConfig(privacy=_SIDES[side]), seed=0)


def _time_openings(paths: dict[str, Path], embedder: Embedder, query: Vector) -> list[dict[str, Any]]:
    """CPU time from opening a store that is there to its first neighbours, in turns."""
    times: dict[str, list[float]] = {side: [] for side in paths}
    scope = make_entries([""])[0].scope_key
    for turn in range(OPENINGS + 1):
        for side, path in paths.items():
            started = time.process_time()
            with _open(side, path, embedder) as leo:
                leo.store.search(_TENANT, scope, query, k=NEIGHBOURS, now=0.0)
                taken = time.process_time() - started
            if turn:  # the first one warms up
                times[side].append(taken)
    medians = {side: float(np.median(taken)) for side, taken in times.items()}
    return [{"side": side, "open_s": taken, "ratio": taken / medians["plain"]} for side, taken in medians.items()]


def _compare_stores(plain: Store, sealed: Store, filling: Sequence[Row], queries: Rows) -> list[Any]:
    scope = filling[0][0].scope_key
    fresh = {side: _draw_fresh(filling) for side in _SIDES}
    turns = {side: count() for side in _SIDES}
    stores = {"plain": plain, "sealed": sealed}

    def put(side: str) -> None:
        stores[side].put(*next(fresh[side]))

    def put_many(side: str) -> None:
        stores[side].put_many([next(fresh[side]) for _ in range(BATCH)])

    def search(side: str) -> object:
        query = queries[next(turns[side]) % len(queries)]
        return stores[side].search(_TENANT, scope, query, k=NEIGHBOURS, now=0.0)

    def get_exact(side: str) -> object:
        key = filling[next(turns[side]) % len(filling)][0].exact_key
        return stores[side].get_exact(_TENANT, key, now=0.0)

    work = {
        "store: put one entry": put,
        f"store: put {BATCH} entries": put_many,
        "store: exact look-up": get_exact,
        f"store: {NEIGHBOURS} nearest": search,
    }
    return [_compare(name, do) for name, do in work.items()]


def _compare_requests(plain: LEO, sealed: LEO, asked: Sequence[str], kept: Sequence[str]) -> list[Any]:
    leos = {"plain": plain, "sealed": sealed}
    turns = {side: count() for side in _SIDES}
    unseen = [make_question(text) for text in asked]
    known = [make_question(text) for text in kept]

    def decide(side: str) -> object:
        return leos[side].cache.decide(unseen[next(turns[side]) % len(unseen)])

    def hit(side: str) -> object:
        return leos[side].ask(known[next(turns[side]) % len(known)])

    def miss(side: str) -> object:
        number = next(turns[side])
        return leos[side].ask(f"{asked[number % len(asked)]} ({number})")

    work = {
        "LEO: decision on an unseen question": decide,
        "LEO: a kept question asked, with receipt": hit,
        "LEO: a new question asked, with receipt": miss,
    }
    return [_compare(name, do) for name, do in work.items()]


def _compare(work: str, do: Callable[[str], object]) -> Any:
    return compare(work, "sealed", lambda: do("plain"), lambda: do("sealed"))


def _draw_fresh(filling: Sequence[Row]) -> Iterator[Row]:
    """Entries like the others, under names that are not there yet."""
    for number in count():
        entry, vector = filling[number % len(filling)]
        yield replace(entry, id=f"f{number:031x}", exact_key=f"fresh-{number}"), vector
