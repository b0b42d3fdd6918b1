"""From a call of the chat model to a request of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from leo_core.adapting.tool_choice import to_tool_choice
from leo_core.engine.arguments import check_arguments
from leo_core.errors import ConfigError
from leo_core.records import Constraints, Json, Request, Route, Sampling
from leo_langchain._blocks import without_leo_blocks
from leo_langchain._convert import to_messages, to_response_format, to_tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage

__all__ = ["build_request"]

_SAMPLING = ("temperature", "top_p", "max_tokens", "seed")
_CONSTRAINTS = ("max_error", "max_cost_usd", "max_latency_s", "route", "cache", "ttl_s")
_OWN = frozenset({
    *_SAMPLING,
    *_CONSTRAINTS,
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "response_format",
    "model",
    "tenant",
    "session",
    "end_user",
    "entry_tags",
    "entry_sources",
    "idempotency_key",
    "stream_policy",
    "stream",
    "ls_structured_output_format",
    "structured_output_format",
})  # fmt: skip

_TAKEN = frozenset({"stop", "entry_tags", "entry_sources", "cache", "tools"})
"""What is read here before the core looks at it."""


def build_request(
    messages: Sequence[BaseMessage],
    stop: Sequence[str] | str | None,
    kwargs: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any],
) -> Request:
    """The request that a call amounts to.

    Args:
        messages: The conversation; handed to members of LangChain as it is, without LEO's own blocks.
        stop: Stop sequences of this call.
        kwargs: Keywords of this call; those that are not LEO's own go to the provider as they are.
        defaults: What the model was made with: sampling, constraints, ``stop``, ``tenant``.

    Raises:
        ConfigError: A keyword has an unusable value.
    """
    check_arguments({name: kwargs[name] for name in _TAKEN & kwargs.keys()}, owner="LEOChatModel")
    check_arguments({"stop": stop}, owner="LEOChatModel")
    given = {**defaults, **{name: value for name, value in kwargs.items() if value is not None}}
    if given.get("max_completion_tokens") is not None:
        given["max_tokens"] = given["max_completion_tokens"]
    tools = tuple(to_tool(tool) for tool in given.get("tools") or ())
    names = [str(tool["name"]) for tool in tools if "name" in tool]
    stops = stop if stop is not None else given.get("stop")
    return Request(
        messages=to_messages(messages),
        tenant=given.get("tenant", "default"),
        session=given.get("session"),
        user=_reveal(given.get("end_user")),
        tools=tools,
        tool_choice=to_tool_choice(given.get("tool_choice"), names),
        response_format=to_response_format(given.get("response_format")),
        sampling=Sampling(stop=_as_tuple(stops), **{name: given.get(name) for name in _SAMPLING}),
        model=given.get("model"),
        options=_options(kwargs),
        constraints=_constraints(given),
        tags=_as_tuple(given.get("entry_tags")),
        sources=_as_tuple(given.get("entry_sources")),
        idempotency_key=given.get("idempotency_key"),
        stream_policy=given.get("stream_policy"),
        native=[without_leo_blocks(message) for message in messages],
    )


def _reveal(user: SecretStr | str | None) -> str | None:
    return user.get_secret_value() if isinstance(user, SecretStr) else user


def _as_tuple(value: Sequence[str] | str | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _options(kwargs: Mapping[str, Any]) -> dict[str, Json]:
    return {name: value for name, value in kwargs.items() if name not in _OWN and value is not None}


def _constraints(given: Mapping[str, Any]) -> Constraints:
    named = {name: given[name] for name in _CONSTRAINTS if given.get(name) is not None}
    error = named.get("max_error")
    if error is not None and not 0.0 <= error <= 1.0:
        message = f"max_error must lie in [0, 1], got {error!r}"
        raise ConfigError(message)
    if "route" in named:
        named["route"] = _route(named["route"])
    return Constraints(**named)


def _route(name: Route | str) -> Route:
    try:
        return Route(name)
    except ValueError:
        known = ", ".join(route.value for route in Route)
        message = f"there is no route {name!r}; there are {known}"
        raise ConfigError(message) from None
