"""LEO's chat model asked a real stream twice: with a plain cache, and with an index server in another process.

``python -m tests.soak.private_chat_model REQUESTS SEED``

The requests are those of BANKING77 in a random order. Prints one JSON object: hits of both, requests that were answered
otherwise or from elsewhere, and how often a prompt, an answer, a vector or the token stood in the server's memory and
files. Ends with an error where anything was otherwise or was found.
"""

from __future__ import annotations

import json
import sys
import tempfile
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
from leo_langchain import LEOChatModel

if TYPE_CHECKING:
    from collections.abc import Sequence

STREAM = Path(__file__).resolve().parents[3] / "shared" / "data" / "streams" / "banking77.jsonl.gz"


def compare(
    texts: Sequence[str],
    answers: dict[str, str],
    mode: str,
    folder: Path,
    *,
    max_wrong_hits: float,
    tail_rows: int,
    scanned: Sequence[str],
) -> dict[str, Any]:
    """Ask the same with both caches; look for some texts, answers and vectors in the server's memory and files."""
    plain = ask(texts, answers, max_wrong_hits)
    served = folder / "server"
    served.mkdir()
    token_file = folder / "token"
    with serve_index(served / "index.db", "acme") as (process, url, token):
        token_file.write_text(token.to_text(), encoding="ascii")
        token_file.chmod(0o600)
        config = PrivateIndexConfig(mode=mode, tail_rows=tail_rows)
        privacy = PrivacyConfig(mode=mode, index=index_at(url, token_file, config), keys=folder / "keys")
        private = ask(texts, answers, max_wrong_hits, privacy=privacy, store=str(folder / "leo.db"))
        needles = {f"prompt {text}": text.encode() for text in scanned}
        needles |= {f"answer {text}": answers[text].encode() for text in scanned}
        if mode == "fully_encrypted":
            vectors = load_embedder("default").embed(list(scanned)).astype("<f4")
            needles |= {f"vector {text}": row.tobytes() for text, row in zip(scanned, vectors, strict=True)}
        needles |= {"the token": token.secret, "control": b"acme/"}
        found = (scan_process(process.pid, needles), scan_files(served, needles))
    return {
        "mode": mode,
        "requests": len(texts),
        "hits": sum(hit for _, hit in plain),
        "hits_private": sum(hit for _, hit in private),
        "different": sum(one != other for one, other in zip(plain, private, strict=True)),
        "control": min(each.pop("control") for each in found),
        "looked_for": len(needles) - 1,
        "found": sum(sum(each.values()) for each in found),
    }


def ask(
    texts: Sequence[str], answers: dict[str, str], max_wrong_hits: float, **settings: Any
) -> list[tuple[Any, bool]]:
    """What a fresh chat model answers to each, and whether it was a hit."""
    member = ScriptedModel("clerk", replies=lambda request: answers[request.question])
    config = LEOConfig(cache=CacheConfig(max_wrong_hits=max_wrong_hits))
    with LEOChatModel(small=member, config=config, engine_seed=0, **settings) as model:
        told = []
        for text in texts:
            message = model.invoke(text)
            model.leo.flush()
            told.append((message.content, message.response_metadata["leo"]["cache"]["hit"]))
    return told


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
                asked, answers, mode, Path(folder), max_wrong_hits=0.05, tail_rows=256, scanned=asked[:: count // 8]
            )
        sys.stdout.write(f"{json.dumps(found)}\n")
        sys.stdout.flush()
        if found["different"] or found["found"] or not found["control"]:
            sys.exit("the server knows, or the caches differ")


if __name__ == "__main__":
    main()
