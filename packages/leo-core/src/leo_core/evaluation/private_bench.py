"""``leo bench private``: a stream through LEO with an encrypted index in another process, beside a plain cache."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from leo_core.config import LEOConfig
from leo_core.engine.leo import LEO
from leo_core.errors import ConfigError
from leo_core.evaluation.cache_stream import read_stream
from leo_core.evaluation.paired import describe_machine
from leo_core.evaluation.process_scan import scan_files, scan_process
from leo_core.privacy.config import PrivacyConfig
from leo_core.privacy.index.client import EncryptedIndex
from leo_core.privacy.index.config import PrivateIndexConfig
from leo_core.privacy.index.rows import OpenedRow
from leo_core.privacy.index.search import multiply_rows
from leo_core.privacy.index.server import EncryptedIndexServer
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.cache.config import CacheConfig
from leo_core.storage.index_http import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from leo_core.ports import Embedder
    from leo_core.privacy.index.access import IndexToken
    from leo_core.privacy.index.client import TenantRings
    from leo_core.records import Answer

__all__ = ["run_private", "serve_index"]

_STREAM = "streams/banking77.jsonl.gz"
_ACCOUNT = "bench"
_MEGABYTE = 1e6
_TAILS = (64, 256, 1024, 4096)
_REPEATS = 7


def run_private(
    data: Path,
    *,
    requests: int = 1000,
    mode: str = "fully_encrypted",
    tail_rows: int = 256,
    max_wrong_hits: float = 0.05,
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Ask two LEOs the same stream, one with an encrypted index in another process; compare what they serve.

    Args:
        data: Folder with ``streams/banking77.jsonl.gz``, or a file of that kind.
        requests: Requests of the stream.
        mode: ``"query_private"`` or ``"fully_encrypted"``.
        tail_rows: Rows that are searched on the client before they go into a block.
        max_wrong_hits: The cache's promise; larger than usual, so that a short stream has hits.
        seed: Order of the stream, and draws of both LEOs.
        report: Called with what is done next.

    Raises:
        ConfigError: The stream cannot be read or is too short.
    """
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

    texts, answers = _read_requests(data, requests, seed)
    embedder = load_embedder("default")
    config = PrivateIndexConfig(mode=cast("Any", mode), tail_rows=tail_rows)
    needles = _make_needles(texts, answers, embedder, mode)
    report("starting the index server in another process")
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_index(Path(folder) / "index.db", _ACCOUNT) as (process, url, token),
        HttpTransport(url, token) as transport,
    ):

        def connect(rings: TenantRings) -> EncryptedIndex:
            return EncryptedIndex(transport, token, rings, config=config)

        def open_leo(privacy: PrivacyConfig | None) -> LEO:
            return _open(answers, embedder, privacy, max_wrong_hits, seed)

        with open_leo(None) as plain, open_leo(PrivacyConfig(mode=cast("Any", mode), index=connect)) as private:
            measured = _ask_all(plain, private, texts, transport, process.pid, report)
            report("looking through the server's memory and files")
            searched = {"memory": scan_process(process.pid, needles), "disk": scan_files(Path(folder), needles)}
            size = sum(file.stat().st_size for file in Path(folder).iterdir())
    return {
        **describe_machine(),
        "benchmark": "private",
        "mode": mode,
        "requests": len(texts),
        "tail_rows": tail_rows,
        "max_wrong_hits": max_wrong_hits,
        "seed": seed,
        "server_file_mb": size / _MEGABYTE,
        "tails": time_tails(embedder.fingerprint.dimension),
        "found": searched,
        **measured,
    }


def time_tails(dim: int) -> list[dict[str, float]]:
    """CPU milliseconds in which a client searches tails of several sizes: the least of several times."""
    random, found = np.random.default_rng(0), []
    for count in _TAILS:
        vectors = random.standard_normal((count, dim)).astype(np.float32)
        rows = [OpenedRow(id=bytes(16), question="", expires_at=None, vector=vector) for vector in vectors]
        times = []
        for _ in range(_REPEATS):
            started = time.process_time()
            multiply_rows(rows, vectors[0])
            times.append(1000 * (time.process_time() - started))
        found.append({"rows": count, "ms": min(times)})
    return found


