"""Whose request it is.

A cache that is set for the whole process sees neither the caller nor the chain's configuration, so the tenant
travels in a context variable, or in the configuration of the runnable under ``configurable["tenant"]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import var_child_runnable_config

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

__all__ = ["current_session", "current_tenant", "tenant"]

_TENANT: ContextVar[str | None] = ContextVar("leo_tenant", default=None)


@contextmanager
def tenant(name: str) -> Iterator[None]:
    """Everything asked inside the block is asked for this tenant: answers are never shared between tenants.

    Works across ``await`` and in threads that LangChain starts; a thread of your own starts without a tenant.

    Args:
        name: Name of the tenant, not empty.

    Raises:
        ConfigError: The name is empty.
    """
    token = _TENANT.set(_checked(name))
    try:
        yield
    finally:
        _TENANT.reset(token)


def current_tenant(config: RunnableConfig | None = None) -> str | None:
    """The tenant of this call: from the configuration, else from an enclosing :func:`tenant` block, else ``None``.

    The configuration is the one given, then that of the enclosing runnable; in each, ``configurable["tenant"]``
    comes before ``metadata["tenant"]``.
    """
    for place in _places(config):
        if place.get("tenant") is not None:
            return _checked(place["tenant"])
    return _TENANT.get()


def current_session(config: RunnableConfig | None = None) -> str | None:
    """The conversation of this call: ``configurable["session"]``, or LangGraph's ``configurable["thread_id"]``."""
    for place in _places(config):
        session = place.get("session") or place.get("thread_id")
        if session is not None:
            return str(session)
    return None


def _places(config: RunnableConfig | None) -> Iterator[Mapping[str, Any]]:
    for source in (config, var_child_runnable_config.get()):
        for part in ("configurable", "metadata"):
            found: Any = (source or {}).get(part)
            if isinstance(found, Mapping):
                yield found


def _checked(name: object) -> str:
    if not isinstance(name, str) or not name:
        message = f"a tenant is a text that is not empty, not {name!r}"
        raise ConfigError(message)
    return name
