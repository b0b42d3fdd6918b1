"""Whose request it is, and on whose behalf it is asked.

A cache that is set for the whole process sees neither the caller nor the chain's configuration, so the tenant
travels in a context variable, or in the configuration of the runnable under ``configurable["tenant"]``. So does the
user, for budgets: who it is changes no answer and is part of no key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from langchain_core.runnables.config import var_child_runnable_config

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

__all__ = ["check_name", "current_session", "current_tenant", "current_user", "tenant", "user"]

_TENANT: ContextVar[str | None] = ContextVar("leo_tenant", default=None)
_USER: ContextVar[str | None] = ContextVar("leo_user", default=None)
_RUNTIME: Final = "__pregel_runtime"
"""Where LangGraph hands the runtime to what runs in a node; nothing public says it without importing LangGraph."""


@contextmanager
def tenant(name: str) -> Iterator[None]:
    """Everything asked inside the block is asked for this tenant: answers are never shared between tenants.

    Works across ``await`` and in threads that LangChain starts; a thread of your own starts without a tenant.

    Args:
        name: Name of the tenant, not empty.

    Raises:
        ConfigError: The name is empty.
    """
    token = _TENANT.set(check_name(name, "tenant"))
    try:
        yield
    finally:
        _TENANT.reset(token)


@contextmanager
def user(name: str) -> Iterator[None]:
    """Everything asked inside the block is asked on behalf of this user, and charged to the user's budgets.

    Works where :func:`tenant` works. LEO writes the name nowhere.

    Args:
        name: Name or id of the user, not empty.

    Raises:
        ConfigError: The name is empty.
    """
    token = _USER.set(check_name(name, "user"))
    try:
        yield
    finally:
        _USER.reset(token)


def current_tenant(config: RunnableConfig | None = None) -> str | None:
    """The tenant of this call: from the configuration, else from an enclosing :func:`tenant` block, else ``None``.

    The configuration is the one given, then that of the enclosing runnable; in each, ``tenant`` or ``tenant_id`` of
    LangGraph's runtime context comes before ``configurable["tenant"]``, and that before ``metadata["tenant"]``.

    Raises:
        ConfigError: What is named there is no name.
    """
    for place in _places(config):
        if place.get("tenant") is not None:
            return check_name(place["tenant"], "tenant")
    return _TENANT.get()


def current_user(config: RunnableConfig | None = None) -> str | None:
    """The user of this call: from the configuration, else from an enclosing :func:`user` block, else ``None``.

    In the configuration ``user`` is looked for where a tenant is, then ``user_id``.
    """
    for place in _places(config):
        for name in ("user", "user_id"):
            if place.get(name) is not None:
                return check_name(str(place[name]), "user")
    return _USER.get()


def current_session(config: RunnableConfig | None = None) -> str | None:
    """The conversation of this call: ``configurable["session"]``, or LangGraph's ``configurable["thread_id"]``."""
    for place in _places(config):
        session = place.get("session") or place.get("thread_id")
        if session is not None:
            return str(session)
    return None


def _places(config: RunnableConfig | None) -> Sequence[Mapping[str, Any]]:
    sources = [source for source in (config, var_child_runnable_config.get()) if source]
    found: list[Any] = []
    for source in sources:
        configurable = source.get("configurable")
        found += [_name_caller(configurable), configurable, source.get("metadata")]
    return [part for part in found if isinstance(part, Mapping)]


def _name_caller(configurable: Any) -> Mapping[str, str]:
    """What the runtime context of a graph says of tenant and user.

    Raises:
        ConfigError: The tenant is neither text nor number.
    """
    runtime = configurable.get(_RUNTIME) if isinstance(configurable, Mapping) else None
    context = getattr(runtime, "context", None)
    if context is None:
        return {}
    read = context.get if isinstance(context, Mapping) else lambda name: getattr(context, name, None)
    named: dict[str, str] = {}
    for what in ("tenant", "user"):
        value = next((each for each in map(read, (what, f"{what}_id")) if each is not None), None)
        if isinstance(value, str | int) and not isinstance(value, bool):
            named[what] = str(value)
        elif what == "tenant" and value is not None:  # to share with everybody instead would be the worse surprise
            message = f"the tenant in the runtime context is a text, not {type(value).__name__}"
            raise ConfigError(message)
    return named


def check_name(name: object, what: str) -> str:
    """The name, if it can be one.

    Args:
        name: Of a tenant or a user.
        what: Which of them, for the message.

    Raises:
        ConfigError: It is empty, or no text.
    """
    if not isinstance(name, str) or not name:
        message = f"a {what} is a text that is not empty, not {name!r}"
        raise ConfigError(message)
    return name
