"""The cache around the model calls of an agent."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import openai as openai_sdk
import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, wrap_model_call
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain.chat_models import init_chat_model
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import ConfigurableField
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from leo_core.config import LEOConfig
from leo_core.errors import ConfigError
from leo_langchain import (
    LEOCache,
    LEOCacheMiddleware,
    LEOChatModel,
    LEORouterMiddleware,
    LEOToolCacheMiddleware,
    LEOVerifyMiddleware,
    tenant,
    user,
)
from tests.adapters.langchain.langchain_servers import chat_anthropic, chat_openai
from tests.adapters.langchain.middleware.agents import Report, WeatherStation, agent_of, ask
from tests.contracts.event_loop import never_blocked
from tests.servers.brain import Reply
from tests.servers.loopback import Fault

WEATHER = "How is the weather in Oslo?"


@pytest.fixture
def cache():
    with LEOCacheMiddleware() as middleware:
        yield middleware


def last(result: dict[str, Any]) -> AIMessage:
    return result["messages"][-1]


@pytest.mark.parametrize("response_format", [None, ToolStrategy(Report), ProviderStrategy(Report), Report])
def test_the_second_run_of_an_agent_makes_no_call(cache, server, response_format):
    station = WeatherStation()
    agent = agent_of(server.base_url, [cache], station.tool, response_format=response_format)
    first = ask(agent, WEATHER)
    assert len(server.requests) == 2
    second = ask(agent, WEATHER)
    assert len(server.requests) == 2
    assert [(type(each), each.content) for each in second["messages"]] == [
        (type(each), each.content) for each in first["messages"]
    ]
    expected = None if response_format is None else Report(place="Oslo", degrees=3)
    assert first.get("structured_response") == second.get("structured_response") == expected
    assert station.calls == ["Oslo", "Oslo"], "tools are not the business of this cache"
    assert not {each.id for each in first["messages"]} & {each.id for each in second["messages"]}


async def test_the_same_on_an_event_loop_without_blocking_it(cache, server):
    agent = agent_of(server.base_url, [cache], WeatherStation().tool)
    question = {"messages": [("user", WEATHER)]}
    with never_blocked("leo_core"), never_blocked("leo_langchain"):
        first, second = await agent.ainvoke(question), await agent.ainvoke(question)
    assert len(server.requests) == 2
    assert last(first).text == last(second).text == "It is 3 degrees."
    assert second["leo"]["route"] == "cache"


def test_a_hit_says_so_and_spends_nothing(cache, server):
    agent = agent_of(server.base_url, [cache])
    spent = last(ask(agent)).usage_metadata["total_tokens"]
    hit = ask(agent)
    facts = last(hit).response_metadata["leo"]
    assert facts["cache"]["hit"]
    assert facts == hit["leo"]
    assert facts["saved_usage"]["total_tokens"] == spent > 0
    assert last(hit).usage_metadata["total_tokens"] == 0
    assert cache.counts["cache.hit"] == 1


def test_in_one_thread_the_same_question_is_answered_twice_over(server, cache):
    """A hit with the id of the first answer would take its place in the state."""
    agent = agent_of(server.base_url, [cache], checkpointer=InMemorySaver())
    for _ in range(2):
        for name in ("a", "b"):
            result = ask(agent, config={"configurable": {"thread_id": name}})
    assert [each.type for each in result["messages"]] == ["human", "ai", "human", "ai"]
    assert len(server.requests) == 2


# ------------------------------------------------------------------------------------------------- what is one call


@pytest.mark.parametrize(
    "change",
    [
        {"system_prompt": "Be brief."},
        {"model": "agent-2"},
        {"name": "another"},
        {"response_format": ProviderStrategy(Report)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_an_answer_depends_on_is_part_of_the_key(cache, server, change):
    ask(agent_of(server.base_url, [cache]))
    ask(agent_of(server.base_url, [cache], **change))
    assert len(server.requests) == 2


def test_tools_are_part_of_the_key_and_match_exactly_only(cache, server):
    ask(agent_of(server.base_url, [cache]))
    agent = agent_of(server.base_url, [cache], WeatherStation().tool)
    ask(agent)
    ask(agent, "What's the capital of France?")
    assert len(server.requests) == 3
    assert cache.counts.get("cache.explore", 0) == 0


def test_without_tools_the_last_turn_is_compared_by_meaning(cache, server):
    agent = agent_of(server.base_url, [cache])
    ask(agent)
    assert cache.keeper.flush()
    ask(agent, "What's the capital of France?")
    assert cache.counts.get("cache.explore") == 1


def test_meaning_can_be_switched_off(server):
    with LEOCacheMiddleware(semantic=False) as cache:
        agent = agent_of(server.base_url, [cache])
        ask(agent)
        assert cache.keeper.flush()
        ask(agent, "What's the capital of France?")
        assert cache.counts.get("cache.explore", 0) == 0
        assert len(server.requests) == 2


def test_it_works_around_any_chat_model(cache, anthropic):
    from langchain.agents import create_agent

    agent = create_agent(chat_anthropic(anthropic.base_url), [], middleware=[cache])
    texts = [last(ask(agent)).text for _ in range(2)]
    assert texts[0] == texts[1] != ""
    assert len(anthropic.requests) == 1


# -------------------------------------------------------------------------------------------------------- whose call


@dataclass
class Context:
    tenant: str | None = None
    user_id: str | None = None


@pytest.mark.parametrize("context", [Context, lambda **fields: fields], ids=["dataclass", "mapping"])
def test_tenants_of_the_runtime_context_share_nothing(cache, server, context):
    schema = Context if context is Context else None
    agent = agent_of(server.base_url, [cache], context_schema=schema)
    for name in ("acme", "globex", "acme", "globex"):
        ask(agent, context=context(tenant=name))
    assert len(server.requests) == 2
    assert cache.keeper.flush()
    assert {each for each in cache.keeper.leo.store.tenants() if each != "default"} == {"acme", "globex"}


def test_tenants_of_the_configuration_of_a_block_and_of_a_function_share_nothing(server):
    def region(runtime: Any) -> str | None:
        return runtime.context["region"]

    with LEOCacheMiddleware() as cache, LEOCacheMiddleware(tenant=region) as by_function:
        agent = agent_of(server.base_url, [cache])
        ask(agent, config={"configurable": {"tenant": "acme"}})
        with tenant("globex"):
            ask(agent)
        ask(agent)
        assert len(server.requests) == 3
        regional = agent_of(server.base_url, [by_function])
        for name in ("eu", "us", "eu"):
            ask(regional, context={"region": name})
        assert len(server.requests) == 5


def test_a_call_whose_tenant_cannot_be_told_goes_past_the_cache(server):
    with LEOCacheMiddleware(tenant=lambda runtime: None) as cache:
        agent = agent_of(server.base_url, [cache])
        assert [last(ask(agent)).text for _ in range(2)] == ["Paris"] * 2
        assert len(server.requests) == 2
        assert cache.counts["lookup.failed"] == 2


def test_users_share_unless_they_are_told_not_to(server):
    with LEOCacheMiddleware() as shared, LEOCacheMiddleware(share="user") as apart:
        for middleware, calls in ((shared, 1), (apart, 4)):
            before = len(server.requests)
            agent = agent_of(server.base_url, [middleware], context_schema=Context)
            for name in ("ann", "bob", "ann"):
                ask(agent, context=Context(user_id=name))
            ask(agent)
            ask(agent)  # nobody's: past the cache when users share nothing
            assert len(server.requests) - before == calls
        agent = agent_of(server.base_url, [apart])
        with user("ann"):
            ask(agent)
        assert len(server.requests) == 5


# ------------------------------------------------------------------------------------------------------ what is kept


def test_what_is_cut_off_or_broken_is_not_kept(cache, server):
    agent = agent_of(server.base_url, [cache])
    server.brain = lambda asked: Reply(text="It is", finish_reason="length")
    ask(agent)
    server.brain = lambda asked: "It is Paris."
    assert last(ask(agent)).text == "It is Paris."


def test_an_answer_out_of_form_is_not_kept(cache, server):
    replies = iter(['{"place": "Oslo"}', '{"place": "Oslo", "degrees": 3}'])
    server.brain = lambda asked: next(replies)
    agent = agent_of(server.base_url, [cache], response_format=ProviderStrategy(Report))
    with pytest.raises(Exception, match="degrees"):
        ask(agent)
    assert ask(agent)["structured_response"] == Report(place="Oslo", degrees=3)


def test_words_in_the_place_of_a_form_are_not_kept(cache, server):
    agent = agent_of(server.base_url, [cache], WeatherStation().tool, response_format=ToolStrategy(Report))
    brain, server.brain = server.brain, lambda asked: "I would rather talk."
    assert ask(agent).get("structured_response") is None
    server.brain = brain
    assert ask(agent)["structured_response"] == Report(place="Oslo", degrees=3)


def test_a_router_outside_keeps_threads_from_sharing_nothing(cache, server):
    """It tells its model the thread, which changes no answer."""
    with LEORouterMiddleware(chat_openai(server.base_url, model="small-1")) as router:
        agent = agent_of(server.base_url, [router, cache], checkpointer=InMemorySaver())
        for name in ("a", "b"):
            ask(agent, config={"configurable": {"thread_id": name, "user_id": name}})
    assert len(server.requests) == 1


def test_an_error_is_passed_on_and_not_kept(cache, server):
    server.fault = Fault(status=500, times=1)
    agent = agent_of(server.base_url, [cache])
    with pytest.raises(openai_sdk.InternalServerError):
        ask(agent)
    assert last(ask(agent)).text == "Paris"


def test_a_broken_store_leaves_the_agent_working(cache, server, monkeypatch):
    def fail(*_: Any) -> None:
        raise OSError("no disk")

    monkeypatch.setattr(cache.keeper.leo.cache, "lookup", fail)
    monkeypatch.setattr(cache.keeper.leo.cache, "update", fail)
    agent = agent_of(server.base_url, [cache])
    assert [last(ask(agent)).text for _ in range(2)] == ["Paris", "Paris"]
    assert cache.counts["lookup.failed"] == cache.counts["update.failed"] == 2


async def test_equal_calls_at_the_same_time_make_one_call(cache, server):
    agent = agent_of(server.base_url, [cache])
    everyone, reply = threading.Event(), server.brain

    def wait(asked):
        everyone.wait(30)
        return reply(asked)

    server.brain = wait
    runs = [asyncio.create_task(agent.ainvoke({"messages": [("user", "What is 6 times 7?")]})) for _ in range(5)]
    for _ in range(600):
        if cache.counts.get("cache.miss", 0) >= 5:
            break
        await asyncio.sleep(0.05)
    everyone.set()
    assert [last(result).text for result in await asyncio.gather(*runs)] == ["42"] * 5
    assert len(server.requests) == 1


def test_an_interrupt_passes_and_the_run_goes_on(cache, server):
    class Ask(AgentMiddleware):
        def wrap_model_call(self, request, handler):
            interrupt("go on?")
            return handler(request)

    agent = agent_of(server.base_url, [cache, Ask()], checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "a"}}
    stopped = ask(agent, config=config)
    assert stopped["__interrupt__"][0].value == "go on?"
    assert last(agent.invoke(Command(resume=True), config)).text == "Paris"
    other = {"configurable": {"thread_id": "b"}}
    assert last(ask(agent, config=other)).text == "Paris", "a hit does not come to the interrupt"
    assert len(server.requests) == 1


# ------------------------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize("mode", ["messages", "updates", "values"])
def test_a_hit_arrives_in_every_stream(cache, server, mode):
    agent = agent_of(server.base_url, [cache])

    def texts() -> list[str]:
        found = list(agent.stream({"messages": [("user", "What is 6 times 7?")]}, stream_mode=mode))
        if mode == "messages":
            return ["".join(chunk.text for chunk, _ in found)]
        states = [part["model"] for part in found if "model" in part] if mode == "updates" else found[-1:]
        return [state["messages"][-1].text for state in states]

    assert texts() == ["42"]
    assert texts() == ["42"]
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "wrong", [{"ttl_s": -1.0}, {"share": "all"}, {"tenant": ""}, {"tenant": 1.5}, {"privacy": "none"}], ids=str
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        LEOCacheMiddleware(**wrong)


def test_settings_of_the_cache_are_taken(server):
    with LEOCacheMiddleware(ttl_s=0.0, config=LEOConfig(), max_wrong_hits=0.0) as cache:
        agent = agent_of(server.base_url, [cache])
        ask(agent)
        assert cache.keeper.flush()
        ask(agent)
        assert len(server.requests) == 2, "a time to live of 0 keeps for hardly"


def with_temperature(server, way: str, value: float) -> tuple[Any, dict[str, Any]]:
    """An agent's model with a temperature, and the configuration that it is called with."""
    field = ConfigurableField(id="temperature")
    chat = chat_openai(server.base_url, model="agent-1")
    config = {"configurable": {"temperature": value}}
    match way:
        case "bound":
            return chat.bind(temperature=value), {}
        case "bound twice":
            return chat.bind(temperature=value).with_config(tags=["a"]).with_retry(), {}
        case "configured":
            return chat.configurable_fields(temperature=field), config
        case "configured before":
            return chat.configurable_fields(temperature=field).with_config(config), {}
        case "fallback":
            return chat.with_fallbacks([chat.bind(temperature=value)]), {}
        case _:
            given = {"base_url": server.base_url, "api_key": "sk-test"}
            return init_chat_model(
                "agent-1", model_provider="openai", configurable_fields=("temperature",), **given
            ), config


