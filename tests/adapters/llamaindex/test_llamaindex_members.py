"""LLMs of LlamaIndex as members: the port's contract, and what is particular to them."""

from __future__ import annotations

import asyncio
import json
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    LogProb,
    ToolCallBlock,
)
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM, MockLLM

from leo_core.errors import CapabilityError, ConfigError, MalformedReplyError, ProviderError, ProviderTimeoutError
from leo_core.records import Message, Request, Sampling, Usage
from leo_llamaindex import LEOLLM, LlamaIndexModel
from leo_llamaindex._native_reply import StreamFold, read_reply
from leo_llamaindex._tools import SchemaTool
from leo_llamaindex.testing import record_events
from tests.adapters.llamaindex.llamaindex_servers import SECRET
from tests.adapters.llamaindex.reference_llm import ReferenceLLM
from tests.contracts.event_loop import never_blocked
from tests.contracts.model import ModelContract
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

TOOL = {"name": "add", "description": "Add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}


def asked(text: str = "Hi", **fields: Any) -> Request:
    return Request(messages=(Message(role="user", content=text),), **fields)


class TestReferenceAsMember(ModelContract):
    @pytest.fixture
    def model(self, openai_server: OpenAIServer) -> LlamaIndexModel:
        return LlamaIndexModel(ReferenceLLM(base_url=openai_server.base_url, api_key=SECRET))


class TestMockAsMember(ModelContract):
    @pytest.fixture
    def model(self) -> LlamaIndexModel:
        return LlamaIndexModel(MockLLM(), id="mock:mock")


@pytest.fixture
def reference(openai: OpenAIServer) -> LlamaIndexModel:
    return LlamaIndexModel(ReferenceLLM(base_url=openai.base_url, api_key=SECRET, model="gpt-5-mini"))


async def test_members_say_nothing(reference: LlamaIndexModel) -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    reference.model.callback_manager = CallbackManager([counter])
    with record_events() as seen:
        reference.generate(asked())
        await reference.agenerate(asked())
        assert [chunk.text async for chunk in reference.astream(asked())]
        assert list(reference.stream(asked()))
        for mock in (MockLLM(), MockFunctionCallingLLM(is_chat_model=True)):
            LlamaIndexModel(mock).generate(asked())
            await LlamaIndexModel(mock).agenerate(asked())
    assert not [name for name in seen.names if name.startswith("LLM")]
    assert counter.llm_token_counts == []


def test_usage_price_and_names(reference: LlamaIndexModel) -> None:
    draft = reference.generate(asked(sampling=Sampling(max_tokens=50, temperature=0.0)))
    assert draft.model == "gpt-5-mini"
    assert draft.usage.input_tokens > 0
    assert draft.usage.cost_usd == reference.price(draft.usage) > 0
    assert reference.family == "gpt"
    assert reference.estimate(asked()).output_tokens == 1024
    assert reference.estimate(asked(sampling=Sampling(max_tokens=5))).output_tokens == 5
    assert SECRET not in repr((reference, reference.fingerprint, reference.id))
    assert LlamaIndexModel(reference.model, prices={"gpt-5-mini": {"input": 1, "output": 1}}).price(
        Usage(input_tokens=1_000_000)
    ) == pytest.approx(1.0)
    assert pickle.loads(pickle.dumps(reference)).generate(asked()).text == draft.text


def test_tools_and_schemas_take_the_members_own_form(reference: LlamaIndexModel, openai: OpenAIServer) -> None:
    draft = reference.generate(asked("Use 7", tools=(TOOL,), tool_choice="any", options={"parallel_tool_calls": False}))
    assert [(made.name, dict(made.arguments)) for made in draft.message.tool_calls] == [("add", {"a": 7})]
    assert draft.finish_reason == "tool_calls"
    assert openai.requests[-1].body["tool_choice"] == "required"
    assert openai.requests[-1].body["parallel_tool_calls"] is False
    reference.generate(asked("Use 7", tools=(TOOL,), tool_choice="none"))
    assert openai.requests[-1].body["tool_choice"] == "none"
    wanted = {"type": "json_schema", "name": "answer", "schema": TOOL["parameters"]}
    assert json.loads(reference.generate(asked("Use 8", response_format=wanted)).text) == {"a": 8}
    chunks = list(reference.stream(asked("Use 8", response_format=wanted)))
    assert json.loads("".join(chunk.text for chunk in chunks)) == {"a": 8}
    reference.generate(asked("Any", response_format={"type": "json_object"}))
    assert openai.requests[-1].body["messages"][0]["role"] == "system"


async def test_streamed_tool_calls_come_whole(reference: LlamaIndexModel) -> None:
    for chunks in (
        list(reference.stream(asked("Use 7", tools=(TOOL,)))),
        [chunk async for chunk in reference.astream(asked("Use 7", tools=(TOOL,)))],
    ):
        (delta,) = [piece for chunk in chunks for piece in chunk.tool_calls]
        assert (delta.name, json.loads(delta.arguments)) == ("add", {"a": 7})
        assert chunks[-1].draft.message.tool_calls[0].id == delta.id


def test_members_without_tools_say_so() -> None:
    plain = LlamaIndexModel(MockLLM())
    assert not plain.capabilities.tools
    with pytest.raises(CapabilityError):
        plain.generate(asked(tools=(TOOL,)))
    with pytest.raises(ConfigError, match="only described"):
        SchemaTool(TOOL)(1)


async def test_errors_are_translated_with_their_cause(openai: OpenAIServer) -> None:
    member = LlamaIndexModel(ReferenceLLM(base_url=openai.base_url, api_key=SECRET))
    openai.fault = Fault(status=401)
    with pytest.raises(ProviderError) as caught:
        member.generate(asked())
    assert type(caught.value).__name__ == "AuthenticationError"
    assert caught.value.__cause__ is not None
    with pytest.raises(ProviderError):
        await member.agenerate(asked())
    with pytest.raises(ProviderError):
        list(member.stream(asked()))
    with pytest.raises(ProviderError):
        [chunk async for chunk in member.astream(asked())]
    openai.fault = Fault(delay_s=5.0)
    with pytest.raises(ProviderTimeoutError):
        await member.agenerate(asked().with_constraints(max_latency_s=0.05))


class Slow(CustomLLM):
    """The usual shape of a home-made LLM: two functions, everything else derived."""

    reply: str = "slow and steady"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="slow", context_window=0, num_output=-1)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        import time

        time.sleep(0.05)
        return CompletionResponse(text=self.reply)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return (CompletionResponse(text=self.reply[:end], delta=None) for end in (4, 8, len(self.reply)))


