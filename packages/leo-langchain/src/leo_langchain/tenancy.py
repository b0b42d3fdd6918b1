"""Whose request it is, and on whose behalf it is asked.

A cache that is set for the whole process sees neither the caller nor the chain's configuration, so the tenant
travels in a context variable, or in the configuration of the runnable under ``configurable["tenant"]``. So does the
user, for budgets: who it is changes no answer and is part of no key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import var_child_runnable_config

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

__all__ = ["check_name", "current_session", "current_tenant", "current_user", "tenant", "user"]

_TENANT: ContextVar[str | None] = ContextVar("leo_tenant", default=None)
_USER: ContextVar[str | None] = ContextVar("leo_user", default=None)


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

    The configuration is the one given, then that of the enclosing runnable; in each, ``configurable["tenant"]``
    comes before ``metadata["tenant"]``.
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
    found: list[Any] = [source.get(part) for source in sources for part in ("configurable", "metadata")]
    return [part for part in found if isinstance(part, Mapping)]


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
