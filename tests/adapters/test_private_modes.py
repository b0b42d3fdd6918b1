"""The three modes of privacy behind every door of the frameworks: what a plain cache does, and a trace of nothing.

An index server with a scorer that hides nothing keeps the two modes with a server quick; that real ciphertexts do the
same is held by ``tests/core/privacy/test_index_end_to_end.py``.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain_core.outputs import Generation
from llama_index.core import Response
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.schema import NodeWithScore, TextNode

from leo_core import LEOConfig, PrivacyConfig
from leo_core.privacy.index.client import EncryptedIndex
from leo_core.privacy.index.config import PrivateIndexConfig
from leo_core.privacy.index.transport import InProcessTransport
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.cache.config import CacheConfig
from leo_langchain import LEOCache, LEOChatModel, LEOGraphCache, tenant
from leo_llamaindex import LEOLLM, LEOCachedQueryEngine, LEOKVStore
from tests.adapters.private_bytes import find_texts, find_vectors, read_folder
from tests.core.privacy.index_parts import FakeTenantSecrets, make_server

WORDS = ("card", "loan", "transfer", "passport", "refund")
WAYS = ("Where is my {}?", "where is my {} please?", "Where is my {} now?", "So where is my {}?", "Where's my {}?")
TEXTS = [way.format(word) for way in WAYS for word in WORDS]
ANSWERS = {way.format(word): f"The {word} lies in drawer {word[::-1]}, verily." for way in WAYS for word in WORDS}
OWNER = "tenant-of-zanzibar"
CONFIG = LEOConfig(cache=CacheConfig(max_wrong_hits=0.4))
MODES = ("sealed_local", "query_private", "fully_encrypted")


class Served:
    """An index server with a file, and what leads to it."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.mode, self.folder = mode, folder
        (folder / "served").mkdir(parents=True)
        self.server = make_server(folder / "served" / "index.db")
        self.token = self.server.add_account("acme")

    def privacy(self) -> PrivacyConfig:
        """As a user gives it."""
        if self.mode == "sealed_local":
            return PrivacyConfig(keys=self.folder / "keys")
        return PrivacyConfig(mode=self.mode, index=self._connect, keys=self.folder / "keys")

    def _connect(self, rings: Any) -> EncryptedIndex:
        transport = InProcessTransport(self.server, self.token)
        config = PrivateIndexConfig(mode=self.mode, tail_rows=4, grace_s=0.0)
        return EncryptedIndex(transport, self.token, rings, config=config, open_secrets=FakeTenantSecrets)

    def count_rows(self) -> int:
        """Rows on the server, over all tenants and indexes."""
        with self.server._database.read() as connection:
            return int(connection.execute("SELECT count(*) FROM rows").fetchone()[0])


def member() -> ScriptedModel:
    return ScriptedModel("scripted-xylophone", replies=lambda request: ANSWERS[request.question])


def ask_chat_model(store: str, privacy: Any) -> list[tuple[str, bool]]:
    told = []
    with LEOChatModel(small=member(), store=store, config=CONFIG, engine_seed=0, privacy=privacy) as model:
        for text in TEXTS:
            message = model.invoke(text)
            model.leo.flush()
            told.append((str(message.content), message.response_metadata["leo"]["cache"]["hit"]))
    return told


def ask_awaited_chat_model(store: str, privacy: Any) -> list[tuple[str, bool]]:
    async def ask() -> list[tuple[str, bool]]:
        told = []
        async with LEOChatModel(small=member(), store=store, config=CONFIG, engine_seed=0, privacy=privacy) as model:
            for text in TEXTS:
                message = await model.ainvoke(text)
                await asyncio.to_thread(model.leo.flush)
                told.append((str(message.content), message.response_metadata["leo"]["cache"]["hit"]))
        return told

    return asyncio.run(ask())


def ask_cache(store: str, privacy: Any) -> list[tuple[str, bool]]:
    told = []
    with LEOCache(store, max_wrong_hits=0.4, seed=0, privacy=privacy) as cache:
        for text in TEXTS:
            found = cache.lookup(text, "some model")
            if found is None:
                cache.update(text, "some model", [Generation(text=ANSWERS[text])])
            cache.flush()
            told.append((ANSWERS[text] if found is None else found[0].text, found is not None))
        assert not any(name.endswith("failed") for name in cache.counts)
    return told


