"""Everything that keeps something, on a disk without space and on one that cannot be written; run as a process.

``python -m tests.adapters.filling`` prints what happened as one line of JSON. A limit on the size of files stands for
the full disk: it can be lifted again, and concerns this process alone.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sqlite3
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_core.language_models.fake_chat_models import FakeListChatModel
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.llms import MockLLM

from leo_core import LEO, LEOConfig
from leo_core.providers.scripted import ScriptedModel
from leo_langchain import LEOCache, LEOChatModel, LEOGraphCache
from leo_llamaindex import LEOLLM, LEOCachedQueryEngine, LEOKVStore

LARGE = "word " * 2_000
ROOM = 4096
"""Bytes to which a file may grow on a full disk: less than any of them has."""
NOBODY = 65_534
CALLS = ("langchain_cache", "kv", "graph", "query_cache", "chat_model", "llm", "insists")
CACHES = CALLS[:4]


class Logged(logging.Handler):
    """Names of the loggers that warned."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.names.append(record.name)


class Kept:
    """One of each, on files of its own."""

    def __init__(self, folder: Path) -> None:
        store = {name: str(folder / f"{name}.db") for name in CALLS}
        member = ScriptedModel("m", replies="Yes, it is so.", cost=0.001)
        self.model = FakeListChatModel(responses=["Yes, it is so."], cache=LEOCache(store["langchain_cache"]))
        index = VectorStoreIndex.from_documents([Document(text="It is so.")], embed_model=MockEmbedding(embed_dim=8))
        self.query = LEOCachedQueryEngine(index.as_query_engine(llm=MockLLM()), store=store["query_cache"])
        self.kv, self.graph = LEOKVStore(store["kv"]), LEOGraphCache(store["graph"])
        self.chat = LEOChatModel(small=member, store=store["chat_model"])
        self.llm = LEOLLM(small=member, store=store["llm"])
        self.insists = LEOChatModel(small=member, store=store["insists"], config=LEOConfig.preset("verified"))
        self.opened = (self.model.cache, self.query, self.kv, self.graph, self.chat, self.llm, self.insists)

    def call(self, name: str, at: str, *, large: bool) -> Any:
        """Call one of them; its answer, or whether what was kept is found."""
        text = f"{LARGE if large else ''}Is {at} so?"
        if name == "langchain_cache":
            return self.model.invoke(text).text
        if name == "query_cache":
            return bool(str(self.query.query(text)))
        if name == "kv":
            self.kv.put(at, {"text": text})
            return self.kv.get(at) == {"text": text}
        if name == "graph":
            self.graph.set({(("node",), at): (text, None)})
            return bool(self.graph.get([(("node",), at)]))
        if name == "llm":
            return self.llm.complete(text).text
        model = self.chat if name == "chat_model" else self.insists
        message = model.invoke(text)
        facts = message.response_metadata["leo"]
        return {"text": message.text, "receipt": facts["receipt"] is not None, "hit": facts["cache"]["hit"]}

    def counts(self) -> dict[str, int]:
        found = zip(CACHES, (self.model.cache, self.kv, self.graph, self.query), strict=True)
        return {name: sum(n for event, n in each.counts.items() if event.endswith(".failed")) for name, each in found}

    def flush(self) -> None:
        for each in (self.model.cache, self.query, self.kv, self.graph):
            each.flush()
        for each in (self.chat, self.llm, self.insists):
            each.leo.flush()

    def close(self) -> None:
        for each in self.opened:
            each.close()


def attempt(call: Any) -> Any:
    """What a call gives, or the class of its error and what it says."""
    try:
        return call()
    except Exception as error:
        return {
            "error": type(error).__name__,
            "kinds": [kind.__name__ for kind in type(error).__mro__],
            "said": str(error),
        }


def call_all(kept: Kept, at: str, *, large: bool = False) -> dict[str, Any]:
    return {name: attempt(lambda name=name: kept.call(name, at, large=large)) for name in CALLS}


@contextmanager
def no_space(_: Path):
    """Nothing can be written past the first bytes of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only(folder: Path):
    """The files may be read, and nothing may be written; as somebody whom rights bind."""
    was_root = os.geteuid() == 0
    every = [folder, *folder.rglob("*")]
    for path in every:
        if was_root:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(0o500 if path.is_dir() else 0o400)
    if was_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        for path in every:
            path.chmod(0o700 if path.is_dir() else 0o600)


def look_at(folder: Path) -> dict[str, Any]:
    """Whether each file is whole, and how many receipts it has that can be verified."""
    found = {}
    for name in CALLS:
        with sqlite3.connect(folder / f"{name}.db") as connection:
            found[name] = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
    with LEO(store=folder / "chat_model.db") as leo:
        leo.log.audit()
        found["receipts"] = leo.log.size()
    return found


def run(folder: Path, trouble: Any, *, open_before: bool) -> dict[str, Any]:
    """Everything before, in and after a trouble."""
    told: dict[str, Any] = {}
    kept = Kept(folder)
    told["before"] = call_all(kept, "one")
    kept.flush()
    if not open_before:
        kept.close()
    logged = Logged()
    logging.getLogger().addHandler(logged)
    with trouble(folder):
        told["during"] = [call_all(kept, f"{at} of this", large=True) for at in range(2)]
        told["counts"] = kept.counts()
        kept.close()
    logging.getLogger().removeHandler(logged)
    told["logged"] = sorted(set(logged.names))
    told["after"] = call_all(kept, "two", large=True)
    kept.flush()
    told["again"] = call_all(kept, "one")
    told["hits"] = {"langchain_cache": kept.model.cache.counts, "query_cache": kept.query.counts}
    kept.close()
    told["whole"] = look_at(folder)
    return told


def main() -> None:
    logging.getLogger().addHandler(logging.NullHandler())
    logging.lastResort = None
    told = {}
    for name, trouble, open_before in (
        ("full", no_space, True),
        ("full at the start", no_space, False),
        ("read-only", read_only, False),
    ):
        with tempfile.TemporaryDirectory(prefix="leo-full-") as folder:  # in a place that everybody may enter
            told[name] = run(Path(folder), trouble, open_before=open_before)
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
