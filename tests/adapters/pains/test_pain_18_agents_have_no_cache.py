"""langchain-ai/langchain PR#33695, redis-developer/langgraph-redis PR#145: agents want their model calls cached."""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver

from leo_langchain import LEOCache, LEOChatModel
from tests.servers.openai_server import OpenAIServer

ASKED: Any = {"messages": [("user", "Weigh 'salt'.")]}


def weigh(what: str) -> str:
    """Weigh a thing."""
    return f"{what}: 2 kg"


def contents(state: Any) -> list[str]:
    return [message.text for message in state["messages"]]


def run_twice(model: Any, server: OpenAIServer) -> None:
    agent = create_agent(model, tools=[weigh], system_prompt="You are a grocer.")
    first, again = agent.invoke(ASKED), agent.invoke(ASKED)
    assert [message.type for message in again["messages"]] == ["human", "ai", "tool", "ai"]
    assert contents(again) == contents(first)
    assert len(server.requests) == 2, "a call for the tool and a call for the answer, once"


def test_the_pain(plain: Any, server: OpenAIServer) -> None:
    agent = create_agent(plain, tools=[weigh])
    for _ in range(2):
        agent.invoke(ASKED)
    assert len(server.requests) == 4


def test_leo_as_the_model_of_an_agent(model: LEOChatModel, server: OpenAIServer) -> None:
    run_twice(model, server)


def test_any_model_behind_the_cache(cache: LEOCache, plain: Any, server: OpenAIServer) -> None:
    run_twice(plain, server)


def test_a_hit_does_not_replace_the_earlier_answer_in_a_thread(model: LEOChatModel, server: OpenAIServer) -> None:
    agent = create_agent(model, tools=[], checkpointer=InMemorySaver())
    threads: list[Any] = [{"configurable": {"thread_id": name}} for name in ("one", "two")]
    for config in threads:
        agent.invoke({"messages": [("user", "Hello.")]}, config)
    state = agent.invoke({"messages": [("user", "Hello.")]}, threads[1])
    assert [message.type for message in state["messages"]] == ["human", "ai", "human", "ai"]
    assert len(server.requests) == 2, "the second thread's first turn was a hit"


async def test_tenants_of_an_agent(model: LEOChatModel, server: OpenAIServer) -> None:
    agent = create_agent(model, tools=[])
    for name in ("acme", "globex", "acme", "globex"):
        await agent.ainvoke({"messages": [("user", "Hello.")]}, {"configurable": {"tenant": name}})
    assert len(server.requests) == 2
