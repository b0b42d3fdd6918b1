"""A loopback server that speaks OpenAI's Chat Completions protocol.

::

    with OpenAIServer() as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="sk-test")

It refuses what the real one refuses: unknown roles and content parts, tool calls without results, a missing model.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.servers.brain import Asked, Reply, Tool, ToolUse
from tests.servers.loopback import Event, Fault, LoopbackServer, WireError

__all__ = ["OpenAIServer", "start_openai_server"]

_MODELS = ("gpt-5-mini", "gpt-5", "gpt-4o-mini")
_PARTS = {
    "system": {"text"},
    "developer": {"text"},
    "user": {"text", "image_url", "input_audio", "file"},
    "assistant": {"text", "refusal"},
    "tool": {"text", "image_url", "input_audio", "file"},
    "function": {"text"},
}
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_FINISH = {True: "tool_calls", False: "stop"}


class OpenAIServer(LoopbackServer):
    """``POST /v1/chat/completions`` (with and without streaming) and ``GET /v1/models``."""

    @property
    def base_url(self) -> str:
        """What the OpenAI SDK takes as ``base_url``."""
        return f"{self.origin}/v1"

    def key_of(self, headers: Mapping[str, str]) -> str:
        """The bearer token."""
        return headers.get("authorization", "").removeprefix("Bearer ")

    def error_body(self, status: int, message: str) -> Mapping[str, Any]:
        """OpenAI's error body."""
        kind = _ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}

    def error_event(self) -> Event:
        """An error inside a stream."""
        return Event(data=self.error_body(500, "The server had an error while processing your request."))

    def get(self, path: str) -> Mapping[str, Any]:
        """The list of models."""
        if path != "/v1/models":
            raise WireError(f"Unknown request URL: GET {path}", status=404)
        return {
            "object": "list",
            "data": [{"id": name, "object": "model", "created": 1, "owned_by": "loopback"} for name in _MODELS],
        }

    def post(self, path: str, body: Mapping[str, Any], fault: Fault) -> Any:
        """A chat completion."""
        if path != "/v1/chat/completions":
            raise WireError(f"Unknown request URL: POST {path}", status=404)
        _check(body)
        reply = _limited(self.think(_asked(body)), body)
        if fault.no_choices:
            reply_body = {**_head(body, reply, "chat.completion"), "choices": [], "usage": _usage(body, reply)}
            return _no_choice_events(body, reply) if body.get("stream") else reply_body
        return _events(body, reply) if body.get("stream") else _completion(body, reply)


def start_openai_server(**options: Any) -> OpenAIServer:
    """Start a server that lives until ``close`` or the end of the process."""
    return OpenAIServer(**options).start()


# -------------------------------------------------------------------------------------------- request


def _check(body: Mapping[str, Any]) -> None:
    if not body.get("model"):
        raise WireError("you must provide a model parameter")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise WireError("[] is too short - 'messages'")
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        _check_message(number, message)
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise WireError(
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                )
            open_calls.discard(message["tool_call_id"])
        elif open_calls:
            raise WireError(f"tool_call_ids did not have response messages: {', '.join(sorted(open_calls))}")
        open_calls |= {call["id"] for call in message.get("tool_calls") or ()}
    if open_calls:
        raise WireError(f"tool_call_ids did not have response messages: {', '.join(sorted(open_calls))}")
    if body.get("tool_choice") not in (None, "none") and not body.get("tools"):
        raise WireError("'tool_choice' is only allowed when 'tools' are specified.")
    if "stream_options" in body and not body.get("stream"):
        raise WireError("The 'stream_options' parameter is only allowed when 'stream' is enabled.")


def _check_message(number: int, message: Mapping[str, Any]) -> None:
    role = message.get("role")
    if role not in _PARTS:
        raise WireError(f"Invalid value: '{role}' for messages[{number}].role")
    content = message.get("content")
    if content is None and not message.get("tool_calls"):
        raise WireError(f"Invalid value for 'content': expected a string, got null. messages[{number}].content")
    for part in content if isinstance(content, list) else ():
        kind = part.get("type")
        if kind not in _PARTS[role] or kind not in part:
            raise WireError(f"Invalid value: '{kind}' for messages[{number}].content[].type of role {role}")
    for call in message.get("tool_calls") or ():
        if call.get("type") != "function" or not isinstance(call["function"]["arguments"], str):
            raise WireError(f"Invalid type for messages[{number}].tool_calls")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content or () if part.get("type") == "text")


