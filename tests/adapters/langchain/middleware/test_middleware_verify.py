"""LEO's judgement on the final answers of an agent."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy

from leo_core import LEOConfig, verify_receipt
from leo_core.errors import AbstainedError, ConfigError, ReceiptError
from leo_langchain import LEOCacheMiddleware, LEORouterMiddleware, LEOToolCacheMiddleware, LEOVerifyMiddleware
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.adapters.langchain.middleware.agents import Report, WeatherStation, agent_of, ask, report
from tests.contracts.event_loop import never_blocked
from tests.servers.brain import Asked, Reply, ToolUse
from tests.servers.loopback import Fault

WEATHER = "How is the weather in Oslo?"
FORMATS = [None, ToolStrategy(Report), ProviderStrategy(Report)]


def jury(server, *names):
    return [chat_openai(server.base_url, model=name) for name in names or ("a-1", "b-1")]


def said(result: dict[str, Any]) -> Any:
    return result.get("structured_response") or result["messages"][-1].text


def right(response_format: Any, degrees: int = 3) -> Any:
    return f"It is {degrees} degrees." if response_format is None else Report(place="Oslo", degrees=degrees)


@pytest.mark.parametrize("response_format", FORMATS)
def test_a_right_answer_is_confirmed_with_a_receipt_that_verifies(server, response_format):
    with LEOVerifyMiddleware(jury(server)) as verify:
        agent = agent_of(server.base_url, [verify], WeatherStation().tool, response_format=response_format)
        result = ask(agent, WEATHER)
        facts = result["leo"]
        assert (facts["outcome"], facts["served"]) == ("confirmed", "own")
        assert facts["votes"] == {"agent": 0, "openai:a-1": 0, "openai:b-1": 0}
        assert 0.0 < facts["risk"] < 1.0
        receipt = verify.leo.log.get(facts["receipt"])
        assert verify_receipt(receipt, public_key=verify.leo.public_key) is None
        with pytest.raises(ReceiptError):
            verify_receipt(receipt, public_key=LEOVerifyMiddleware(jury(server)).leo.public_key)
    assert said(result) == right(response_format)
    reply = next(each for each in reversed(result["messages"]) if each.type == "ai")
    assert reply.response_metadata["leo"] == facts
    assert reply.usage_metadata["total_tokens"] > 0
    assert len(server.requests) == 4, "the call of a tool is not judged"


@pytest.mark.parametrize("response_format", FORMATS)
def test_a_wrong_answer_is_replaced(server, response_format):
    with LEOVerifyMiddleware(jury(server)) as verify:
        agent = agent_of(
            server.base_url, [verify], WeatherStation().tool, response_format=response_format, model="liar-1"
        )
        result = ask(agent, WEATHER)
    assert said(result) == right(response_format)
    assert (result["leo"]["outcome"], result["leo"]["served"]) == ("overruled", "other")


def test_words_in_the_place_of_a_form_are_judged_and_brought_into_it(server):
    brain = server.brain
    server.brain = lambda asked: "I would rather talk." if asked.model == "agent-1" else brain(asked)
    with LEOVerifyMiddleware(jury(server)) as verify:
        result = ask(agent_of(server.base_url, [verify], response_format=ToolStrategy(Report)))
    assert result["leo"]["outcome"] == "overruled"
    assert said(result) == Report(place="Oslo", degrees=3)


@pytest.mark.parametrize(("model", "outcome"), [("agent-1", "confirmed"), ("liar-1", "overruled")])
def test_a_form_beside_a_call_of_a_tool_is_what_is_judged(server, model, outcome):
    brain, station = server.brain, WeatherStation()

    def both(asked: Asked) -> Reply | str:
        if asked.model != model:
            return brain(asked)
        form = ToolUse(name="Report", arguments=report(asked), id="call_report")
        return Reply(tool_uses=(ToolUse(name="weather", arguments={"place": "Oslo"}, id="call_weather"), form))

    server.brain = both
    with LEOVerifyMiddleware(jury(server)) as verify:
        agent = agent_of(server.base_url, [verify], station.tool, response_format=ToolStrategy(Report), model=model)
        result = ask(agent, config={"recursion_limit": 9})
    assert result["leo"]["outcome"] == outcome
    assert said(result) == Report(place="Oslo", degrees=3)
    assert station.calls == ["Oslo"], "the tool is called with its own arguments"


def test_a_thread_with_a_malformed_call_goes_on(server):
    brain = server.brain

    def stumble(asked: Asked) -> Reply | str:
        if asked.model != "agent-1" or "capital" in asked.question:
            return brain(asked)
        return Reply(tool_uses=(ToolUse(name="weather", raw='{"place": "Os', id="call_cut_off"),))

    server.brain = stumble
    with LEOVerifyMiddleware(jury(server)) as verify:
        agent = agent_of(server.base_url, [verify], WeatherStation().tool)
        first = ask(agent, WEATHER)["messages"]
        assert first[-1].invalid_tool_calls
        result = agent.invoke({"messages": [*first, ("user", "What is the capital of France?")]})
    assert (said(result), result["leo"]["outcome"]) == ("Paris", "confirmed")


async def test_the_same_on_an_event_loop_without_blocking_it(server):
    with LEOVerifyMiddleware(jury(server)) as verify:
        agent = agent_of(server.base_url, [verify], model="liar-1")
        with never_blocked("leo_core"), never_blocked("leo_langchain"):
            result = await agent.ainvoke({"messages": [("user", "What is 6 times 7?")]})
    assert said(result) == "42"
    assert result["leo"]["outcome"] == "overruled"


@pytest.mark.parametrize(
    ("then", "text", "served"),
    [("keep", "Lyon", "own"), ("abstain", "I would rather not say.", "abstention"), ("replace", "Paris", "other")],
)
def test_what_becomes_of_an_answer_that_was_overruled(server, then, text, served):
    with LEOVerifyMiddleware(jury(server), on_overruled=then, abstention="I would rather not say.") as verify:
        result = ask(agent_of(server.base_url, [verify], model="liar-1"))
    assert said(result) == text
    assert (result["leo"]["outcome"], result["leo"]["served"]) == ("overruled", served)


def test_an_answer_that_was_overruled_may_raise(server):
    with LEOVerifyMiddleware(jury(server), on_overruled="raise") as verify:
        with pytest.raises(AbstainedError, match="leo:rcpt:"):
            ask(agent_of(server.base_url, [verify], model="liar-1"))
        formed = agent_of(server.base_url, [verify], response_format=ProviderStrategy(Report), model="liar-1")
        with pytest.raises(AbstainedError):
            ask(formed, WEATHER)


@pytest.mark.parametrize(("then", "text"), [("keep", "Paris"), ("abstain", "I cannot answer this reliably.")])
def test_members_that_disagree_leave_doubt(server, then, text):
    with LEOVerifyMiddleware(jury(server, "liar-1"), on_doubt=then) as verify:
        result = ask(agent_of(server.base_url, [verify]))
    assert result["leo"]["outcome"] == "doubtful"
    assert result["leo"]["abstained"]
    assert said(result) == text


def test_a_jury_that_cannot_be_asked_confirms_nothing(server):
    server.fault = lambda body: Fault(status=500) if body["model"] == "a-1" else Fault()
    with LEOVerifyMiddleware(jury(server, "a-1")) as verify:
        result = ask(agent_of(server.base_url, [verify]))
    assert (said(result), result["leo"]["outcome"]) == ("Paris", "doubtful")


def test_without_a_jury_the_large_member_is_asked_where_the_risk_is_high(server):
    large = chat_openai(server.base_url, model="large-1")
    with LEOVerifyMiddleware(large=large, max_error=0.0) as verify:
        result = ask(agent_of(server.base_url, [verify], model="liar-1"))
    assert [each.body["model"] for each in server.requests] == ["liar-1", "large-1"]
    assert result["leo"]["route"] == "cascade"
    with LEOVerifyMiddleware(large=large, max_error=1.0) as verify:
        result = ask(agent_of(server.base_url, [verify]))
    assert len(server.requests) == 3, "a risk that is accepted asks nobody"
    assert result["leo"]["outcome"] == "confirmed"


def test_without_members_the_risk_alone_is_told(server):
    with LEOVerifyMiddleware(max_error=1.0) as verify:
        facts = ask(agent_of(server.base_url, [verify]))["leo"]
        assert facts["outcome"] == "confirmed"
        assert verify.leo.log.get(facts["receipt"]) is not None
    assert len(server.requests) == 1


@pytest.mark.parametrize(("hold", "shown"), [(True, "42"), (False, "4142")])
def test_tokens_wait_for_the_verdict(server, hold, shown):
    """Without holding back, what is overruled has been seen by then."""
    with LEOVerifyMiddleware(jury(server), hold_tokens=hold) as verify:
        agent = agent_of(server.base_url, [verify], model="liar-1")
        question = {"messages": [("user", "What is 6 times 7?")]}
        chunks = [chunk.text for chunk, _ in agent.stream(question, stream_mode="messages")]
    assert "".join(chunks) == shown


def test_a_verdict_says_who_the_tenant_is(server):
    with LEOVerifyMiddleware(jury(server), config=LEOConfig(require_tenant=True)) as verify:
        agent = agent_of(server.base_url, [verify])
        with pytest.raises(ConfigError, match="tenant"):
            ask(agent)
        assert ask(agent, context={"tenant": "acme"})["leo"]["outcome"] == "confirmed"


def test_what_leo_said_of_the_answer_before_stands_beside_the_verdict(server):
    small = chat_openai(server.base_url, model="small-1")
    with LEORouterMiddleware(small) as router, LEOVerifyMiddleware(jury(server)) as verify:
        facts = ask(agent_of(server.base_url, [verify, router]))["leo"]
        assert facts["draft"]["route"] == "small"
        assert router.leo.log.get(facts["draft"]["receipt"]) is not None


def test_all_of_them_work_in_any_order(server):
    station, large = WeatherStation(), chat_openai(server.base_url, model="large-1")
    for number, order in enumerate(permutations(range(3))):
        with (
            LEOCacheMiddleware() as cache,
            LEORouterMiddleware(large) as router,
            LEOVerifyMiddleware(jury(server, "a-1")) as verify,
            LEOToolCacheMiddleware(tools=["weather"]) as tools,
        ):
            stack = [(cache, router, verify)[place] for place in order]
            stack.insert(number % 4, tools)
            agent = agent_of(server.base_url, stack, station.tool, response_format=ToolStrategy(Report))
            before = len(server.requests)
            first, second = ask(agent, WEATHER), ask(agent, WEATHER)
            assert said(first) == said(second) == Report(place="Oslo", degrees=3)
            assert first["leo"]["outcome"] == "confirmed"
            judged_again = stack.index(verify) < stack.index(cache)
            assert len(server.requests) - before == (4 if judged_again else 3)
            source = second["leo"] if judged_again else second["leo"]["source"]
            assert source["outcome"] == "confirmed"
            assert source["receipt"]
    assert len(station.calls) == 6


@pytest.mark.parametrize(
    "wrong",
    [
        {"route": "consensus"},
        {"route": "cascade"},
        {"route": "cache"},
        {"on_doubt": "ignore"},
        {"on_overruled": "ignore"},
        {"max_error": 2.0},
        {"tenant": ""},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        LEOVerifyMiddleware(**wrong)
