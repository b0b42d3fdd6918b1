"""Tools: LlamaIndex's as the core's neutral form and back, and tool calls out of responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json
from llama_index.core.tools import BaseTool
from llama_index.core.tools.types import ToolMetadata

from leo_core.errors import ConfigError
from leo_llamaindex._convert import read_legacy_call

if TYPE_CHECKING:
    from leo_core.records import Json

__all__ = ["SchemaTool", "keep_one_call", "read_tool_calls", "to_tool"]


def to_tool(tool: BaseTool | Mapping[str, Any]) -> dict[str, Json]:
    """A tool as ``{"name", "description", "parameters", "strict"?}``.

    Args:
        tool: A tool of LlamaIndex, or a mapping in OpenAI's form or in the neutral one.
    """
    spec: Mapping[str, Any] = (
        tool if isinstance(tool, Mapping) else tool.metadata.to_openai_tool(skip_length_check=True)
    )
    function = spec.get("function", spec)
    return dict(function)


# --------------------------------------------------------------------------------------- tools for members


@dataclass
class _SchemaMetadata(ToolMetadata):
    """Metadata whose parameters are a JSON schema instead of a pydantic class."""

    parameters: dict[str, Any] = field(default_factory=dict)

    def get_parameters_dict(self) -> dict[str, Any]:
        return self.parameters


class SchemaTool(BaseTool):
    """A tool that is described to a model and that nobody calls here: the caller has the function."""

    def __init__(self, tool: Mapping[str, Json]) -> None:
        self._metadata = _SchemaMetadata(
            description=str(tool.get("description") or tool["name"]),
            name=str(tool["name"]),
            fn_schema=None,
            parameters=dict(tool.get("parameters") or {"type": "object", "properties": {}}),
        )

    @property
    def metadata(self) -> ToolMetadata:
        """Name, description and schema."""
        return self._metadata

    def __call__(self, input: Any) -> NoReturn:  # noqa: A002, ARG002 - the base class's signature
        """Refuse.

        Raises:
            ConfigError: Always.
        """
        message = f"the tool {self._metadata.name!r} is only described here; call the caller's own"
        raise ConfigError(message)


# ---------------------------------------------------------------------------------------- calls in responses


def read_tool_calls(response: ChatResponse) -> list[ToolSelection]:
    """The tool calls of a response, from its blocks or else from ``additional_kwargs``; half-streamed ones too."""
    blocks = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    if blocks:
        return [
            ToolSelection(
                tool_id=block.tool_call_id or "", tool_name=block.tool_name, tool_kwargs=_arguments(block.tool_kwargs)
            )
            for block in blocks
        ]
    legacy = response.message.additional_kwargs.get("tool_calls") or ()
    return [_selection_of(call) for call in legacy]


def _selection_of(legacy: Any) -> ToolSelection:
    call = read_legacy_call(legacy)
    return ToolSelection(tool_id=call.id, tool_name=call.name, tool_kwargs=dict(call.arguments))


def _arguments(given: dict[str, Any] | str) -> dict[str, Any]:
    if not isinstance(given, str):
        return given
    try:
        parsed: object = parse_partial_json(given)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def keep_one_call(response: ChatResponse) -> ChatResponse:
    """The response with its first tool call only."""
    calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    if len(calls) < 2:  # noqa: PLR2004 - more than one
        return response
    blocks = [block for block in response.message.blocks if not isinstance(block, ToolCallBlock) or block is calls[0]]
    beside = dict(response.message.additional_kwargs)
    if isinstance(beside.get("tool_calls"), list):
        beside["tool_calls"] = beside["tool_calls"][:1]
    message = ChatMessage(role=response.message.role, blocks=blocks, additional_kwargs=beside)
    return response.model_copy(update={"message": message})
