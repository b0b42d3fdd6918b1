"""Equal questions at the same time are all paid for; ``abatch`` of eight equal prompts makes eight calls."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache

from leo_langchain import LEOCache, LEOChatModel
from leo_llamaindex import LEOLLM
from tests.adapters.pains.pain_models import QUESTION
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

CROWD = 8
SLOW = Fault(delay_s=0.2)


async def test_the_pain(plain: Any, server: OpenAIServer) -> None:
    set_llm_cache(InMemoryCache())
    await plain.abatch([QUESTION] * CROWD)
    assert len(server.requests) == CROWD


async def test_langchain_cache(cache: LEOCache, plain: Any, server: OpenAIServer) -> None:
    server.fault = SLOW
    answers = await plain.abatch([QUESTION] * CROWD)
    assert len({answer.text for answer in answers}) == 1
    assert len({answer.id for answer in answers}) == CROWD
    assert len(server.requests) == 1


def test_langchain_model(model: LEOChatModel, server: OpenAIServer) -> None:
    server.fault = SLOW
    assert len({answer.text for answer in model.batch([QUESTION] * CROWD)}) == 1
    assert len(server.requests) == 1


async def test_llamaindex(llm: LEOLLM, server: OpenAIServer) -> None:
    server.fault = SLOW
    answers = await asyncio.gather(*(llm.acomplete(QUESTION) for _ in range(CROWD)))
    assert len({answer.text for answer in answers}) == 1
    assert len(server.requests) == 1
