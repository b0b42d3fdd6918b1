"""Which requests are admitted, and which members can answer them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.engine.request_form import check_form
from leo_core.errors import CapabilityError, ConfigError, RequestError, TenantRequiredError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leo_core.engine.plan import Plan
    from leo_core.ports import Model
    from leo_core.records import Capabilities, Message, Request

__all__ = ["admit", "check_tenant", "find_able", "list_able"]

BLOCK_NEEDS = {"image": "images", "image_url": "images", "audio": "audio", "input_audio": "audio", "file": "files"}


def admit(request: Request, plan: Plan) -> None:
    """Check a request before anything is spent on it.

    Raises:
        RequestError: It is empty, too long, has an unknown role, an unpaired surrogate, something that is not JSON,
            a figure out of its range, or tool results and calls that do not belong together.
        TenantRequiredError: The policy requires a tenant and the request has none.
        CapabilityError: No member can do what it needs.
        ConfigError: There are no members.
    """
    check_tenant(request, plan)
    if not plan.members:
        message = "LEO needs at least one member to answer: give small=, large= or jury="
        raise ConfigError(message)
    if not request.messages:
        message = "the request has no messages"
        raise RequestError(message)
    check_form(request)
    if not any(_has_content(message) for message in request.messages):
        message = "the request has no content: every message is empty"
        raise RequestError(message)
    _check_length(request, plan.config.max_prompt_chars)
    _check_tool_turns(request.messages)
    find_able(plan.members, request)


def check_tenant(request: Request, plan: Plan) -> None:
    """Refuse a request of nobody, where the policy requires a tenant or the name is empty.

    Raises:
        TenantRequiredError: So it is.
    """
    if not request.tenant or (plan.config.require_tenant and request.tenant == "default"):
        message = "this policy serves several tenants: give the request a tenant"
        raise TenantRequiredError(message)


def find_able(members: tuple[Model, ...], request: Request) -> tuple[Model, ...]:
    """The members that can do what the request needs.

    Raises:
        CapabilityError: None of them can.
    """
    able = list_able(members, request)
    if members and not able:
        missing = ", ".join(sorted(_needs(request)))
        message = f"no member can handle this request (it needs {missing}): add a member that can"
        raise CapabilityError(message)
    return able


def list_able(members: tuple[Model, ...], request: Request) -> tuple[Model, ...]:
    """The members that can do what the request needs; maybe none."""
    needs = _needs(request)
    return tuple(member for member in members if _can(member.capabilities, needs))


def _needs(request: Request) -> set[str]:
    needs = {"tools"} if request.tools else set()
    if request.response_format is not None:
        needs.add("structured_output")
    for message in request.messages:
        if not isinstance(message.content, str):
            kinds = (str(block.get("type")) for block in message.content)
            needs |= {BLOCK_NEEDS[kind] for kind in kinds if kind in BLOCK_NEEDS}
    return needs


def _can(capabilities: Capabilities, needs: set[str]) -> bool:
    return all(getattr(capabilities, need) for need in needs)


def _has_content(message: Message) -> bool:
    content = message.content.strip() if isinstance(message.content, str) else message.content
    return bool(content) or bool(message.tool_calls) or message.role == "tool"


def _texts(message: Message) -> Iterator[str]:
    if isinstance(message.content, str):
        yield message.content
    else:
        yield from (block["text"] for block in message.content if isinstance(block.get("text"), str))


def _check_length(request: Request, limit: int) -> None:
    total = sum(len(text) for message in request.messages for text in _texts(message))
    if total > limit:
        text = f"the request has {total} characters, more than max_prompt_chars={limit}"
        raise RequestError(text)


def _check_tool_turns(messages: tuple[Message, ...]) -> None:
    """Every tool message answers an earlier call, and every call is answered before the next user turn."""
    asked: set[str] = set()
    waiting: set[str] = set()
    for position, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in asked:
                text = f"message {position} answers the tool call {message.tool_call_id!r}, which nobody made"
                raise RequestError(text)
            waiting.discard(message.tool_call_id or "")
        elif waiting and message.role != "system":
            text = f"message {position} follows tool calls without results: {', '.join(sorted(waiting))}"
            raise RequestError(text)
        calls = {call.id for call in message.tool_calls}
        asked |= calls
        waiting |= calls
    if waiting:
        text = f"the request ends with tool calls without results: {', '.join(sorted(waiting))}"
        raise RequestError(text)
