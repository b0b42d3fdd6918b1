"""From a request to the body of a Chat Completions call.

Two things have no place in Chat Completions and are written differently: media in a tool's result follow the results
as a user message, and hidden reasoning of earlier turns (``reasoning``, ``thinking``) is left out, because the protocol
takes none and it is not part of what was said. Every other block that cannot be carried is refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from leo_core.errors import RequestError
from leo_core.providers.blocks import Part, read_parts
from leo_core.providers.payload import (
    cannot_carry,
    check_encodable,
    check_messages,
    data_url,
    named_tool,
    split_options,
)

if TYPE_CHECKING:
    from leo_core.records import Json, Message, Request, ToolCall

__all__ = ["build_openai_payload"]

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_WORDS: Final = {"any": "required", "required": "required", "auto": "auto", "none": "none"}
_AUDIO: Final = {"x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "mpeg": "mp3", "mpga": "mp3", "x-m4a": "m4a"}


def build_openai_payload(
    request: Request, *, model: str, limit_name: str = "max_completion_tokens"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body of the call, and the arguments that the SDK itself takes (``extra_headers`` …).

    Args:
        request: What is asked.
        model: Name of the model; ``request.model`` overrides it.
        limit_name: How the server calls the limit of output tokens: ``max_completion_tokens`` at OpenAI,
            ``max_tokens`` at most servers that are compatible with it.

    Raises:
        RequestError: The request is malformed, or cannot be encoded.
        CapabilityError: A content block has no form in this protocol.
    """
    check_messages(request)
    options, call = split_options(request.options)
    own_limit = {"max_tokens", "max_completion_tokens"} & options.keys()
    body = {
        "model": request.model or model,
        "messages": _messages(request.messages),
        **_sampling(request, None if own_limit else limit_name),
        **_tools(request),
        **_response_format(request),
        **options,
    }
    check_encodable(body)
    return body, call


def _sampling(request: Request, limit_name: str | None) -> dict[str, Any]:
    sampling = request.sampling
    values = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed,
    }
    if limit_name:
        values[limit_name] = sampling.max_tokens
    return {name: value for name, value in values.items() if value is not None}


def _tools(request: Request) -> dict[str, Any]:
    named = named_tool(request)
    if not request.tools:
        return {}
    body: dict[str, Any] = {"tools": [_tool(tool) for tool in request.tools]}
    if named is not None:
        body["tool_choice"] = {"type": "function", "function": {"name": named}}
    elif request.tool_choice is not None:
        body["tool_choice"] = _WORDS[request.tool_choice]
    return body


def _tool(tool: Mapping[str, Json]) -> dict[str, Any]:
    if not tool.get("name") or "parameters" not in tool:
        message = f"a tool needs 'name' and 'parameters'; this one has {', '.join(sorted(tool)) or 'nothing'}"
        raise RequestError(message)
    function = {
        name: tool[name] for name in ("name", "description", "parameters", "strict") if tool.get(name) is not None
    }
    return {"type": "function", "function": function}


def _response_format(request: Request) -> dict[str, Any]:
    wanted = request.response_format
    if wanted is None:
        return {}
    if wanted.get("type") == "json_object":
        return {"response_format": {"type": "json_object"}}
    if wanted.get("type") == "json_schema" and isinstance(wanted.get("schema"), Mapping):
        inner = {
            name: wanted[name] for name in ("name", "description", "schema", "strict") if wanted.get(name) is not None
        }
        return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", **inner}}}
    message = f"unknown response_format type {wanted.get('type')!r}; use 'json_object' or 'json_schema' with a schema"
    raise RequestError(message)


# ------------------------------------------------------------------------------------------- messages


