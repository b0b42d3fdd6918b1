"""An agent's answer in the form of a schema: which schemas were asked for, and the answer that a reply amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain.agents.middleware.types import ModelResponse
from langchain.agents.structured_output import (
    OutputToolBinding,
    ProviderStrategy,
    ProviderStrategyBinding,
    ToolStrategy,
)
from langchain_core.messages import AIMessage, ToolMessage

if TYPE_CHECKING:
    from leo_core.records import Json

__all__ = ["describe_format", "find_schemas", "is_final", "make_response"]


def find_schemas(response_format: Any) -> dict[str, Any]:
    """The schemas that an agent's ``response_format`` asks for, by name; none where it asks for none."""
    if response_format is None:
        return {}
    if isinstance(response_format, ProviderStrategy):
        return {response_format.schema_spec.name: response_format.schema_spec}
    if isinstance(response_format, ToolStrategy):
        specs = response_format.schema_specs
    else:
        specs = ToolStrategy(getattr(response_format, "schema", response_format)).schema_specs
    return {spec.name: spec for spec in specs}


def describe_format(response_format: Any) -> Json:
    """The schemas and how they are asked for, as JSON: part of a cache's keys."""
    if response_format is None:
        return None
    return {
        "strategy": type(response_format).__name__,
        "schemas": {name: dict(spec.json_schema) for name, spec in find_schemas(response_format).items()},
        "tool_message": getattr(response_format, "tool_message_content", None),
    }


def is_final(response: ModelResponse[Any]) -> bool:
    """Whether an answer ends the agent's loop: it calls no tool, or it is in the form that was asked for."""
    reply = response.result[0] if response.result else None
    if not isinstance(reply, AIMessage):
        return False
    return response.structured_response is not None or not (reply.tool_calls or reply.invalid_tool_calls)


def make_response(reply: AIMessage, response_format: Any) -> ModelResponse[Any]:
    """The answer that a reply amounts to, as the agent itself would make it.

    Raises:
        ValueError: The reply is not in the form that was asked for.
    """
    schemas = find_schemas(response_format)
    call = next((call for call in reply.tool_calls if call["name"] in schemas), None)
    if call is not None:
        parsed: Any = OutputToolBinding.from_schema_spec(schemas[call["name"]]).parse(call["args"])
        said = getattr(response_format, "tool_message_content", None) or f"Returning structured response: {parsed}"
        told = ToolMessage(content=said, tool_call_id=call["id"], name=call["name"])
        return ModelResponse(result=[reply, told], structured_response=parsed)
    if schemas and not reply.tool_calls:
        (spec,) = schemas.values() if len(schemas) == 1 else (None,)
        if spec is None:
            message = "the reply fits none of several schemas"
            raise ValueError(message)
        return ModelResponse(
            result=[reply], structured_response=ProviderStrategyBinding.from_schema_spec(spec).parse(reply)
        )
    return ModelResponse(result=[reply])
