"""Fixtures of the tests that are named after users' pains: real SDKs, and a provider on the loopback that counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.globals import set_llm_cache
from llama_index.core import MockEmbedding, Settings

from leo_langchain import LEOCache, LEOChatModel
from leo_llamaindex import LEOLLM
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.adapters.pains.pain_models import leo_llm
from tests.servers.openai_server import OpenAIServer


@pytest.fixture(autouse=True)
def nothing_stays_set() -> Iterator[None]:
    """No global cache of LangChain before and after; LlamaIndex embeds and counts without a network."""
    set_llm_cache(None)
    kept = dict(vars(Settings))
    Settings.embed_model = MockEmbedding(embed_dim=8)
    Settings.tokenizer = str.split
    yield
    set_llm_cache(None)
    for name, value in kept.items():
        setattr(Settings, name, value)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """An OpenAI server of this test alone; ``server.requests`` are the calls that were paid for."""
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def model(server: OpenAIServer) -> Iterator[LEOChatModel]:
    """LEO as a chat model over LangChain's own OpenAI model."""
    with LEOChatModel(small=chat_openai(server.base_url)) as model:
        yield model


@pytest.fixture
def llm(server: OpenAIServer) -> Iterator[LEOLLM]:
    """LEO as an LLM of LlamaIndex over a member given by name."""
    with leo_llm(server.base_url) as llm:
        yield llm


@pytest.fixture
def cache() -> Iterator[LEOCache]:
    """LEO's cache, set for every chat model of the process."""
    with LEOCache() as cache:
        set_llm_cache(cache)
        yield cache


@pytest.fixture
def plain(server: OpenAIServer) -> Any:
    """LangChain's own OpenAI model, without LEO."""
    return chat_openai(server.base_url)
