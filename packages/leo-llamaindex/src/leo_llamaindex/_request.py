"""From a call of the LLM to a request of the core."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from leo_core.adapting.tool_choice import to_tool_choice
from leo_core.engine.arguments import check_arguments
from leo_core.engine.requests import make_request, parse_route
from leo_core.errors import ConfigError
from leo_core.records import Json, Request, Route
from leo_llamaindex._convert import to_messages
from leo_llamaindex._tools import to_tool

if TYPE_CHECKING:
    from llama_index.core.base.llms.types import ChatMessage

__all__ = ["build_request"]

_NOT_NAME = re.compile(r"[^A-Za-z0-9_-]")
_PLAIN = (
    "temperature", "top_p", "max_tokens", "seed", "max_error", "max_cost_usd", "max_latency_s", "cache", "tenant",
    "session", "model", "ttl_s", "idempotency_key", "stream_policy",
)  # fmt: skip
_OWN = frozenset({
    *_PLAIN, "end_user", "stop", "tools", "tool_choice", "response_format", "route", "entry_tags", "entry_sources",
    "stream",
})  # fmt: skip

_TAKEN = frozenset({"stop", "entry_tags", "entry_sources", "cache", "tools"})
"""What is read here before the core looks at it."""


def build_request(messages: Sequence[ChatMessage], given: Mapping[str, Any], *, defaults: Mapping[str, Any]) -> Request:
    """The request that a call amounts to.

    Args:
        messages: The conversation.
        given: Keywords of this call; those that are not LEO's own go to the provider as they are.
        defaults: What the LLM was made with.

    Raises:
        ConfigError: A keyword has an unusable value.
        RequestError: A message or a constraint is unusable.
    """
    check_arguments({name: given[name] for name in _TAKEN & given.keys()}, owner="LEOLLM")
    asked = {**defaults, **{name: value for name, value in given.items() if value is not None}}
    tools = tuple(to_tool(tool) for tool in asked.get("tools") or ())
    route = asked.get("route")
    return make_request(
        Request(messages=to_messages(messages)),
        **{name: asked.get(name) for name in _PLAIN},
        user=asked.get("end_user"),
        stop=_as_tuple(asked.get("stop")),
        tools=tools,
        tool_choice=to_tool_choice(asked.get("tool_choice"), [str(tool.get("name")) for tool in tools]),
        response_format=_to_format(asked.get("response_format")),
        route=route if route is None or isinstance(route, Route) else parse_route(str(route)),
        tags=_as_tuple(asked.get("entry_tags")),
        sources=_as_tuple(asked.get("entry_sources")),
        options=_options(given, has_tools=bool(tools)),
    )


def _as_tuple(value: Sequence[str] | str | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _options(given: Mapping[str, Any], *, has_tools: bool) -> dict[str, Json]:
    return {
        name: value
        for name, value in given.items()
        if name not in _OWN and value is not None and (has_tools or name != "parallel_tool_calls")
    }


def _to_format(given: object) -> Mapping[str, Json] | None:
    """A response format in OpenAI's form, the neutral one, or as a pydantic class."""
    if isinstance(given, type) and issubclass(given, BaseModel):
        return {"type": "json_schema", "name": _NOT_NAME.sub("_", given.__name__), "schema": given.model_json_schema()}
    if given is None or (isinstance(given, Mapping) and given.get("type") == "text"):
        return None
    if isinstance(given, Mapping) and given.get("type") == "json_object":
        return {"type": "json_object"}
    if isinstance(given, Mapping) and given.get("type") == "json_schema":
        inner = given.get("json_schema", given)
        named = {name: inner[name] for name in ("name", "schema", "strict") if inner.get(name) is not None}
        return {"type": "json_schema", "name": "answer", **named}
    message = f"response_format={type(given).__name__} is not understood: give a pydantic class or OpenAI's mapping"
    raise ConfigError(message)
