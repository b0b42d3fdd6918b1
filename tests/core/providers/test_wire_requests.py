"""From neutral requests to the providers' bodies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import CapabilityError, RequestError
from leo_core.providers.anthropic_request import ANSWER_TOOL, build_anthropic_payload
from leo_core.providers.json_schema import close_objects
from leo_core.providers.openai_request import build_openai_payload
from leo_core.records import Message, Request, Sampling, ToolCall
from tests.contracts.model import ask

ADD = {
    "name": "add",
    "description": "Add two numbers.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}
CALL = ToolCall(id="c1", name="add", arguments={"a": 1})
PDF = "JVBERi0="


def openai_body(request: Request, **options: Any) -> dict[str, Any]:
    """The body for OpenAI."""
    return build_openai_payload(request, model="gpt-5-mini", **options)[0]


def anthropic_body(request: Request, **options: Any) -> dict[str, Any]:
    """The body for Anthropic."""
    return build_anthropic_payload(request, model="claude-haiku-4-5", max_tokens=100, **options)[0]


def user(*blocks: Any) -> Request:
    """A user turn of blocks."""
    return Request(messages=(Message(role="user", content=tuple(blocks)),))


# --------------------------------------------------------------------------------------------- blocks

IMAGE_URL = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
IMAGE_DATA = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
DOCUMENT = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
FILE = {"type": "file", "file": {"filename": "document.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}

TRANSLATED: list[tuple[str, dict[str, Any], dict[str, Any] | None, dict[str, Any] | None]] = [
    ("text", {"type": "text", "text": "a"}, {"type": "text", "text": "a"}, {"type": "text", "text": "a"}),
    ("input_text", {"type": "input_text", "text": "a"}, {"type": "text", "text": "a"}, {"type": "text", "text": "a"}),
    ("hint", {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "a"},
     {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}),
    ("image base64", {"type": "image", "base64": "AAAA", "mime_type": "image/png"}, IMAGE_DATA, IMAGE),
    ("image v0", {"type": "image", "source_type": "base64", "data": "AAAA", "mime_type": "image/png"}, IMAGE_DATA,
     IMAGE),
    ("image native", IMAGE, IMAGE_DATA, IMAGE),
    ("image data url", IMAGE_DATA, IMAGE_DATA, IMAGE),
    ("image url", {"type": "image", "url": "https://x/y.png"}, IMAGE_URL,
     {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}),
    ("image v0 url", {"type": "image", "source_type": "url", "url": "https://x/y.png"}, IMAGE_URL,
     {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}),
    ("image_url text", {"type": "image_url", "image_url": "https://x/y.png"}, IMAGE_URL,
     {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}),
    ("image detail", {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
     {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
     {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}),
    ("input_image", {"type": "input_image", "image_url": "https://x/y.png"}, IMAGE_URL,
     {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}),
    ("image id", {"type": "image", "file_id": "f1"}, None,
     {"type": "image", "source": {"type": "file", "file_id": "f1"}}),
    ("image v0 id", {"type": "image", "source_type": "id", "id": "f1"}, None,
     {"type": "image", "source": {"type": "file", "file_id": "f1"}}),
    ("audio", {"type": "audio", "base64": "AAAA", "mime_type": "audio/x-wav"},
     {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, None),
    ("input_audio", {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
     {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}, None),
    ("audio url", {"type": "audio", "url": "https://x/y.wav"}, None, None),
    ("video", {"type": "video", "url": "https://x/y.mp4"}, None, None),
    ("pdf", {"type": "file", "base64": PDF, "mime_type": "application/pdf"}, FILE, DOCUMENT),
    ("pdf name", {"type": "file", "base64": PDF, "mime_type": "application/pdf", "extras": {"filename": "a.pdf"}},
     {"type": "file", "file": {**FILE["file"], "filename": "a.pdf"}}, {**DOCUMENT, "title": "a.pdf"}),
    ("file", FILE, FILE, {**DOCUMENT, "title": "document.pdf"}),
    ("file bare", {"type": "file", "file": {"file_data": PDF}}, FILE, DOCUMENT),
    ("file id", {"type": "file", "file": {"file_id": "f1"}}, {"type": "file", "file": {"file_id": "f1"}},
     {"type": "document", "source": {"type": "file", "file_id": "f1"}}),
    ("input_file", {"type": "input_file", "file_id": "f1"}, {"type": "file", "file": {"file_id": "f1"}},
     {"type": "document", "source": {"type": "file", "file_id": "f1"}}),
    ("document", DOCUMENT, FILE, DOCUMENT),
    ("document id", {"type": "document", "source": {"type": "file", "file_id": "f1"}},
     {"type": "file", "file": {"file_id": "f1"}}, {"type": "document", "source": {"type": "file", "file_id": "f1"}}),
    ("pdf url", {"type": "file", "url": "https://x/y.pdf"}, None,
     {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}}),
    ("document url", {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}}, None,
     {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}}),
    ("image as file", {"type": "file", "base64": "AAAA", "mime_type": "image/png"}, IMAGE_DATA, IMAGE),
    ("sheet", {"type": "file", "base64": "AAAA", "mime_type": "text/csv"},
     {"type": "file", "file": {"filename": "document.csv", "file_data": "data:text/csv;base64,AAAA"}}, None),
    ("text-plain", {"type": "text-plain", "text": "a", "mime_type": "text/plain", "title": "t"},
     {"type": "text", "text": "a"},
     {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}, "title": "t"}),
    ("document text", {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}},
     {"type": "text", "text": "a"},
     {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}}),
    ("file v0 text", {"type": "file", "source_type": "text", "text": "a"}, {"type": "text", "text": "a"},
     {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}}),
    ("document content", {"type": "document", "source": {"type": "content", "content": "a"}}, None,
     {"type": "document", "source": {"type": "content", "content": "a"}}),
    ("search_result", {"type": "search_result", "source": "s", "title": "t", "content": []}, None,
     {"type": "search_result", "source": "s", "title": "t", "content": []}),
    ("non_standard", {"type": "non_standard", "value": IMAGE}, IMAGE_DATA, IMAGE),
    ("unknown", {"type": "hologram", "data": "x"}, None, None),
]  # fmt: skip


@pytest.mark.parametrize(("block", "expected"), [pytest.param(b, o, id=n) for n, b, o, _ in TRANSLATED])
def test_openai_blocks(block: dict[str, Any], expected: dict[str, Any] | None) -> None:
    """Translated exactly, or refused by name."""
    check_block(openai_body, block, expected)


@pytest.mark.parametrize(("block", "expected"), [pytest.param(b, a, id=n) for n, b, _, a in TRANSLATED])
def test_anthropic_blocks(block: dict[str, Any], expected: dict[str, Any] | None) -> None:
    """Translated exactly, or refused by name."""
    check_block(anthropic_body, block, expected)


def check_block(
    build: Callable[[Request], dict[str, Any]], block: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    """Build the body and look at the block."""
    request = user({"type": "text", "text": "Look:"}, block)
    if expected is None:
        with pytest.raises(CapabilityError, match=block["type"]):
            build(request)
    else:
        (turn,) = build(request)["messages"]
        assert turn == {"role": "user", "content": [{"type": "text", "text": "Look:"}, expected]}


@pytest.mark.parametrize("build", [openai_body, anthropic_body])
@pytest.mark.parametrize(
    "block",
    [
        {"type": "image"},
        {"type": "image", "base64": "AAAA"},
        {"type": "text"},
        {"type": "text", "text": 3},
        {"type": "image_url"},
        {"type": "image_url", "image_url": {"href": "x"}},
        {"type": "non_standard", "value": 3},
        {"no": "type"},
        3,
    ],
    ids=str,
)
def test_broken_blocks(build: Callable[[Request], dict[str, Any]], block: Any) -> None:
    """Blocks without what their type promises are the request's fault."""
    with pytest.raises(RequestError):
        build(user(block))


