"""Whose call it is, inside an agent: of which tenant, and on behalf of which user."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from leo_core.errors import ConfigError
from leo_langchain.tenancy import current_session, current_tenant, current_user

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

__all__ = ["Scope", "ScopeFinder", "Sharing", "TenantOf"]

TenantOf = str | Callable[[Any], str | None] | None
"""A tenant, or a function of the agent's runtime (``runtime.context``, ``runtime.store``) that names one."""

Sharing = Literal["tenant", "user"]
"""Among whom kept results are shared: all users of a tenant, or each user with himself alone."""

_TENANT_FIELDS: Final = ("tenant", "tenant_id")
_USER_FIELDS: Final = ("user", "user_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose call it is.

    Attributes:
        tenant: Of which tenant.
        user: On behalf of which user; ``None`` where nobody says.
        session: In which conversation; ``None`` where nobody says.
    """

    tenant: str
    user: str | None
    session: str | None


class ScopeFinder:
    """Finds whose call it is.

    In this order: the ``tenant`` given here; the field ``tenant`` or ``tenant_id`` of the runtime context; the
    configuration's ``configurable["tenant"]`` or ``metadata["tenant"]``; an enclosing ``tenant(...)`` block; the tenant
    ``"default"``. The user is looked for in the same places, as ``user`` or ``user_id``.

    Args:
        tenant: A tenant, or a function of the runtime that names one.

    Raises:
        ConfigError: The tenant is neither, or empty.
    """

    def __init__(self, tenant: TenantOf = None) -> None:
        self._tenant = tenant if callable(tenant) else _text(tenant, "tenant")

    def find(self, runtime: Any, config: RunnableConfig | None = None) -> Scope:
        """The scope of a call.

        Args:
            runtime: The agent's runtime, or a tool's.
            config: The configuration, where it is not that of the enclosing runnable.

        Raises:
            ConfigError: The function names no tenant, or a tenant or user is no text.
        """
        context = getattr(runtime, "context", None)
        user = _text(_look_up(context, _USER_FIELDS), "user")
        return Scope(
            tenant=self._find_tenant(runtime, context, config),
            user=user or current_user(config),
            session=current_session(config),
        )

    def _find_tenant(self, runtime: Any, context: Any, config: RunnableConfig | None) -> str:
        if callable(self._tenant):
            named = _text(self._tenant(runtime), "tenant")
            if named is None:
                message = "the function given as tenant named none for this call"
                raise ConfigError(message)
            return named
        found = self._tenant or _text(_look_up(context, _TENANT_FIELDS), "tenant")
        return found or current_tenant(config) or "default"


def sharing_key(scope: Scope, sharing: Sharing) -> dict[str, str]:
    """What of the scope, beside the tenant, is part of the keys; a user's name only as its hash.

    Raises:
        ConfigError: Results are shared with the user alone, and there is no user.
    """
    if sharing == "tenant":
        return {}
    if scope.user is None:
        message = "results are shared per user, and this call names no user"
        raise ConfigError(message)
    return {"user_sha256": hashlib.sha256(scope.user.encode("utf-8", "surrogatepass")).hexdigest()}


def check_sharing(sharing: object) -> None:
    """Refuse another word.

    Raises:
        ConfigError: It is neither ``"tenant"`` nor ``"user"``.
    """
    if sharing not in ("tenant", "user"):
        message = f"share is 'tenant' or 'user', not {sharing!r}"
        raise ConfigError(message)


def _look_up(context: Any, names: tuple[str, ...]) -> Any:
    read = context.get if isinstance(context, Mapping) else lambda name: getattr(context, name, None)
    return next((value for value in map(read, names) if value is not None), None)


def _text(value: Any, what: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        message = f"a {what} is a text that is not empty, not {type(value).__name__}"
        raise ConfigError(message)
    return str(value)
