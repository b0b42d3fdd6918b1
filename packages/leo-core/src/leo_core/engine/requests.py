"""From what users write to a ``Request``: a string, a list of messages in the usual form, or a ``Request``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leo_core.engine.request_form import check_constraints, check_stream_policy
from leo_core.errors import ConfigError, RequestError
from leo_core.records import Constraints, Message, Request, Route, Sampling, ToolCall

__all__ = ["Prompt", "make_request", "parse_route"]

Prompt = str | Request | Iterable[Message | Mapping[str, Any]]

_CONSTRAINTS = frozenset(field.name for field in dataclasses.fields(Constraints))
_SAMPLING = frozenset(field.name for field in dataclasses.fields(Sampling))
_REQUEST = frozenset(
    {
        "tenant",
        "session",
        "user",
        "tools",
        "tool_choice",
        "response_format",
        "model",
        "options",
        "tags",
        "sources",
        "idempotency_key",
        "stream_policy",
    }
)
_ALIASES = {"human": "user", "ai": "assistant", "developer": "system"}


def make_request(prompt: Prompt, **settings: Any) -> Request:
    """The request that a prompt and keyword settings amount to.

    Args:
        prompt: A question, messages (:class:`Message` or mappings with ``role`` and ``content``), or a request.
        **settings: Fields of :class:`Constraints`, :class:`Sampling` or :class:`Request` by name;
            ``None`` leaves what is there.

    Raises:
        RequestError: The prompt has no usable form, or a setting is unknown.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    if not given and isinstance(prompt, Request):
        check_constraints(prompt.constraints)
        check_stream_policy(prompt.stream_policy)
        return prompt
    unknown = sorted(set(given) - _CONSTRAINTS - _SAMPLING - _REQUEST)
    if unknown:
        known = ", ".join(sorted(_CONSTRAINTS | _SAMPLING | _REQUEST))
        message = f"unknown setting {', '.join(unknown)}; known: {known}"
        raise RequestError(message)
    request = _from_prompt(prompt)
    if isinstance(given.get("route"), str):
        given["route"] = parse_route(given["route"])
    if isinstance(given.get("stop"), str):
        given["stop"] = (given["stop"],)
    constraints = {name: value for name, value in given.items() if name in _CONSTRAINTS}
    sampling = {name: value for name, value in given.items() if name in _SAMPLING}
    rest = {name: value for name, value in given.items() if name in _REQUEST}
    demanded = dataclasses.replace(request.constraints, **constraints)
    check_constraints(demanded)
    check_stream_policy(rest.get("stream_policy", request.stream_policy))
    return dataclasses.replace(
        request,
        constraints=demanded,
        sampling=dataclasses.replace(request.sampling, **sampling),
        **rest,
    )


def _from_prompt(prompt: Prompt) -> Request:
    if isinstance(prompt, Request):
        return prompt
    if isinstance(prompt, str):
        return Request(messages=(Message(role="user", content=prompt),))
    if isinstance(prompt, Iterable):
        return Request(messages=tuple(_to_message(item, position) for position, item in enumerate(prompt)))
    message = f"a prompt is a string, a list of messages or a Request, not {type(prompt).__name__}"
    raise RequestError(message)


def _to_message(item: object, position: int) -> Message:
    if isinstance(item, Message):
        return item
    if not isinstance(item, Mapping) or "role" not in item:
        message = f"message {position} needs the form {{'role': …, 'content': …}}"
        raise RequestError(message)
    role: Any = _ALIASES.get(str(item["role"]), item["role"])
    calls = item.get("tool_calls") or ()
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        message = f"message {position}: tool_calls must be a list"
        raise RequestError(message)
    calls = tuple(_to_call(call, position) for call in calls)
    return Message(
        role=role,
        content=_to_content(item.get("content") or "", position),
        tool_calls=calls,
        tool_call_id=item.get("tool_call_id"),
        name=item.get("name"),
    )


def _to_content(content: object, position: int) -> str | tuple[Mapping[str, Any], ...]:
    """Text, or blocks; a text among blocks is a text block."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence) or isinstance(content, bytes | bytearray):
        message = f"message {position}: content is text or a list of blocks, not {type(content).__name__}"
        raise RequestError(message)
    return tuple({"type": "text", "text": block} if isinstance(block, str) else block for block in content)


def _to_call(call: Mapping[str, Any], position: int) -> ToolCall:
    """A tool call in LEO's form (``name``, ``arguments``) or in OpenAI's (``function``)."""
    try:
        body = call.get("function", call)
        arguments = body.get("arguments", {})
        parsed = dict(json.loads(arguments) if isinstance(arguments, str) else arguments)
        return ToolCall(id=str(call["id"]), name=str(body["name"]), arguments=parsed)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"message {position} has a tool call without id, name or JSON arguments"
        raise RequestError(message) from error


def parse_route(name: str | None) -> Route | None:
    """The route of that name; ``None`` for ``None``.

    Raises:
        ConfigError: There is no such route to ask for.
    """
    if name is None:
        return None
    choices = [route.value for route in Route if route is not Route.CACHE]
    if name not in choices:
        message = f"there is no route {name!r} to ask for; there are {', '.join(choices)}"
        raise ConfigError(message)
    return Route(name)
