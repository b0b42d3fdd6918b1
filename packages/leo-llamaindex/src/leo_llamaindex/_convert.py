"""LlamaIndex's messages and content blocks as the records of the core, and back.

What is kept of a message is what can change an answer: role, blocks, tool calls, names. A block that has no standard
form stays as it is, in a ``non_standard`` block, and comes back unchanged. ``CachePoint`` steers a provider's own
prompt cache and is left out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from io import IOBase
from mimetypes import guess_type
from typing import Any, cast
from uuid import uuid4

from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    ContentBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from pydantic import TypeAdapter, ValidationError

from leo_core.errors import RequestError
from leo_core.records import Json, Message, Role, ToolCall

__all__ = [
    "legacy_call",
    "make_call",
    "read_legacy_call",
    "reads_disk",
    "to_chat_message",
    "to_message",
    "to_messages",
    "to_native_messages",
]

NATIVE = "llamaindex"
"""Key in a ``non_standard`` block under which LlamaIndex's own block is kept."""

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}
_MEDIA = (ImageBlock, AudioBlock, VideoBlock, DocumentBlock)
_BLOCK: TypeAdapter[Any] = TypeAdapter(ContentBlock)


# ------------------------------------------------------------------------------------------- to the core


def to_messages(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """LlamaIndex's messages as records, in order."""
    return tuple(to_message(message) for message in messages)


def to_message(message: ChatMessage) -> Message:
    """One message as a record; blocks that name a file read it.

    Raises:
        RequestError: A block cannot be read, or a tool call's arguments are no JSON.
    """
    role = _ROLES[message.role.value]
    blocks = tuple(_to_blocks(message.blocks))
    plain_text = all(set(block) == {"type", "text"} for block in blocks)
    beside = message.additional_kwargs
    return Message(
        role=role,
        content="\n".join(str(block["text"]) for block in blocks) if plain_text else blocks,
        tool_calls=_calls_of(message) if role == "assistant" else (),
        tool_call_id=str(beside.get("tool_call_id") or "") if role == "tool" else None,
        tool_error=role == "tool" and bool(beside.get("is_error")),
        name=str(beside["name"]) if beside.get("name") else None,
    )


def reads_disk(messages: Sequence[ChatMessage]) -> bool:
    """Whether converting the messages opens files."""
    return any(
        isinstance(block, _MEDIA) and getattr(block, "path", None) is not None
        for message in messages
        for block in message.blocks
    )


def _to_blocks(blocks: Iterable[Any]) -> Iterable[dict[str, Json]]:
    for block in blocks:
        if isinstance(block, CitableBlock):
            yield from _to_blocks(block.content)
        elif not isinstance(block, CachePoint | ToolCallBlock):
            yield _to_block(block)


def _to_block(block: Any) -> dict[str, Json]:  # noqa: PLR0911 - one per kind
    match block:
        case TextBlock():
            return {"type": "text", "text": block.text}
        case ThinkingBlock():
            extras = {"extras": dict(block.additional_information)} if block.additional_information else {}
            return {"type": "reasoning", "reasoning": block.content or "", **extras}
        case ImageBlock():
            return {"type": "image", **_media(block, block.image, block.image_mimetype), **_sampling(block)}
        case AudioBlock():
            return {"type": "audio", **_media(block, block.audio, f"audio/{block.format or 'wav'}")}
        case VideoBlock():
            return {"type": "video", **_media(block, block.video, block.video_mimetype), **_sampling(block)}
        case DocumentBlock():
            named = {"filename": block.title} if block.title else {}
            return {"type": "file", **_media(block, block.data, block.document_mimetype), **named}
        case _:
            return {"type": "non_standard", "value": {NATIVE: block.model_dump(mode="json")}}


def _media(block: Any, data: bytes | IOBase | None, mime_type: str | None) -> dict[str, Json]:
    """Where the media are: an address, or the bytes in base64. LlamaIndex keeps bytes in base64 already."""
    if isinstance(data, bytes) and data:
        encoded = data.decode("ascii")
    elif isinstance(data, IOBase):
        data.seek(0)
        encoded = base64.b64encode(data.read()).decode("ascii")
    elif block.path is not None:
        encoded = _read_file(block.path)
    elif block.url is not None:
        return {"url": str(block.url), **({"mime_type": mime_type} if mime_type else {})}
    else:
        message = f"a {block.block_type} block holds neither data, nor a path, nor an address"
        raise RequestError(message)
    known = mime_type or _guess_mime_type(block, encoded)
    return {"base64": encoded, **({"mime_type": known} if known else {})}


def _guess_mime_type(block: Any, encoded: str) -> str | None:
    """What LlamaIndex takes the bytes for, which it does not ask of open files, or else what the name says."""
    data = encoded.encode("ascii")
    match block:
        case ImageBlock():
            return ImageBlock(image=data).image_mimetype
        case VideoBlock():
            return VideoBlock(video=data).video_mimetype
        case DocumentBlock():
            named = guess_type(str(block.path or block.title or ""))[0]
            return DocumentBlock(data=data).document_mimetype or named
        case _:
            return None


def _sampling(block: ImageBlock | VideoBlock) -> dict[str, Json]:
    """How closely the model is to look."""
    given = {name: getattr(block, name, None) for name in ("detail", "fps")}
    return {name: value for name, value in given.items() if value is not None}


def _read_file(path: Any) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a text or a path
            return base64.b64encode(file.read()).decode("ascii")
    except OSError as error:
        message = f"a content block names a file that cannot be read ({type(error).__name__})"
        raise RequestError(message) from error


# --------------------------------------------------------------------------------------------- tool calls


def _calls_of(message: ChatMessage) -> tuple[ToolCall, ...]:
    """Tool calls from the blocks, or else from ``additional_kwargs`` in OpenAI's form."""
    calls = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if calls:
        return tuple(make_call(call.tool_call_id, call.tool_name, call.tool_kwargs) for call in calls)
    legacy = message.additional_kwargs.get("tool_calls") or ()
    return tuple(read_legacy_call(call) for call in legacy)


def read_legacy_call(call: Any) -> ToolCall:
    """A tool call in OpenAI's form, as a ``ToolSelection`` or as a ``ToolCallBlock``; a mapping or an object."""
    function = _part(call, "function")
    if function is not None:
        return make_call(_part(call, "id"), _part(function, "name"), _part(function, "arguments"))
    identity = _part(call, "tool_id") or _part(call, "tool_call_id")
    return make_call(identity, _part(call, "tool_name"), _part(call, "tool_kwargs"))


def legacy_call(identity: str | None, name: str, arguments: dict[str, Any] | str) -> dict[str, Any]:
    """A tool call as it also stands in ``additional_kwargs``, where LlamaIndex's streaming programs look for it."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": identity or "", "type": "function", "function": {"name": name, "arguments": text}}


def make_call(identity: Any, name: Any, arguments: Any) -> ToolCall:
    """A tool call; one without an id gets one.

    Raises:
        RequestError: The arguments are no JSON object.
    """
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            message = f"a call of the tool {name!r} has arguments that are no JSON"
            raise RequestError(message) from error
    if not isinstance(arguments or {}, Mapping):
        message = f"a call of the tool {name!r} has arguments that are no JSON object"
        raise RequestError(message)
    return ToolCall(id=str(identity or f"call_{uuid4().hex[:24]}"), name=str(name), arguments=dict(arguments or {}))


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


# ----------------------------------------------------------------------------------------- from the core


def to_native_messages(messages: Sequence[Message]) -> list[ChatMessage]:
    """Records as LlamaIndex's messages, in order."""
    return [to_chat_message(message) for message in messages]


def to_chat_message(message: Message) -> ChatMessage:
    """A record as a message: reasoning first, then text and media in their order, then tool calls.

    The text of an assistant's message is one block, before what else it shows.
    """
    beside: dict[str, Any] = {"name": message.name} if message.name else {}
    if message.tool_calls:
        beside["tool_calls"] = [legacy_call(call.id, call.name, dict(call.arguments)) for call in message.tool_calls]
    if message.role == "tool":
        beside["tool_call_id"] = message.tool_call_id or ""
    if message.tool_error:
        beside["is_error"] = True
    return ChatMessage(
        role=MessageRole(message.role), blocks=list(_to_native_blocks(message)), additional_kwargs=beside
    )


def _to_native_blocks(message: Message) -> Iterable[Any]:
    content = ({"type": "text", "text": message.content},) if isinstance(message.content, str) else message.content
    if message.role == "assistant":
        others = [block for block in content if block.get("type") != "text"]
        content = ({"type": "text", "text": message.text}, *others)
    native = [block for block in map(_to_native_block, content) if block not in (None, TextBlock(text=""))]
    yield from sorted(native, key=lambda block: not isinstance(block, ThinkingBlock))
    if not native and not message.tool_calls:
        yield TextBlock(text="")
    for call in message.tool_calls:
        yield ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=dict(call.arguments))


