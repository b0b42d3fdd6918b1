"""From a model call of an agent to a request of the core."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.utils.function_calling import convert_to_openai_tool

from leo_core.adapting.plain import plain
from leo_core.adapting.tool_choice import to_tool_choice
from leo_core.records import Constraints, Request
from leo_langchain._convert import to_messages, to_tool
from leo_langchain.middleware._agent_model import describe_model, has_tools
from leo_langchain.middleware._structured_reply import describe_format, find_schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain.agents.middleware.types import ModelRequest

    from leo_core.records import Json
    from leo_langchain.middleware.scope import Scope

__all__ = ["list_messages", "to_cache_request", "to_plain_request"]


_WHO = frozenset({"session", "end_user"})
"""Settings of a model call that change no answer; the tenant, which is one as well, is part of the keys."""


def list_messages(call: ModelRequest[Any]) -> list[BaseMessage]:
    """What the model is going to see: the system prompt, then the conversation."""
    return [call.system_message, *call.messages] if call.system_message else list(call.messages)


def to_plain_request(call: ModelRequest[Any], scope: Scope, constraints: Constraints) -> Request:
    """The conversation and the tools of a model call, on behalf of its scope."""
    messages = list_messages(call)
    tools = tuple(to_tool(_describe_tool(tool)) for tool in call.tools)
    return Request(
        messages=to_messages(messages),
        tenant=scope.tenant,
        session=scope.session,
        user=scope.user,
        tools=tools,
        constraints=constraints,
        native=messages,
    )


def to_cache_request(
    call: ModelRequest[Any], scope: Scope, constraints: Constraints, key: Mapping[str, Json]
) -> Request:
    """What has to be the same for a kept answer to be served: all that the model is asked with, and the model.

    Args:
        call: The model call.
        scope: Whose it is.
        constraints: How the cache may match, and how long it keeps.
        key: What has to be the same besides.
    """
    config = var_child_runnable_config.get() or {}
    model = describe_model(call.model, config)
    if len(find_schemas(call.response_format)) > 1 or has_tools(model):  # which of them answers is for the model to say
        constraints = replace(constraints, cache="exact")
    request = to_plain_request(call, scope, constraints)
    extra = [None if isinstance(item, AIMessage) else item.additional_kwargs or None for item in request.native]
    options = {
        **key,
        "model": model,
        "settings": plain({name: value for name, value in call.model_settings.items() if name not in _WHO}),
        "format": describe_format(call.response_format),
        "agent": (config.get("metadata") or {}).get("lc_agent_name"),  # its name stands in its messages
        "extra": extra if any(extra) else [],
    }
    names = [str(tool["name"]) for tool in request.tools if "name" in tool]
    return replace(request, options=options, tool_choice=to_tool_choice(call.tool_choice, names), native=None)


def _describe_tool(tool: Any) -> dict[str, Any]:
    """A tool in OpenAI's form; a provider's built-in one as it is."""
    return dict(tool) if isinstance(tool, dict) else convert_to_openai_tool(tool)
