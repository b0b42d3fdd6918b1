"""LEOLLM keeps the contract of an LLM in every configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from leo_llamaindex import LEOLLM
from leo_llamaindex.testing import LLMConformance
from tests.adapters.llamaindex.llamaindex_servers import SECRET
from tests.adapters.llamaindex.reference_llm import ReferenceLLM
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.openai_server import OpenAIServer


class TestOpenAIMember(LLMConformance):
    secret = SECRET

    @pytest.fixture(scope="class")
    @classmethod
    def llm(cls, openai_server: OpenAIServer) -> Iterator[Any]:
        with LEOLLM(small="openai:gpt-loopback", api_key=SECRET, base_url=openai_server.base_url, cache=False) as llm:
            yield llm


class TestAnthropicMember(LLMConformance):
    secret = SECRET

    @pytest.fixture(scope="class")
    @classmethod
    def llm(cls, anthropic_server: AnthropicServer) -> Iterator[Any]:
        given = {"api_key": SECRET, "base_url": anthropic_server.base_url, "max_tokens": 512, "cache": False}
        with LEOLLM(small="anthropic:claude-loopback", **given) as llm:
            yield llm


class TestRouter(LLMConformance):
    secret = SECRET

    @pytest.fixture(scope="class")
    @classmethod
    def llm(cls, openai_server: OpenAIServer, anthropic_server: AnthropicServer) -> Iterator[Any]:
        addresses = {"openai": openai_server.base_url, "anthropic": anthropic_server.base_url}
        keys = {"openai": SECRET, "anthropic": SECRET}
        names = {"small": "openai:gpt-5-mini", "large": "anthropic:claude-sonnet-4-5"}
        with LEOLLM(**names, api_key=keys, base_url=addresses, cache=False) as llm:
            yield llm


class TestConsensusOfThree(LLMConformance):
    secret = SECRET

    @pytest.fixture(scope="class")
    @classmethod
    def llm(cls, openai_server: OpenAIServer, anthropic_server: AnthropicServer) -> Iterator[Any]:
        addresses = {"openai": openai_server.base_url, "anthropic": anthropic_server.base_url}
        jury = ["openai:gpt-5-mini", "openai:qwen3-8b", "anthropic:claude-sonnet-4-5"]
        with LEOLLM(jury=jury, route="consensus", api_key=SECRET, base_url=addresses, cache=False) as llm:
            yield llm


class TestLlamaIndexMember(LLMConformance):
    secret = SECRET

    @pytest.fixture(scope="class")
    @classmethod
    def llm(cls, openai_server: OpenAIServer) -> Iterator[Any]:
        member = ReferenceLLM(base_url=openai_server.base_url, api_key=SECRET)
        with LEOLLM(small=member, cache=False) as llm:
            yield llm


@pytest.fixture(scope="module")
def shared_llm(openai_server: OpenAIServer) -> Iterator[Any]:
    with LEOLLM(small="openai:gpt-loopback", api_key=SECRET, base_url=openai_server.base_url) as llm:
        yield llm


class TestColdCache(LLMConformance):
    """Everything once, which fills the cache."""

    secret = SECRET

    @pytest.fixture
    def llm(self, shared_llm: Any) -> Any:
        return shared_llm


class TestWarmCache(LLMConformance):
    """Everything again on the same LLM: all from the cache, and everything still holds."""

    secret = SECRET

    @pytest.fixture
    def llm(self, shared_llm: Any, openai_server: OpenAIServer, request: pytest.FixtureRequest) -> Iterator[Any]:
        shared_llm.leo.flush()
        before = len(openai_server.requests)
        yield shared_llm
        copies_have_their_own_cache = request.node.name == "test_copies_answer_alike"
        assert copies_have_their_own_cache or len(openai_server.requests) == before
