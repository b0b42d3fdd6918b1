"""Every middleware alone, every two and all together, with both structured-output strategies, sync and async."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import combinations
from typing import Any

import pytest
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy

from leo_langchain import LEOCacheMiddleware, LEORouterMiddleware, LEOToolCacheMiddleware, LEOVerifyMiddleware
from tests.adapters.langchain.middleware.agents import Report, WeatherStation, agent_of, ask
from tests.contracts.event_loop import never_blocked
from tests.servers.openai_server import OpenAIServer

KINDS = ("cache", "tools", "router", "verify")
STACKS = [*((kind,) for kind in KINDS), *combinations(KINDS, 2), KINDS, KINDS[::-1]]
QUESTION = "What is the weather in Oslo?"
WANTED = Report(place="Oslo", degrees=3)


@pytest.fixture
def make(server: OpenAIServer) -> Iterator[Any]:
    """Makes the middlewares of a stack, which are closed at the end."""
    members = {"api_key": "sk-test", "base_url": server.base_url}
    kinds = {
        "cache": LEOCacheMiddleware,
        "tools": lambda: LEOToolCacheMiddleware(tools=["weather"]),
        "router": lambda: LEORouterMiddleware(small="openai:routed", **members),
        "verify": lambda: LEOVerifyMiddleware(["openai:judge-1", "openai:judge-2"], options=members),
    }
    with ExitStack() as opened:
        yield lambda stack: [opened.enter_context(kinds[kind]()) for kind in stack]


def check(result: dict[str, Any], stack: tuple[str, ...]) -> None:
    """The answer is in the form that was asked for, and the state says what LEO did about it."""
    assert result["structured_response"] == WANTED
    told = [message.response_metadata.get("leo") for message in result["messages"] if message.type == "ai"]
    if "verify" in stack:
        facts = result["leo"].get("source", result["leo"])  # of a hit: what was found out when the answer was made
        assert facts["outcome"] == "confirmed"
        assert facts["receipt"]
    if "router" in stack and "verify" not in stack and "cache" not in stack:
        assert [facts["route"] for facts in told] == ["small", "small"]


def check_saved(server: OpenAIServer, station: WeatherStation, stack: tuple[str, ...], before: int) -> None:
    """What the second run has asked of the model, the judges and the tool."""
    again = [request.body["model"] for request in server.requests[before:]]
    writer = "routed" if "router" in stack else "agent-1"
    assert again.count(writer) == (0 if "cache" in stack else 2)
    assert len(station.calls) == (1 if "tools" in stack else 2)
    judged = sum(model.startswith("judge") for model in again)
    inside = "verify" in stack and ("cache" not in stack or stack.index("verify") < stack.index("cache"))
    assert judged == (2 if inside else 0)


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("stack", STACKS, ids="+".join)
def test_an_agent_answers_in_form(server, make, stack, strategy) -> None:
    station = WeatherStation()
    agent = agent_of(server.base_url, make(stack), station.tool, response_format=strategy(Report))
    check(ask(agent, QUESTION), stack)
    start = len(server.requests)
    check(ask(agent, QUESTION), stack)
    check_saved(server, station, stack, start)


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("stack", STACKS, ids="+".join)
async def test_an_agent_answers_in_form_on_an_event_loop(server, make, stack, strategy) -> None:
    station = WeatherStation()
    agent = agent_of(server.base_url, make(stack), station.tool, response_format=strategy(Report))
    with never_blocked(["leo_core", "leo_langchain"]):
        check(await agent.ainvoke({"messages": [("user", QUESTION)]}), stack)
        start = len(server.requests)
        check(await agent.ainvoke({"messages": [("user", QUESTION)]}), stack)
    check_saved(server, station, stack, start)
