"""The callback handlers: what they add up, and the budget."""

from __future__ import annotations

import io
import json
import threading
from typing import Any

import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableLambda
from rich.console import Console

from leo_core.errors import BudgetExceededError
from leo_core.providers.scripted import ScriptedModel
from leo_langchain import AsyncLEOCallbackHandler, LEOCache, LEOCallbackHandler, LEOChatModel
from leo_langchain.summary import Ledger
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

PRICES = {"gpt-loopback": {"input": 1_000.0, "output": 1_000.0}}


@pytest.fixture
def model(openai: OpenAIServer) -> Any:
    with LEOChatModel(small=chat_openai(openai.base_url), prices=PRICES) as model:
        yield model


def test_it_adds_up_answers_of_leo(model: LEOChatModel) -> None:
    handler = LEOCallbackHandler()
    config: Any = {"callbacks": [handler]}
    cold = model.invoke("Hello", config)
    model.invoke("Hello", config)
    list(model.stream("Hello", config))
    summary = handler.summary()
    assert (summary.calls, summary.hits, summary.errors, summary.unpriced) == (3, 2, 0, 0)
    assert summary.routes == {"small": 1, "cache": 2}
    assert summary.models == {"gpt-loopback": 3}
    assert (summary.input_tokens, summary.output_tokens) == (
        cold.usage_metadata["input_tokens"],
        cold.usage_metadata["output_tokens"],
    )
    assert summary.spent_usd == pytest.approx(cold.usage_metadata["total_tokens"] / 1_000)
    assert summary.saved_usd == pytest.approx(2 * summary.spent_usd)
    assert len(summary.risks) == 3
    assert summary.receipts[0] == cold.response_metadata["leo"]["receipt"]
    assert summary.mean_risk == pytest.approx(sum(summary.risks) / 3)


async def test_the_async_handler_does_the_same(model: LEOChatModel) -> None:
    handler = AsyncLEOCallbackHandler()
    config: Any = {"callbacks": [handler]}
    await model.ainvoke("Hello", config)
    [_ async for _ in model.astream("Hello", config)]
    await FakeListLLM(responses=["x"]).ainvoke("Hello", config)
    summary = handler.summary()
    assert (summary.calls, summary.hits) == (3, 1)
    assert summary.routes == {"small": 1, "cache": 1, "direct": 1}