@given(st.dictionaries(st.sampled_from(["type", "text", "url", "base64", "source", "file", "mime_type", "input"]),
                       st.one_of(st.none(), st.integers(), st.sampled_from(["image", "file", "text", "document",
                                 "audio", "tool_use", "AAAA", "https://x"]), st.just({"type": "base64"}))))  # fmt: skip
def test_any_block_is_translated_or_refused(block: dict[str, Any]) -> None:
    """No block brings another error than ours, and none is lost."""
    for build in (openai_body, anthropic_body):
        try:
            body = build(user({"type": "text", "text": "Look:"}, block))
        except RequestError:
            continue
        assert body["messages"]
        json.dumps(body)


# ------------------------------------------------------------------------------------------- messages

CONVERSATION = (
    Message(role="system", content="Be brief."),
    Message(role="user", content="Add 1 and 2.", name="ann"),
    Message(role="assistant", content="I add.", tool_calls=(CALL, ToolCall(id="c2", name="add", arguments={"a": 2}))),
    Message(role="tool", content="1", tool_call_id="c1"),
    Message(role="tool", content="failed", tool_call_id="c2", tool_error=True),
    Message(role="user", content="Thanks."),
)


def test_openai_conversation() -> None:
    """Roles, calls and results one by one."""
    body = openai_body(Request(messages=CONVERSATION))
    assert body == {
        "model": "gpt-5-mini",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Add 1 and 2.", "name": "ann"},
            {
                "role": "assistant",
                "content": "I add.",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
                    {"id": "c2", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
            {"role": "tool", "tool_call_id": "c2", "content": "failed"},
            {"role": "user", "content": "Thanks."},
        ],
    }


def test_anthropic_conversation() -> None:
    """System apart, results of parallel calls together with the next user turn."""
    body = anthropic_body(Request(messages=CONVERSATION))
    assert body == {
        "model": "claude-haiku-4-5",
        "max_tokens": 100,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Add 1 and 2."}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I add."},
                    {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
                    {"type": "tool_use", "id": "c2", "name": "add", "input": {"a": 2}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "1"}]},
                    {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "failed"}],
                     "is_error": True},
                    {"type": "text", "text": "Thanks."},
                ],
            },
        ],
    }  # fmt: skip


THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
STANDARD_THOUGHT = {"type": "reasoning", "reasoning": "Hm.", "extras": {"signature": "s"}}
USE = {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}


def with_assistant(*blocks: Any, **fields: Any) -> Request:
    """A conversation whose second turn is the assistant's."""
    turn = Message(role="assistant", content=tuple(blocks), **fields)
    return Request(messages=(Message(role="user", content="?"), turn, Message(role="user", content="Go on.")))


@pytest.mark.parametrize("thought", [THOUGHT, STANDARD_THOUGHT], ids=["native", "standard"])
def test_thinking(thought: dict[str, Any]) -> None:
    """Signed thinking goes back to Anthropic; OpenAI takes none."""
    request = with_assistant(thought, {"type": "text", "text": "Yes."})
    assert anthropic_body(request)["messages"][1]["content"] == [THOUGHT, {"type": "text", "text": "Yes."}]
    assert openai_body(request)["messages"][1] == {"role": "assistant", "content": "Yes."}


def test_thinking_of_others() -> None:
    """Unsigned reasoning stays out; redacted thinking goes back as it came."""
    redacted = {"type": "redacted_thinking", "data": "xx"}
    request = with_assistant({"type": "reasoning", "reasoning": "Hm."}, redacted, {"type": "text", "text": "Yes."})
    assert anthropic_body(request)["messages"][1]["content"] == [redacted, {"type": "text", "text": "Yes."}]
    assert openai_body(request)["messages"][1]["content"] == "Yes."


@pytest.mark.parametrize("calls", [(CALL,), ()], ids=["both", "block only"])
def test_calls_as_blocks(calls: tuple[ToolCall, ...]) -> None:
    """A call that stands in the content, too, is sent once."""
    request = with_assistant(
        {"type": "text", "text": "I add."}, USE, {"type": "tool_call_chunk", "index": 0}, tool_calls=calls
    )
    wire = openai_body(request)["messages"][1]["tool_calls"]
    assert [call["id"] for call in wire] == ["c1"]
    assert anthropic_body(request)["messages"][1]["content"] == [{"type": "text", "text": "I add."}, USE]


def test_results_as_blocks() -> None:
    """Anthropic's results inside a user turn reach both providers."""
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "3", "is_error": True}
    request = Request(
        messages=(
            Message(role="user", content="?"),
            Message(role="assistant", tool_calls=(CALL,)),
            Message(role="user", content=({"type": "text", "text": "Here."}, result)),
        )
    )
    assert openai_body(request)["messages"][2:] == [
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        {"role": "user", "content": [{"type": "text", "text": "Here."}]},
    ]
    assert anthropic_body(request)["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "3"}], "is_error": True},
        {"type": "text", "text": "Here."},
    ]
    only = Request(messages=(*request.messages[:2], Message(role="user", content=(result,))))
    assert [turn["role"] for turn in openai_body(only)["messages"]] == ["user", "assistant", "tool"]