def _to_native_block(block: Mapping[str, Json]) -> Any:  # noqa: PLR0911 - one per kind
    """A block in LlamaIndex's form; ``None`` where there is none."""
    mime_type = block.get("mime_type")
    match block.get("type"):
        case "text":
            return TextBlock(text=str(block.get("text", "")))
        case "reasoning" | "thinking":
            return _to_thinking(block)
        case "image":
            return ImageBlock(**_located(block, "image"), image_mimetype=mime_type, detail=block.get("detail"))
        case "audio":
            return AudioBlock(**_located(block, "audio"), format=str(mime_type or "audio/wav").partition("/")[2])
        case "video":
            detail, fps = block.get("detail"), block.get("fps")
            return VideoBlock(**_located(block, "video"), video_mimetype=mime_type, detail=detail, fps=fps)
        case "file":
            return DocumentBlock(**_located(block, "data"), document_mimetype=mime_type, title=block.get("filename"))
        case "non_standard":
            return _restored(block.get("value"))
        case _:
            return None


def _to_thinking(block: Mapping[str, Json]) -> ThinkingBlock:
    text = block.get("reasoning") or block.get("thinking") or ""
    known = dict(block.get("extras") or {})
    if block.get("signature"):
        known["signature"] = block["signature"]
    return ThinkingBlock(content=str(text), additional_information=known)


def _located(block: Mapping[str, Json], name: str) -> dict[str, Any]:
    data = block.get("base64")
    return {name: data.encode("ascii")} if isinstance(data, str) else {"url": block.get("url")}


def _restored(value: Json) -> Any:
    kept = value.get(NATIVE) if isinstance(value, Mapping) else None
    try:
        return cast("Any", _BLOCK.validate_python(kept)) if kept is not None else None
    except ValidationError:
        return None
