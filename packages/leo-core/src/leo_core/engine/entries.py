"""The cache entry that an answer amounts to: how long it lives, and what it weighs."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any

from leo_core.records import CacheEntry
from leo_core.storage.codec import encode_entry

if TYPE_CHECKING:
    from leo_core.engine.plan import Plan
    from leo_core.records import Identity, Json, Message, Request, Route, Usage, Vector

__all__ = ["make_entry", "weigh_entry"]

_log = logging.getLogger("leo_core")


def make_entry(
    request: Request,
    message: Message,
    identity: Identity,
    *,
    entry_id: str,
    now: float,
    plan: Plan,
    members: tuple[str, ...],
    model: str,
    route: Route,
    usage: Usage,
    receipt_id: str = "",
    metadata: Mapping[str, Json] | None = None,
) -> CacheEntry:
    """The entry of an answer to a request; its size is still to be weighed.

    It is written later, in the background: what the caller does to blocks or arguments meanwhile does not change it.
    """
    ttl_s, stale_s = _find_ttl(request, message, plan), plan.config.cache.stale_s
    return CacheEntry(
        id=entry_id,
        tenant=request.tenant,
        exact_key=identity.exact_key,
        scope_key=identity.scope_key,
        text=identity.text,
        message=_copy_message(message),
        members=members,
        model=model,
        route=route,
        usage=usage,
        receipt_id=receipt_id,
        created_at=now,
        expires_at=None if ttl_s is None else now + ttl_s + (stale_s or 0.0),
        fresh_until=None if ttl_s is None or not stale_s else now + ttl_s,
        tags=request.tags,
        sources=request.sources,
        metadata=metadata or {},
    )


def weigh_entry(entry: CacheEntry, vector: Vector | None) -> CacheEntry:
    """The entry with its size: bytes of its JSON and of its vector.

    Raises:
        StorageError: It holds a value that is not JSON.
    """
    size = len(encode_entry(entry).encode("utf-8", "surrogatepass")) + (0 if vector is None else vector.nbytes)
    return replace(entry, size_bytes=size)


def _copy_message(message: Message) -> Message:
    """The message with containers of its own; a plain text has none."""
    if isinstance(message.content, str) and not message.tool_calls:
        return message
    content = message.content if isinstance(message.content, str) else tuple(map(_copy, message.content))
    calls = tuple(replace(call, arguments=_copy(call.arguments)) for call in message.tool_calls)
    return replace(message, content=content, tool_calls=calls)


def _copy(value: Any) -> Any:
    """JSON with containers of its own; what is no JSON stays as it is, and is refused when it is written."""
    if isinstance(value, Mapping):
        return {name: _copy(each) for name, each in value.items()}
    return type(value)(map(_copy, value)) if type(value) in {list, tuple} else value


def _find_ttl(request: Request, message: Message, plan: Plan) -> float | None:
    """Seconds that an answer is fresh: the request's word, then the user's policy, then the settings."""
    if request.constraints.ttl_s is not None:
        return request.constraints.ttl_s
    if plan.lifetime is not None:
        try:
            found = plan.lifetime(request, message)
            return None if found is None else _read_seconds(found)
        except Exception:  # noqa: BLE001 - a user's function may raise anything; the answer stands all the same
            _log.exception("the lifetime policy failed; the entry gets the settings' ttl_s")
    return plan.config.cache.ttl_s


def _read_seconds(found: object) -> float:
    if not isinstance(found, Real) or math.isnan(found):
        message = f"it gave {found!r}, which is no number of seconds"
        raise TypeError(message)
    return float(found)
