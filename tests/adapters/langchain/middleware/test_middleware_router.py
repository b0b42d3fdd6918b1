"""LEO's routes for the model calls of an agent."""

from __future__ import annotations

import pytest
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy

from leo_core import LEOConfig, verify_receipt
from leo_core.errors import ConfigError
from leo_core.stages.budget.config import Budget
from leo_langchain import LEOChatModel, LEORouterMiddleware
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.adapters.langchain.middleware.agents import Report, WeatherStation, agent_of, ask
from tests.contracts.event_loop import never_blocked

WEATHER = "How is the weather in Oslo?"


def members(url, *names):
    return [chat_openai(url, model=name) for name in names]


def asked(server):
    return [request.body["model"] for request in server.requests]


@pytest.mark.parametrize("route", ["small", "large"])
@pytest.mark.parametrize("response_format", [None, ToolStrategy(Report), ProviderStrategy(Report)])
def test_each_model_call_takes_a_route(server, route, response_format):
    small, large = members(server.base_url, "small-1", "large-1")
    with LEORouterMiddleware(small, large, route=route) as router:
        agent = agent_of(server.base_url, [router], WeatherStation().tool, response_format=response_format)
        result = ask(agent, WEATHER)
        assert asked(server) == [f"{route}-1"] * 2, "the agent's own model is not asked"
        replies = [each for each in result["messages"] if each.type == "ai"]
        receipts = [each.response_metadata["leo"]["receipt"] for each in replies]
        assert len(set(receipts)) == 2
        for receipt in receipts:
            verify_receipt(router.leo.log.get(receipt), public_key=router.leo.public_key)
    expected = None if response_format is None else Report(place="Oslo", degrees=3)
    assert result.get("structured_response") == expected


async def test_a_jury_decides_each_step_on_an_event_loop(server):
    jury = members(server.base_url, "a-1", "b-1", "liar-1")
    with LEORouterMiddleware(jury=jury) as router:
        agent = agent_of(server.base_url, [router])
        with never_blocked("leo_core"), never_blocked("leo_langchain"):
            result = await agent.ainvoke({"messages": [("user", "What is 6 times 7?")]})
    assert result["messages"][-1].text == "42"
    assert sorted(asked(server)) == ["a-1", "b-1", "liar-1"]


def test_tokens_come_as_they_are_made(server):
    with LEORouterMiddleware(*members(server.base_url, "small-1")) as router:
        agent = agent_of(server.base_url, [router])
        chunks = [chunk for chunk, _ in agent.stream({"messages": [("user", WEATHER)]}, stream_mode="messages")]
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    assert "".join(chunk.text for chunk in chunks) == "I do not know."


def test_users_of_the_runtime_context_have_budgets_of_their_own(server):
    config = LEOConfig(budgets=(Budget(limit_usd=100.0, per="user"),))
    prices = {"small-1": {"input": 1.0, "output": 1.0}}
    (small,) = members(server.base_url, "small-1")
    with LEORouterMiddleware(small, config=config, prices=prices) as router:
        ask(agent_of(server.base_url, [router]), context={"tenant": "acme", "user": "ann"})
        spent = {name: router.leo.budgets(tenant="acme", user=name)[0].spent for name in ("ann", "bob")}
    assert spent["ann"] > spent["bob"] == 0


def test_a_model_that_was_given_is_used_and_left_open(server):
    model = LEOChatModel(small=chat_openai(server.base_url, model="small-1"))
    with LEORouterMiddleware(model=model) as router:
        ask(agent_of(server.base_url, [router]))
    assert model.leo.counts["cache.miss"] == 1
    model.close()


@pytest.mark.parametrize(
    "wrong",
    [{}, {"model": LEOChatModel(small="openai:a"), "small": "openai:b"}, {"small": "openai:a", "smal": "openai:b"}],
    ids=["nobody", "both", "misspelt"],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        LEORouterMiddleware(**wrong)
