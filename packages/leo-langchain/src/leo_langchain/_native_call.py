"""What a member of LangChain is called with: its own messages, and keywords in its own format.

A chat model knows how to bring tools and schemas into its provider's form: ``bind_tools`` and
``with_structured_output`` return a binding whose keywords are exactly what its private methods take.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langchain_core.runnables import RunnableBinding
from langchain_core.utils.function_calling import convert_to_openai_function

from leo_core.adapting.native_calls import JSON_ONLY, sampling_options
from leo_core.errors import CapabilityError
from leo_langchain._answers import to_native
from leo_langchain._scoped import ScopedChatModel

if TYPE_CHECKING:
    from leo_core.records import Json, Request

__all__ = ["NativeCall", "prepare_call"]

_TRACING_ONLY = frozenset({"ls_structured_output_format", "structured_output_format"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeCall:
    """A call of a member.

    Attributes:
        messages: LangChain messages.
        stop: Stop sequences.
        kwargs: Keywords of ``_generate`` and ``_stream``.
        unwraps: Whether the schema was asked for as a tool call, whose arguments are to become the text.
    """

    messages: list[BaseMessage]
    stop: list[str] | None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    unwraps: bool = False

    def finish(self, message: AIMessage) -> AIMessage:
        """The reply as it was asked for."""
        if not self.unwraps or not message.tool_calls:
            return message
        text = json.dumps(message.tool_calls[0]["args"], ensure_ascii=False)
        return message.model_copy(update={"content": text, "tool_calls": [], "additional_kwargs": {}})


def prepare_call(model: BaseChatModel, request: Request) -> NativeCall:
    """The call of a member that a request amounts to.

    Raises:
        CapabilityError: The member can bind neither tools nor a schema, and the request needs it.
    """
    messages = list(request.native) if _is_native(request.native) else to_native(request.messages)
    kwargs: dict[str, Any] = {**sampling_options(request), **request.options}
    format_kwargs, unwraps = _format_kwargs(model, request)
    if request.response_format is not None and format_kwargs is None:
        messages = [SystemMessage(_in_words(model, request.response_format)), *messages]
    if request.tools:
        kwargs = {**kwargs, **_tool_kwargs(model, request, kwargs)}
    if format_kwargs:
        kwargs = {**kwargs, **format_kwargs}
    if isinstance(model, ScopedChatModel):
        kwargs = {**kwargs, **_whose(model, request)}
    stop = list(request.sampling.stop) or None
    return NativeCall(messages=messages, stop=stop, kwargs=kwargs, unwraps=unwraps)


def _whose(model: ScopedChatModel, request: Request) -> dict[str, Any]:
    """Whose request it is, for a LEO within a LEO; its own tenant stands where none was named."""
    named = {"session": request.session, "end_user": request.user}
    if model.tenant is None or request.tenant != "default":
        named["tenant"] = request.tenant
    return {name: value for name, value in named.items() if value is not None}


def _is_native(native: object) -> bool:
    return isinstance(native, Sequence) and bool(native) and all(isinstance(item, BaseMessage) for item in native)


# ---------------------------------------------------------------------------------------------------- tools


def _tool_kwargs(model: BaseChatModel, request: Request, options: dict[str, Any]) -> dict[str, Any]:
    _need(model, "bind_tools")
    choice = {} if request.tool_choice in (None, "none") else {"tool_choice": request.tool_choice}
    names = ("parallel_tool_calls",)
    extra = {name: options.pop(name) for name in names if name in options}
    tools = [_as_strict(tool) for tool in request.tools] if _wants_strict_tools(model, request) else request.tools
    kwargs = _bind(model, tools, **choice, **extra)
    if request.tool_choice == "none":
        kwargs["tool_choice"] = _forbid(kwargs)
    return kwargs


def _bind(model: BaseChatModel, tools: Sequence[Mapping[str, Json]], **settings: Any) -> dict[str, Any]:
    """The keywords that ``bind_tools`` makes of neutral tools, and of how strictly each is to be followed.

    Some models read that from the tool, some take it from a keyword alone, which is one for all tools.
    """
    takes = "strict" in inspect.signature(type(model).bind_tools).parameters
    flags = [tool.get("strict") for tool in tools]
    strict = {"strict": flags[0]} if takes and flags[0] is not None and len(set(flags)) == 1 else {}
    kwargs = _bound_kwargs(model.bind_tools([_as_openai(tool) for tool in tools], **strict, **settings))
    if takes and len(set(flags)) > 1:
        kwargs["tools"] = [bound for tool in tools for bound in _bind(model, [tool])["tools"]]
    return kwargs


def _wants_strict_tools(model: BaseChatModel, request: Request) -> bool:
    """Whether OpenAI's SDK would refuse the tools: beside a schema it reads replies only where tools are strict."""
    wanted = request.response_format
    if wanted is None or wanted["type"] != "json_schema" or getattr(model, "use_responses_api", False):
        return False
    return any(kind.__name__ == "BaseChatOpenAI" for kind in type(model).__mro__)


