"""Results of tools, kept for equal calls."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
from langchain.agents.middleware import HumanInTheLoopMiddleware, ToolRetryMiddleware
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import InjectedState
from langgraph.types import Command, interrupt

from leo_core.errors import ConfigError
from leo_langchain import LEOCache, LEOCacheMiddleware, LEOToolCacheMiddleware
from tests.adapters.langchain.middleware.agents import WeatherStation, agent_of, ask
from tests.contracts.event_loop import never_blocked

WEATHER = "How is the weather in Oslo?"


@pytest.fixture
def cache():
    with LEOToolCacheMiddleware(tools=["weather"]) as middleware:
        yield middleware


def told(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each.content, each.tool_call_id, each.status) for each in result["messages"] if each.type == "tool"]


def test_an_equal_call_is_served_under_its_own_id(cache, server):
    station = WeatherStation()
    agent = agent_of(server.base_url, [cache], station.tool)
    first = ask(agent, WEATHER)
    second = agent.invoke({"messages": [*first["messages"], ("user", WEATHER)]})
    assert station.calls == ["Oslo"]
    assert told(second) == [
        ("3 degrees in Oslo", "call_Oslo_1", "success"),
        ("3 degrees in Oslo", "call_Oslo_5", "success"),
    ]
    assert len({each.id for each in second["messages"]}) == len(second["messages"])
    assert second["messages"][-2].response_metadata["leo"]["cache"]["hit"]


async def test_the_same_on_an_event_loop_without_blocking_it(cache, server):
    calls: list[str] = []

    @tool
    async def weather(place: str) -> str:
        """The weather in a place."""
        calls.append(place)
        return f"3 degrees in {place}"

    agent = agent_of(server.base_url, [cache], weather)
    with never_blocked("leo_core"), never_blocked("leo_langchain"):
        results = [await agent.ainvoke({"messages": [("user", WEATHER)]}) for _ in range(2)]
    assert calls == ["Oslo"]
    assert told(results[0]) == told(results[1])


def test_arguments_and_tenants_share_nothing(cache, server):
    station = WeatherStation()
    agent = agent_of(server.base_url, [cache], station.tool)
    for _ in range(2):
        for name in ("acme", "globex"):
            ask(agent, "How is the weather in Oslo and Rome?", context={"tenant": name})
    assert sorted(station.calls) == ["Oslo", "Oslo", "Rome", "Rome"]


def test_equal_calls_wait_for_a_tool_that_asks_a_cached_model(cache, server):
    calls: list[str] = []
    with LEOCache() as inner:
        model = FakeListChatModel(responses=["3 degrees"], cache=inner)

        @tool
        def weather(place: str) -> str:
            """The weather in a place."""
            calls.append(place)
            said = model.invoke(f"{place}, call {len(calls)}").text
            time.sleep(0.5)
            return said

        agent = agent_of(server.base_url, [cache], weather)
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda _: told(ask(agent, WEATHER))[0][0], range(2)))
    assert results == ["3 degrees", "3 degrees"]
    assert calls == ["Oslo"]


def test_tools_that_were_not_named_are_called(server):
    station = WeatherStation()
    with LEOToolCacheMiddleware(tools=["search"]) as cache:
        agent = agent_of(server.base_url, [cache], station.tool)
        ask(agent, WEATHER)
        ask(agent, WEATHER)
    assert station.calls == ["Oslo", "Oslo"]


@pytest.mark.parametrize(("named", "calls"), [("all", 2), (["weather"], 1)])
def test_all_leaves_out_tools_that_are_handed_the_state(server, named, calls):
    seen: list[int] = []

    @tool
    def weather(place: str, messages: Annotated[list[Any], InjectedState("messages")]) -> str:
        """The weather in a place."""
        seen.append(len(messages))
        return place

    with LEOToolCacheMiddleware(tools=named) as cache:
        agent = agent_of(server.base_url, [cache], weather)
        ask(agent, WEATHER)
        ask(agent, WEATHER)
    assert len(seen) == calls


@pytest.mark.parametrize("is_class", [False, True])
def test_all_leaves_out_tools_that_are_handed_the_configuration(server, is_class):
    seen: list[str] = []

    def look_up(place: str, config: RunnableConfig) -> str:
        """The weather in a place, as the user wants it."""
        seen.append(config["configurable"]["user_id"])
        return place

    class Weather(BaseTool):
        name: str = "weather"
        description: str = "The weather in a place."

        def _run(self, place: str, config: RunnableConfig) -> str:
            return look_up(place, config)

    weather = Weather() if is_class else tool("weather")(look_up)
    with LEOToolCacheMiddleware(tools="all") as cache:
        agent = agent_of(server.base_url, [cache], weather)
        for name in ("ann", "ben"):
            ask(agent, WEATHER, config={"configurable": {"user_id": name}})
    assert seen == ["ann", "ben"]


@pytest.mark.parametrize("as_mapping", [False, True])
def test_all_serves_tools_that_are_handed_nothing(server, as_mapping):
    station = WeatherStation()
    weather = station.tool
    if as_mapping:  # as MCP's tools have it
        schema = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
        weather = StructuredTool.from_function(weather.func, name="weather", description="…", args_schema=schema)
    with LEOToolCacheMiddleware(tools="all") as cache:
        agent = agent_of(server.base_url, [cache], weather)
        ask(agent, WEATHER)
        ask(agent, WEATHER)
    assert station.calls == ["Oslo"]


def test_errors_are_never_kept(cache, server):
    station = WeatherStation(fails=1)
    retry = ToolRetryMiddleware(max_retries=0, on_failure="continue")
    agent = agent_of(server.base_url, [cache, retry], station.tool)
    assert [told(ask(agent, WEATHER))[0][2] for _ in range(3)] == ["error", "success", "success"]
    assert station.calls == ["Oslo", "Oslo"]


def test_an_exception_passes_and_frees_those_who_wait(cache, server):
    station = WeatherStation(fails=1)
    agent = agent_of(server.base_url, [cache], station.tool)
    with pytest.raises(RuntimeError, match="the station is down"):
        ask(agent, WEATHER)
    assert told(ask(agent, WEATHER))[0][0] == "3 degrees in Oslo"


def test_commands_are_not_kept(cache, server):
    calls: list[str] = []

    @tool
    def weather(place: str, call_id: Annotated[str, InjectedToolCallId]) -> Command:
        """The weather in a place."""
        calls.append(place)
        return Command(update={"messages": [ToolMessage("3 degrees", tool_call_id=call_id)]})

    agent = agent_of(server.base_url, [cache], weather)
    assert told(ask(agent, WEATHER))[0][0] == "3 degrees"
    ask(agent, WEATHER)
    assert calls == ["Oslo", "Oslo"]


def test_what_cannot_be_read_back_is_not_kept(cache, server):
    calls: list[str] = []

    @tool(response_format="content_and_artifact")
    def weather(place: str) -> tuple[str, Any]:
        """The weather in a place."""
        calls.append(place)
        return place, object() if len(calls) == 1 else {"degrees": 3}

    agent = agent_of(server.base_url, [cache], weather)
    found = [ask(agent, WEATHER)["messages"][2].artifact for _ in range(3)]
    assert calls == ["Oslo", "Oslo"]
    assert found[1:] == [{"degrees": 3}] * 2
    assert cache.counts["update.failed"] == 1


def test_an_interrupt_in_a_tool_passes(cache, server):
    calls: list[Any] = []

    @tool
    def weather(place: str) -> str:
        """The weather in a place."""
        calls.append(interrupt("may I?"))
        return f"3 degrees in {place}"

    agent = agent_of(server.base_url, [cache], weather, checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "a"}}
    assert ask(agent, WEATHER, config=config)["__interrupt__"][0].value == "may I?"
    result = agent.invoke(Command(resume="yes"), config)
    assert calls == ["yes"]
    assert result["messages"][-1].text == "It is 3 degrees."


async def test_what_a_human_allowed_is_allowed_once(cache, server):
    @tool
    def weather(place: str) -> str:
        """The weather in a place."""
        return f"{interrupt('may I?')} in {place}"

    agent = agent_of(server.base_url, [cache], weather, checkpointer=InMemorySaver())
    for word in ("yes", "no"):
        config = {"configurable": {"thread_id": word}}
        assert "__interrupt__" in ask(agent, WEATHER, config=config)
        assert told(agent.invoke(Command(resume=word), config))[0][0] == f"{word} in Oslo"
        config = {"configurable": {"thread_id": f"async {word}"}}
        assert "__interrupt__" in await agent.ainvoke({"messages": [("user", WEATHER)]}, config)
        assert told(await agent.ainvoke(Command(resume=word), config))[0][0] == f"{word} in Oslo"


def test_what_follows_a_human_of_another_step_is_kept(cache, server):
    station = WeatherStation()
    gate = HumanInTheLoopMiddleware(interrupt_on={"weather": True})
    agent = agent_of(server.base_url, [gate, cache], station.tool, checkpointer=InMemorySaver())
    for name in ("a", "b"):
        config = {"configurable": {"thread_id": name}}
        assert "__interrupt__" in ask(agent, WEATHER, config=config)
        agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
    assert station.calls == ["Oslo"]


def test_equal_calls_of_two_agents_at_the_same_time_are_made_once(cache, server):
    go, calls = threading.Event(), []

    @tool
    def weather(place: str) -> str:
        """The weather in a place."""
        calls.append(place)
        go.wait(30)
        return place

    agent = agent_of(server.base_url, [cache], weather)

    async def both() -> list[Any]:
        runs = [asyncio.create_task(agent.ainvoke({"messages": [("user", WEATHER)]})) for _ in range(2)]
        for _ in range(600):
            if cache.counts.get("cache.miss", 0) >= 2:
                break
            await asyncio.sleep(0.05)
        go.set()
        return await asyncio.gather(*runs)

    results = asyncio.run(both())
    assert calls == ["Oslo"]
    assert told(results[0]) == told(results[1])


def test_beside_the_cache_of_model_calls_a_second_run_does_nothing_at_all(cache, server):
    station = WeatherStation()
    with LEOCacheMiddleware() as models:
        for stack in ([models, cache], [cache, models]):
            agent = agent_of(server.base_url, stack, station.tool)
            result = ask(agent, WEATHER)
    assert len(server.requests) == 2
    assert station.calls == ["Oslo"]
    assert result["messages"][-1].text == "It is 3 degrees."


@pytest.mark.parametrize("ttl_s", [0.0, {"weather": 0.0}])
def test_a_result_is_kept_for_its_time(server, ttl_s):
    station = WeatherStation()
    with LEOToolCacheMiddleware(tools="all", ttl_s=ttl_s) as cache:
        agent = agent_of(server.base_url, [cache], station.tool)
        ask(agent, WEATHER)
        ask(agent, WEATHER)
    assert station.calls == ["Oslo", "Oslo"]


def test_the_results_of_a_tool_can_be_removed(cache, server):
    station = WeatherStation()
    agent = agent_of(server.base_url, [cache], station.tool)
    ask(agent, WEATHER)
    assert cache.keeper.leo.cache.invalidate(tags=["tool:weather"]) == 1
    ask(agent, WEATHER)
    assert station.calls == ["Oslo", "Oslo"]


@pytest.mark.parametrize(
    "wrong",
    [{"tools": []}, {"tools": "weather"}, {"tools": ["a"], "ttl_s": -1}, {"tools": ["a"], "ttl_s": {"a": -1}}],
    ids=str,
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        LEOToolCacheMiddleware(**wrong)