def _asked(body: Mapping[str, Any]) -> Asked:
    messages = body["messages"]
    users = [text for message in messages if message["role"] == "user" and (text := _text(message.get("content")))]
    choice = body.get("tool_choice")
    wanted = body.get("response_format") or {}
    schema = {"json_object": {}, "json_schema": wanted.get("json_schema", {}).get("schema")}.get(wanted.get("type", ""))
    return Asked(
        model=body["model"],
        body=body,
        last_role=messages[-1]["role"],
        question=users[-1] if users else "",
        prompt="\n".join(_text(message.get("content")) for message in messages),
        tools=tuple(
            Tool(name=tool["function"]["name"], schema=tool["function"].get("parameters") or {})
            for tool in body.get("tools") or ()
        ),
        forced=choice["function"]["name"]
        if isinstance(choice, Mapping)
        else {"required": "any", "none": "none"}.get(choice or ""),
        schema=schema,
    )


def _limited(reply: Reply, body: Mapping[str, Any]) -> Reply:
    """The reply after stop sequences and the token limit have cut it."""
    text, finish = reply.text, reply.finish_reason
    stops = body.get("stop") or ()
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop)[0]
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    tokens = _tokens(text)
    if limit is not None and len(tokens) > limit:
        text, finish = "".join(tokens[:limit]), finish or "length"
    if (text, finish) == (reply.text, reply.finish_reason):
        return reply
    return Reply(
        text=text,
        tool_uses=reply.tool_uses,
        thinking=reply.thinking,
        finish_reason=finish,
        usage=reply.usage,
        model=reply.model,
    )


# ---------------------------------------------------------------------------------------------- reply

_ids = itertools.count(1)


def _tokens(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*$|\s*\S+|\s+", text)


def _head(body: Mapping[str, Any], reply: Reply, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{next(_ids)}",
        "object": kind,
        "created": 1_750_000_000,
        "model": reply.model or body["model"],
        "system_fingerprint": "fp_loopback",
        "service_tier": "default",
    }


def _usage(body: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    prompt = max(1, len(json.dumps([body["messages"], body.get("tools")])) // 4)
    output = len(_tokens(reply.text)) + sum(len(_arguments(use)) // 4 + 1 for use in reply.tool_uses)
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": max(1, output),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        **reply.usage,
    }
    return {**usage, "total_tokens": usage["prompt_tokens"] + usage["completion_tokens"]}


def _arguments(use: ToolUse) -> str:
    return use.raw if use.raw is not None else json.dumps(use.arguments, ensure_ascii=False)


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "id": use.id or f"call_{next(_ids)}",
            "type": "function",
            "function": {"name": use.name, "arguments": _arguments(use)},
        }
        for use in reply.tool_uses
    ]


def _logprobs(body: Mapping[str, Any], text: str) -> dict[str, Any] | None:
    if not body.get("logprobs"):
        return None
    rows = [{"token": token, "logprob": -0.25, "bytes": None, "top_logprobs": []} for token in _tokens(text)]
    return {"content": rows, "refusal": None}


def _completion(body: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    choices = []
    for index in range(body.get("n") or 1):
        message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
        if not reply.tool_uses:
            message["content"] = reply.text
        if reply.thinking:
            message["reasoning_content"] = reply.thinking
        if reply.tool_uses:
            message["tool_calls"] = _calls(reply)
        finish = reply.finish_reason or _FINISH[bool(reply.tool_uses)]
        choices.append(
            {"index": index, "message": message, "finish_reason": finish, "logprobs": _logprobs(body, reply.text)}
        )
    return {**_head(body, reply, "chat.completion"), "choices": choices, "usage": _usage(body, reply)}


def _no_choice_events(body: Mapping[str, Any], reply: Reply) -> Iterator[Event]:
    yield Event(data={**_head(body, reply, "chat.completion.chunk"), "choices": []})
    yield Event(data="[DONE]")


def _events(body: Mapping[str, Any], reply: Reply) -> Iterator[Event]:
    head = _head(body, reply, "chat.completion.chunk")
    with_usage = (body.get("stream_options") or {}).get("include_usage", False)
    null_usage = {"usage": None} if with_usage else {}

    def event(delta: Mapping[str, Any], finish: str | None = None, logprobs: Any = None, index: int = 0) -> Event:
        choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return Event(data={**head, "choices": [choice], **null_usage})

    for index in range(body.get("n") or 1):
        yield event({"role": "assistant", "content": "" if reply.text else None, "refusal": None}, index=index)
        if reply.thinking:
            yield event({"reasoning_content": reply.thinking}, index=index)
        for token in _tokens(reply.text):
            yield event({"content": token}, logprobs=_logprobs(body, token), index=index)
        for number, call in enumerate(_calls(reply)):
            arguments = call["function"]["arguments"]
            opened = {**call, "index": number, "function": {"name": call["function"]["name"], "arguments": ""}}
            yield event({"tool_calls": [opened]}, index=index)
            for start in range(0, len(arguments), 7):
                piece = {"index": number, "function": {"arguments": arguments[start : start + 7]}}
                yield event({"tool_calls": [piece]}, index=index)
        yield event({}, reply.finish_reason or _FINISH[bool(reply.tool_uses)], index=index)
    if with_usage:
        yield Event(data={**head, "choices": [], "usage": _usage(body, reply)})
    yield Event(data="[DONE]")
