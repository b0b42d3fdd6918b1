"""LEO's own events: once per call, plain, without prompt, answer or secret; and the handler that adds them up."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.events.span import SpanDropEvent

from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Usage
from leo_llamaindex import LEOLLM, LEOEventHandler
from leo_llamaindex.handler import LEOSummary
from leo_llamaindex.testing import METHODS, call, record_events
from leo_llamaindex.testing.scenes import ADD
from tests.adapters.llamaindex.llamaindex_servers import SECRET
from tests.servers.openai_server import OpenAIServer

OWN = ("LEORouteEvent", "LEOCacheHitEvent", "LEOVerifyEvent", "LEOProofEvent")


def member(name: str, cost: float | None = 0.001) -> ScriptedModel:
    return ScriptedModel(name, "the hidden answer", usage=Usage(input_tokens=7, output_tokens=3, calls=1), cost=cost)


@pytest.fixture
def committee() -> Any:
    with LEOLLM(jury=[member("a"), member("b"), member("c")], route="consensus") as llm:
        yield llm


@pytest.mark.parametrize("method", METHODS)
async def test_each_event_comes_once(committee: Any, method: str) -> None:
    text = f"my hidden question by {method}"
    with record_events() as cold:
        await call(committee, method, text)
    with record_events() as warm:
        await call(committee, method, text)
    assert {name: cold.names[name] for name in OWN} == dict(zip(OWN, (1, 0, 1, 1), strict=True))
    assert {name: warm.names[name] for name in OWN} == dict(zip(OWN, (1, 1, 0, 1), strict=True))
    for event in (*cold.events, *warm.events):
        if type(event).__name__ in OWN:
            shown = event.model_dump_json()
            assert event.class_name() == type(event).__name__
            assert "hidden" not in shown
    (hit,) = [event for event in warm.events if type(event).__name__ == "LEOCacheHitEvent"]
    assert (hit.kind, hit.saved_input_tokens, hit.saved_output_tokens) == ("exact", 21, 9)
    (verdict,) = [event for event in cold.events if type(event).__name__ == "LEOVerifyEvent"]
    assert (verdict.votes, verdict.classes, verdict.abstained) == (3, 1, False)


def test_the_handler_adds_up(committee: Any) -> None:
    with LEOEventHandler() as watch:
        committee.complete("One?")
        committee.complete("One?")
        with LEOLLM(small=member("d", cost=None)) as llm:
            llm.complete("Two?")
        get_dispatcher().event(SpanDropEvent(err_str=""))
    committee.complete("Three?")
    facts = watch.summary()
    assert (facts.answers, facts.hits, facts.verdicts, facts.abstained, facts.unpriced) == (3, 1, 1, 0, 1)
    assert facts.routes == {"consensus": 1, "cache": 1, "small": 1}
    assert (facts.input_tokens, facts.output_tokens, facts.saved_tokens) == (28, 12, 30)
    assert facts.spent_usd == pytest.approx(0.003)
    assert len(facts.receipts) == len(facts.risks) == 3
    assert 0 <= facts.mean_risk <= 1
    assert facts.to_dict()["receipts"] == list(facts.receipts)
    assert "1 of unknown price" in str(facts)
    assert watch not in get_dispatcher().event_handlers


def test_an_empty_summary_has_no_risk() -> None:
    assert LEOSummary().mean_risk is None
    assert "none" in str(LEOEventHandler().summary())
    assert LEOEventHandler.class_name() == "LEOEventHandler"


def test_no_receipts_no_proofs() -> None:
    with LEOLLM.from_preset("economy", small=member("e")) as llm, record_events() as seen:
        llm.complete("Hi")
    assert seen.names["LEOProofEvent"] == 1


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.filterwarnings("ignore:is_running called from within a step")
@pytest.mark.parametrize("kind", [FunctionAgent, ReActAgent])
async def test_an_agents_calls_are_told_of_once_and_its_hits_cost_nothing(kind: Any, openai: OpenAIServer) -> None:
    """LEO's events reach the dispatcher from inside a workflow, one for each call of the model."""
    with LEOLLM(small="openai:gpt-5-mini", api_key=SECRET, base_url=openai.base_url) as llm:
        runs = []
        for _ in range(2):
            with LEOEventHandler() as watch, record_events() as seen:
                output = await kind(tools=[ADD], llm=llm).run(user_msg="Add 2 and 3")
            assert [made.tool_output.content for made in output.tool_calls] == ["5"]
            llm.leo.flush()
            runs.append((watch.summary(), seen.names, len(openai.requests)))
    (cold, told, asked), (warm, told_again, asked_again) = runs
    assert asked == asked_again == 2
    for names, hits in ((told, 0), (told_again, 2)):
        assert names["LEORouteEvent"] == names["LLMChatStartEvent"] == names["LLMChatEndEvent"] == 2
        assert names["LEOProofEvent"] == 2
        assert names["LEOCacheHitEvent"] == hits
    assert cold.input_tokens > 0
    assert (warm.answers, warm.hits, warm.input_tokens, warm.output_tokens) == (2, 2, 0, 0)
    assert warm.saved_tokens == cold.input_tokens + cold.output_tokens


@pytest.mark.parametrize("method", METHODS)
async def test_an_llm_of_leo_as_a_member_is_counted_once(method: str) -> None:
    spent = Usage(input_tokens=100, output_tokens=10, calls=1)
    inner = LEOLLM(small=ScriptedModel("parrot", replies=lambda request: "So.", usage=spent), cache=False)
    with LEOEventHandler() as watch:
        await call(LEOLLM(small=inner, cache=False), method)
    assert (watch.summary().answers, watch.summary().input_tokens) == (1, 100)
    with LEOEventHandler() as watch:
        inner.complete("Is it so?")
    assert watch.summary().answers == 1
