"""How a reply ended, in one word for all providers, and whether it is one that may be served again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

__all__ = ["finish_of", "is_whole"]

_FINISH: Final = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
}
_BROKEN_OFF: Final = frozenset({
    "length", "content_filter", "incomplete", "failed", "cancelled", "error", "pause_turn", "recitation",
    "model_context_window_exceeded", "blocklist", "prohibited_content", "spii", "malformed_function_call",
})  # fmt: skip
"""Ends of which each provider has some of its own; a word that is not known is no reason to ask again."""


def finish_of(reply: AIMessage) -> str:
    """Why a reply ended: ``stop``, ``length``, ``tool_calls``, ``content_filter``, or the provider's own word."""
    facts = reply.response_metadata
    word = facts.get("finish_reason") or facts.get("stop_reason") or facts.get("status") or facts.get("done_reason")
    if not isinstance(word, str):
        return "tool_calls" if reply.tool_calls else "stop"
    return _FINISH.get(word.lower(), word.lower())


def is_whole(reply: AIMessage) -> bool:
    """Whether a reply is worth serving again: not empty, not cut off, filtered or refused, its calls well formed."""
    if reply.invalid_tool_calls or reply.additional_kwargs.get("refusal") or finish_of(reply) in _BROKEN_OFF:
        return False
    return bool(reply.content or reply.tool_calls or any(reply.additional_kwargs.values()))
