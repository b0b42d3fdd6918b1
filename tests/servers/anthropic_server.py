"""A loopback server that speaks Anthropic's Messages protocol.

::

    with AnthropicServer() as server:
        client = anthropic.Anthropic(base_url=server.base_url, api_key="sk-ant-test")

It refuses what the real one refuses: a missing ``max_tokens``, unknown roles and blocks, empty text blocks, tool uses
without results.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.servers.brain import Asked, Reply, Tool, ToolUse
from tests.servers.loopback import Event, Fault, LoopbackServer, WireError

__all__ = ["AnthropicServer", "start_anthropic_server"]

_MODELS = ("claude-sonnet-4-5", "claude-haiku-4-5")
_BLOCKS = {
    "user": {"text", "image", "document", "tool_result", "search_result", "container_upload"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
    "tool_result": {"text", "image", "document", "search_result"},
}
_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class AnthropicServer(LoopbackServer):
    """``POST /v1/messages`` (with and without streaming) and ``GET /v1/models``."""

    def key_of(self, headers: Mapping[str, str]) -> str:
        """The value of ``x-api-key`` or, as newer SDKs send it, the bearer token."""
        return headers.get("x-api-key", "") or headers.get("authorization", "").removeprefix("Bearer ")

    def error_body(self, status: int, message: str) -> Mapping[str, Any]:
        """Anthropic's error body."""
        kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_loopback"}

    def error_event(self) -> Event:
        """An error inside a stream."""
        return Event(name="error", data=self.error_body(529, "Overloaded"))

    def get(self, path: str) -> Mapping[str, Any]:
        """The list of models."""
        if not path.startswith("/v1/models"):
            raise WireError(f"Not found: GET {path}", status=404)
        rows = [{"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01"} for name in _MODELS]
        return {"data": rows, "has_more": False, "first_id": _MODELS[0], "last_id": _MODELS[-1]}

    def post(self, path: str, body: Mapping[str, Any], fault: Fault) -> Any:
        """A message."""
        if path.partition("?")[0] != "/v1/messages":
            raise WireError(f"Not found: POST {path}", status=404)
        _check(body)
        reply = self.think(_asked(body))
        blocks, stop_reason, stop_sequence = _blocks(reply, body)
        if fault.no_choices:
            blocks = []
        message = {
            "id": f"msg_{next(_ids)}",
            "type": "message",
            "role": "assistant",
            "model": reply.model or body["model"],
            "content": blocks,
            "stop_reason": stop_reason,
            "stop_sequence": stop_sequence,
            "usage": _usage(body, reply),
        }
        return _events(message, {use.name: use for use in reply.tool_uses}) if body.get("stream") else message


def start_anthropic_server(**options: Any) -> AnthropicServer:
    """Start a server that lives until ``close`` or the end of the process."""
    return AnthropicServer(**options).start()


# -------------------------------------------------------------------------------------------- request