async def test_custom_llms_run_in_a_thread() -> None:
    member = LlamaIndexModel(Slow())
    assert (member.capabilities.max_input_tokens, member.capabilities.max_output_tokens) == (None, None)
    with never_blocked():
        drafts = await asyncio.gather(*(member.agenerate(asked()) for _ in range(4)))
        chunks = [chunk async for chunk in member.astream(asked())]
    assert {draft.text for draft in drafts} == {"slow and steady"}
    assert drafts[0].metadata["usage_estimated"]
    assert "".join(chunk.text for chunk in chunks) == chunks[-1].draft.text
    assert [chunk.text for chunk in member.stream(asked())] == ["slow", " and", " steady", ""]


class HalfAsynchronous(Slow):
    """Waits well for a whole answer; its stream is derived from a synchronous one."""

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return CompletionResponse(text=self.reply)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return iter([self.complete(prompt, formatted, **kwargs)])


async def test_a_stream_that_would_block_the_loop_is_waited_for_instead() -> None:
    member = LlamaIndexModel(HalfAsynchronous())
    with never_blocked():
        chunks = [chunk async for chunk in member.astream(asked())]
    assert "".join(chunk.text for chunk in chunks) == chunks[-1].draft.text == "slow and steady"


def test_empty_replies_are_malformed() -> None:
    with pytest.raises(MalformedReplyError):
        LlamaIndexModel(Slow(reply="")).generate(asked())


class Limiter:
    asked = 0

    def acquire(self) -> None:
        self.asked += 1

    async def async_acquire(self) -> None:
        self.asked += 1