def ask_llm(store: str, privacy: Any) -> list[tuple[str, bool]]:
    told = []
    with LEOLLM(small=member(), store=store, config=CONFIG, engine_seed=0, privacy=privacy) as llm:
        for text in TEXTS:
            answer = llm.complete(text)
            llm.leo.flush()
            told.append((answer.text, answer.additional_kwargs["leo"]["cache"]["hit"]))
    return told


class Engine(CustomQueryEngine):
    """Answers from one node."""

    def custom_query(self, query_str: str) -> Response:
        node = NodeWithScore(node=TextNode(text=ANSWERS[query_str], id_="node"), score=1.0)
        return Response(ANSWERS[query_str], source_nodes=[node])


def ask_query_engine(store: str, privacy: Any) -> list[tuple[str, bool]]:
    told = []
    settings: dict[str, Any] = {"store": store, "config": CONFIG, "seed": 0, "privacy": privacy, "version": "1"}
    with LEOCachedQueryEngine(Engine(), **settings) as engine:
        for text in TEXTS:
            response = engine.query(text)
            engine.flush()
            told.append((str(response), bool((response.metadata or {}).get("leo", {}).get("cache", {}).get("hit"))))
        assert not any(name.endswith("failed") for name in engine.counts)
    return told


def use_key_values(store: str, privacy: Any) -> list[tuple[str, bool]]:
    """No vectors: the index is left alone."""
    told = []
    for text in TEXTS:
        with LEOKVStore(store, privacy=privacy) as kept, LEOGraphCache(f"{store}.graph", privacy=privacy) as graph:
            key = ((text,), "key")
            before = kept.get(text), graph.get([key])
            kept.put(text, {"answer": ANSWERS[text]})
            graph.set({key: (ANSWERS[text], None)})
        with LEOKVStore(store, privacy=privacy) as kept, LEOGraphCache(f"{store}.graph", privacy=privacy) as graph:
            assert before == (None, {})
            assert graph.get([key]) == {key: ANSWERS[text]}
            told.append(((kept.get(text) or {})["answer"], True))
    return told


DOORS = {
    "chat model": ask_chat_model,
    "chat model, awaited": ask_awaited_chat_model,
    "cache": ask_cache,
    "llm": ask_llm,
    "query engine": ask_query_engine,
    "key values": use_key_values,
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("door", DOORS)
def test_every_door_does_the_same_in_every_mode_and_nothing_is_left(tmp_path: Path, door: str, mode: str) -> None:
    from leo_core.stages.embed.load import load_embedder

    texts = TEXTS[: len(WORDS)] if door == "key values" else TEXTS
    for name in ("plain", "private"):
        (tmp_path / name).mkdir()
    served = Served(tmp_path, mode)
    with tenant(OWNER):
        plain = DOORS[door](str(tmp_path / "plain" / "leo.db"), None)
        private = DOORS[door](str(tmp_path / "private" / "leo.db"), served.privacy())
        again = DOORS[door](str(tmp_path / "private" / "leo.db"), served.privacy()) if door != "key values" else []
    assert private == plain
    if door != "key values":
        assert 0 < sum(hit for _, hit in plain) < len(TEXTS), "some by meaning, and not all"
        assert sum(hit for _, hit in again) >= sum(hit for _, hit in plain), "what was kept is found after a restart"
        assert (served.count_rows() > 0) == (mode != "sealed_local")
    left, secrets = read_folder(tmp_path / "private"), [*texts, *(ANSWERS[text] for text in texts), OWNER]
    assert find_texts(left + read_folder(tmp_path / "served"), secrets) == set()
    vectors = load_embedder("default").embed(TEXTS)
    assert set(find_vectors(left, vectors).values()) == {0}
    if door != "key values":
        assert find_texts(read_folder(tmp_path / "plain"), secrets[:1]) == set(secrets[:1]), "or this finds nothing"