def test_media_in_results() -> None:
    """Anthropic takes media in a result; for OpenAI they follow as a user turn."""
    request = Request(
        messages=(
            Message(role="user", content="?"),
            Message(role="assistant", tool_calls=(CALL,)),
            Message(
                role="tool", tool_call_id="c1", content=({"type": "image", "base64": "AAAA", "mime_type": "image/png"},)
            ),
        )
    )
    assert openai_body(request)["messages"][2:] == [
        {"role": "tool", "tool_call_id": "c1", "content": "(in the next message)"},
        {"role": "user", "content": [{"type": "text", "text": "From the tool call c1:"}, IMAGE_DATA]},
    ]
    assert anthropic_body(request)["messages"][2]["content"][0]["content"] == [IMAGE]
    more = Request(messages=(*request.messages, Message(role="user", content="Well?")))
    assert [turn["role"] for turn in openai_body(more)["messages"]] == ["user", "assistant", "tool", "user", "user"]


def test_out_of_place() -> None:
    """Media where no provider takes them are refused."""
    image = {"type": "image", "base64": "AAAA", "mime_type": "image/png"}
    for request in (
        Request(messages=(Message(role="system", content=(image,)), Message(role="user", content="?"))),
        with_assistant(image),
    ):
        with pytest.raises(CapabilityError, match="image"):
            openai_body(request)
    with pytest.raises(CapabilityError, match="image"):
        anthropic_body(Request(messages=(Message(role="system", content=(image,)), Message(role="user", content="?"))))
    audio = Message(
        role="tool", tool_call_id="c1", content=({"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"},)
    )
    with pytest.raises(CapabilityError, match="audio"):
        anthropic_body(Request(messages=(Message(role="user", content="?"), audio)))


def test_empty_turns() -> None:
    """Anthropic refuses empty turns: an assistant's is left out, a user's is the request's fault."""
    request = Request(
        messages=(Message(role="user", content="?"), Message(role="assistant"), Message(role="user", content="Well?"))
    )
    assert [turn["role"] for turn in anthropic_body(request)["messages"]] == ["user"]
    with pytest.raises(RequestError, match="message 0 is empty"):
        anthropic_body(ask(""))
    with pytest.raises(RequestError, match="user's turn"):
        anthropic_body(Request(messages=(Message(role="system", content="Be brief."),)))
    assert openai_body(ask(""))["messages"] == [{"role": "user", "content": ""}]


def test_refusals_and_names() -> None:
    """Refusals go back; names that OpenAI would refuse do not."""
    request = with_assistant({"type": "refusal", "refusal": "No."})
    assert openai_body(request)["messages"][1] == {"role": "assistant", "content": "", "refusal": "No."}
    assert anthropic_body(request)["messages"][1]["content"] == [{"type": "text", "text": "No."}]
    named = Request(messages=(Message(role="user", content="?", name="Ann Lee"),))
    assert "name" not in openai_body(named)["messages"][0]


# -------------------------------------------------------------------------------------- everything else


@pytest.mark.parametrize(
    ("choice", "openai", "anthropic"),
    [
        (None, None, None),
        ("auto", "auto", {"type": "auto"}),
        ("none", "none", {"type": "none"}),
        ("any", "required", {"type": "any"}),
        ("required", "required", {"type": "any"}),
        ("add", {"type": "function", "function": {"name": "add"}}, {"type": "tool", "name": "add"}),
    ],
)
def test_tool_choice(choice: str | None, openai: Any, anthropic: Any) -> None:
    """Every form of choice."""
    request = ask("?", tools=(ADD,), tool_choice=choice)
    assert openai_body(request).get("tool_choice") == openai
    assert anthropic_body(request).get("tool_choice") == anthropic


