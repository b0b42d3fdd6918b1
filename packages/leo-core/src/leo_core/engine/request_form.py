"""The form of a request: every field has the type that it promises, and everything in it is JSON that can be sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from leo_core.errors import RequestError
from leo_core.records import Message, Role, Route, StreamPolicy

if TYPE_CHECKING:
    from leo_core.records import Constraints, Json, Request, Sampling

__all__ = ["check_constraints", "check_form", "check_json", "check_number", "check_stream_policy"]

ROLES = frozenset(get_args(Role))
LONGEST_KEY = 255
"""Characters of an idempotency key."""
DEEPEST = 64
"""Levels of nesting that any provider and any JSON reader takes."""


def check_form(request: Request) -> None:
    """Check every field of a request.

    Raises:
        RequestError: A field has another type or range than it promises, or holds an unpaired surrogate, a number
            that is not finite, or something that is not JSON. The message says which field.
    """
    for position, message in enumerate(request.messages):
        _check_message(message, f"message {position}")
    for name in ("tenant", "session", "user", "model", "tool_choice", "idempotency_key"):
        _check_text(getattr(request, name), name, optional=name != "tenant")
    if request.user == "":
        text = "user must not be empty; leave it out where there is none"
        raise RequestError(text)
    if request.idempotency_key is not None and not 0 < len(request.idempotency_key) <= LONGEST_KEY:
        text = f"idempotency_key must have 1 to {LONGEST_KEY} characters"
        raise RequestError(text)
    _check_texts(request.tags, "tags")
    _check_texts(request.sources, "sources")
    tools: tuple[Json, ...] = request.tools  # what callers hand over is checked, not believed
    for position, tool in enumerate(tools):
        if not isinstance(tool, Mapping) or not isinstance(tool.get("name"), str):
            text = f"tool {position} needs the form {{'name': …, 'description': …, 'parameters': …}}"
            raise RequestError(text)
        check_json(tool, f"tool {position}")
    for name in ("response_format", "options"):
        value = getattr(request, name)
        if not isinstance(value, Mapping) and not (value is None and name == "response_format"):
            text = f"{name} must be a mapping, got {type(value).__name__}"
            raise RequestError(text)
        check_json(value, name)
    _check_sampling(request.sampling)
    check_constraints(request.constraints)
    check_stream_policy(request.stream_policy)


def check_constraints(constraints: Constraints) -> None:
    """Check what the caller demands.

    Raises:
        RequestError: A figure is out of its range, or the route or the use of the cache is unknown.
    """
    check_number(constraints.max_error, "max_error", most=1.0)
    check_number(constraints.max_cost_usd, "max_cost_usd")
    check_number(constraints.max_latency_s, "max_latency_s")
    check_number(constraints.ttl_s, "ttl_s")
    if constraints.route is not None and not isinstance(constraints.route, Route):
        message = f"route must be a Route or its name, got {constraints.route!r}"
        raise RequestError(message)
    if not isinstance(constraints.cache, bool) and constraints.cache not in {"exact", "renew"}:
        message = f"cache must be True, False, 'exact' or 'renew', got {constraints.cache!r}"
        raise RequestError(message)


def check_stream_policy(policy: object) -> None:
    """Check a streaming policy.

    Raises:
        RequestError: There is none of that name.
    """
    known = get_args(StreamPolicy)
    if policy is not None and policy not in known:
        message = f"stream_policy must be one of {', '.join(map(repr, known))}, got {policy!r}"
        raise RequestError(message)


def check_json(value: Json, where: str, depth: int = 0) -> None:
    """Check that a value is JSON, that its texts can be encoded and its numbers are finite.

    Raises:
        RequestError: It is not; the message says where.
    """
    if value is None or isinstance(value, bool | int):
        return
    if isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, float):
        if not math.isfinite(value):
            message = f"{where} holds the number {value!r}, which JSON has no word for"
            raise RequestError(message)
    elif depth >= DEEPEST:
        message = f"{where} is nested more than {DEEPEST} levels deep"
        raise RequestError(message)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_text(key, f"{where}, key {key!r}")
            check_json(item, where, depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        for item in value:
            check_json(item, where, depth + 1)
    else:
        message = f"{where} holds a {type(value).__name__}, which is not JSON; bytes go in as base64 text"
        raise RequestError(message)


def _check_message(message: Message, where: str) -> None:
    if not isinstance(message, Message):
        text = f"{where} is a {type(message).__name__}, not a Message"
        raise RequestError(text)
    role: Json = message.role
    if not isinstance(role, str) or role not in ROLES:
        known = ", ".join(sorted(ROLES))
        text = f"{where} has the unknown role {message.role!r}; known roles: {known}"
        raise RequestError(text)
    if isinstance(message.content, str):
        _check_text(message.content, where)
    else:
        _check_blocks(message.content, where)
    for name in ("tool_call_id", "name"):
        _check_text(getattr(message, name), f"{where}, {name}", optional=True)
    for call in message.tool_calls:
        _check_text(call.id, f"{where}, id of a tool call")
        _check_text(call.name, f"{where}, name of a tool call")
        if not isinstance(call.arguments, Mapping):
            text = f"{where}: the arguments of the tool call {call.name!r} must be a mapping"
            raise RequestError(text)
        check_json(call.arguments, f"{where}, tool call {call.name!r}")


def _check_blocks(blocks: object, where: str) -> None:
    if not isinstance(blocks, Sequence) or isinstance(blocks, bytes | bytearray):
        text = f"{where}: content is text or a sequence of blocks, not {type(blocks).__name__}"
        raise RequestError(text)
    for block in blocks:
        if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
            text = f"{where} has a content block without the form {{'type': …, …}}"
            raise RequestError(text)
        if block["type"] == "text" and not isinstance(block.get("text"), str):
            text = f"{where} has a text block without text"
            raise RequestError(text)
        check_json(block, where)


def _check_text(value: object, where: str, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if not isinstance(value, str):
        message = f"{where} must be text, got {type(value).__name__}"
        raise RequestError(message)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        message = (
            f"{where} holds an unpaired surrogate at character {error.start}; decode its source with errors='replace'"
        )
        raise RequestError(message) from error


def _check_texts(values: object, where: str) -> None:
    if isinstance(values, str) or not isinstance(values, Sequence):
        message = f"{where} must be a sequence of texts, got {type(values).__name__}"
        raise RequestError(message)
    for value in values:
        _check_text(value, where)


def check_number(value: object, where: str, *, most: float = math.inf) -> None:
    """Check a figure of which ``None`` says nothing.

    Raises:
        RequestError: It is no number, or lies outside of [0, ``most``].
    """
    if value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0.0 <= float(str(value)) <= most:
        span = "must not be negative" if most == math.inf else f"must lie in [0, {most:g}]"
        message = f"{where} {span}, got {value!r}"
        raise RequestError(message)


def _check_sampling(sampling: Sampling) -> None:
    check_number(sampling.temperature, "temperature")
    check_number(sampling.top_p, "top_p", most=1.0)
    for name in ("max_tokens", "seed"):
        value = getattr(sampling, name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            message = f"{name} must be a whole number, got {value!r}"
            raise RequestError(message)
    if sampling.max_tokens is not None and sampling.max_tokens < 1:
        message = f"max_tokens must be at least 1, got {sampling.max_tokens!r}"
        raise RequestError(message)
    _check_texts(sampling.stop, "stop")