async def test_members_rate_limiters_are_kept(reference: LlamaIndexModel) -> None:
    reference.model.rate_limiter = limiter = Limiter()
    reference.generate(asked())
    await reference.agenerate(asked())
    list(reference.stream(asked()))
    [chunk async for chunk in reference.astream(asked())]
    assert limiter.asked == 4


# ------------------------------------------------------------------------------------------------- replies


def test_usage_is_read_wherever_it_stands() -> None:
    def usage(raw: Any = None, **beside: Any) -> Any:
        return read_reply(ChatResponse(message=ChatMessage("x"), raw=raw, additional_kwargs=beside)).usage

    assert usage() is None
    assert usage({"usage": {"prompt_tokens": 3, "completion_tokens": 2}}).input_tokens == 3
    assert usage({"usage_metadata": {"prompt_token_count": 3, "candidates_token_count": 2}}).output_tokens == 2
    assert usage(prompt_tokens=1, completion_tokens=4).output_tokens == 4
    raw = SimpleNamespace(usage=SimpleNamespace(input_tokens=9, output_tokens=1, cache_read_input_tokens=5))
    assert usage(raw).cached_input_tokens == 5
    details = {"prompt_tokens": 3, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}}
    assert usage({"usage": details}).reasoning_tokens == 1


@pytest.mark.parametrize(
    ("place", "given", "counted"),
    [
        (
            "usage",
            {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 90},
            Usage(input_tokens=1000, output_tokens=5, cached_input_tokens=900, calls=1, cost_usd=None),
        ),
        (
            "usage",
            {
                "input_tokens": 1000,
                "output_tokens": 50,
                "input_tokens_details": {"cached_tokens": 900},
                "output_tokens_details": {"reasoning_tokens": 40},
            },
            Usage(
                input_tokens=1000,
                output_tokens=50,
                cached_input_tokens=900,
                reasoning_tokens=40,
                calls=1,
                cost_usd=None,
            ),
        ),
        (
            "usage_metadata",
            {
                "prompt_token_count": 100,
                "candidates_token_count": 10,
                "thoughts_token_count": 40,
                "cached_content_token_count": 60,
            },
            Usage(
                input_tokens=100,
                output_tokens=50,
                cached_input_tokens=60,
                reasoning_tokens=40,
                calls=1,
                cost_usd=None,
            ),
        ),
    ],
    ids=["anthropic", "openai-responses", "gemini"],
)
def test_what_providers_count_apart_is_counted(place: str, given: dict[str, Any], counted: Usage) -> None:
    assert read_reply(ChatResponse(message=ChatMessage("x"), raw={place: given})).usage == counted


def test_finish_reasons_and_logprobs() -> None:
    response = CompletionResponse(text="x", raw={"stop_reason": "MAX_TOKENS"}, logprobs=[[LogProb(logprob=-0.5)]])
    reply = read_reply(response)
    assert (reply.finish_reason, reply.logprobs) == ("length", (-0.5,))
    assert (
        read_reply(CompletionResponse(text="x", raw={"choices": [{"finish_reason": "stop"}]})).finish_reason == "stop"
    )


def test_streams_whose_last_response_is_empty_keep_their_text() -> None:
    fold = StreamFold()
    fold.push(CompletionResponse(text="a", delta="a"))
    fold.push(CompletionResponse(text="", delta=""))
    assert fold.finish().message.text == "a"
    assert StreamFold().finish().message.text == ""
    fold = StreamFold()
    fold.push(CompletionResponse(text="ab"))
    assert fold.push(CompletionResponse(text="zz")) == ""


def test_calls_without_an_id_get_one() -> None:
    block = ToolCallBlock(tool_name="add", tool_kwargs={"a": 1})
    member = MockFunctionCallingLLM(
        is_chat_model=True, response_generator=lambda *_, **__: ChatMessage(role="assistant", blocks=[block])
    )
    with LEOLLM(small=member) as llm:
        (selected,) = llm.get_tool_calls_from_response(llm.chat([ChatMessage("go")]))
    assert selected.tool_id.startswith("call_")
