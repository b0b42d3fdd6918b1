"""LangChain's messages, tools and formats as the records of the core.

What is kept of a message is what can change an answer: role, content, tool calls, names. Ids of messages and of
content blocks, usage and response metadata differ between two runs of the same conversation and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, FunctionMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool

from leo_core.errors import ConfigError, RequestError
from leo_core.records import Json, Message, Role, ToolCall, Usage
from leo_langchain._blocks import without_leo_blocks

__all__ = [
    "to_message",
    "to_messages",
    "to_response_format",
    "to_tool",
    "to_usage",
    "without_ids",
]

_ROLES: Mapping[str, Role] = {
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
_CALL_BLOCKS = frozenset({"tool_call", "tool_call_chunk", "tool_use", "input_json_delta", "function_call"})
_LINKED_BLOCKS = frozenset({"tool_call", "tool_use", "server_tool_call", "server_tool_use"})
_NOT_NAME = re.compile(r"[^A-Za-z0-9_-]")


# ------------------------------------------------------------------------------------------------ messages


def to_messages(messages: Sequence[BaseMessage]) -> tuple[Message, ...]:
    """LangChain messages as records, in order.

    A call with malformed arguments that was answered nonetheless, as agents answer it with an error, is a call: the
    answer refers to it, and LangChain's own models send it.
    """
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    return tuple(_with_malformed_calls(to_message(message), message, answered) for message in messages)


def _with_malformed_calls(record: Message, message: BaseMessage, answered: set[str]) -> Message:
    malformed = message.invalid_tool_calls if isinstance(message, AIMessage) else []
    calls = tuple(
        ToolCall(id=call["id"], name=call["name"] or "unknown", arguments={"malformed": call["args"] or ""})
        for call in malformed
        if call["id"] is not None and call["id"] in answered
    )
    return replace(record, tool_calls=(*record.tool_calls, *calls)) if calls else record


def to_message(message: BaseMessage) -> Message:
    """One LangChain message as a record.

    Content blocks of every dialect are brought into the standard form of LangChain v1, which loses nothing; a block
    that the standard does not know stays as it is, in a ``non_standard`` block. A message that is one plain text
    block equals a message with that text. LEO's own blocks are no content.
    """
    message = without_leo_blocks(message)
    is_reply = isinstance(message, AIMessage)
    is_tool = isinstance(message, ToolMessage)
    tool_call_id = message.tool_call_id if isinstance(message, ToolMessage) else None
    return Message(
        role=_role_of(message),
        content=_content_of(message),
        tool_calls=_calls_of(message) if is_reply else (),
        tool_call_id=message.name if isinstance(message, FunctionMessage) else tool_call_id,
        tool_error=is_tool and getattr(message, "status", "success") == "error",
        name=message.name,
    )


def _role_of(message: BaseMessage) -> Role:
    kind = message.role if isinstance(message, ChatMessage) else message.type.removesuffix("MessageChunk").lower()
    role = _ROLES.get(kind)
    if role is None:
        known = ", ".join(sorted(_ROLES))
        text = f"a message has the unknown role {kind!r}; known roles: {known}"
        raise RequestError(text)
    return role


def _content_of(message: BaseMessage) -> str | tuple[Mapping[str, Json], ...]:
    if isinstance(message.content, str):
        return message.content
    standard = _with_text_blocks(message).content_blocks
    blocks = tuple(block for block in map(_to_block, standard) if block is not None and not _is_call(block))
    if not blocks:
        return ""
    if len(blocks) == 1 and set(blocks[0]) == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks


def _with_text_blocks(message: BaseMessage) -> BaseMessage:
    """The message with text that stands bare in a list of blocks as blocks; some translators would drop it."""
    if not any(isinstance(item, str) for item in message.content):
        return message
    content = [{"type": "text", "text": item} if isinstance(item, str) else item for item in message.content if item]
    return message.model_copy(update={"content": content})


def _to_block(block: Mapping[str, Any]) -> Mapping[str, Json] | None:
    """A standard block without what differs between runs."""
    inner = block.get("value")
    if block.get("type") == "non_standard" and isinstance(inner, Mapping):
        if inner.get("type") == "thinking":
            return _reasoning(inner)
        return None if inner.get("type") in _CALL_BLOCKS else {"type": "non_standard", "value": dict(inner)}
    kept = {name: value for name, value in block.items() if name != "index"}
    if block.get("type") not in _LINKED_BLOCKS:
        kept.pop("id", None)
    return kept


def _reasoning(block: Mapping[str, Any]) -> Mapping[str, Json]:
    signature = {"extras": {"signature": block["signature"]}} if block.get("signature") else {}
    return {"type": "reasoning", "reasoning": block.get("thinking", ""), **signature}


def _is_call(block: Mapping[str, Json]) -> bool:
    return block.get("type") in _CALL_BLOCKS


def _calls_of(message: BaseMessage) -> tuple[ToolCall, ...]:
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return tuple(ToolCall(id=call["id"] or "", name=call["name"], arguments=dict(call["args"])) for call in calls)


def without_ids(content: str | list[str | dict[Any, Any]]) -> str | list[str | dict[Any, Any]]:
    """Content without the ids of its blocks, so that a replay is a new message; ids that tools refer to stay."""
    if isinstance(content, str):
        return content
    return [
        {name: value for name, value in block.items() if name != "id"}
        if isinstance(block, dict) and block.get("type") not in _LINKED_BLOCKS
        else block
        for block in content
    ]


# ------------------------------------------------------------------------------------------- tools, formats


def to_tool(tool: Mapping[str, Any]) -> Mapping[str, Json]:
    """A tool in OpenAI's form as ``{"name", "description", "parameters", "strict"?}``; a built-in one as it is."""
    function = convert_to_openai_tool(dict(tool)).get("function")
    if not isinstance(function, Mapping):
        return dict(tool)
    neutral = {
        "name": function["name"],
        "description": function.get("description", ""),
        "parameters": function.get("parameters") or {"type": "object", "properties": {}},
    }
    return {**neutral, "strict": function["strict"]} if function.get("strict") is not None else neutral


