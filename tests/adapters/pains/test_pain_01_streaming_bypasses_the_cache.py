"""langchain-ai/langchain#23701, #13119, #27741: a stream asks the provider although the answer is cached."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache

from leo_langchain import LEOChatModel
from leo_llamaindex import LEOLLM
from tests.adapters.pains.pain_models import QUESTION, join
from tests.servers.openai_server import OpenAIServer


def test_the_pain(plain: Any, server: OpenAIServer) -> None:
    set_llm_cache(InMemoryCache())
    plain.invoke(QUESTION)
    join(plain.stream(QUESTION))
    assert len(server.requests) == 2


@pytest.mark.filterwarnings("ignore:.*is in beta.*:langchain_core._api.beta_decorator.LangChainBetaWarning")
async def test_langchain(model: LEOChatModel, server: OpenAIServer) -> None:
    cold = model.invoke(QUESTION)
    chunks = list(model.stream(QUESTION))
    streamed = [
        join(chunks),
        join([chunk async for chunk in model.astream(QUESTION)]),
        model.stream_events(QUESTION, version="v3").output,
    ]
    assert [message.text for message in streamed] == [cold.text] * 3
    assert all(message.response_metadata["leo"]["cache"]["hit"] for message in streamed)
    assert len(chunks) > 2, "a hit comes in pieces as well"
    assert len(server.requests) == 1


async def test_llamaindex(llm: LEOLLM, server: OpenAIServer) -> None:
    cold = llm.complete(QUESTION)
    pieces = list(llm.stream_complete(QUESTION))
    later = [piece async for piece in await llm.astream_complete(QUESTION)]
    assert [pieces[-1].text, later[-1].text] == [cold.text] * 2
    assert "".join(piece.delta or "" for piece in pieces) == cold.text
    assert len(server.requests) == 1
