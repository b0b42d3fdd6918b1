"""Settings that enclosing blocks make."""

from __future__ import annotations

from typing import Any

from llama_index_instrumentation.dispatcher import active_instrument_tags

__all__ = ["current_tags"]

_TAGS = {"tenant": "tenant", "session": "session", "user": "end_user"}


def current_tags() -> dict[str, Any]:
    """Tenant, session and user from LlamaIndex's ``instrument_tags``, where an enclosing block sets them.

    It reaches calls that a query engine or an agent makes, which take no keywords.
    """
    tags = active_instrument_tags.get()
    return {name: str(tags[tag]) for tag, name in _TAGS.items() if tags.get(tag)}