@pytest.mark.filterwarnings("ignore:.*is in beta.*:langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_events_v3_are_counted(model: LEOChatModel) -> None:
    handler = LEOCallbackHandler()
    _ = model.stream_events("Hello", config={"callbacks": [handler]}, version="v3").output
    assert handler.summary().routes == {"small": 1}
    assert handler.summary().receipts


def test_other_models_are_counted_with_the_shipped_prices(openai: OpenAIServer) -> None:
    handler = LEOCallbackHandler()
    config: Any = {"callbacks": [handler]}
    with LEOCache() as cache:
        set_llm_cache(cache)
        chat_openai(openai.base_url, model="gpt-4o-mini").invoke("Hello", config)
        chat_openai(openai.base_url, model="gpt-4o-mini").invoke("Hello", config)
        chat_openai(openai.base_url, model="nobody-knows").invoke("Hello", config)
    summary = handler.summary()
    assert summary.routes == {"direct": 2, "cache": 1}
    assert summary.spent_usd > 0
    assert summary.saved_usd == pytest.approx(summary.spent_usd)
    assert (summary.hits, summary.unpriced) == (1, 1)


def test_failures_are_counted(openai: OpenAIServer, model: LEOChatModel) -> None:
    handler = LEOCallbackHandler()
    openai.fault = Fault(status=400)
    with pytest.raises(Exception, match="status 400"):
        model.invoke("Hello", {"callbacks": [handler]})
    assert (handler.summary().calls, handler.summary().errors) == (0, 1)


def scripted(name: str = "parrot", cost: float | None = 0.01) -> ScriptedModel:
    return ScriptedModel(name, replies=lambda request: request.question, cost=cost)


def test_the_budget_stops_the_next_call() -> None:
    handler = LEOCallbackHandler(max_cost_usd=0.01)
    config: Any = {"callbacks": [handler]}
    member = scripted()
    with LEOChatModel(small=member) as model:
        model.invoke("Hello", config)
        chain = RunnableLambda(lambda text: text) | model
        for again in (
            lambda: model.invoke("Hello again", config),
            lambda: list(model.stream("Hello again", config)),
            lambda: chain.invoke("Hello again", config),
            lambda: FakeListLLM(responses=["x"]).invoke("Hello", config),
            lambda: FakeListChatModel(responses=["x"]).invoke("Hello", config),
        ):
            with pytest.raises(BudgetExceededError, match=r"max_cost_usd=0\.01"):
                again()
    assert member.calls == 1
    assert (handler.summary().calls, handler.summary().spent_usd) == (1, 0.01)


async def test_the_budget_stops_the_next_call_on_the_loop() -> None:
    with LEOChatModel(small=scripted()) as model:
        for handler in (AsyncLEOCallbackHandler(max_cost_usd=0.01), LEOCallbackHandler(max_cost_usd=0.01)):
            config: Any = {"callbacks": [handler]}
            await model.ainvoke("Hello", config, cache=False)
            with pytest.raises(BudgetExceededError):
                await model.ainvoke("Hello again", config)
            with pytest.raises(BudgetExceededError):
                await FakeListLLM(responses=["x"]).ainvoke("Hello", config)
            assert handler.left_usd == 0.0
            assert "max_cost_usd=0.01" in repr(handler)


@pytest.mark.parametrize(
    "handler", [LEOCallbackHandler(max_cost_usd=0.015), AsyncLEOCallbackHandler(max_cost_usd=0.015)]
)
async def test_a_call_of_leo_that_would_exceed_the_budget_is_not_made(handler: Any) -> None:
    config: Any = {"callbacks": [handler]}
    small, large = scripted("small", cost=0.004), scripted("large")
    with LEOChatModel(small=small, large=large) as model:
        await model.ainvoke("Hello", config, route="large")
        with pytest.raises(BudgetExceededError):
            await model.ainvoke("Hello again", config, route="large")
        assert (await model.ainvoke("Hello", config)).response_metadata["leo"]["route"] == "cache"
        assert (await model.ainvoke("Hello again", config)).response_metadata["leo"]["route"] == "small"
        with pytest.raises(BudgetExceededError):
            [_ async for _ in model.astream("And again", config)]
    assert (small.calls, large.calls, handler.summary().spent_usd) == (1, 1, pytest.approx(0.014))


def test_a_request_with_an_idempotency_key_stays_the_same_request() -> None:
    handler = LEOCallbackHandler(max_cost_usd=0.015)
    config: Any = {"callbacks": [handler]}
    member = scripted()
    with LEOChatModel(small=member) as model:
        first, again = (model.invoke("Hello", config, idempotency_key="17", cache=False) for _ in range(2))
    assert member.calls == 1
    assert first.response_metadata["leo"]["receipt"] == again.response_metadata["leo"]["receipt"]


def test_a_call_of_another_model_that_would_exceed_the_budget_is_not_made(openai: OpenAIServer) -> None:
    handler = LEOCallbackHandler(max_cost_usd=0.0001)
    config: Any = {"callbacks": [handler]}
    chat = chat_openai(openai.base_url, model="gpt-4o-mini")
    with pytest.raises(BudgetExceededError, match=r"does not fit into max_cost_usd=0\.0001"):
        chat.invoke("Hello", config)  # without a limit 1,024 tokens are assumed, at $0.60 per million
    assert openai.requests == []
    chat.bind(max_tokens=20).invoke("Hello", config)
    assert len(openai.requests) == 1
    assert handler.summary().spent_usd > 0


def test_tools_and_schemas_are_part_of_the_estimate(openai: OpenAIServer) -> None:
    config: Any = {"callbacks": [LEOCallbackHandler(max_cost_usd=0.0001)]}
    chat = chat_openai(openai.base_url, model="gpt-4o-mini", max_tokens=20)
    schema = {"title": "look_up", "description": "word " * 1_000, "type": "object", "properties": {}}
    for bound in (chat.bind_tools([schema]), chat.with_structured_output(schema, method="json_schema")):
        with pytest.raises(BudgetExceededError, match="does not fit"):
            bound.invoke("Hello", config)
    assert openai.requests == []
    chat.invoke("Hello", config)


def test_calls_under_way_count_at_their_estimates() -> None:
    ledger = Ledger(0.001)
    facts = {"invocation_params": {"model": "gpt-4o-mini", "max_tokens": 1_000}}
    ledger.begin([HumanMessage("Hello")], {**facts, "run_id": 1})
    with pytest.raises(BudgetExceededError, match="set aside"):
        ledger.begin([HumanMessage("Hello")], {**facts, "run_id": 2})
    left = ledger.left_usd
    assert left is not None
    assert left < 0.0004
    ledger.add_error(1)
    assert ledger.left_usd == 0.001
    ledger.begin([HumanMessage("Hello")], {**facts, "run_id": 2})


async def test_the_async_handler_counts_failures(openai: OpenAIServer, model: LEOChatModel) -> None:
    handler = AsyncLEOCallbackHandler()
    openai.fault = Fault(status=400)
    with pytest.raises(Exception, match="status 400"):
        await model.ainvoke("Hello", {"callbacks": [handler]})
    assert handler.summary().errors == 1


def test_the_summary_shows_itself(model: LEOChatModel) -> None:
    handler = LEOCallbackHandler()
    empty = handler.summary()
    assert empty.mean_risk is None
    assert "none" in str(empty)
    model.invoke("Hello", {"callbacks": [handler]})
    summary = handler.summary()
    json.dumps(summary.to_dict())
    assert summary.to_dict()["routes"] == {"small": 1}
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(summary)
    for text in (str(summary), console.export_text(), summary._repr_html_()):
        assert "gpt-loopback 1" in text
        assert "$0." in text
    assert summary._repr_html_().startswith("<table>")


def test_the_summary_escapes_names() -> None:
    ledger = Ledger()
    message = AIMessage("x", response_metadata={"model_name": "<script>"})
    ledger.add_result(LLMResult(generations=[[ChatGeneration(message=message)], []]))
    assert "<script>" not in ledger.summary()._repr_html_()


def test_threads_lose_nothing() -> None:
    ledger = Ledger()
    facts = {"route": "small", "model": "m", "cost_usd": 0.5, "saved_usd": None, "risk": 0.25, "cache": {"hit": False}}
    result = LLMResult(generations=[[ChatGeneration(message=AIMessage("x", response_metadata={"leo": facts}))]])

    def work() -> None:
        for _ in range(200):
            ledger.add_result(result)
            ledger.add_error()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    summary = ledger.summary()
    assert (summary.calls, summary.errors, summary.spent_usd) == (1600, 1600, 800.0)
    assert summary.mean_risk == 0.25