def _as_strict(tool: Mapping[str, Json]) -> Mapping[str, Json]:
    """A neutral tool whose arguments have to follow their schema; a built-in one as it is."""
    return convert_to_openai_function({**tool, "strict": True}, strict=True) if "parameters" in tool else tool


def _as_openai(tool: Mapping[str, Json]) -> dict[str, Any]:
    """A neutral tool in the form that every ``bind_tools`` takes; a built-in one as it is."""
    return {"type": "function", "function": dict(tool)} if "parameters" in tool else dict(tool)


def _forbid(kwargs: Mapping[str, Any]) -> Any:
    """``tool_choice="none"`` in the provider's form, which ``bind_tools`` may take for a tool's name."""
    is_anthropic = any(isinstance(tool, Mapping) and "input_schema" in tool for tool in kwargs.get("tools") or ())
    return {"type": "none"} if is_anthropic else "none"


def _bound_kwargs(bound: object) -> dict[str, Any]:
    """The keywords of a binding, or of the first binding in a chain."""
    first = bound if isinstance(bound, RunnableBinding) else getattr(bound, "first", None)
    kwargs: dict[str, Any] = dict(getattr(first, "kwargs", {}))
    return {name: value for name, value in kwargs.items() if name not in _TRACING_ONLY}


def _need(model: BaseChatModel, method: str) -> None:
    if getattr(type(model), method) is getattr(BaseChatModel, method):
        message = f"{type(model).__name__} has no {method}, which this request needs"
        raise CapabilityError(message)


# --------------------------------------------------------------------------------------------------- schemas


def _format_kwargs(model: BaseChatModel, request: Request) -> tuple[dict[str, Any] | None, bool]:
    """Keywords for the response format, and whether its text will come as a tool call.

    ``None`` when the member has no way of its own, so that it has to be told in words.
    """
    wanted = request.response_format
    if wanted is None:
        return {}, False
    methods = str(inspect.signature(type(model).with_structured_output).parameters.get("method", ""))
    if wanted["type"] == "json_object":
        return ({"response_format": {"type": "json_object"}}, False) if "json_mode" in methods else (None, False)
    schema = _titled(wanted)
    if "json_schema" in methods:
        strict = {} if wanted.get("strict") is None else {"strict": wanted["strict"]}
        return _bound_kwargs(model.with_structured_output(schema, method="json_schema", **strict)), False
    _need(model, "bind_tools")
    if request.tools:
        return None, False
    return _bind(model, [_as_tool(wanted, schema)], tool_choice="any"), True


def _as_tool(wanted: Mapping[str, Json], schema: Mapping[str, Json]) -> dict[str, Json]:
    tool = {"name": wanted["name"], "description": schema["description"], "parameters": dict(wanted["schema"])}
    return tool if wanted.get("strict") is None else {**tool, "strict": wanted["strict"]}


def _in_words(model: BaseChatModel, wanted: Mapping[str, Json]) -> str:
    """Asks for the format in words.

    Raises:
        CapabilityError: The format has to be kept strictly, which words cannot promise.
    """
    if wanted["type"] == "json_object":
        return JSON_ONLY
    if wanted.get("strict"):
        message = (
            f"{type(model).__name__} cannot promise a strict schema beside bound tools: leave strict out, or take a "
            "member whose with_structured_output has method='json_schema'"
        )
        raise CapabilityError(message)
    return f"{JSON_ONLY} It has to fit this JSON schema: {json.dumps(wanted['schema'], ensure_ascii=False)}"


def _titled(wanted: Mapping[str, Json]) -> dict[str, Any]:
    schema = dict(wanted["schema"])
    schema.setdefault("title", wanted["name"])
    schema.setdefault("description", wanted.get("description") or str(schema["title"]))
    return schema
