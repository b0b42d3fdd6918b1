"""langchain-ai/langchain PR#32437, BerriAI/litellm#39057, zilliztech/GPTCache#402: hits count as spent tokens."""

from __future__ import annotations

from typing import Any

from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache

from leo_langchain import LEOCache, LEOCallbackHandler, LEOChatModel
from leo_llamaindex import LEOLLM, LEOEventHandler
from tests.adapters.pains.pain_models import QUESTION
from tests.servers.openai_server import OpenAIServer


def count(model: Any) -> tuple[int, int]:
    """Tokens of the first answer, and tokens counted over three equal requests."""
    usage = UsageMetadataCallbackHandler()
    first, *_ = [model.invoke(QUESTION, config={"callbacks": [usage]}) for _ in range(3)]
    return first.usage_metadata["total_tokens"], sum(each["total_tokens"] for each in usage.usage_metadata.values())


def test_the_pain(plain: Any) -> None:
    set_llm_cache(InMemoryCache())
    spent, counted = count(plain)
    assert counted == 3 * spent


def test_langchain_model(model: LEOChatModel) -> None:
    spent, counted = count(model)
    assert counted == spent > 0


def test_langchain_cache(cache: LEOCache, plain: Any) -> None:
    spent, counted = count(plain)
    assert counted == spent > 0


def test_what_was_saved_is_said(model: LEOChatModel, server: OpenAIServer) -> None:
    handler = LEOCallbackHandler()
    cold, hit = [model.invoke(QUESTION, config={"callbacks": [handler]}) for _ in range(2)]
    assert hit.response_metadata["leo"]["saved_usage"]["total_tokens"] == cold.usage_metadata["total_tokens"]
    assert (handler.summary().calls, handler.summary().hits) == (2, 1)


def test_llamaindex(llm: LEOLLM) -> None:
    with LEOEventHandler() as watch:
        cold, hit = llm.complete(QUESTION), llm.complete(QUESTION)
    assert cold.raw["usage"]["total_tokens"] > 0
    assert hit.raw["usage"]["total_tokens"] == 0
    assert hit.raw["leo"]["saved_usage"]["total_tokens"] == cold.raw["usage"]["total_tokens"]
    assert (watch.summary().answers, watch.summary().hits) == (2, 1)