def test_tools() -> None:
    """Descriptions, strictness, parallel calls, and the provider's own tools."""
    request = ask("?", tools=({**ADD, "strict": True},), options={"parallel_tool_calls": False})
    body = openai_body(request)
    assert body["tools"] == [{"type": "function", "function": {**ADD, "strict": True}}]
    assert body["parallel_tool_calls"] is False
    body = anthropic_body(request)
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    (tool,) = body["tools"]
    assert tool["strict"]
    assert tool["input_schema"] == {**ADD["parameters"], "additionalProperties": False}
    own = {"type": "web_search_20250305", "name": "web_search"}
    assert anthropic_body(ask("?", tools=(own,)))["tools"] == [own]
    with pytest.raises(RequestError, match="name, type"):
        openai_body(ask("?", tools=(own,)))
    with pytest.raises(RequestError, match="needs 'name'"):
        anthropic_body(ask("?", tools=({"name": "add"},)))
    assert "tool_choice" not in openai_body(ask("?", tool_choice="none"))


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}


def test_structured_output() -> None:
    """JSON mode and JSON schemas."""
    free = ask("?", response_format={"type": "json_object"})
    assert openai_body(free)["response_format"] == {"type": "json_object"}
    assert "JSON" in anthropic_body(free)["system"]
    wanted = ask("?", response_format={"type": "json_schema", "name": "count", "schema": SCHEMA, "strict": True})
    assert openai_body(wanted)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "count", "schema": SCHEMA, "strict": True},
    }
    inner = anthropic_body(wanted)["output_config"]["format"]
    assert inner["schema"]["additionalProperties"] is False
    assert inner["schema"]["properties"]["n"] == {"type": "integer", "description": "(minimum: 1)"}
    forced = anthropic_body(wanted, structured_output="tool")
    assert forced["tool_choice"] == {"type": "tool", "name": ANSWER_TOOL}
    both = ask("?", tools=(ADD,), response_format={"type": "json_schema", "schema": SCHEMA})
    with pytest.raises(RequestError, match="native"):
        anthropic_body(both, structured_output="tool")


def test_close_objects_reaches_everywhere() -> None:
    """Definitions, alternatives and items are closed too, and the schema given is not changed."""
    schema = {
        "$defs": {"P": {"type": "object", "properties": {}}},
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "object"}}, "b": {"anyOf": [{"type": "object"}, True]}},
    }
    before = json.dumps(schema)
    closed = close_objects(schema)
    assert json.dumps(closed).count('"additionalProperties": false') == 4
    assert json.dumps(schema) == before


def test_sampling_and_options() -> None:
    """Every parameter under the provider's name, options as they are."""
    sampling = Sampling(temperature=0.0, top_p=0.5, max_tokens=7, stop=("END",), seed=3)
    options = {"logprobs": True, "user": "u", "extra_body": {"x": 1}, "extra_headers": {"h": "1"}}
    request = ask("?", sampling=sampling, options=options, model="other")
    body, call = build_openai_payload(request, model="gpt-5-mini")
    assert call == {"extra_headers": {"h": "1"}}
    body.pop("messages")
    assert body == {"model": "other", "temperature": 0.0, "top_p": 0.5, "stop": ["END"], "seed": 3,
                    "max_completion_tokens": 7, "logprobs": True, "user": "u", "x": 1}  # fmt: skip
    assert openai_body(request, limit_name="max_tokens")["max_tokens"] == 7
    own = openai_body(ask("?", sampling=sampling, options={"max_tokens": 9}))
    assert own["max_tokens"] == 9
    assert "max_completion_tokens" not in own
    body = anthropic_body(request)
    body.pop("messages")
    assert body == {"model": "other", "temperature": 0.0, "top_p": 0.5, "stop_sequences": ["END"], "max_tokens": 7,
                    "user": "u", "x": 1}  # fmt: skip


def test_rarer_forms() -> None:
    """Bare strings among blocks, plain text by address, arguments as JSON text, results in a list."""
    plain = {"type": "text-plain", "url": "https://x/y.txt", "mime_type": "text/plain"}
    (turn,) = anthropic_body(user("Look:", plain))["messages"]
    assert turn["content"][0] == {"type": "text", "text": "Look:"}
    assert turn["content"][1]["source"] == {"type": "url", "url": "https://x/y.txt"}
    call = {"type": "tool_call", "id": "c1", "name": "add", "args": '{"a": 1}'}
    assert anthropic_body(with_assistant(call))["messages"][1]["content"] == [USE]
    with pytest.raises(RequestError, match="tool_call"):
        anthropic_body(with_assistant({**call, "args": "{"}))
    with pytest.raises(RequestError, match="mime_type"):
        anthropic_body(user({"type": "image", "base64": "AAAA"}))
    with pytest.raises(CapabilityError, match="tool_call"):
        openai_body(user(call))
