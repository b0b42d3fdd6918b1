"""What a LlamaIndex LLM replied: message, usage, model, finish reason, in whatever form its provider reports them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, MessageRole

from leo_core.records import Message, Usage
from leo_llamaindex._convert import to_message

__all__ = ["Reply", "StreamFold", "read_reply"]

_INPUT = ("prompt_tokens", "input_tokens", "prompt_token_count")
_OUTPUT = ("completion_tokens", "output_tokens", "candidates_token_count")
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details")
_FINISH = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
}

Response = ChatResponse | CompletionResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A member's reply.

    Attributes:
        message: The message.
        usage: Tokens, cost unknown; ``None`` where the provider reports none.
        model: The model's name as the provider reported it; empty where it did not.
        finish_reason: Why it ends; empty where the provider does not say.
        logprobs: Log-probability per token, where given.
    """

    message: Message
    usage: Usage | None = None
    model: str = ""
    finish_reason: str = ""
    logprobs: tuple[float, ...] | None = None


def read_reply(response: Response) -> Reply:
    """A response as a reply."""
    rows = response.logprobs
    return Reply(
        message=to_message(_message_of(response)),
        usage=_usage_of(response),
        model=_text(_part(response.raw, "model")),
        finish_reason=_finish_of(response.raw),
        logprobs=tuple(row[0].logprob for row in rows if row) if rows else None,
    )


class StreamFold:
    """Adds up a stream of cumulative responses."""

    def __init__(self) -> None:
        self._last: Response | None = None
        self._text = ""
        self._reply = Reply(message=Message(role="assistant"))

    def push(self, response: Response) -> str:
        """Take in a response; returns the text that is new in it."""
        delta = response.delta
        if delta is None:
            whole = _message_of(response).content or ""
            delta = whole[len(self._text) :] if whole.startswith(self._text) else ""
        self._text += delta
        usage, model, finish = _usage_of(response), _text(_part(response.raw, "model")), _finish_of(response.raw)
        known = self._reply
        self._reply = Reply(
            message=known.message,
            usage=usage or known.usage,
            model=model or known.model,
            finish_reason=finish or known.finish_reason,
        )
        self._last = response
        return delta

    def finish(self) -> Reply:
        """The whole reply; its message is the last one, or the text that was streamed where that one is empty."""
        last = ChatMessage(role=MessageRole.ASSISTANT) if self._last is None else _message_of(self._last)
        message, known = to_message(last), self._reply
        if not message.text and self._text:
            message = Message(role="assistant", content=self._text, tool_calls=message.tool_calls)
        return Reply(message=message, usage=known.usage, model=known.model, finish_reason=known.finish_reason)


def _message_of(response: Response) -> ChatMessage:
    if isinstance(response, ChatResponse):
        message = response.message
        return message if message.role is MessageRole.ASSISTANT else _as_assistant(message)
    return ChatMessage(role=MessageRole.ASSISTANT, content=response.text)


def _as_assistant(message: ChatMessage) -> ChatMessage:
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=message.blocks, additional_kwargs=message.additional_kwargs)


def _usage_of(response: Response) -> Usage | None:
    """Usage from the raw reply, or from ``additional_kwargs``."""
    raw = response.raw
    places = (_part(raw, "usage"), _part(raw, "usage_metadata"), response.additional_kwargs)
    return next((usage for usage in map(_read_usage, places) if usage is not None), None)


def _read_usage(place: Any) -> Usage | None:
    """Tokens as a provider counts them: Anthropic counts cached input, and Gemini thoughts, beside the rest."""
    sent, received = _count(place, _INPUT), _count(place, _OUTPUT)
    if sent is None or received is None:
        return None
    read, written = (_count(place, (f"cache_{how}_input_tokens",)) or 0 for how in ("read", "creation"))
    thoughts = _count(place, ("thoughts_token_count",)) or 0
    cached = _count(place, ("cached_content_token_count",)) or _detail(place, _INPUT_DETAILS, "cached_tokens")
    return Usage(
        input_tokens=sent + read + written,
        output_tokens=received + thoughts,
        cached_input_tokens=read or cached,
        reasoning_tokens=thoughts or _detail(place, _OUTPUT_DETAILS, "reasoning_tokens"),
        calls=1,
        cost_usd=None,
    )


def _detail(place: Any, details: tuple[str, ...], name: str) -> int:
    return next((found for each in details if (found := _count(_part(place, each), (name,)))), 0)


def _count(place: Any, names: tuple[str, ...]) -> int | None:
    found = (_part(place, name) for name in names)
    return next((int(value) for value in found if isinstance(value, int)), None)


def _finish_of(raw: Any) -> str:
    choices = _part(raw, "choices")
    first = choices[0] if isinstance(choices, list) and choices else raw
    word = _text(_part(first, "finish_reason")) or _text(_part(raw, "stop_reason"))
    return _FINISH.get(word.lower(), word.lower())


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
