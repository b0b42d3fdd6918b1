"""redis-developer/adk-redis#22, redis/redisvl PR#180: a document changes, and all or nothing of the cache has to go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache

from leo_langchain import LEOCache, LEOChatModel
from leo_llamaindex import LEOLLM
from tests.servers.openai_server import OpenAIServer

LABELLED = {"When does the ferry leave?": "timetable.pdf", "What does a ticket cost?": "prices.pdf"}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Answers that differ: equal ones would be kept as one entry."""
    with OpenAIServer(lambda asked: f"This answers: {asked.question}") as server:
        yield server


def test_the_pain(plain: Any, server: OpenAIServer) -> None:
    cache = InMemoryCache()
    set_llm_cache(cache)
    for question in LABELLED:
        plain.invoke(question)
    cache.clear()
    for question in LABELLED:
        plain.invoke(question)
    assert len(server.requests) == 4, "the answer from the other document went as well"


def test_langchain_model(model: LEOChatModel, server: OpenAIServer) -> None:
    for question, source in LABELLED.items():
        model.invoke(question, entry_sources=[source], entry_tags=["desk"])
    assert model.leo.cache.invalidate(sources=["prices.pdf"]) == 1
    hits = {question: model.invoke(question).response_metadata["leo"]["cache"]["hit"] for question in LABELLED}
    assert hits == {"When does the ferry leave?": True, "What does a ticket cost?": False}
    assert model.leo.cache.invalidate(tags=["desk"]) == 1, "the one that was asked anew has no tag"


def test_langchain_cache(cache: LEOCache, plain: Any, server: OpenAIServer) -> None:
    hits = {}
    for question in LABELLED:
        plain.invoke(question)
        facts = plain.invoke(question).response_metadata["leo"]
        hits[question] = facts["answer_id"]
    first, second = LABELLED
    assert cache.invalidate(ids=[hits[second]]) == 1
    assert plain.invoke(first).response_metadata["leo"]["cache"]["hit"]
    assert "leo" not in plain.invoke(second).response_metadata
    assert cache.invalidate(model="gpt-loopback") == 2
    assert len(server.requests) == 3


def test_llamaindex(llm: LEOLLM, server: OpenAIServer) -> None:
    for question, source in LABELLED.items():
        llm.complete(question, entry_sources=[source])
    assert llm.leo.cache.invalidate(sources=["prices.pdf"]) == 1
    hits = [llm.complete(question).raw["leo"]["cache"]["hit"] for question in LABELLED]
    assert hits == [True, False]
