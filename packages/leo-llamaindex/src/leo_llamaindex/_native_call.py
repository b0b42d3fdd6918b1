"""What a LlamaIndex LLM is called with: its own messages, and keywords as its methods take them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from llama_index.core.base.llms.generic_utils import messages_to_prompt
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.llms.function_calling import FunctionCallingLLM

from leo_core.adapting.native_calls import JSON_ONLY, sampling_options
from leo_core.errors import CapabilityError
from leo_llamaindex._convert import to_native_messages
from leo_llamaindex._tools import SchemaTool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.llms import LLM

    from leo_core.records import Message, Request

__all__ = ["NativeCall", "prepare_call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeCall:
    """A call of a member.

    Attributes:
        method: Which of its methods, or their streaming and asynchronous twins.
        arguments: Positional arguments.
        kwargs: Keywords.
        unwraps: Whether a schema was asked for as a tool call, whose arguments are to become the text.
    """

    method: Literal["chat", "complete"]
    arguments: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    unwraps: bool = False

    def finish(self, message: Message) -> Message:
        """The reply as it was asked for."""
        if not self.unwraps or not message.tool_calls:
            return message
        text = json.dumps(dict(message.tool_calls[0].arguments), ensure_ascii=False)
        return replace(message, content=text, tool_calls=())


def prepare_call(model: LLM, request: Request) -> NativeCall:
    """The call of a member that a request amounts to.

    Raises:
        CapabilityError: The member can call no tools, and the request needs it.
    """
    messages = to_native_messages(request.messages)
    stops = {"stop": list(request.sampling.stop)} if request.sampling.stop else {}
    kwargs: dict[str, Any] = {**sampling_options(request), **stops, **request.options}
    parallel = bool(kwargs.pop("parallel_tool_calls", True))
    if request.tools:
        tools = [SchemaTool(tool) for tool in request.tools]
        return _with_tools(model, messages, tools, request.tool_choice, kwargs, parallel=parallel)
    wanted = request.response_format
    if wanted is not None and wanted.get("type") == "json_schema":
        tool = SchemaTool({"name": wanted.get("name", "answer"), "parameters": wanted["schema"]})
        return replace(_with_tools(model, messages, [tool], "any", kwargs, parallel=False), unwraps=True)
    if wanted is not None:
        messages = [ChatMessage(role=MessageRole.SYSTEM, content=JSON_ONLY), *messages]
    if model.metadata.is_chat_model:
        return NativeCall(method="chat", arguments=(messages,), kwargs=kwargs)
    to_prompt = model.messages_to_prompt or messages_to_prompt
    prompt = to_prompt(messages)
    return NativeCall(method="complete", arguments=(prompt, True), kwargs=kwargs)


def _with_tools(
    model: LLM,
    messages: list[ChatMessage],
    tools: list[SchemaTool],
    choice: str | None,
    kwargs: dict[str, Any],
    *,
    parallel: bool,
) -> NativeCall:
    """A chat with tools in the member's own form, which only the member knows."""
    if not isinstance(model, FunctionCallingLLM):
        message = f"{type(model).__name__} calls no tools, which this request needs"
        raise CapabilityError(message)
    named: dict[str, Any] = {} if choice in (None, "any") else {"tool_choice": choice}
    prepared = model._prepare_chat_with_tools_compat(  # noqa: SLF001 - the hook that integrations implement
        tools,
        chat_history=messages,
        allow_parallel_tool_calls=parallel,
        tool_required=choice == "any",
        **named,
        **kwargs,
    )
    return NativeCall(method="chat", arguments=(prepared.pop("messages"),), kwargs=prepared)
