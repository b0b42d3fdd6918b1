"""Messages and blocks there and back."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    ChatResponse,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.llms.llm import ToolSelection

from leo_core.errors import RequestError
from leo_core.records import Answer, CacheDecision, Message, Novelty, Risk, Route, RouteDecision, ToolCall, Usage
from leo_llamaindex._answers import to_response
from leo_llamaindex._convert import reads_disk, to_chat_message, to_message, to_messages, to_native_messages
from leo_llamaindex._tools import keep_one_call, read_tool_calls, to_tool

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
B64 = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("system", "system"),
        ("developer", "system"),
        ("user", "user"),
        ("assistant", "assistant"),
        ("chatbot", "assistant"),
        ("model", "assistant"),
        ("tool", "tool"),
        ("function", "tool"),
    ],
)
def test_roles(role: str, expected: str) -> None:
    assert to_message(ChatMessage(role=role, content="x")).role == expected


def test_plain_text_is_text() -> None:
    assert to_message(ChatMessage("Hi")) == Message(role="user", content="Hi")
    assert to_message(ChatMessage(blocks=[])).content == ""
    named = ChatMessage("Hi", additional_kwargs={"name": "Ann"})
    assert to_message(named).name == "Ann"
    assert to_chat_message(to_message(named)).additional_kwargs == {"name": "Ann"}


def test_media_whose_kind_llamaindex_leaves_open_are_named_by_their_bytes_or_their_name(tmp_path: Path) -> None:
    """A provider takes no bytes without their kind."""
    notes, picture = tmp_path / "notes.txt", tmp_path / "picture"
    notes.write_text("The ferry leaves at 9:40.")
    picture.write_bytes(PNG)
    blocks = [
        ImageBlock(image=io.BytesIO(PNG)),
        ImageBlock(path=picture),
        DocumentBlock(path=notes),
        DocumentBlock(data=b"a,b", title="table.csv"),
        DocumentBlock(data=b"a thing"),
    ]
    kinds = [block.get("mime_type") for block in to_message(ChatMessage(blocks=blocks)).content]
    assert kinds == ["image/png", "image/png", "text/plain", "text/csv", None]
    assert blocks[0].image_mimetype is None


def test_media_of_all_kinds_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "dot.png"
    path.write_bytes(PNG)
    message = ChatMessage(
        blocks=[
            TextBlock(text="Look"),
            ImageBlock(image=PNG),
            ImageBlock(path=path),
            ImageBlock(url="https://example.org/a.png"),
            ImageBlock(image=io.BytesIO(PNG), image_mimetype="image/png"),
            AudioBlock(audio=b"RIFF", format="wav"),
            VideoBlock(video=b"mp4!", video_mimetype="video/mp4"),
            DocumentBlock(data=b"%PDF-1.4", document_mimetype="application/pdf", title="paper.pdf"),
            CachePoint(cache_control=CacheControl(type="ephemeral")),
        ]
    )
    record = to_message(message)
    kinds = [(block["type"], block.get("mime_type"), "base64" in block) for block in record.content]
    assert kinds == [
        ("text", None, False),
        ("image", "image/png", True),
        ("image", "image/png", True),
        ("image", "image/png", False),
        ("image", "image/png", True),
        ("audio", "audio/wav", True),
        ("video", "video/mp4", True),
        ("file", "application/pdf", True),
    ]
    assert [block["base64"] for block in record.content[1:3]] == [B64, B64]
    assert record.content[-1]["filename"] == "paper.pdf"
    assert reads_disk([message])
    assert not reads_disk([ChatMessage("x")])
    back = to_chat_message(record)
    assert to_message(back) == record


def test_text_and_media_keep_their_order_and_how_closely_to_look() -> None:
    blocks = [
        TextBlock(text="The first picture:"),
        ImageBlock(url="https://example.org/a.png", detail="high"),
        TextBlock(text="The second one:"),
        ImageBlock(url="https://example.org/b.png", detail="low"),
        VideoBlock(url="https://example.org/c.mp4", video_mimetype="video/mp4", fps=2),
    ]
    assert to_chat_message(to_message(ChatMessage(blocks=blocks))).blocks == blocks
    close, far = (
        to_message(ChatMessage(blocks=[ImageBlock(url="https://a.b/c", detail=how)])) for how in ("high", "low")
    )
    assert close != far, "another answer"


def test_media_that_are_nowhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="neither data"):
        to_message(ChatMessage(blocks=[ImageBlock()]))
    with pytest.raises(RequestError, match="cannot be read"):
        to_message(ChatMessage(blocks=[DocumentBlock(path=str(tmp_path / "none.pdf"))]))


def test_thinking_and_blocks_without_a_standard_form() -> None:
    citation = CitationBlock(cited_content="so", source="s", title="t", additional_location_info={"page": 1})
    thinking = ThinkingBlock(content="hm", additional_information={"signature": "abc"})
    message = ChatMessage(role="assistant", blocks=[TextBlock(text="a"), thinking, citation, TextBlock(text="b")])
    record = to_message(message)
    back = to_chat_message(record)
    assert back.blocks == [thinking, TextBlock(text="ab"), citation]
    assert to_chat_message(
        Message(role="assistant", content=({"type": "thinking", "thinking": "hm", "signature": "s"},))
    ).blocks[0].additional_information == {"signature": "s"}
    citable = CitableBlock(title="t", source="s", content="words")
    assert to_message(ChatMessage(blocks=[citable])).text == "words"


def test_unknown_blocks_of_others_are_left_out() -> None:
    content = (
        {"type": "strange"},
        {"type": "non_standard", "value": {"x": 1}},
        {"type": "non_standard", "value": {"llamaindex": {"block_type": "nope"}}},
        {"type": "text", "text": "t"},
    )
    assert to_chat_message(Message(role="assistant", content=content)).blocks == [TextBlock(text="t")]


def test_tool_turns() -> None:
    made = ToolCall(id="c1", name="add", arguments={"a": 1})
    history = [
        ChatMessage(
            role="assistant", blocks=[ToolCallBlock(tool_call_id="c1", tool_name="add", tool_kwargs='{"a": 1}')]
        ),
        ChatMessage(role="tool", content="5", additional_kwargs={"tool_call_id": "c1", "is_error": True}),
    ]
    asked, answered = to_messages(history)
    assert asked.tool_calls == (made,)
    assert (answered.tool_call_id, answered.tool_error) == ("c1", True)
    back = to_native_messages((asked, answered))
    assert back[0].blocks[0].tool_kwargs == {"a": 1}
    assert back[1].additional_kwargs == {"tool_call_id": "c1", "is_error": True}


@pytest.mark.parametrize(
    "legacy",
    [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
        SimpleNamespace(id="c1", function=SimpleNamespace(name="add", arguments='{"a": 1}')),
        ToolSelection(tool_id="c1", tool_name="add", tool_kwargs={"a": 1}),
        ToolCallBlock(tool_call_id="c1", tool_name="add", tool_kwargs={"a": 1}),
    ],
)
def test_tool_calls_of_older_forms(legacy: Any) -> None:
    message = ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": [legacy]})
    assert to_message(message).tool_calls == (ToolCall(id="c1", name="add", arguments={"a": 1}),)
    (selected,) = read_tool_calls(ChatResponse(message=message))
    assert (selected.tool_id, selected.tool_name, selected.tool_kwargs) == ("c1", "add", {"a": 1})


@pytest.mark.parametrize("arguments", ["{", "[1]"])
def test_broken_arguments_are_refused(arguments: str) -> None:
    block = ToolCallBlock(tool_call_id="c", tool_name="add", tool_kwargs=arguments)
    message = ChatMessage(role="assistant", blocks=[block])
    with pytest.raises(RequestError, match="no JSON"):
        to_message(message)
    (selected,) = read_tool_calls(ChatResponse(message=message))
    assert selected.tool_kwargs == {}


def test_half_streamed_arguments_are_nothing_worse() -> None:
    block = ToolCallBlock(tool_call_id="c", tool_name="add", tool_kwargs='{"a": 1}}')
    assert read_tool_calls(ChatResponse(message=ChatMessage(role="assistant", blocks=[block])))[0].tool_kwargs == {}


def test_one_call_is_kept_in_both_places() -> None:
    calls = tuple(ToolCall(id=name, name=name, arguments={}) for name in "ab")
    two = ChatResponse(message=to_chat_message(Message(role="assistant", content="t", tool_calls=calls)))
    one = keep_one_call(two)
    assert [block.tool_name for block in one.message.blocks if isinstance(block, ToolCallBlock)] == ["a"]
    assert [made["id"] for made in one.message.additional_kwargs["tool_calls"]] == ["a"]
    assert len(two.message.additional_kwargs["tool_calls"]) == 2
    bare = ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_name="a"), ToolCallBlock(tool_name="b")])
    assert len(keep_one_call(ChatResponse(message=bare)).message.blocks) == 1


def test_tools() -> None:
    assert to_tool({"name": "x", "parameters": {}}) == {"name": "x", "parameters": {}}


def test_a_whole_answer_is_a_response() -> None:
    answer = Answer(
        id="a", message=Message(role="assistant", content="x"), route=Route.SMALL, model="m", members=("m",),
        usage=Usage(input_tokens=1), saved=Usage(), risk=Risk(value=0.1, interval=(0.0, 0.2)),
        novelty=Novelty(value=None), cache=CacheDecision(action="miss"),
        decision=RouteDecision(route=Route.SMALL, why=""),
    )  # fmt: skip
    assert json.loads(json.dumps(to_response(answer).raw))["leo"]["answer_id"] == "a"
