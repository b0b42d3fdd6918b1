"""What the commitments of a statement commit to, as JSON that its owner can rebuild.

A message that is plain text is the string itself, so that an answer can be opened with nothing but its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leo_core.records import Identity, Json, Message, Request

__all__ = ["identity_content", "message_content", "request_content"]


def message_content(message: Message) -> Json:
    """A message: its text when it is nothing else, otherwise role, content, and calls without their ids."""
    if isinstance(message.content, str) and not message.tool_calls:
        return message.content
    return _full_message(message)


def request_content(request: Request) -> dict[str, Json]:
    """Everything of a request that can change the answer; neither tenant nor session."""
    sampling = request.sampling
    return {
        "messages": [_full_message(message) for message in request.messages],
        "tools": list(request.tools),
        "tool_choice": request.tool_choice,
        "response_format": request.response_format,
        "model": request.model,
        "options": request.options,
        "sampling": {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "stop": list(sampling.stop),
            "seed": sampling.seed,
        },
    }


def identity_content(identity: Identity) -> dict[str, Json]:
    """The keys of a request: committed to, since a bare hash of a question can be found by guessing."""
    return {"exact_key": identity.exact_key, "scope_key": identity.scope_key}


def _full_message(message: Message) -> dict[str, Json]:
    return {
        "role": message.role,
        "content": message.content if isinstance(message.content, str) else list(message.content),
        "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in message.tool_calls],
        "tool_call_id": message.tool_call_id,
        "tool_error": message.tool_error,
        "name": message.name,
    }
