"""redis/langchain-redis#21, PR#175, run-llama/llama_index#11842: asynchronous calls work on the event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path

from langchain_core.globals import set_llm_cache

from leo_langchain import LEOCache, LEOChatModel
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.adapters.pains.pain_models import QUESTION, join, leo_llm
from tests.contracts.event_loop import never_blocked
from tests.servers.openai_server import OpenAIServer


async def test_langchain_cache(server: OpenAIServer, tmp_path: Path) -> None:
    with LEOCache(tmp_path / "cache.db") as cache:
        set_llm_cache(cache)
        plain = chat_openai(server.base_url)
        with never_blocked("leo_core"), never_blocked("leo_langchain"):
            for _ in range(2):
                await plain.ainvoke(QUESTION)
        assert cache.counts["cache.hit"] == 1
        assert not any(name.endswith("failed") for name in cache.counts)


async def test_langchain_model(server: OpenAIServer, tmp_path: Path) -> None:
    with LEOChatModel(
        small="openai:gpt-5-mini", base_url=server.base_url, api_key="k", store=tmp_path / "l.db"
    ) as model:
        with never_blocked():
            answers = await asyncio.gather(*(model.ainvoke(f"Name colour {number}.") for number in range(4)))
            hit = join([chunk async for chunk in model.astream("Name colour 1.")])
        assert hit.text == answers[1].text
    assert len(server.requests) == 4


async def test_llamaindex(server: OpenAIServer, tmp_path: Path) -> None:
    with leo_llm(server.base_url, store=str(tmp_path / "l.db")) as llm:
        with never_blocked():
            await asyncio.gather(*(llm.acomplete(f"Name colour {number}.") for number in range(4)))
            pieces = [piece async for piece in await llm.astream_complete("Name colour 1.")]
        assert pieces[-1].raw["leo"]["cache"]["hit"]
    assert len(server.requests) == 4