def _messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Messages on the wire; media of tool results follow their run of results as one user message."""
    wire: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    for message in messages:
        if message.role != "tool" and waiting:
            wire.append({"role": "user", "content": waiting})
            waiting = []
        parts = read_parts(message)
        if message.role == "tool":
            wire.append(_result(str(message.tool_call_id), parts, waiting))
        elif message.role == "assistant":
            wire.append(_assistant(message, parts))
        elif message.role == "user":
            wire.extend(_user(message, parts))
        else:
            wire.append({"role": "system", "content": _only_text(parts, "OpenAI, in a system message,")})
    return [*wire, {"role": "user", "content": waiting}] if waiting else wire


def _user(message: Message, parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    """A user turn; tool results written as blocks inside it (Anthropic's form) become tool messages before it."""
    media: list[dict[str, Any]] = []
    results = [_result(part.block["tool_use_id"], part.results, media) for part in parts if part.kind == "tool_result"]
    said = tuple(part for part in parts if part.kind != "tool_result")
    if results and not said and not media:
        return results
    if len(said) == len(parts) and all(part.kind == "text" for part in said) and len(said) <= 1:
        turn: dict[str, Any] = {"role": "user", "content": message.text}
    else:
        turn = {"role": "user", "content": [*media, *(_content(part) for part in said)]}
    return [*results, turn | _speaker(message)]


def _speaker(message: Message) -> dict[str, str]:
    """The speaker's name, where it has the form that OpenAI accepts."""
    return {"name": message.name} if message.name and _NAME.fullmatch(message.name) else {}


def _assistant(message: Message, parts: tuple[Part, ...]) -> dict[str, Any]:
    calls = {call.id: call for call in message.tool_calls}
    said: list[str] = []
    refused: list[str] = []
    for part in parts:
        if part.kind == "tool_call" and part.call is not None:
            calls.setdefault(part.call.id, part.call)
        elif part.kind == "text":
            said.append(part.text)
        elif part.kind == "refusal":
            refused.append(part.text)
        elif part.kind not in ("reasoning", "echo"):
            raise cannot_carry(part, "OpenAI, in an assistant's message,")
    turn: dict[str, Any] = {"role": "assistant", "content": "".join(said)}
    if calls:
        turn |= {"content": "".join(said) or None, "tool_calls": [_call(call) for call in calls.values()]}
    return turn | ({"refusal": "".join(refused)} if refused else {}) | _speaker(message)


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False, default=dict)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _result(call_id: str, parts: Iterable[Part], media: list[dict[str, Any]]) -> dict[str, Any]:
    """A tool's result; what is not text is added to ``media``."""
    said: list[str] = []
    for part in parts:
        if part.kind == "text" or (part.kind == "file" and part.text):
            said.append(part.text)
        else:
            media.append({"type": "text", "text": f"From the tool call {call_id}:"})
            media.append(_content(part))
    text = "\n".join(said) or ("(in the next message)" if media else "")
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def _only_text(parts: Iterable[Part], where: str) -> str:
    texts = []
    for part in parts:
        if part.kind != "text":
            raise cannot_carry(part, where)
        texts.append(part.text)
    return "\n".join(texts)


# --------------------------------------------------------------------------------------------- blocks


def _content(part: Part) -> dict[str, Any]:
    if part.kind in ("text", "refusal"):
        return {"type": "text", "text": part.text}
    if part.kind == "image":
        return _image(part)
    if part.kind == "audio":
        return _audio(part)
    if part.kind == "file":
        return _file(part)
    raise cannot_carry(part, "OpenAI")


def _image(part: Part) -> dict[str, Any]:
    if part.file_id:
        raise cannot_carry(part, "OpenAI", "give the image as url or base64 instead of file_id")
    target: dict[str, Any] = {"url": part.url or data_url(part)}
    inner = part.block.get("image_url")
    detail = inner.get("detail") if isinstance(inner, Mapping) else part.block.get("detail")
    return {"type": "image_url", "image_url": target | ({"detail": detail} if detail else {})}


def _audio(part: Part) -> dict[str, Any]:
    if part.base64 is None or not part.mime_type:
        raise cannot_carry(part, "OpenAI", "give the audio as base64 with a mime_type")
    subtype = part.mime_type.partition("/")[2] or part.mime_type
    return {"type": "input_audio", "input_audio": {"data": part.base64, "format": _AUDIO.get(subtype, subtype)}}


def _file(part: Part) -> dict[str, Any]:
    if part.text:
        return {"type": "text", "text": part.text}
    if part.file_id:
        return {"type": "file", "file": {"file_id": part.file_id}}
    if part.base64 is None:
        raise cannot_carry(part, "OpenAI", "give the file as base64 or file_id instead of url")
    if part.mime_type.startswith("image/"):
        return _image(part)
    name = part.filename or f"document.{part.mime_type.partition('/')[2] or 'bin'}"
    return {"type": "file", "file": {"filename": name, "file_data": data_url(part)}}
