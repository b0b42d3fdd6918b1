"""Whose call it is where a graph's runtime context says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

from leo_core.errors import ConfigError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Request
from leo_langchain import LEOCache, LEOChatModel

QUESTION = {"messages": [("user", "What is the password?")]}


@dataclass
class Caller:
    """A context with other names."""

    tenant_id: int
    user_id: Any = None


class Confidant:
    """Tells each tenant its own, and remembers who asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    def __call__(self, request: Request) -> str:
        self.asked.append((request.tenant, request.user))
        return f"the password of {request.tenant}"


def last(result: dict[str, Any]) -> str:
    return str(result["messages"][-1].text)


async def test_an_agents_model_answers_for_the_tenant_of_the_context() -> None:
    confidant = Confidant()
    with LEOChatModel(small=ScriptedModel("small", confidant)) as model:
        agent = create_agent(model, [])
        assert last(agent.invoke(QUESTION, context={"tenant": "acme", "user": "ann"})) == "the password of acme"
        assert last(await agent.ainvoke(QUESTION, context={"tenant": "globex"})) == "the password of globex"
        assert last(agent.invoke(QUESTION, context=Caller(7, user_id=object()))) == "the password of 7"
        assert last(agent.invoke(QUESTION)) == "the password of default"
    assert confidant.asked == [("acme", "ann"), ("globex", None), ("7", None), ("default", None)]


def test_what_a_call_names_itself_comes_first() -> None:
    with LEOChatModel(small=ScriptedModel("small", Confidant())) as model:

        def ask(state: MessagesState) -> dict[str, Any]:
            return {"messages": [model.invoke(state["messages"], {"configurable": {"tenant": "named"}})]}

        builder = StateGraph(MessagesState, context_schema=dict)
        builder.add_node("ask", ask)
        builder.add_edge(START, "ask")
        assert last(builder.compile().invoke(QUESTION, context={"tenant": "acme"})) == "the password of named"


def test_the_cache_of_the_process_keeps_them_apart() -> None:
    with LEOCache() as cache:
        set_llm_cache(cache)
        agent = create_agent(GenericFakeChatModel(messages=iter([AIMessage("a"), AIMessage("b")])), [])
        told = [last(agent.invoke(QUESTION, context={"tenant": name})) for name in ("acme", "globex", "acme")]
    assert told == ["a", "b", "a"]


@pytest.mark.parametrize("wrong", [object(), ["acme"], True])
def test_a_tenant_that_is_no_name_is_refused(wrong: Any) -> None:
    with LEOChatModel(small=ScriptedModel("small", Confidant())) as model:
        agent = create_agent(model, [])
        with pytest.raises(ConfigError, match="the tenant in the runtime context is a text"):
            agent.invoke(QUESTION, context={"tenant": wrong})
