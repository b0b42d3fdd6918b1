"""redis-developer/langgraph-redis PR#168, #170: a hit bears an old id, and graphs replace or refuse the message."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AnyMessage, HumanMessage
from langgraph.graph.message import add_messages

from leo_langchain import LEOCache, LEOChatModel
from leo_llamaindex import LEOLLM
from tests.adapters.pains.pain_models import QUESTION


def two_turns(model: Any) -> list[AnyMessage]:
    """LangGraph's messages after the same question was asked twice in one conversation."""
    state: list[AnyMessage] = []
    for _ in range(2):
        state = add_messages(state, [HumanMessage(QUESTION, id=uuid4().hex)])
        state = add_messages(state, [model.invoke([HumanMessage(QUESTION)])])
    return state


def test_the_pain(plain: Any) -> None:
    set_llm_cache(InMemoryCache())
    assert [message.type for message in two_turns(plain)] == ["human", "ai", "human"]


def test_langchain_model(model: LEOChatModel) -> None:
    assert [message.type for message in two_turns(model)] == ["human", "ai"] * 2


def test_langchain_cache(cache: LEOCache, plain: Any) -> None:
    state = two_turns(plain)
    assert [message.type for message in state] == ["human", "ai"] * 2
    assert state[1].text == state[3].text


def test_llamaindex(llm: LEOLLM) -> None:
    """Every answer has an id of its own, by which it is explained and spoken of."""
    ids = [llm.complete(QUESTION).raw["leo"]["answer_id"] for _ in range(3)]
    assert len(set(ids)) == 3
