"""Settings that enclosing blocks make."""

from __future__ import annotations

from typing import Any

from llama_index_instrumentation.dispatcher import active_instrument_tags

from leo_core.errors import ConfigError

__all__ = ["current_tags"]

_TAGS = {"tenant": "tenant", "session": "session", "user": "end_user"}


def current_tags() -> dict[str, Any]:
    """Tenant, session and user from LlamaIndex's ``instrument_tags``, where an enclosing block sets them.

    It reaches calls that a query engine or an agent makes, which take no keywords.

    Raises:
        ConfigError: The tenant is empty.
    """
    tags = active_instrument_tags.get()
    if tags.get("tenant") == "":
        message = "a tenant is a text that is not empty: name one in instrument_tags({'tenant': …}), or leave it out"
        raise ConfigError(message)
    return {name: str(tags[tag]) for tag, name in _TAGS.items() if tags.get(tag) not in (None, "")}
