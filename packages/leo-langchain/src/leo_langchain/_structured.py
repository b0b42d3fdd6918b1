"""Answers in the form of a schema."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from leo_langchain._late import ConfigurableModel

__all__ = ["bind_schema", "to_openai_tool"]


def bind_schema(
    model: BaseChatModel | ConfigurableModel,
    schema: dict[str, Any] | type,
    *,
    method: str,
    strict: bool | None,
    include_raw: bool,
) -> Runnable[Any, Any]:
    """The model with a schema bound, followed by the parser for it.

    Raises:
        ConfigError: The method is unknown, or ``strict`` is given with ``json_mode``.
    """
    traced = {"ls_structured_output_format": {"kwargs": {"method": method, "strict": strict}, "schema": schema}}
    match method:
        case "function_calling":
            name = convert_to_openai_tool(schema)["function"]["name"]
            bound = model.bind_tools([schema], tool_choice=name, strict=strict, **traced)
            return _followed_by(bound, _tool_parser(schema, name), include_raw=include_raw)
        case "json_schema":
            bound = model.bind(response_format=_response_format(schema, strict=strict), **traced)
        case "json_mode" if strict is None:
            bound = model.bind(response_format={"type": "json_object"}, **traced)
        case "json_mode":
            message = "strict has no meaning with method='json_mode': use 'json_schema'"
            raise ConfigError(message)
        case _:
            message = f"there is no method {method!r}; there are 'function_calling', 'json_schema' and 'json_mode'"
            raise ConfigError(message)
    return _followed_by(bound, _text_parser(schema), include_raw=include_raw)


def _response_format(schema: dict[str, Any] | type, *, strict: bool | None) -> dict[str, Any]:
    function = convert_to_openai_tool(schema, strict=strict)["function"]
    wanted = {
        "name": function["name"],
        "description": function.get("description", ""),
        "schema": function["parameters"],
    }
    return {"type": "json_schema", "json_schema": wanted if strict is None else {**wanted, "strict": strict}}


def _tool_parser(schema: dict[str, Any] | type, name: str) -> Runnable[Any, Any]:
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)


def _text_parser(schema: dict[str, Any] | type) -> Runnable[Any, Any]:
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return PydanticOutputParser(pydantic_object=schema)
    return JsonOutputParser()


def _followed_by(bound: Runnable[Any, Any], parser: Runnable[Any, Any], *, include_raw: bool) -> Runnable[Any, Any]:
    if not include_raw:
        return bound | parser
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    unparsed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=bound) | parsed.with_fallbacks([unparsed], exception_key="parsing_error")


def to_openai_tool(tool: Any, strict: bool | None) -> dict[str, Any]:  # noqa: FBT001 - as LangChain names it
    """A tool in OpenAI's form; a provider's built-in one (a mapping with another type) as it is."""
    is_builtin = isinstance(tool, Mapping) and tool.get("type", "function") not in ("function", "object", "custom")
    return dict(tool) if is_builtin else convert_to_openai_tool(tool, strict=strict)
