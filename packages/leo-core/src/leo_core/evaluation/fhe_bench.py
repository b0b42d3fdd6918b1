"""``leo bench fhe``: search under encryption beside a plain scan, the naive way, and an index that the client holds.

One run, one thread, in turns: every query is encrypted, scored under every mode, decrypted, and searched in the clear;
products of the naive way are spread over the run. Times are CPU times of the process.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.datasets import read_jsonl
from leo_core.evaluation.fhe_peers import NaiveDots, SealedScan
from leo_core.evaluation.index_bench import extend_rows
from leo_core.evaluation.paired import describe_machine, hold_one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from leo_core.privacy.ckks.block_scoring import Block, BlockScorer
    from leo_core.privacy.ckks.fhe_secret import FheSecret

    Rows = npt.NDArray[np.float32]

__all__ = ["MODES", "read_vectors", "run_fhe"]

MODES = ("query_private", "fully_encrypted")
DEFAULT_SIZES = (1_000, 10_000, 100_000)
DOTS = 16
"""Products of the naive way in one run; at least 8."""

_TIE = 1e-6


@dataclass(kw_only=True)
class _Measured:
    """What one mode showed, query after query."""

    server_s: list[float] = field(default_factory=list)
    decrypt_s: list[float] = field(default_factory=list)
    down_bytes: int = 0
    max_error: float = 0.0
    top1: int = 0
    widest_miss: float = 0.0


def run_fhe(
    *,
    pairs: Path,
    sizes: Sequence[int] = DEFAULT_SIZES,
    dim: int = 256,
    modes: Sequence[str] = MODES,
    queries: int = 1_000,
    preset: str = "score128",
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Times, bytes, memory, errors and agreement with the plain scan at every size.

    Args:
        pairs: Question pairs ``{"a", "b", "same"}``; the second of a pair with the same meaning is the query, the
            first an entry.
        sizes: Entries in the index.
        dim: Coordinates; the embedder's are rotated into as many, which keeps cosines where there are not fewer.
        modes: ``"query_private"``, ``"fully_encrypted"`` or both.
        queries: Paraphrases asked at every size.
        preset: Name of the parameters.
        seed: Of what is drawn.
        report: Called with what is measured next.

    Raises:
        ConfigError: A size or number is below 1, a mode is unknown, or the file holds too few pairs.
        MissingExtraError: The extra ``fhe`` is not installed.
    """
    _check(sizes, modes, queries)
    from leo_core.privacy.ckks.fhe_secret import FheSecret  # noqa: PLC0415 - loads SEAL
    from leo_core.privacy.ckks.params import FheParams  # noqa: PLC0415 - as above

    params = FheParams.preset(preset)
    secret = FheSecret.generate(params)
    report("embedding of the paraphrases")
    entries, asked = read_vectors(pairs, queries=queries, dim=dim, seed=seed)
    results = []
    with hold_one_thread():
        for size in sizes:
            report(f"index of {size:,}")
            results.append(_measure(secret, extend_rows(entries, size, seed=seed), asked, modes=modes))
    return {
        **describe_machine(),
        "clock": "CPU time of the process, one thread",
        "data": pairs.name,
        "real_entries": len(entries),
        "preset": preset,
        "prime_bits": list(params.prime_bits),
        "classical_bits": params.classical_bits,
        "quantum_bits": params.quantum_bits,
        "dim": dim,
        "queries": len(asked),
        "seed": seed,
        "sizes": results,
    }


def _check(sizes: Sequence[int], modes: Sequence[str], queries: int) -> None:
    if min(sizes, default=0) < 1 or queries < 1:
        message = f"sizes {list(sizes)} and {queries} queries: each must be at least 1"
        raise ConfigError(message)
    unknown = sorted(set(modes) - set(MODES))
    if unknown or not modes:
        message = f"there is no mode {', '.join(unknown) or 'in an empty list'}; modes are {', '.join(MODES)} and both"
        raise ConfigError(message)


def read_vectors(pairs: Path, *, queries: int, dim: int, seed: int) -> tuple[Rows, Rows]:
    """Unit rows of entries (m, dim), those of the queries' partners first, and of the queries (q, dim).

    Raises:
        ConfigError: There are fewer than ``queries`` pairs with the same meaning.
    """
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

    rows = [row for row in read_jsonl(pairs) if {"a", "b", "same"} <= row.keys()]
    partners: dict[str, str] = {}
    for row in rows:
        if row["same"]:
            partners.setdefault(str(row["b"]), str(row["a"]))
    order = np.random.default_rng(seed).permutation(len(partners))
    asked = dict(list(partners.items())[place] for place in order[:queries])
    if len(asked) < queries:
        message = f"{pairs.name} has {len(asked)} pairs with the same meaning, and {queries} queries were asked for"
        raise ConfigError(message)
    others = (str(row[side]) for row in rows for side in ("a", "b"))
    texts = [text for text in dict.fromkeys((*asked.values(), *others)) if text not in asked]
    embedder = load_embedder("static")
    return _fit(embedder.embed(texts), dim, seed), _fit(embedder.embed(list(asked)), dim, seed)


