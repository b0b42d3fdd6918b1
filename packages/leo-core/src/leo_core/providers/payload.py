"""Decisions about a request that both wire protocols share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from leo_core.errors import CapabilityError, RequestError
from leo_core.records import Json, Request, ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.providers.blocks import Part

__all__ = [
    "cannot_carry",
    "check_encodable",
    "check_messages",
    "data_url",
    "named_tool",
    "parse_arguments",
    "split_options",
]

_ROLES = ("system", "user", "assistant", "tool")
_SDK_OPTIONS = ("extra_headers", "extra_query", "extra_body")


def check_messages(request: Request) -> None:
    """Refuse a request that no provider can answer.

    Raises:
        RequestError: There is no message, or one has an unknown role or a tool message without its call.
    """
    if not request.messages:
        message = "the request has no messages"
        raise RequestError(message)
    for number, turn in enumerate(request.messages):
        if turn.role not in _ROLES:
            message = f"message {number} has the unknown role {turn.role!r}; use one of {', '.join(_ROLES)}"
            raise RequestError(message)
        if turn.role == "tool" and not turn.tool_call_id:
            message = f"message {number} is a tool's result without the tool_call_id that it answers"
            raise RequestError(message)


def check_encodable(payload: Mapping[str, Json]) -> None:
    """Refuse what cannot be sent as UTF-8 JSON.

    An unpaired surrogate has no UTF-8 form; replacing it would send another text than the one that was asked (and
    keyed), so it is refused.

    Raises:
        RequestError: A text holds an unpaired surrogate, or a value is not JSON.
    """
    try:
        json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        broken = error.object[error.start]
        message = f"a text of the request holds the unpaired surrogate U+{ord(broken):04X}; remove or replace it"
        raise RequestError(message) from None
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the request holds a value that is not JSON: {error}"
        raise RequestError(message) from error


def named_tool(request: Request) -> str | None:
    """The tool that ``tool_choice`` names, or ``None`` when it is one of the words.

    Raises:
        RequestError: It names a tool that is not bound, or demands a tool when none is.
    """
    choice = request.tool_choice
    if choice in (None, "auto", "none"):
        return None
    names = [str(tool.get("name")) for tool in request.tools]
    if not names:
        message = f"tool_choice={choice!r} demands a tool, but none is bound"
        raise RequestError(message)
    if choice in ("any", "required") and choice not in names:
        return None
    if choice not in names:
        message = f"tool_choice={choice!r} is not among the bound tools: {', '.join(names)}"
        raise RequestError(message)
    return choice


def cannot_carry(part: Part, provider: str, hint: str = "") -> CapabilityError:
    """The error for a block that a provider's protocol has no place for."""
    tail = f"; {hint}" if hint else ""
    return CapabilityError(f"{provider} cannot carry a content block of type {part.type!r}{tail}")


def data_url(part: Part, default_type: str = "") -> str:
    """Inline media as a ``data:`` address.

    Raises:
        RequestError: The type of the media is not given.
    """
    mime_type = part.mime_type or default_type
    if not mime_type:
        message = f"a content block of type {part.type!r} with inline data needs a mime_type"
        raise RequestError(message)
    return f"data:{mime_type};base64,{part.base64}"


def split_options(options: Mapping[str, Json]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options that go into the body, and those that the SDK itself takes (``extra_headers`` …)."""
    body = {name: value for name, value in options.items() if name not in _SDK_OPTIONS}
    body |= options.get("extra_body") or {}
    calls = {name: options[name] for name in ("extra_headers", "extra_query") if options.get(name)}
    return body, calls


def parse_arguments(identity: str, name: str, raw: str) -> ToolCall:
    """A tool call from the JSON text of its arguments; no text means no arguments.

    Raises:
        ValueError: The text is not a JSON object.
    """
    value = json.loads(raw) if raw.strip() else {}
    if value is None:
        value = {}
    if not isinstance(value, dict):
        message = f"arguments are a JSON {type(value).__name__}, not an object"
        raise ValueError(message)  # noqa: TRY004 - one kind of error for one kind of defect
    return ToolCall(id=identity, name=name, arguments=value)