def _check(body: Mapping[str, Any]) -> None:
    for name in ("model", "max_tokens", "messages"):
        if not body.get(name):
            raise WireError(f"{name}: Field required")
    if body["messages"][0].get("role") != "user":
        raise WireError("messages: first message must use the user role")
    open_uses: set[str] = set()
    for number, message in enumerate(body["messages"]):
        blocks = _check_message(number, message)
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if results - open_uses:
            raise WireError(f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks")
        if open_uses - results:
            raise WireError(f"messages.{number}: `tool_use` ids were found without `tool_result` blocks")
        open_uses = {block["id"] for block in blocks if block["type"] == "tool_use"}
    for tool in body.get("tools") or ():
        if "input_schema" in tool and tool["input_schema"].get("type") != "object":
            raise WireError("tools.0.custom.input_schema.type: Field required")
    if body.get("tool_choice") and not body.get("tools"):
        raise WireError("tool_choice may only be specified while providing tools.")


def _check_message(number: int, message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant"):
        raise WireError(f'messages.{number}.role: Unexpected role "{role}"')
    if isinstance(content, str):
        if not content:
            raise WireError(f"messages.{number}: all messages must have non-empty content")
        return [{"type": "text", "text": content}]
    if not content:
        raise WireError(f"messages.{number}: all messages must have non-empty content")
    for block in content:
        _check_block(number, block, role)
    return list(content)


def _check_block(number: int, block: Mapping[str, Any], place: str) -> None:
    kind = block.get("type")
    if kind not in _BLOCKS[place]:
        raise WireError(f"messages.{number}.content: Input tag '{kind}' does not match any of the expected tags")
    if kind == "text" and not block.get("text"):
        raise WireError(f"messages.{number}: text content blocks must be non-empty")
    if kind in ("image", "document") and block.get("source", {}).get("type") not in ("base64", "url", "file", "text"):
        raise WireError(f"messages.{number}.content.{kind}.source: Field required")
    if kind == "thinking" and "signature" not in block:
        raise WireError(f"messages.{number}.content.thinking.signature: Field required")
    if kind == "tool_use" and not isinstance(block.get("input"), Mapping):
        raise WireError(f"messages.{number}.content.tool_use.input: Input should be a valid dictionary")
    inner = block.get("content") if kind == "tool_result" else ()
    for part in inner if isinstance(inner, list) else ():
        _check_block(number, part, "tool_result")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(
        block.get("text", "") if block.get("type") == "text" else _text(block.get("content") or "")
        for block in content or ()
        if block.get("type") in ("text", "tool_result")
    )


def _asked(body: Mapping[str, Any]) -> Asked:
    last = body["messages"][-1]
    is_result = isinstance(last["content"], list) and any(block["type"] == "tool_result" for block in last["content"])
    users = [
        text for message in body["messages"] if message["role"] == "user" and (text := _spoken(message["content"]))
    ]
    choice = body.get("tool_choice") or {}
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return Asked(
        model=body["model"],
        body=body,
        last_role="tool" if is_result else last["role"],
        question=users[-1] if users else "",
        prompt="\n".join([_text(body.get("system") or ""), *(_text(item["content"]) for item in body["messages"])]),
        tools=tuple(
            Tool(name=tool["name"], schema=tool["input_schema"])
            for tool in body.get("tools") or ()
            if "input_schema" in tool
        ),
        forced=choice["name"]
        if choice.get("type") == "tool"
        else {"any": "any", "none": "none"}.get(choice.get("type", "")),
        schema=wanted.get("schema"),
    )


def _spoken(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(block["text"] for block in content if block["type"] == "text")


# ---------------------------------------------------------------------------------------------- reply

_ids = itertools.count(1)


def _tokens(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*$|\s*\S+|\s+", text)


def _blocks(reply: Reply, body: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str, str | None]:
    text, stop_reason, stop_sequence = reply.text, "tool_use" if reply.tool_uses else "end_turn", None
    for stop in body.get("stop_sequences") or ():
        if stop in text:
            text, stop_reason, stop_sequence = text.split(stop)[0], "stop_sequence", stop
    if len(_tokens(text)) > body["max_tokens"]:
        text, stop_reason = "".join(_tokens(text)[: body["max_tokens"]]), "max_tokens"
    blocks: list[dict[str, Any]] = []
    if reply.thinking:
        blocks.append({"type": "thinking", "thinking": reply.thinking, "signature": "c2lnbmVk"})
    if text:
        blocks.append({"type": "text", "text": text, "citations": None})
    blocks.extend(
        {"type": "tool_use", "id": use.id or f"toolu_{next(_ids)}", "name": use.name, "input": dict(use.arguments)}
        for use in reply.tool_uses
    )
    return blocks, reply.finish_reason or stop_reason, stop_sequence


def _usage(body: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    prompt = max(1, len(json.dumps([body["messages"], body.get("system"), body.get("tools")])) // 4)
    output = len(_tokens(reply.text + reply.thinking)) + sum(
        len(json.dumps(dict(use.arguments))) // 4 + 1 for use in reply.tool_uses
    )
    return {
        "input_tokens": prompt,
        "output_tokens": max(1, output),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "service_tier": "standard",
        **reply.usage,
    }


def _events(message: Mapping[str, Any], uses: Mapping[str, ToolUse]) -> Iterator[Event]:
    usage = message["usage"]
    opened = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    yield Event(name="message_start", data={"type": "message_start", "message": opened})
    yield Event(name="ping", data={"type": "ping"})
    for index, block in enumerate(message["content"]):
        empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
        start = {**block, **empty[block["type"]]}
        yield Event(
            name="content_block_start", data={"type": "content_block_start", "index": index, "content_block": start}
        )
        for delta in _deltas(block, uses):
            yield Event(
                name="content_block_delta", data={"type": "content_block_delta", "index": index, "delta": delta}
            )
        yield Event(name="content_block_stop", data={"type": "content_block_stop", "index": index})
    final = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    totals = {name: value for name, value in usage.items() if name.endswith("_tokens")}
    yield Event(name="message_delta", data={"type": "message_delta", "delta": final, "usage": totals})
    yield Event(name="message_stop", data={"type": "message_stop"})


def _deltas(block: Mapping[str, Any], uses: Mapping[str, ToolUse]) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        for token in _tokens(block["text"]):
            yield {"type": "text_delta", "text": token}
    elif block["type"] == "thinking":
        for token in _tokens(block["thinking"]):
            yield {"type": "thinking_delta", "thinking": token}
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        raw = uses[block["name"]].raw
        arguments = raw if raw is not None else json.dumps(block["input"], ensure_ascii=False)
        yield {"type": "input_json_delta", "partial_json": ""}
        for start in range(0, len(arguments), 7):
            yield {"type": "input_json_delta", "partial_json": arguments[start : start + 7]}