def _fit(vectors: Any, dim: int, seed: int) -> Rows:
    """Unit rows rotated into ``dim`` coordinates."""
    rows = np.asarray(vectors, dtype=np.float64)
    draw = np.random.default_rng(seed).standard_normal((max(dim, rows.shape[1]), max(dim, rows.shape[1])))
    rotation = np.linalg.qr(draw)[0][: rows.shape[1], :dim]
    fitted = rows @ rotation
    unit: Rows = (fitted / np.linalg.norm(fitted, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _measure(secret: FheSecret, rows: Rows, asked: Rows, *, modes: Sequence[str]) -> dict[str, Any]:
    from leo_core.privacy.ckks.block_scoring import BlockScorer  # noqa: PLC0415 - loads numba

    size, dim = rows.shape
    started = time.process_time()
    keys = secret.evaluation_keys(dim=dim, expected=size)
    keys_s = time.process_time() - started
    scorer = BlockScorer(keys)
    blocks, loads = _load(secret, scorer, rows, modes)
    naive, sealed = NaiveDots(dim), SealedScan(rows)
    found = {mode: _Measured() for mode in modes}
    encrypt_s, scan_s, up = [], [], 0
    every = max(1, len(asked) // DOTS)
    for number, query in enumerate(asked):
        started = time.process_time()
        data = secret.encrypt_query(query)
        encrypt_s.append(time.process_time() - started)
        up = len(data)
        _ = rows @ query  # what ran before has filled the processor's caches with its own
        started = time.process_time()
        scores = rows @ query
        scan_s.append(time.process_time() - started)
        for mode in modes:
            _ask(found[mode], secret, scorer, data, blocks[mode], scores)
        sealed.search(query, scores)
        if number % every == 0:
            naive.multiply(query, rows[number % size])
    while naive.dots < DOTS:
        naive.multiply(asked[0], rows[naive.dots % size])
    shared = {
        "entries": size,
        "encrypt_ms": _median_ms(encrypt_s),
        "up_bytes": up,
        "keys_bytes": len(keys.to_bytes()),
        "keys_ms": keys_s * 1e3,
        "baby_steps": keys.layout.baby,
        "giant_steps": keys.layout.giants,
        "scan_ms": _median_ms(scan_s),
        "naive_s": naive.second_each * size,
        "naive_dots": naive.dots,
        "naive_error": naive.max_error,
    }
    rows_of = [
        _summarise(mode, found[mode], shared, loads[mode], sum(b.size_bytes for b in blocks[mode]) + scorer.size_bytes)
        for mode in modes
    ]
    return {**shared, "modes": rows_of, "sealed_local": sealed.to_json()}


def _load(
    secret: FheSecret, scorer: BlockScorer, rows: Rows, modes: Sequence[str]
) -> tuple[dict[str, list[Block]], dict[str, dict[str, Any]]]:
    """The blocks of every mode, and what it took to get them there."""
    size = secret.params.block_size
    parts = [rows[first : first + size] for first in range(0, len(rows), size)]
    blocks: dict[str, list[Block]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for mode in modes:
        upload, client_s = 0, 0.0
        started = time.process_time()
        blocks[mode] = []
        for part in parts:
            if mode == "query_private":
                blocks[mode].append(scorer.load_plain(part))
                continue
            before = time.process_time()
            data = secret.encrypt_block(part, expected=len(rows))
            client_s += time.process_time() - before
            upload += len(data)
            blocks[mode].append(scorer.load_encrypted(data))
        facts[mode] = {
            "block_upload_bytes": upload,
            "block_encrypt_s": client_s,
            "block_load_s": time.process_time() - started - client_s,
        }
    return blocks, facts


def _ask(
    found: _Measured, secret: FheSecret, scorer: BlockScorer, data: bytes, blocks: Sequence[Block], scores: Rows
) -> None:
    """One query to the server and back, compared with the scores in the clear."""
    started = time.process_time()
    reply = scorer.score(data, blocks)
    found.server_s.append(time.process_time() - started)
    started = time.process_time()
    decrypted = np.concatenate(secret.decrypt_scores(reply, [block.count for block in blocks]))
    best = int(decrypted.argmax())
    found.decrypt_s.append(time.process_time() - started)
    found.down_bytes = len(reply)
    found.max_error = max(found.max_error, float(np.abs(decrypted - scores).max()))
    gap = float(scores.max() - scores[best])
    found.top1 += gap <= _TIE
    found.widest_miss = max(found.widest_miss, gap)


def _summarise(
    mode: str, found: _Measured, shared: dict[str, Any], loads: dict[str, Any], memory: int
) -> dict[str, Any]:
    server_ms = _median_ms(found.server_s)
    return {
        "mode": mode,
        "server_ms": server_ms,
        "server_ms_p95": float(np.percentile(found.server_s, 95)) * 1e3,
        "by_scan": server_ms / shared["scan_ms"],
        "naive_by_server": shared["naive_s"] * 1e3 / server_ms,
        "decrypt_ms": _median_ms(found.decrypt_s),
        "down_bytes": found.down_bytes,
        "memory_bytes": memory,
        "max_error": found.max_error,
        "top1": found.top1,
        "widest_miss": found.widest_miss,
        **loads,
    }


def _median_ms(seconds: Sequence[float]) -> float:
    return float(np.median(seconds)) * 1e3
