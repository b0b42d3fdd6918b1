"""LEO's chat model asked a real stream twice: with a plain cache, and with an index server in another process.

``python -m tests.soak.private_chat_model REQUESTS SEED``

The requests are those of BANKING77 in a random order. Prints one JSON object for each mode: hits of both, requests that
were answered otherwise or from elsewhere, milliseconds and kilobytes of a request, and how often a prompt, an answer, a
vector, the token or the key that wraps the keyrings stood in the server's memory, looked at four times on the way, and
in its files. Ends with an error where anything was otherwise or was found.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.config import LEOConfig
from leo_core.evaluation.cache_stream import read_stream
from leo_core.evaluation.private_bench import serve_index
from leo_core.evaluation.process_scan import scan_files, scan_process
from leo_core.privacy.config import PrivacyConfig
from leo_core.privacy.index.config import PrivateIndexConfig
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.cache.config import CacheConfig
from leo_core.stages.embed.load import load_embedder
from leo_core.storage.index_http import index_at
from leo_core.storage.keyfile import load_kek
from leo_core.storage.keyrings import KEK_FILE
from leo_langchain import LEOChatModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STREAM = Path(__file__).resolve().parents[3] / "shared" / "data" / "streams" / "banking77.jsonl.gz"


@dataclass
class Asked:
    """What a model answered to each request and whether it was a hit, its milliseconds, and bytes sent and received."""

    told: list[tuple[Any, bool]] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)

    def to_json(self) -> dict[str, float]:
        """Of a request: the median and the slowest twentieth in time, the median, the mean and the most in bytes."""
        figures = {"ms_p50": np.percentile(self.ms, 50), "ms_p95": np.percentile(self.ms, 95)}
        for name, sizes in (("sent", self.sent), ("received", self.received)):
            if any(sizes):
                kilobytes = np.array(sizes) / 1000
                figures |= {f"kb_{name}_p50": np.median(kilobytes), f"kb_{name}_mean": kilobytes.mean()}
                figures[f"kb_{name}_most"] = kilobytes.max()
        return {name: round(float(figure), 1) for name, figure in figures.items()}


def compare(
    texts: Sequence[str],
    answers: dict[str, str],
    mode: str,
    folder: Path,
    *,
    max_wrong_hits: float,
    tail_rows: int,
    scanned: Sequence[str],
    looks: int = 1,
) -> dict[str, Any]:
    """Ask the same with both caches; look for some texts, answers and vectors in the server's memory and files.

    The memory is looked at ``looks`` times, the last one after the last request.
    """
    plain = ask(texts, answers, max_wrong_hits)
    served = folder / "server"
    served.mkdir()
    token_file, clients, found = folder / "token", [], Counter[str]()
    with serve_index(served / "index.db", "acme") as (process, url, token):
        token_file.write_text(token.to_text(), encoding="ascii")
        token_file.chmod(0o600)
        make = index_at(url, token_file, PrivateIndexConfig(mode=mode, tail_rows=tail_rows))

        def connect(rings: Any) -> Any:
            clients.append(make(rings))
            return clients[-1]

        needles = list_needles(scanned, answers, mode) | {"token": token.secret, "control": b"acme/"}

        def look(number: int) -> None:
            if (number + 1) * looks // len(texts) > number * looks // len(texts):
                needles["KEK"] = load_kek(folder / "keys" / KEK_FILE).to_bytes()
                found.update(scan_process(process.pid, needles))

        privacy = PrivacyConfig(mode=mode, index=connect, keys=folder / "keys")
        private = ask(
            texts,
            answers,
            max_wrong_hits,
            count_bytes=lambda: (clients[0]._transport.bytes_sent, clients[0]._transport.bytes_received),
            after=look,
            privacy=privacy,
            store=str(folder / "leo.db"),
        )
        on_disk = Counter(scan_files(served, needles))
    controls = found.pop("control"), on_disk.pop("control")
    return {
        "mode": mode,
        "requests": len(texts),
        "hits": sum(hit for _, hit in plain.told),
        "hits_private": sum(hit for _, hit in private.told),
        "different": sum(one != other for one, other in zip(plain.told, private.told, strict=True)),
        "plain": plain.to_json(),
        "private": private.to_json(),
        "looks": looks,
        "control": min(controls),
        "looked_for": len(needles) - 1,
        "found": sum(found.values()) + sum(on_disk.values()),
    }


def list_needles(texts: Sequence[str], answers: dict[str, str], mode: str) -> dict[str, bytes]:
    """The texts and their answers; where the server must not know them, their vectors too."""
    needles = {f"prompt {text}": text.encode() for text in texts}
    needles |= {f"answer {text}": answers[text].encode() for text in texts}
    if mode == "fully_encrypted":
        vectors = load_embedder("default").embed(list(texts)).astype("<f4")
        needles |= {f"vector {text}": row.tobytes()[:64] for text, row in zip(texts, vectors, strict=True)}
    return needles


def ask(
    texts: Sequence[str],
    answers: dict[str, str],
    max_wrong_hits: float,
    *,
    count_bytes: Callable[[], tuple[int, int]] = lambda: (0, 0),
    after: Callable[[int], None] = lambda _: None,
    **settings: Any,
) -> Asked:
    """What a fresh chat model answers to each; ``after`` is called after each, with its number."""
    member = ScriptedModel("clerk", replies=lambda request: answers[request.question])
    config = LEOConfig(cache=CacheConfig(max_wrong_hits=max_wrong_hits))
    asked = Asked()
    with LEOChatModel(small=member, config=config, engine_seed=0, **settings) as model:
        model.leo.flush()  # opens it, and not within the first request
        for number, text in enumerate(texts):
            sent, received = count_bytes()
            started = time.perf_counter()
            message = model.invoke(text)
            asked.ms.append(1000 * (time.perf_counter() - started))
            model.leo.flush()
            asked.told.append((message.content, message.response_metadata["leo"]["cache"]["hit"]))
            for sizes, now, before in zip((asked.sent, asked.received), count_bytes(), (sent, received), strict=True):
                sizes.append(now - before)
            after(number)
    return asked


def main() -> None:
    """Compare in both modes and print what was found."""
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    texts, intents = read_stream(STREAM)
    order = np.random.default_rng(seed).permutation(len(texts))[:count].tolist()
    answers = {texts[row]: f"All about {intents[row]}." for row in order}
    asked = [texts[row] for row in order]
    for mode in ("query_private", "fully_encrypted"):
        with tempfile.TemporaryDirectory() as folder:
            found = compare(
                asked,
                answers,
                mode,
                Path(folder),
                max_wrong_hits=0.05,
                tail_rows=256,
                scanned=asked[:: max(1, count // 8)],
                looks=4,
            )
        sys.stdout.write(f"{json.dumps(found)}\n")
        sys.stdout.flush()
        if found["different"] or found["found"] or not found["control"]:
            sys.exit("the server knows, or the caches differ")


if __name__ == "__main__":
    main()
