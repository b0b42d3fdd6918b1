"""Messages in the form in which the OpenTelemetry GenAI conventions record them, where that is switched on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leo_core.records import Message

__all__ = ["input_messages", "output_messages", "system_instructions"]


def system_instructions(messages: Sequence[Message]) -> str | None:
    """The parts of the system messages as JSON; ``None`` without one."""
    parts = [part for message in messages if message.role == "system" for part in _parts(message)]
    return _dump(parts) if parts else None


def input_messages(messages: Sequence[Message]) -> str:
    """The conversation without its system messages, as JSON."""
    return _dump([_message(message) for message in messages if message.role != "system"])


def output_messages(message: Message, finish_reason: str) -> str:
    """The reply as JSON."""
    return _dump([{**_message(message), "finish_reason": finish_reason}])


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": list(_parts(message))}


def _parts(message: Message) -> Iterator[dict[str, Any]]:
    """Texts, calls and their results; of images, sounds and files only that there was one."""
    if message.tool_call_id is not None:
        yield {"type": "tool_call_response", "id": message.tool_call_id, "response": message.text}
        return
    if isinstance(message.content, str):
        if message.content:
            yield {"type": "text", "content": message.content}
    else:
        for block in message.content:
            kind = str(block.get("type", ""))
            yield {"type": kind, "content": str(block.get("text", ""))} if kind == "text" else {"type": kind}
    for call in message.tool_calls:
        yield {"type": "tool_call", "id": call.id, "name": call.name, "arguments": dict(call.arguments)}


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
