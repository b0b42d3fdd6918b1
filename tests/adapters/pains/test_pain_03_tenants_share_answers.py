"""langchain-ai/langchain#26130, BerriAI/litellm#19575, #29955, vllm-project/semantic-router#2134.

One tenant is told what another one asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.runnables import RunnableLambda
from llama_index.core.instrumentation.dispatcher import instrument_tags

from leo_core import LEOConfig
from leo_core.errors import TenantRequiredError
from leo_langchain import LEOCache, LEOChatModel, tenant
from leo_llamaindex import LEOLLM
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.adapters.pains.pain_models import QUESTION, leo_llm
from tests.servers.brain import Asked, Reply
from tests.servers.openai_server import OpenAIServer


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Says something else each time, so that a shared answer shows."""
    counted = iter(range(1000))

    def count(_: Asked) -> Reply:
        return Reply(text=f"Answer {next(counted)}.")

    with OpenAIServer(count) as server:
        yield server


def test_the_pain(server: OpenAIServer) -> None:
    set_llm_cache(InMemoryCache())
    hers = chat_openai(server.base_url, api_key="sk-alice").invoke(QUESTION)
    his = chat_openai(server.base_url, api_key="sk-bob").invoke(QUESTION)
    assert hers.text == his.text


def test_langchain_cache(cache: LEOCache, server: OpenAIServer) -> None:
    chain = RunnableLambda(lambda text: text) | chat_openai(server.base_url)
    told = {}
    for name in ("alice", "bob"):
        with tenant(name):
            told[name] = chain.invoke(QUESTION).text
    assert told == {"alice": "Answer 0.", "bob": "Answer 1."}
    for name in ("alice", "bob"):
        assert chain.invoke(QUESTION, config={"configurable": {"tenant": name}}).text == told[name]
    assert cache.counts["cache.hit"] == 2


def test_langchain_model(model: LEOChatModel, server: OpenAIServer) -> None:
    told = [model.invoke(QUESTION, tenant=name).text for name in ("alice", "bob", "alice", "bob")]
    assert told == ["Answer 0.", "Answer 1.", "Answer 0.", "Answer 1."]


def test_llamaindex(llm: LEOLLM, server: OpenAIServer) -> None:
    told = []
    for name in ("alice", "bob", "alice", "bob"):
        with instrument_tags({"tenant": name}):
            told.append(llm.complete(QUESTION).text)
    assert told == ["Answer 0.", "Answer 1.", "Answer 0.", "Answer 1."]


def test_a_request_without_a_tenant_is_refused(server: OpenAIServer) -> None:
    config = LEOConfig(require_tenant=True)
    with (
        LEOChatModel(small=chat_openai(server.base_url), config=config) as model,
        leo_llm(server.base_url, config=config) as llm,
    ):
        with pytest.raises(TenantRequiredError):
            model.invoke(QUESTION)
        with pytest.raises(TenantRequiredError):
            llm.complete(QUESTION)
    assert server.requests == []
