"""LangChain's chat models as members."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.rate_limiters import InMemoryRateLimiter

from leo_core.errors import (
    AuthenticationError,
    CapabilityError,
    InvalidRequestError,
    LEOError,
    MalformedReplyError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)
from leo_core.ports import Model
from leo_core.records import Message, Request, Sampling, ToolCall, Usage
from leo_langchain import LangChainModel
from leo_langchain import _answers as answers
from tests.adapters.langchain.langchain_servers import chat_anthropic, chat_openai
from tests.contracts.model import SECRET, FailureContract, ModelContract, ask
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.brain import Reply
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

TOOL = {
    "name": "add",
    "description": "Add.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FORMAT = {"type": "json_schema", "name": "place", "schema": SCHEMA}


class Parrot(BaseChatModel):
    """A model without anything optional: no stream, no tools, nothing async."""

    model: str = "parrot-1"
    api_key: str = SECRET
    fail: bool = False
    empty: bool = False

    @property
    def _llm_type(self) -> str:
        return "parrot"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "api_key": self.api_key, "client": object()}

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        if self.fail:
            message = f"broken near {SECRET}"
            raise RuntimeError(message)
        if self.empty:
            return ChatResult(generations=[])
        usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
        message = AIMessage(messages[-1].text, id="parrot-id", usage_metadata=usage)
        generation = ChatGeneration(message=message, generation_info={"finish_reason": "end_turn"})
        return ChatResult(generations=[generation], llm_output={"model_name": self.model})


class TestParrot(ModelContract):
    @pytest.fixture
    def model(self) -> Model:
        return LangChainModel(Parrot())


class TestChatOpenAI(ModelContract):
    @pytest.fixture
    def model(self, openai: OpenAIServer) -> Model:
        return LangChainModel(chat_openai(openai.base_url, api_key=SECRET))

    test_copies_and_pickles = None  # a ChatOpenAI holds clients, which nothing can pickle


class TestChatAnthropic(ModelContract):
    @pytest.fixture
    def model(self, anthropic: AnthropicServer) -> Model:
        return LangChainModel(chat_anthropic(anthropic.base_url, api_key=SECRET))

    test_copies_and_pickles = None  # as above


class TestFailures(FailureContract):
    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (Fault(status=400), InvalidRequestError),
            (Fault(status=401), AuthenticationError),
            (Fault(status=403), AuthenticationError),
            (Fault(status=404), InvalidRequestError),
            (Fault(status=413), InvalidRequestError),
            (Fault(status=422), InvalidRequestError),
            (Fault(status=429), RateLimitError),
            (Fault(status=500), ProviderUnavailableError),
            (Fault(status=503), ProviderUnavailableError),
            (Fault(reset_after=0), ProviderUnavailableError),
            (Fault(delay_s=5), ProviderTimeoutError),
        ],
    )
    @pytest.mark.parametrize("sdk", ["openai", "anthropic"])
    def test_errors_of_sdks_are_translated(
        self, sdk: str, fault: Fault, kind: type[LEOError], openai: OpenAIServer, anthropic: AnthropicServer
    ) -> None:
        timeout = 0.3 if fault.delay_s else 60
        openai.fault = anthropic.fault = fault
        member = (
            LangChainModel(chat_openai(openai.base_url, api_key=SECRET, timeout=timeout))
            if sdk == "openai"
            else LangChainModel(chat_anthropic(anthropic.base_url, api_key=SECRET, timeout=timeout))
        )
        error = self.check_raises(member, ask("Hello"), kind)
        assert isinstance(error, ProviderError)
        assert error.provider == sdk
        assert error.__cause__ is not None
        if fault.status is not None:
            assert error.response.status_code == fault.status

    def test_a_date_after_which_to_retry_is_kept(self, openai: OpenAIServer) -> None:
        openai.fault = Fault(status=429, retry_after="Fri, 01 Jan 2100 00:00:00 GMT")
        with pytest.raises(RateLimitError) as caught:
            LangChainModel(chat_openai(openai.base_url)).generate(ask("Hello"))
        assert caught.value.retry_after_s is not None
        assert caught.value.retry_after_s > 86_400

    def test_retry_after_is_kept(self, openai: OpenAIServer) -> None:
        openai.fault = Fault(status=429, retry_after="7")
        with pytest.raises(RateLimitError) as caught:
            LangChainModel(chat_openai(openai.base_url)).generate(ask("Hello"))
        assert caught.value.retry_after_s == 7.0

    def test_any_other_error_is_a_provider_error_without_its_text(self) -> None:
        error = self.check_raises(LangChainModel(Parrot(fail=True)), ask("Hello"), ProviderError)
        assert isinstance(error.__cause__, RuntimeError)

    def test_no_generation_is_malformed(self) -> None:
        self.check_raises(LangChainModel(Parrot(empty=True)), ask("Hello"), MalformedReplyError)


# ---------------------------------------------------------------------------------------------- what it reports


def test_a_draft_has_the_metadata_that_invoke_would_give() -> None:
    draft = LangChainModel(Parrot()).generate(ask("Hello"))
    assert (draft.member, draft.model, draft.finish_reason) == ("parrot:parrot-1", "parrot-1", "stop")
    assert draft.usage == Usage(input_tokens=3, output_tokens=2, calls=1, cost_usd=None)
    assert draft.native.response_metadata == {"model_name": "parrot-1", "finish_reason": "end_turn"}
    assert draft.native.id is None


def test_the_price_is_known_or_unknown_never_zero() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    assert LangChainModel(Parrot()).price(usage) is None
    priced = LangChainModel(Parrot(), prices={"parrot-1": {"input": 2.0, "output": 4.0}})
    assert priced.price(usage) == 2.0
    assert priced.generate(ask("Hello")).usage.cost_usd == pytest.approx((3 * 2 + 2 * 4) / 1e6)


def test_the_fingerprint_has_parameters_and_no_secret() -> None:
    fingerprint = LangChainModel(Parrot()).fingerprint
    assert fingerprint["params"] == {"client": "<object>", "model": "parrot-1"}
    assert SECRET not in json.dumps(dict(fingerprint))
    endpoint = chat_openai("http://user:pass@127.0.0.1:1/v1/", api_key=SECRET, temperature=0.5)
    fingerprint = LangChainModel(endpoint).fingerprint
    assert fingerprint["endpoint"] == "http://127.0.0.1:1/v1"
    assert fingerprint["params"]["temperature"] == 0.5
    assert LangChainModel(chat_openai("http://127.0.0.1:1/v1", temperature=0.5)).fingerprint == fingerprint


@pytest.mark.parametrize(
    ("model", "id_", "family"),
    [
        (Parrot(), "parrot:parrot-1", "parrot-1"),
        (chat_openai("http://127.0.0.1:1", model="gpt-5-mini"), "openai:gpt-5-mini", "gpt"),
        (chat_anthropic("http://127.0.0.1:1", model="claude-haiku-4-5"), "anthropic:claude-haiku-4-5", "claude"),
        (FakeListChatModel(responses=["x"]), "fakelistchatmodel:FakeListChatModel", "fakelistchatmodel"),
    ],
)
def test_names(model: BaseChatModel, id_: str, family: str) -> None:
    member = LangChainModel(model)
    assert (member.id, member.family) == (id_, family)
    assert repr(member) == f"LangChainModel('{id_}')"
    assert LangChainModel(model, id="mine", family="ours").id == "mine"


def test_capabilities_come_from_the_profile() -> None:
    capabilities = LangChainModel(chat_openai("http://127.0.0.1:1", profile={"image_inputs": False})).capabilities
    assert (capabilities.images, capabilities.audio, capabilities.tools) == (False, True, True)
    bare = LangChainModel(Parrot()).capabilities
    assert (bare.tools, bare.structured_output) == (False, False)


# ------------------------------------------------------------------------------------------------ what it is asked


def test_sampling_model_stop_and_options_reach_the_provider(openai: OpenAIServer) -> None:
    sampling = Sampling(temperature=0.25, top_p=0.5, max_tokens=7, stop=("you",), seed=3)
    request = ask("Hello", sampling=sampling, model="gpt-x", options={"user": "u-1"})
    LangChainModel(chat_openai(openai.base_url)).generate(request)
    body = openai.requests[0].body
    wanted = {"temperature": 0.25, "top_p": 0.5, "max_completion_tokens": 7, "stop": ["you"], "seed": 3, "user": "u-1"}
    assert wanted.items() <= body.items()
    assert body["model"] == "gpt-x"


def test_native_messages_are_handed_over_unchanged(openai: OpenAIServer) -> None:
    native = [HumanMessage([{"type": "image_url", "image_url": {"url": "http://x/y.png", "detail": "low"}}])]
    LangChainModel(chat_openai(openai.base_url)).generate(ask("Hello", native=native))
    assert openai.requests[0].body["messages"][0]["content"] == native[0].content


def test_records_are_handed_over_as_messages(openai: OpenAIServer) -> None:
    messages = (
        Message(role="system", content="Be brief."),
        Message(role="user", content=({"type": "text", "text": "1 + 2?"}, {"type": "text", "text": "Quick!"})),
        Message(role="assistant", tool_calls=(ToolCall(id="c1", name="add", arguments={"a": 1}),)),
        Message(role="tool", content="no b", tool_call_id="c1", tool_error=True, name="add"),
        Message(role="assistant", content="Sorry."),
        Message(role="user", content="Again"),
    )
    LangChainModel(chat_openai(openai.base_url)).generate(Request(messages=messages, tools=(TOOL,)))
    sent = openai.requests[0].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert sent[2]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}


@pytest.mark.parametrize(("choice", "sent"), [(None, None), ("any", "required"), ("auto", "auto"), ("none", "none")])
def test_tools_in_openais_form(openai: OpenAIServer, choice: str | None, sent: str | None) -> None:
    request = ask("Hello", tools=(TOOL,), tool_choice=choice, options={"parallel_tool_calls": False})
    LangChainModel(chat_openai(openai.base_url)).generate(request)
    body = openai.requests[0].body
    assert body["tools"] == [{"type": "function", "function": TOOL}]
    assert body.get("tool_choice") == sent
    assert body["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("choice", "sent"),
    [("any", {"type": "any"}), ("none", {"type": "none"}), ("add", {"type": "tool", "name": "add"})],
)
def test_tools_in_anthropics_form(anthropic: AnthropicServer, choice: str, sent: dict[str, str]) -> None:
    draft = LangChainModel(chat_anthropic(anthropic.base_url)).generate(ask("7", tools=(TOOL,), tool_choice=choice))
    body = anthropic.requests[0].body
    assert body["tools"] == [{"name": "add", "description": "Add.", "input_schema": TOOL["parameters"]}]
    assert body["tool_choice"] == sent
    assert bool(draft.message.tool_calls) == (choice != "none")


def test_a_builtin_tool_is_passed_on(anthropic: AnthropicServer) -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    LangChainModel(chat_anthropic(anthropic.base_url)).generate(ask("Hello", tools=(search,)))
    assert anthropic.requests[0].body["tools"] == [search]


def test_a_schema_in_each_providers_form(openai: OpenAIServer, anthropic: AnthropicServer) -> None:
    for member in (
        LangChainModel(chat_openai(openai.base_url)),
        LangChainModel(chat_anthropic(anthropic.base_url)),
    ):
        assert json.loads(member.generate(ask("in Paris", response_format=FORMAT)).text) == {"city": "Paris"}
    assert openai.requests[0].body["response_format"]["json_schema"]["schema"]["properties"] == SCHEMA["properties"]
    assert anthropic.requests[0].body["output_config"]["format"]["type"] == "json_schema"


def test_a_json_object_in_each_providers_form(openai: OpenAIServer, anthropic: AnthropicServer) -> None:
    request = ask("Anything", response_format={"type": "json_object"})
    for member in (
        LangChainModel(chat_openai(openai.base_url)),
        LangChainModel(chat_anthropic(anthropic.base_url)),
    ):
        assert isinstance(json.loads(member.generate(request).text), dict)
    assert openai.requests[0].body["response_format"] == {"type": "json_object"}
    assert "one JSON object" in json.dumps(anthropic.requests[0].body["system"])


class OnlyTools(Parrot):
    """A model that binds tools and knows of no other way to a schema."""

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
        return self.bind(tools=tools, tool_choice=tool_choice, **kwargs)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        assert kwargs["tool_choice"] == "any"
        call = {"name": "place", "args": {"city": "Oslo"}, "id": "c1", "type": "tool_call"}
        return ChatResult(generations=[ChatGeneration(message=AIMessage("", tool_calls=[call]))])


async def test_a_schema_by_way_of_a_tool_comes_as_text() -> None:
    member, request = LangChainModel(OnlyTools()), ask("Where?", response_format=FORMAT)
    drafts = [
        member.generate(request),
        await member.agenerate(request),
        list(member.stream(request))[-1].draft,
        [chunk async for chunk in member.astream(request)][-1].draft,
    ]
    for draft in drafts:
        assert draft is not None
        assert (draft.text, draft.message.tool_calls) == ('{"city": "Oslo"}', ())


def test_what_cannot_be_bound_is_refused_not_dropped() -> None:
    for request in (ask("Hello", tools=(TOOL,)), ask("Hello", response_format=FORMAT)):
        with pytest.raises(CapabilityError, match="bind_tools"):
            LangChainModel(Parrot()).generate(request)


def test_reasoning_is_a_block_and_streams(anthropic: AnthropicServer) -> None:
    anthropic.brain = lambda _: Reply(text="Four.", thinking="two and two")
    member = LangChainModel(chat_anthropic(anthropic.base_url))
    whole, chunks = member.generate(ask("2+2?")), list(member.stream(ask("2+2?")))
    for draft in (whole, chunks[-1].draft):
        assert draft is not None
        assert draft.text == "Four."
        assert [block["type"] for block in draft.message.content] == ["reasoning", "text"]
        assert draft.message.content[0]["reasoning"] == "two and two"
    assert any(block.get("type") == "thinking" for chunk in chunks for block in chunk.blocks)


class Streamer(Parrot):
    """Streams with reasoning beside the content, as some providers do, and asks for v1 output."""

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
        if self.empty:
            return
        for chunk in (
            AIMessageChunk("", additional_kwargs={"reasoning_content": "hm"}),
            AIMessageChunk(""),
            AIMessageChunk("a b", tool_call_chunks=[]),
            AIMessageChunk("", response_metadata={"finish_reason": "length"}, chunk_position="last"),
        ):
            yield ChatGenerationChunk(message=chunk)


class AsyncStreamer(Parrot):
    """Streams on the loop only."""

    async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> AsyncIterator[Any]:
        yield ChatGenerationChunk(message=AIMessageChunk("a b"))


async def test_streams_of_every_kind() -> None:
    shown = [(chunk.text, chunk.blocks) for chunk in LangChainModel(Streamer()).stream(ask("x"))]
    assert shown == [("", ({"type": "reasoning", "reasoning": "hm"},)), ("a b", ()), ("", ())]
    chunks = [chunk async for chunk in LangChainModel(Streamer()).astream(ask("x"))]
    assert [chunk.text for chunk in chunks] == ["", "a b", ""]
    assert chunks[-1].draft is not None
    assert chunks[-1].draft.finish_reason == "length"
    chunks = [chunk async for chunk in LangChainModel(AsyncStreamer()).astream(ask("x"))]
    assert [chunk.text for chunk in chunks] == ["a b", ""]
    disabled = [chunk.text for chunk in LangChainModel(Streamer(disable_streaming=True)).stream(ask("x"))]
    assert disabled == ["x"]


class Toolmaker(Streamer):
    """Streams, and can be told not to."""

    streaming: bool = True

    def bind_tools(self, tools: Any, **settings: Any) -> Any:
        return self.bind(tools=tools, **settings)


@pytest.mark.parametrize(
    ("switch", "tools", "text"),
    [
        ({}, (TOOL,), "a b"),
        ({"disable_streaming": "tool_calling"}, (TOOL,), "x"),
        ({"disable_streaming": "tool_calling"}, (), "a b"),
        ({"streaming": False}, (), "x"),
    ],
)
async def test_a_member_streams_where_its_own_stream_would(
    switch: dict[str, Any], tools: tuple[Any, ...], text: str
) -> None:
    request, model = replace(ask("x"), tools=tools), Toolmaker(**switch)
    assert "".join(chunk.text for chunk in LangChainModel(model).stream(request)) == text
    assert "".join([chunk.text async for chunk in LangChainModel(model).astream(request)]) == text
    bound = model.bind_tools(tools) if tools else model
    assert "".join(chunk.text for chunk in bound.stream("x")) == text


def test_an_empty_stream_is_malformed() -> None:
    with pytest.raises(MalformedReplyError, match="streamed nothing"):
        list(LangChainModel(Streamer(empty=True)).stream(ask("x")))


def test_v1_output_of_the_member_is_kept() -> None:
    draft = LangChainModel(Parrot(output_version="v1")).generate(ask("Hello"))
    assert draft.native.content == [{"type": "text", "text": "Hello"}]
    assert draft.native.response_metadata["output_version"] == "v1"
    assert draft.message.content == "Hello"


async def test_the_members_rate_limiter_is_kept() -> None:
    waits: list[str] = []

    class Limiter(InMemoryRateLimiter):
        def acquire(self, *, blocking: bool = True) -> bool:
            waits.append("sync")
            return True

        async def aacquire(self, *, blocking: bool = True) -> bool:
            waits.append("async")
            return True

    member = LangChainModel(Streamer(rate_limiter=Limiter()))
    member.generate(ask("x"))
    list(member.stream(ask("x")))
    await member.agenerate(ask("x"))
    [_ async for _ in member.astream(ask("x"))]
    assert waits == ["sync", "sync", "async", "async"]


def test_logprobs_are_read(openai: OpenAIServer) -> None:
    draft = LangChainModel(chat_openai(openai.base_url, logprobs=True)).generate(ask("Hello"))
    assert draft.logprobs is not None
    assert set(draft.logprobs) == {-0.25}
    assert LangChainModel(Parrot()).generate(ask("Hello")).logprobs is None


def test_a_tool_message_without_text_is_kept(openai: OpenAIServer) -> None:
    native = [
        HumanMessage("go"),
        AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1", "type": "tool_call"}]),
        ToolMessage("", tool_call_id="1"),
    ]
    assert LangChainModel(chat_openai(openai.base_url)).generate(ask("go", native=native)).text


def test_a_reply_is_written_as_json_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[AIMessage] = []
    dump = answers.dump_message
    monkeypatch.setattr(answers, "dump_message", lambda message: written.append(message) or dump(message))
    draft = LangChainModel(Parrot()).generate(ask("Hello"))
    assert not written
    kept = {"model_name": draft.model, answers.NATIVE: dump(draft.native)}
    assert dict(draft.metadata) == kept
    assert dict(draft.metadata) == kept
    assert len(written) == 1
    assert len(draft.metadata) == len(kept)
    assert "id" not in draft.metadata
