"""A small, plain LLM of LlamaIndex for the OpenAI protocol: what the conformance suite is measured against."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import openai
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json
from pydantic import Field

__all__ = ["ReferenceLLM"]


class ReferenceLLM(FunctionCallingLLM):
    """Chat Completions by the SDK; undecorated private functions behind decorated public ones."""

    model: str = "gpt-loopback"
    base_url: str
    api_key: str = Field(exclude=True, repr=False)
    context_window: int = 8192

    @classmethod
    def class_name(cls) -> str:
        return "reference_llm"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            context_window=self.context_window,
            num_output=256,
            is_chat_model=True,
            is_function_calling_model=True,
            model_name=self.model,
        )

    # ---------------------------------------------------------------------------------------------- the wire

    def _body(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any], *, stream: bool) -> dict[str, Any]:
        body = {"model": self.model, "messages": [_wire(message) for message in messages], **kwargs}
        return {**body, "stream": True, "stream_options": {"include_usage": True}} if stream else body

    def _client(self) -> openai.OpenAI:
        return openai.OpenAI(api_key=self.api_key, base_url=self.base_url, max_retries=0)

    def _aclient(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(api_key=self.api_key, base_url=self.base_url, max_retries=0)

    def _chat(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> ChatResponse:
        with self._client() as client:
            return _response(client.chat.completions.create(**self._body(messages, kwargs, stream=False)))

    async def _achat(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> ChatResponse:
        async with self._aclient() as client:
            return _response(await client.chat.completions.create(**self._body(messages, kwargs, stream=False)))

    def _stream(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> Any:
        fold = _Fold()
        with self._client() as client:
            for event in client.chat.completions.create(**self._body(messages, kwargs, stream=True)):
                yield fold.push(event)

    async def _astream(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> Any:
        fold = _Fold()
        async with self._aclient() as client:
            async for event in await client.chat.completions.create(**self._body(messages, kwargs, stream=True)):
                yield fold.push(event)

    # ------------------------------------------------------------------------------------------ public methods

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        return self._chat(messages, kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        return await self._achat(messages, kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        return self._stream(messages, kwargs)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        return self._astream(messages, kwargs)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return _completion(self._chat([ChatMessage(prompt)], kwargs))

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return _completion(await self._achat([ChatMessage(prompt)], kwargs))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return (_completion(response) for response in self._stream([ChatMessage(prompt)], kwargs))

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return (_completion(response) async for response in self._astream([ChatMessage(prompt)], kwargs))

    # --------------------------------------------------------------------------------------------------- tools

    def _prepare_chat_with_tools(
        self,
        tools: Any,
        user_msg: Any = None,
        chat_history: Any = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        messages = list(chat_history or [])
        if user_msg is not None:
            messages.append(ChatMessage(user_msg) if isinstance(user_msg, str) else user_msg)
        return {
            "messages": messages,
            "tools": [tool.metadata.to_openai_tool() for tool in tools],
            "tool_choice": tool_choice or ("required" if tool_required else "auto"),
            "parallel_tool_calls": allow_parallel_tool_calls,
            **kwargs,
        }

    def _validate_chat_with_tools_response(
        self, response: ChatResponse, tools: Any, allow_parallel_tool_calls: bool = False, **kwargs: Any
    ) -> ChatResponse:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        if not allow_parallel_tool_calls and len(calls) > 1:
            response.message.blocks = [block for block in response.message.blocks if block not in calls[1:]]
        return response

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        if not calls and error_on_no_tool_call:
            raise ValueError("no tool call")
        return [
            ToolSelection(
                tool_id=call.tool_call_id or "", tool_name=call.tool_name, tool_kwargs=_arguments(call.tool_kwargs)
            )
            for call in calls
        ]


def _arguments(given: Any) -> dict[str, Any]:
    if not isinstance(given, str):
        return given
    try:
        return parse_partial_json(given)
    except ValueError:
        return {}


def _wire(message: ChatMessage) -> dict[str, Any]:
    calls = [
        {
            "id": block.tool_call_id,
            "type": "function",
            "function": {"name": block.tool_name, "arguments": json.dumps(block.tool_kwargs)},
        }
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    ]
    wire: dict[str, Any] = {"role": message.role.value, "content": message.content or ("" if not calls else None)}
    if calls:
        wire["tool_calls"] = calls
    if message.role is MessageRole.TOOL:
        wire["tool_call_id"] = message.additional_kwargs["tool_call_id"]
    return wire


def _response(completion: Any) -> ChatResponse:
    said = completion.choices[0].message
    calls = [
        ToolCallBlock(tool_call_id=c.id, tool_name=c.function.name, tool_kwargs=json.loads(c.function.arguments))
        for c in said.tool_calls or ()
    ]
    text = [TextBlock(text=said.content)] if said.content or not calls else []
    return ChatResponse(message=_message([*text, *calls]), raw=completion)


def _message(blocks: list[Any]) -> ChatMessage:
    """Tool calls stand in the blocks and, for streaming programs, beside them."""
    calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
    return ChatMessage(role="assistant", blocks=blocks, additional_kwargs={"tool_calls": calls} if calls else {})


def _completion(response: ChatResponse) -> CompletionResponse:
    return CompletionResponse(text=response.message.content or "", delta=response.delta, raw=response.raw)


class _Fold:
    """The cumulative response of a stream."""

    def __init__(self) -> None:
        self.text, self.calls = "", {}

    def push(self, event: Any) -> ChatResponse:
        delta = event.choices[0].delta if event.choices else None
        new = (delta.content or "") if delta is not None else ""
        self.text += new
        for piece in (delta.tool_calls or ()) if delta is not None else ():
            identity, name, before = self.calls.get(piece.index, ("", "", ""))
            self.calls[piece.index] = (
                piece.id or identity,
                piece.function.name or name,
                before + (piece.function.arguments or ""),
            )
        blocks: list[Any] = [TextBlock(text=self.text)] if self.text or not self.calls else []
        blocks += [ToolCallBlock(tool_call_id=i, tool_name=n, tool_kwargs=a) for i, n, a in self.calls.values()]
        return ChatResponse(message=_message(blocks), delta=new, raw=event)