def to_response_format(given: object) -> Mapping[str, Json] | None:
    """A response format in any of the usual forms, in the neutral one.

    Args:
        given: ``None``, OpenAI's mapping, Anthropic's mapping, a JSON schema, or a class with a schema.

    Raises:
        ConfigError: The form is unknown.
    """
    if given is None or (isinstance(given, Mapping) and given.get("type") == "text"):
        return None
    if isinstance(given, Mapping) and given.get("type") == "json_object":
        return {"type": "json_object"}
    if isinstance(given, Mapping) and given.get("type") == "json_schema":
        inner = given.get("json_schema", given)
        strict = inner.get("strict")
        schema = inner.get("schema") or {}
        neutral = {"type": "json_schema", "name": inner.get("name") or _title(schema), "schema": dict(schema)}
        if inner.get("description"):
            neutral["description"] = str(inner["description"])
        return neutral if strict is None else {**neutral, "strict": bool(strict)}
    try:
        schema = convert_to_json_schema(given)  # type: ignore[arg-type]  # it says itself what it does not take
    except (TypeError, ValueError) as error:
        text = f"response_format={type(given).__name__} is not understood: give a schema or OpenAI's mapping"
        raise ConfigError(text) from error
    return {"type": "json_schema", "name": _title(schema), "schema": schema}


def _title(schema: Mapping[str, Any]) -> str:
    return _NOT_NAME.sub("_", str(schema.get("title") or "answer"))[:64]


# ---------------------------------------------------------------------------------------------------- usage


def to_usage(message: AIMessage, *, calls: int = 1) -> Usage:
    """The tokens that a message reports; the cost is left unknown."""
    usage: Mapping[str, Any] = message.usage_metadata or {}
    return Usage(
        input_tokens=int(usage.get("input_tokens") or 0),
        output_tokens=int(usage.get("output_tokens") or 0),
        cached_input_tokens=int((usage.get("input_token_details") or {}).get("cache_read") or 0),
        reasoning_tokens=int((usage.get("output_token_details") or {}).get("reasoning") or 0),
        calls=calls,
        cost_usd=None,
    )