@contextlib.contextmanager
def serve_index(file: Path, account: str) -> Iterator[tuple[subprocess.Popen[bytes], str, IndexToken]]:
    """``leo index serve`` in a process of its own, with a fresh account: the process, its address and the token."""
    with EncryptedIndexServer(file) as server:
        token = server.add_account(account)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-c", "from leo_core.cli import main; main()", "index", "serve", str(file)]
    process = subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.DEVNULL)  # noqa: S603 - own command
    try:
        _wait_for(process, port)
        yield process, f"http://127.0.0.1:{port}", token
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(1200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    message = f"the index server did not start (exit code {process.poll()})"
    raise ConfigError(message)


def _read_requests(data: Path, requests: int, seed: int) -> tuple[list[str], dict[str, str]]:
    texts, intents = read_stream(data / _STREAM if data.is_dir() else data)
    order = np.random.default_rng(seed).permutation(len(texts))[:requests]
    chosen = [texts[row] for row in order.tolist()]
    return chosen, {text: f"The answer to all about {intent}." for text, intent in zip(texts, intents, strict=True)}


def _open(
    answers: dict[str, str], embedder: Embedder, privacy: PrivacyConfig | None, max_wrong_hits: float, seed: int
) -> LEO:
    member = ScriptedModel("clerk", replies=lambda request: answers[request.question])
    config = LEOConfig(privacy=privacy, cache=CacheConfig(max_wrong_hits=max_wrong_hits))
    return LEO(small=member, store=":memory:", embedder=embedder, config=config, seed=seed)


def _ask_all(
    plain: LEO,
    private: LEO,
    texts: Sequence[str],
    transport: HttpTransport,
    server: int,
    report: Callable[[str], None],
) -> dict[str, Any]:
    times: dict[str, list[float]] = {"plain": [], "private": []}
    cpu: dict[str, list[float]] = {"plain": [], "private": [], "server": []}
    sent, received, hits, different = [], [], 0, 0
    for number, text in enumerate(texts):
        before = transport.bytes_sent, transport.bytes_received
        answers = {}
        for name, leo in (("plain", plain), ("private", private)):
            started, used, serving = time.perf_counter(), time.process_time(), _read_cpu(server)
            answers[name] = leo.ask(text)
            times[name].append(1000 * (time.perf_counter() - started))
            leo.flush()
            cpu[name].append(1000 * (time.process_time() - used))
        cpu["server"].append(1000 * (_read_cpu(server) - serving))
        sent.append(transport.bytes_sent - before[0])
        received.append(transport.bytes_received - before[1])
        hits += answers["plain"].cache.hit
        different += _facts(answers["plain"]) != _facts(answers["private"])
        if number % 100 == 99:  # noqa: PLR2004 - each hundredth
            report(f"{number + 1} requests, {hits} hits, {different} different")
    return {
        "hits": hits,
        "different": different,
        "cpu_ms_mean": {name: float(np.mean(each)) for name, each in cpu.items()},
        "cpu_ms_p50": {name: float(np.median(each)) for name, each in cpu.items()},
        "ms_p50": {name: float(np.percentile(each, 50)) for name, each in times.items()},
        "ms_p95": {name: float(np.percentile(each, 95)) for name, each in times.items()},
        "kb_sent_most": max(sent) / 1000,
        "kb_sent_mean": float(np.mean(sent)) / 1000,
        "kb_sent_p50": float(np.median(sent)) / 1000,
        "kb_received_mean": float(np.mean(received)) / 1000,
        "kb_received_p50": float(np.median(received)) / 1000,
    }


def _read_cpu(pid: int) -> float:
    """Seconds of CPU time that a process has used, in steps of a hundredth; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _facts(answer: Answer) -> tuple[Any, ...]:
    """What the cache decided, and what was served."""
    decision = answer.cache
    score = None if decision.score is None else round(decision.score, 4)
    return decision.action, decision.kind, decision.hit, score, answer.text


def _make_needles(texts: Sequence[str], answers: dict[str, str], embedder: Embedder, mode: str) -> dict[str, bytes]:
    """Prompts, answers and vectors that were asked and kept; and a control that has to be found."""
    needles: dict[str, bytes] = {"control: name of the account": f"{_ACCOUNT}/".encode()}
    for number in range(0, len(texts), max(1, len(texts) // 8)):
        text = texts[number]
        needles[f"prompt {number}"] = text.encode()
        needles[f"answer {number}"] = answers[text].encode()
        if mode == "fully_encrypted":
            needles[f"vector {number}"] = embedder.embed([text])[0].astype("<f4").tobytes()[:256]
    return needles
