"""Between LangChain's messages and the records of the core."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGenerationChunk
from typing_extensions import TypedDict

from leo_core.errors import (
    AuthenticationError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    RequestError,
)
from leo_core.records import (
    Answer,
    CacheDecision,
    CacheEntry,
    Chunk,
    Draft,
    Message,
    Novelty,
    Risk,
    Route,
    RouteDecision,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from leo_core.stages.cache.identity import canonical_message
from leo_langchain._answers import (
    ChunkWriter,
    load_generations,
    load_message,
    make_message,
    to_native,
    to_usage_metadata,
)
from leo_langchain._convert import to_message, to_messages, to_response_format, to_tool, to_usage, without_ids
from leo_langchain._errors import translate_error
from leo_langchain._profile import intersect_profiles

PDF = "JVBERi0="

TEXT = st.text(min_size=1, max_size=20)
BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT),
    st.builds(lambda text: {"type": "reasoning", "reasoning": text}, TEXT),
    st.just({"type": "image", "base64": "aGk=", "mime_type": "image/png"}),
    st.just({"type": "audio", "base64": "aGk=", "mime_type": "audio/wav"}),
    st.just({"type": "file", "base64": PDF, "mime_type": "application/pdf"}),
    st.builds(lambda text: {"type": "non_standard", "value": {"type": "odd", "x": text}}, TEXT),
)
CONTENT = st.one_of(st.text(max_size=20), st.lists(BLOCKS, min_size=2, max_size=4).map(tuple))
ARGUMENTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3)
CALLS = st.lists(st.builds(ToolCall, id=TEXT, name=TEXT, arguments=ARGUMENTS), max_size=2).map(tuple)
NAMES = st.none() | TEXT
RECORDS = st.one_of(
    st.builds(Message, role=st.sampled_from(["system", "user"]), content=CONTENT, name=NAMES),
    st.builds(Message, role=st.just("assistant"), content=CONTENT, tool_calls=CALLS, name=NAMES),
    st.builds(Message, role=st.just("tool"), content=CONTENT, tool_call_id=TEXT, tool_error=st.booleans(), name=NAMES),
)


@given(record=RECORDS)
@settings(max_examples=200, deadline=None)
def test_a_record_comes_back_as_it_was(record: Message) -> None:
    (native,) = to_native((record,))
    assert to_message(native) == record


@given(record=RECORDS, ids=TEXT)
@settings(max_examples=100, deadline=None)
def test_ids_usage_and_metadata_change_nothing(record: Message, ids: str) -> None:
    (native,) = to_native((record,))
    native.id = ids
    native.response_metadata = {"id": ids, "leo": {"answer_id": ids}}
    if isinstance(native, AIMessage):
        native.usage_metadata = to_usage_metadata(Usage(input_tokens=len(ids)))
    if isinstance(native.content, list):
        native.content = [
            {**block, "id": ids, "index": 7} if block["type"] == "text" else block for block in native.content
        ]
    assert canonical_message(to_message(native)) == canonical_message(record)


@pytest.mark.parametrize(
    ("message", "role"),
    [
        (HumanMessage("x"), "user"),
        (SystemMessage("x"), "system"),
        (AIMessage("x"), "assistant"),
        (AIMessageChunk(content="x"), "assistant"),
        (ToolMessage("x", tool_call_id="1"), "tool"),
        (FunctionMessage("x", name="f"), "tool"),
        (ChatMessage("x", role="developer"), "system"),
        (ChatMessage("x", role="user"), "user"),
        (ChatMessage("x", role="assistant"), "assistant"),
    ],
)
def test_roles(message: Any, role: str) -> None:
    assert to_message(message).role == role
    assert to_message(message).text == "x"


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(RequestError, match="'wizard'"):
        to_message(ChatMessage("x", role="wizard"))


@pytest.mark.parametrize(
    ("block", "standard"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}, ("image", "aGk=")),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            ("image", "aGk="),
        ),
        ({"type": "image", "base64": "aGk=", "mime_type": "image/png"}, ("image", "aGk=")),
        ({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}, ("audio", "aGk=")),
        ({"type": "file", "base64": PDF, "mime_type": "application/pdf"}, ("file", PDF)),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
            ("file", PDF),
        ),
    ],
)
def test_blocks_of_every_dialect_have_one_form(block: dict[str, Any], standard: tuple[str, str]) -> None:
    content = to_message(HumanMessage([{"type": "text", "text": "look"}, block])).content
    assert [part["type"] for part in content] == ["text", standard[0]]
    assert content[1]["base64"] == standard[1]
    assert "id" not in content[1]
    json.dumps(content)


def test_what_the_standard_does_not_know_is_kept() -> None:
    odd = {"type": "odd", "payload": [1, 2]}
    assert to_message(HumanMessage(["bare text", odd])).content == (
        {"type": "text", "text": "bare text"},
        {"type": "non_standard", "value": odd},
    )


def test_a_thinking_block_keeps_its_signature() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    assert to_message(AIMessage([thinking, "so"])).content == (
        {"type": "reasoning", "reasoning": "hm", "extras": {"signature": "s"}},
        {"type": "text", "text": "so"},
    )


def test_tool_calls_are_not_content_twice() -> None:
    call: Any = {"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
    block = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}
    for provider in ({}, {"model_provider": "anthropic"}):
        message = to_message(
            AIMessage([{"type": "text", "text": "so"}, block], tool_calls=[call], response_metadata=provider)
        )
        assert message.content == "so"
        assert message.tool_calls == (ToolCall(id="c1", name="f", arguments={"a": 1}),)
    assert to_message(AIMessage([], tool_calls=[call])).content == ""


def test_a_malformed_call_is_one_where_it_was_answered() -> None:
    def call(args: str) -> AIMessage:
        bad = {"type": "invalid_tool_call", "id": "c1", "name": "add", "args": args, "error": "no JSON"}
        return AIMessage("", invalid_tool_calls=[bad])

    error = ToolMessage("The arguments are no JSON.", tool_call_id="c1", status="error")
    record, answer = to_messages([call('{"a": 1'), error])
    assert [(each.id, each.name) for each in record.tool_calls] == [("c1", "add")]
    assert answer.tool_call_id == "c1"
    assert to_messages([call('{"b": 2'), error])[0] != record, "it is part of what was said"
    assert to_messages([call('{"a": 1')])[0].tool_calls == to_message(call('{"a": 1')).tool_calls == ()


def test_ids_that_are_linked_stay() -> None:
    content: Any = ["bare", {"type": "text", "text": "x", "id": "1"}, {"type": "tool_use", "id": "2"}]
    assert without_ids(content) == ["bare", {"type": "text", "text": "x"}, {"type": "tool_use", "id": "2"}]
    assert without_ids("x") == "x"


# -------------------------------------------------------------------------------------------------- tools, formats


def test_tools() -> None:
    function = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}, "strict": True}
    assert to_tool({"type": "function", "function": function}) == function
    assert to_tool({"type": "function", "function": {"name": "f"}}) == {
        "name": "f",
        "description": "",
        "parameters": {"type": "object", "properties": {}},
    }
    assert to_tool({"type": "web_search"}) == {"type": "web_search"}


class City(TypedDict):
    """A city."""

    name: str


SCHEMA = {"title": "A city!", "type": "object", "properties": {"name": {"type": "string"}}}


@pytest.mark.parametrize(
    ("given_", "neutral"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
            {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
        ),
        ({"type": "json_schema", "schema": SCHEMA}, {"type": "json_schema", "name": "A_city_", "schema": SCHEMA}),
        (SCHEMA, {"type": "json_schema", "name": "A_city_", "schema": SCHEMA}),
    ],
)
def test_response_formats(given_: Any, neutral: Any) -> None:
    assert to_response_format(given_) == neutral


def test_a_class_as_response_format() -> None:
    neutral = to_response_format(City)
    assert neutral is not None
    assert neutral["name"] == "City"
    assert neutral["schema"]["properties"]["name"]["type"] == "string"


@given(
    input_=st.integers(0, 10**6), output=st.integers(0, 10**6), cached=st.integers(0, 99), reasoning=st.integers(0, 99)
)
def test_usage_comes_back(input_: int, output: int, cached: int, reasoning: int) -> None:
    usage = Usage(
        input_tokens=input_,
        output_tokens=output,
        cached_input_tokens=cached,
        reasoning_tokens=reasoning,
        calls=1,
        cost_usd=None,
    )
    assert to_usage(AIMessage("x", usage_metadata=to_usage_metadata(usage))) == usage


# --------------------------------------------------------------------------------------------------------- answers


def entry_with(metadata: dict[str, Any], message: Message) -> CacheEntry:
    return CacheEntry(
        id="e",
        tenant="t",
        exact_key="k",
        scope_key="s",
        text="q",
        message=message,
        members=("m",),
        model="m-1",
        route=Route.SMALL,
        usage=Usage(input_tokens=4, output_tokens=2, calls=1, cost_usd=0.5),
        receipt_id="",
        created_at=0.0,
        metadata=metadata,
    )


def answer_with(message: Message, *, draft: Draft | None = None, entry: CacheEntry | None = None) -> Answer:
    return Answer(
        id="a",
        message=message,
        route=Route.CACHE if entry else Route.SMALL,
        model="m-1",
        members=("m",),
        usage=Usage(),
        saved=Usage(),
        risk=Risk(value=0.1, interval=(0.0, 0.2)),
        novelty=Novelty(value=None),
        cache=CacheDecision(action="serve" if entry else "miss"),
        decision=RouteDecision(route=Route.SMALL, why=""),
        draft=draft,
        entry=entry,
    )


@pytest.mark.parametrize("kept", [None, "no JSON", '{"lc": 1}', "[]", 7])
def test_an_entry_that_cannot_be_read_is_rebuilt_from_the_record(kept: Any) -> None:
    message = Message(role="assistant", content="kept", tool_calls=(ToolCall(id="1", name="f", arguments={}),))
    hit = make_message(answer_with(message, entry=entry_with({"langchain": kept}, message)))
    assert (hit.text, hit.tool_calls[0]["name"]) == ("kept", "f")
    assert hit.response_metadata["leo"]["saved_usage"]["total_tokens"] == 6


def test_a_served_message_is_nobodys_else() -> None:
    native = AIMessage([{"type": "text", "text": "x"}])
    draft = Draft(member="m", model="m-1", message=Message(role="assistant", content="x"), native=native)
    served = make_message(answer_with(draft.message, draft=draft))
    served.content[0]["text"] = "changed"
    assert native.content == [{"type": "text", "text": "x"}]


def test_only_the_expected_objects_are_read() -> None:
    with pytest.raises(ValueError, match="AI message"):
        load_message("[]")
    with pytest.raises(ValueError, match="list of generations"):
        load_generations("{}")


def test_a_hidden_object_of_another_class_is_refused() -> None:
    kwargs = {"template": "{x}", "input_variables": ["x"]}
    hidden = {"lc": 1, "type": "constructor", "id": ["langchain_core", "prompts", "prompt", "PromptTemplate"]}
    generation = {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "output", "Generation"],
        "kwargs": {"text": "x", "generation_info": {"y": {**hidden, "kwargs": kwargs}}},
    }
    with pytest.raises(ValueError, match="not allowed"):
        load_generations(json.dumps([generation]))


def test_a_members_chunks_are_passed_on_without_usage_id_and_metadata() -> None:
    usage = to_usage_metadata(Usage(input_tokens=5, output_tokens=5))
    native = AIMessageChunk(
        content="x",
        id="run-1",
        usage_metadata=usage,
        response_metadata={"model_name": "m", "model_provider": "p"},
        chunk_position="last",
    )
    (piece,) = ChunkWriter().write(Chunk(text="x", native=native))
    message = piece.message
    assert isinstance(message, AIMessageChunk)
    assert (message.id, message.usage_metadata, message.chunk_position) == (None, None, None)
    assert message.response_metadata == {"model_provider": "p"}


def test_pieces_of_a_settled_answer_join_to_it() -> None:
    writer = ChunkWriter()
    message = Message(role="assistant", content="x")
    chunks = (
        Chunk(text="first "),
        Chunk(text="words "),
        Chunk(blocks=({"type": "image", "base64": "aGk=", "mime_type": "image/png"},)),
        Chunk(text="more "),
        Chunk(text="words"),
        Chunk(tool_calls=(ToolCallDelta(index=0, id="1", name="f", arguments="{}"),)),
        Chunk(),
        Chunk(answer=answer_with(message)),
    )
    pieces: list[ChatGenerationChunk] = [piece for chunk in chunks for piece in writer.write(chunk)]
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    assert isinstance(whole.message, AIMessageChunk)
    assert [block["type"] for block in whole.message.content_blocks] == ["text", "image", "text", "tool_call"]
    assert whole.message.text == "first words more words"
    assert whole.message.chunk_position == "last"


# ---------------------------------------------------------------------------------------------------------- errors


class APIConnectionError(Exception):
    """Named as SDKs name it."""


class RateLimitExceededError(Exception):
    """Named as SDKs name it."""


class WithCodeError(Exception):
    """An error with a status."""

    def __init__(self, code: Any) -> None:
        super().__init__()
        self.code = code


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), ProviderTimeoutError),
        (ConnectionResetError(), ProviderUnavailableError),
        (APIConnectionError(), ProviderUnavailableError),
        (RateLimitExceededError(), RateLimitError),
        (WithCodeError(401), AuthenticationError),
        (WithCodeError(529), ProviderUnavailableError),
        (WithCodeError(504), ProviderTimeoutError),
        (WithCodeError("rate_limited"), ProviderError),
        (ValueError("secret prompt"), ProviderError),
    ],
)
def test_errors(error: Exception, kind: type[ProviderError]) -> None:
    translated = translate_error(error, provider="p", model="m")
    assert type(translated) is kind
    assert "secret prompt" not in str(translated)


def test_a_retry_after_may_be_a_date_and_nonsense_is_ignored() -> None:
    for text, seconds in (("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("1.5", 1.5), ("soon", None)):
        error = WithCodeError(429)
        error.response = SimpleNamespace(status_code=429, headers={"retry-after": text})
        translated = translate_error(error, provider="p", model="m")
        assert isinstance(translated, RateLimitError)
        assert translated.retry_after_s == seconds


def test_profiles_that_say_different_things() -> None:
    from tests.adapters.langchain.langchain_servers import chat_openai

    profiles: list[Any] = [
        {"name": "a", "tool_calling": True, "max_input_tokens": 5, "open_weights": True},
        {"name": "b", "tool_calling": True, "max_input_tokens": 4, "open_weights": True},
    ]
    members = [chat_openai("http://127.0.0.1:1", profile=profile) for profile in profiles]
    assert intersect_profiles(members) == {"tool_calling": True, "max_input_tokens": 4, "open_weights": True}
    assert intersect_profiles([]) is None
