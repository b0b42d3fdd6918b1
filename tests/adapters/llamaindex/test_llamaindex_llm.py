"""What LEOLLM adds to an LLM of LlamaIndex: routes, hits, receipts, facts in responses, tenants."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ThinkingBlock
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.llms.mock import MockLLM
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import BaseModel

from leo_core import Budget, LEOConfig, verify_receipt
from leo_core.errors import BudgetExceededError, ConfigError, NoAnswerError, ProviderUnavailableError, RequestError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Capabilities, Message, Request, Route, ToolCall, Usage
from leo_core.stages.resilience.config import RateLimit, ResilienceConfig
from leo_llamaindex import LEOLLM, LEONodePostprocessor, LlamaIndexModel
from leo_llamaindex.testing import METHODS, ask, call, record_events
from tests.adapters.llamaindex.llamaindex_servers import GROUND, SECRET
from tests.contracts.event_loop import never_blocked
from tests.servers.openai_server import OpenAIServer


def echo(request: Request) -> str:
    return GROUND if GROUND in request.question else f"You said {request.question}"


def scripted(name: str = "parrot", replies: Any = echo, **given: Any) -> ScriptedModel:
    usage = Usage(input_tokens=10, output_tokens=4, calls=1)
    return ScriptedModel(name, replies, usage=usage, cost=0.001, **given)


@pytest.fixture
def llm() -> Any:
    with LEOLLM(small=scripted()) as llm:
        yield llm


# ------------------------------------------------------------------------------------------ names, arguments


def test_the_namespace_modules_lead_here() -> None:
    from llama_index.llms import leo
    from llama_index.postprocessor.leo import LEONodePostprocessor as Postprocessor

    assert leo.LEO is leo.LEOLLM is LEOLLM
    assert Postprocessor is LEONodePostprocessor


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'small'"):
        LEOLLM(smal="openai:gpt-5-mini")
    with pytest.raises(ConfigError, match="no argument 'zzz'"):
        LEOLLM(zzz=1)
    with pytest.raises(ConfigError, match="needs a member"):
        LEOLLM()
    with pytest.raises(ConfigError, match="needs a member"):
        LEOLLM(jury=[None])
    with pytest.raises(ConfigError, match="not int"):
        LEOLLM(small=3)
    with pytest.raises(ConfigError, match="no model is called"):
        LEOLLM(small="nobody")
    with pytest.raises(ConfigError, match=r"max_error is a probability in \[0, 1\], not 2"):
        LEOLLM(small="extractive", max_error=2)


def test_members_come_in_three_forms_and_once() -> None:
    mock = MockLLM()
    llm = LEOLLM(
        small="openai:gpt-5-mini",
        large=mock,
        jury=["openai:gpt-5-mini", mock, scripted(), MockLLM(max_tokens=3), "extractive"],
        prices={"gpt-5-mini": {"input": 1.0, "output": 2.0}},
    )
    ids = [member.id for member in llm._members]
    assert ids == ["openai:gpt-5-mini", "mock:unknown", "parrot", "mock:unknown#2", "extractive"]
    assert llm.metadata.model_name == "+".join(ids)
    assert isinstance(llm._members[1], LlamaIndexModel)
    assert llm._members[0].price(Usage(input_tokens=1_000_000)) == 1.0
    assert "small='openai:gpt-5-mini'" in repr(llm)
    assert "mock:unknown" in str(llm)
    llm.close()
    assert LEOLLM(model="extractive").leo.members[0].id == "extractive"
    for beside in ({"small": scripted("b")}, {"large": scripted("b")}, {"jury": ["extractive:vectors"]}):
        with pytest.raises(ConfigError, match="model= is the one member"):
            LEOLLM(model="extractive", **beside)


def test_metadata_are_the_minimum() -> None:
    wide = scripted("wide", capabilities=Capabilities(max_input_tokens=100_000, max_output_tokens=64))
    narrow = scripted("narrow", capabilities=Capabilities(max_input_tokens=8_000, tools=False))
    facts = LEOLLM(small=narrow, large=wide, max_tokens=500).metadata
    assert (facts.context_window, facts.num_output, facts.is_function_calling_model) == (8_000, 64, True)
    assert not LEOLLM(small=narrow).metadata.is_function_calling_model
    given = LEOLLM(small=narrow, context_window=2_000, num_output=90).metadata
    assert (given.context_window, given.num_output) == (2_000, 90)


def test_members_cannot_be_changed_later(llm: Any) -> None:
    llm.temperature = 0.5
    with pytest.raises(ConfigError, match="make another LEOLLM"):
        llm.small = scripted("other")


def test_presets_and_promise() -> None:
    assert LEOLLM.from_preset("private", small=scripted()).config == LEOConfig.preset("private")
    assert LEOLLM(small=scripted(), max_wrong_hits=0.0).leo.config.cache.max_wrong_hits == 0.0
    assert LEOLLM(small=scripted()).leo.config == LEOConfig()


def test_the_engine_seed_makes_draws_repeatable() -> None:
    twins = [LEOLLM(small=scripted(), engine_seed=7) for _ in range(2)]
    draws = [[llm.leo._world._chance.random() for _ in range(3)] for llm in twins]
    assert draws[0] == draws[1]
    with pytest.raises(ConfigError, match="make another LEOLLM"):
        twins[0].engine_seed = 8
    for llm in twins:
        llm.close()


def test_the_settings_of_resilience_are_reached() -> None:
    """As a config, through its dict, and the number of retries as an argument."""
    limits = {"s": RateLimit(requests_per_minute=1)}
    config = LEOConfig(resilience=ResilienceConfig(limits=limits, longest_wait_s=0.0))
    small, large = ScriptedModel("s", replies="Hi."), ScriptedModel("l", replies="Hello.")
    with LEOLLM(small=small, large=large, config=config, route="small", cache=False) as llm:
        assert [llm.complete("Hello").text for _ in range(2)] == ["Hi.", "Hello."]
    named = LEOLLM(small="openai:gpt-5-mini", api_key="k", max_retries=5, config=config)
    assert named.leo.members[0].max_retries == 5
    assert LEOLLM.from_dict(json.loads(named.to_json())).config == config
    named.close()


def test_settings_survive_dicts_and_pickles(tmp_path: Path) -> None:
    llm = LEOLLM(
        small="openai:gpt-5-mini",
        config=LEOConfig.preset("economy"),
        store=tmp_path / "leo.db",
        base_url={"openai": "http://user:pass@127.0.0.1:1/v1"},
        api_key={"openai": SECRET},
        temperature=0.0,
    )
    shown = llm.to_json()
    assert SECRET not in shown
    assert "pass@" not in shown
    again = LEOLLM.from_dict(json.loads(shown))
    assert again.config == llm.config
    assert again.store == str(tmp_path / "leo.db")
    assert pickle.loads(pickle.dumps(llm)).api_key["openai"].get_secret_value() == SECRET
    assert LEOLLM(small=scripted(), store=llm.leo.store).to_dict()["store"] is None
    llm.close()
    assert LEOLLM(small="extractive", store=None, callback_manager=None).store == ":memory:"


def test_copies_build_their_own_engine(llm: Any) -> None:
    copied = copy.copy(llm)
    assert copied.leo is not llm.leo
    assert llm.model_copy(update={"temperature": 0.3}).leo is not llm.leo
    copied.close()
    copied.close()


# ---------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("method", METHODS)
async def test_a_hit_says_so_and_spends_nothing(llm: Any, method: str) -> None:
    (cold, warm) = [(await call(llm, method, f"Hello by {method}"))[-1] for _ in range(2)]
    assert cold.raw["usage"] == {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
    assert cold.raw["leo"]["route"] == "small"
    assert warm.raw["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert warm.additional_kwargs["total_tokens"] == 0
    assert warm.raw["leo"]["cache"]["hit"]
    assert warm.raw["leo"]["saved_usage"]["total_tokens"] == 14
    assert warm.additional_kwargs["leo"] == warm.raw["leo"]
    assert warm.raw["leo"]["answer_id"] != cold.raw["leo"]["answer_id"]
    json.dumps(warm.raw)


def test_answers_can_be_explained_and_verified(llm: Any) -> None:
    facts = llm.complete("Why?").raw["leo"]
    assert llm.leo.explain(facts["answer_id"])["route"]["taken"] == "small"
    verify_receipt(llm.leo.log.get(facts["receipt"]), public_key=llm.leo.public_key)
    llm.leo.feedback(facts["answer_id"], wrong=True)


def test_keywords_of_a_call_reach_the_request() -> None:
    seen: list[Request] = []

    def look(request: Request) -> str:
        seen.append(request)
        return "yes"

    class Form(BaseModel):
        a: int

    with LEOLLM(
        small=scripted(replies=look), large=scripted("large", look), temperature=0.1, stop="x", route="small"
    ) as llm:
        llm.complete("Q", max_tokens=9, stop=["a", "b"], tenant="acme", route="large", cache=False, user="me")
        llm.complete("Q", response_format=Form, parallel_tool_calls=True, entry_tags=["t"], route=Route.SMALL)
        llm.complete("R", response_format={"type": "json_object"})
        llm.complete("S", response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {}}})
        llm.complete("T", response_format={"type": "text"})
        with pytest.raises(ConfigError, match="response_format=int"):
            llm.complete("U", response_format=3)
        with pytest.raises(ConfigError, match="no route"):
            llm.complete("U", route="sideways")
    first, second, third, fourth, fifth = seen
    assert (first.sampling.temperature, first.sampling.max_tokens, first.sampling.stop) == (0.1, 9, ("a", "b"))
    assert (first.tenant, first.constraints.route, first.constraints.cache) == ("acme", Route.LARGE, False)
    assert first.options == {"user": "me"}
    assert (second.sampling.stop, second.options, second.tags) == (("x",), {}, ("t",))
    assert second.response_format["name"] == "Form"
    assert third.response_format == {"type": "json_object"}
    assert fourth.response_format == {"type": "json_schema", "name": "n", "schema": {}}
    assert fifth.response_format is None


def test_tenants_do_not_share(llm: Any) -> None:
    def hit(text: str, **given: Any) -> bool:
        return llm.complete(text, **given).raw["leo"]["cache"]["hit"]

    assert not hit("Whose?", tenant="a")
    assert not hit("Whose?", tenant="b")
    assert hit("Whose?", tenant="a")
    with instrument_tags({"tenant": "b", "session": "s1"}):
        assert hit("Whose?")
    assert not hit("Whose?")


def test_each_user_has_a_budget() -> None:
    config = LEOConfig(budgets=(Budget(limit_usd=0.01, per="user"),))
    member = ScriptedModel("parrot", replies="Hello.", cost=0.01)
    with LEOLLM(small=member, config=config) as llm:
        llm.complete("One?", end_user="ann")
        with instrument_tags({"user": "ann"}), pytest.raises(BudgetExceededError, match="user/month"):
            llm.complete("Two?")
        with instrument_tags({"user": "bob"}):
            llm.complete("Two?")
            assert llm.complete("One?").raw["leo"]["cache"]["hit"]
        llm.complete("Three?", user="ann")  # a parameter of the provider, as ever
    assert member.calls == 3


def test_an_idempotency_key_gives_the_same_answer_and_receipt(llm: Any) -> None:
    first = llm.complete("Where is order 17?", idempotency_key="17/1", cache=False).raw["leo"]
    again = llm.complete("Where is order 17?", idempotency_key="17/1", cache=False).raw["leo"]
    other = llm.complete("Where is order 17?", idempotency_key="17/2", cache=False).raw["leo"]
    assert again["receipt"] == first["receipt"] != other["receipt"]
    with pytest.raises(RequestError, match="another request"):
        llm.complete("Where is order 18?", idempotency_key="17/1")


def test_prompts_are_formatted_once() -> None:
    with LEOLLM(small=scripted(), completion_to_prompt=lambda prompt: f"<{prompt}>", system_prompt="Be kind.") as llm:
        assert llm.complete("Hi").text == "You said <Hi>"
        assert llm.complete("Hi", formatted=True).text == "You said Hi"


async def test_errors_come_through_and_end_the_events() -> None:
    failing = scripted(fail=ProviderUnavailableError("down", provider="x", model="y"))
    always = LEOConfig(resilience=ResilienceConfig(breaker=False))
    async with LEOLLM(small=failing, config=always) as llm:
        for method in METHODS:
            with pytest.raises(ProviderUnavailableError):
                await call(llm, method)
    with LEOLLM(small=failing, large=scripted("b", fail=ProviderUnavailableError("d", provider="x", model="z"))) as llm:
        with pytest.raises(NoAnswerError):
            llm.complete("Hi")
        with pytest.raises(RequestError):
            llm.complete("")


def test_reasoning_and_tool_calls_are_blocks_in_streams() -> None:
    message = Message(
        role="assistant",
        content=({"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "so it is"}),
        tool_calls=(ToolCall(id="c1", name="add", arguments={"a": 1}),),
    )
    with LEOLLM(small=scripted(replies=lambda _: message)) as llm:
        whole = llm.chat(ask("chat"), cache=False)
        pieces = list(llm.stream_chat(ask("chat"), cache=False))
    for response in (whole, pieces[-1]):
        assert [type(block).__name__ for block in response.message.blocks] == [
            "ThinkingBlock",
            "TextBlock",
            "ToolCallBlock",
        ]
        assert response.message.additional_kwargs["tool_calls"][0]["function"]["arguments"] == '{"a": 1}'
    assert [
        piece.additional_kwargs["thinking_delta"] for piece in pieces if "thinking_delta" in piece.additional_kwargs
    ]
    assert isinstance(pieces[-2].message.blocks[0], ThinkingBlock)
    assert "".join(piece.delta for piece in pieces) == "so it is"


async def test_files_are_read_off_the_loop(tmp_path: Path, openai: OpenAIServer) -> None:
    path = tmp_path / "dot.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    message = ChatMessage(blocks=[TextBlock(text="What is it?"), ImageBlock(path=path)])
    with LEOLLM(small="openai:gpt-loopback", api_key="k", base_url=openai.base_url) as llm:
        await llm.acomplete("warm up")
        with never_blocked():
            assert (await llm.achat([message])).message.content
    part = openai.requests[-1].body["messages"][0]["content"][1]
    assert part["image_url"]["url"].startswith("data:image/png;base64,")


# -------------------------------------------------------------------------------- facts in engine responses

NODES = [NodeWithScore(node=TextNode(text=GROUND), score=0.9), NodeWithScore(node=TextNode(text="Two."), score=0.1)]


@pytest.fixture
def index() -> VectorStoreIndex:
    return VectorStoreIndex.from_documents([Document(text=GROUND), Document(text="Another matter.")])


async def test_engine_responses_carry_the_facts(llm: Any, index: VectorStoreIndex) -> None:
    Settings.llm = llm
    engine = index.as_query_engine(node_postprocessors=[LEONodePostprocessor()])
    response = engine.query("What is so?")
    assert response.metadata["leo"]["route"] == "small"
    assert len(response.metadata) == 3, "two nodes and LEO"
    again = await engine.aquery("What is so?")
    assert again.metadata["leo"]["cache"]["hit"]
    assert again.metadata["leo"]["answers"][0]["answer_id"] == again.metadata["leo"]["answer_id"]
    assert verify_receipt(llm.leo.log.get(response.metadata["leo"]["receipt"]), public_key=llm.leo.public_key) is None


async def test_streamed_responses_get_the_facts_at_the_end(llm: Any, index: VectorStoreIndex) -> None:
    for mode in ("compact", "tree_summarize", "simple_summarize"):
        engine = index.as_query_engine(llm=llm, streaming=True, response_mode=mode)
        response = engine.query(f"What is so in {mode}?")
        assert "leo" not in response.metadata
        assert "".join(response.response_gen)
        assert response.metadata["leo"]["answers"], mode
        response = await engine.aquery(f"What is so in {mode}?")
        assert [piece async for piece in response.async_response_gen()]
        assert response.metadata["leo"]["cache"]["hit"], mode


def test_every_answer_of_a_synthesis_is_listed(llm: Any) -> None:
    Settings.llm = llm
    response = get_response_synthesizer(llm=llm, response_mode="accumulate").synthesize("What?", NODES)
    assert len(response.metadata["leo"]["answers"]) == 2
    assert "leo" not in get_response_synthesizer(llm=llm, response_mode="no_text").synthesize("What?", NODES).metadata
    assert "leo" not in (get_response_synthesizer(llm=llm).synthesize("What?", []).metadata or {})


async def test_concurrent_queries_do_not_mix(llm: Any) -> None:
    synthesizer = get_response_synthesizer(llm=llm, response_mode="accumulate")
    responses = await asyncio.gather(*(synthesizer.asynthesize(f"Number {number}?", NODES) for number in range(8)))
    ids = [fact["answer_id"] for response in responses for fact in response.metadata["leo"]["answers"]]
    assert len(ids) == len(set(ids)) == 16


def test_a_failed_synthesis_leaves_nothing_open() -> None:
    from leo_llamaindex._annotate import current_sheet

    failing = scripted(fail=[ProviderUnavailableError("down", provider="x", model="y")])
    with LEOLLM(small=failing) as llm:
        synthesizer = get_response_synthesizer(llm=llm, response_mode="simple_summarize")
        with pytest.raises(ProviderUnavailableError):
            synthesizer.synthesize("What?", NODES)
        assert current_sheet() is None
        assert len(synthesizer.synthesize("What?", NODES).metadata["leo"]["answers"]) == 1
        assert current_sheet() is None
        streamed = get_response_synthesizer(llm=llm, streaming=True).synthesize("What now?", NODES)
        streamed.metadata = None
        streamed.response_gen.close()


def test_metadata_that_are_missing_are_made() -> None:
    from llama_index.core.base.response.schema import Response

    from leo_llamaindex._annotate import Sheet

    sheet, response = Sheet("s", None), Response("text")
    sheet.add({"route": "small"})
    sheet.attach(response)
    assert response.metadata["leo"]["answers"] == [{"route": "small"}]


def test_responses_can_be_left_alone() -> None:
    with LEOLLM(small=scripted(), annotate_responses=False) as llm, record_events() as seen:
        llm.complete("Hi")
    assert seen.names["LEORouteEvent"] == 1