WAYS = ["bound", "bound twice", "configured", "configured before", "fallback", "init_chat_model"]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_bound_to_a_model_or_comes_with_the_call_is_part_of_the_keys(server, cache, way):
    def choose(model: Any) -> Any:
        return wrap_model_call(lambda request, handler: handler(request.override(model=model)))

    for value, asked in ((0.1, 1), (0.9, 2), (0.1, 2)):
        model, config = with_temperature(server, way, value)
        ask(agent_of(server.base_url, [choose(model), cache]), config=config)
        assert len(server.requests) == asked
    assert "lookup.failed" not in cache.counts


@pytest.mark.parametrize(
    ("bound", "explored"), [({"temperature": 0.1}, 1), ({"tools": [], "parallel_tool_calls": False}, 0)]
)
def test_a_model_with_tools_bound_to_it_matches_exactly(cache, server, bound, explored):
    agent = create_agent(chat_openai(server.base_url, model="agent-1").bind(**bound), middleware=[cache])
    ask(agent)
    assert cache.keeper.flush()
    ask(agent, "What's the capital of France?")
    assert cache.counts.get("cache.explore", 0) == explored


def test_without_a_tenant_nothing_is_kept_where_one_is_required(server):
    settings = LEOConfig(require_tenant=True)
    station = WeatherStation()
    with LEOCacheMiddleware(config=settings) as cache, LEOToolCacheMiddleware(tools="all", config=settings) as tools:
        agent = agent_of(server.base_url, [cache, tools], station.tool)
        for calls in (2, 4):
            ask(agent, WEATHER)
            assert len(server.requests) == calls
        assert station.calls == ["Oslo", "Oslo"]
        for _ in range(2):
            ask(agent, WEATHER, context={"tenant": "acme"})
        assert len(server.requests) == 6
        assert station.calls == ["Oslo", "Oslo", "Oslo"]


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
@pytest.mark.parametrize("verified", [False, True])
def test_the_facts_of_an_earlier_answer_are_not_served_with_a_hit(server, cache, verified):
    """Events of version 3 put the facts of an answer into its content; those of a hit or a verdict are others."""
    chat = chat_openai(server.base_url, model="agent-1")
    with LEOVerifyMiddleware([chat]) as verify, LEOChatModel(small=chat, use_cache=False) as model:
        agent = create_agent(model, middleware=[cache, verify] if verified else [cache])
        for _ in range(2):
            stream = agent.stream_events({"messages": [("user", "What is 6 times 7?")]}, version="v3")
            list(stream)
            reply = stream.output["messages"][-1]
            told = [block["value"] for block in reply.content_blocks if block["type"] == "non_standard"]
            said = reply.response_metadata["leo"]
            assert all(facts["receipt"] == said["receipt"] for facts in told)
            assert reply.text == "42"
    assert said["cache"]["hit"]


def test_equal_calls_wait_for_a_model_that_has_a_cache_of_its_own(cache):
    with LEOCache() as inner:
        agent = create_agent(FakeListChatModel(responses=["42"], cache=inner, sleep=0.5), [], middleware=[cache])
        with ThreadPoolExecutor(2) as pool:
            runs = pool.map(lambda _: last(agent.invoke({"messages": [("user", "What is 6 times 7?")]})).text, range(2))
            assert list(runs) == ["42", "42"]
        assert cache.counts["cache.hit"] == 1
        assert "cache.hit" not in inner.counts
