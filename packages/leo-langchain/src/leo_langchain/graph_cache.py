"""LangGraph's cache of nodes and tasks in LEO's store: sealed, shared by processes, each value with an end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langgraph.cache.base import BaseCache, FullKey, Namespace, ValueT

from leo_core.adapting.keeper import AnswerKeeper
from leo_core.adapting.lazy import Lazy
from leo_core.adapting.values import ValueShelf
from leo_core.errors import ConfigError, TenantRequiredError
from leo_langchain.tenancy import check_name, current_tenant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langgraph.checkpoint.serde.base import SerializerProtocol

    from leo_core.config import LEOConfig
    from leo_core.privacy.config import PrivacyConfig

__all__ = ["LEOGraphCache"]


class LEOGraphCache(AnswerKeeper, BaseCache[ValueT]):
    """What nodes and tasks with a ``CachePolicy`` gave, for ``compile(cache=...)`` and ``create_agent(cache=...)``.

    LangGraph makes the keys, of which LEO sees nothing but the bytes: a value is served for an equal key only. By
    default all is sealed with AES-256-GCM under keyrings beside the store, so that whoever holds the file alone learns
    neither keys nor values. Values are written with LangGraph's own serializer, never pickled.

    A failure of the store never reaches the graph: it is counted, logged once per kind, and a miss. ``clear`` fails
    aloud.

    Values are never shared between tenants: the tenant is that of an enclosing ``tenant(...)`` block, or the one given
    here. LangGraph does not tell a cache the configuration of a run, so a tenant in ``configurable`` or in the runtime
    context is not seen: put it into the key (``CachePolicy(key_func=...)``), or run the graph in a block.

    Args:
        store: A path, ``":memory:"``, or a store of leo_core.
        tenant: Whose values, where no ``tenant(...)`` block says so.
        privacy: The mode of privacy, or its settings; ``None`` for what the settings say.
        config: Every other setting; ``require_tenant`` keeps and serves nothing without a tenant,
            ``cache.max_entries`` and ``cache.max_bytes`` bound each tenant.
        serde: Another serializer of LangGraph's.

    Raises:
        ConfigError: A setting is wrong.

    Example:
        >>> from leo_langchain import LEOGraphCache
        >>> graph = builder.compile(cache=LEOGraphCache("graph.db"))  # doctest: +SKIP
    """

    def __init__(
        self,
        store: Any = ":memory:",
        *,
        tenant: str | None = None,
        privacy: PrivacyConfig | str | None = "sealed_local",
        config: LEOConfig | None = None,
        serde: SerializerProtocol | None = None,
    ) -> None:
        AnswerKeeper.__init__(
            self, store, logger="leo_langchain", owner="LEOGraphCache", privacy=privacy, config=config
        )
        if serde is not None and not callable(getattr(serde, "dumps_typed", None)):
            message = f"LEOGraphCache: serde is a serializer of LangGraph's, not {type(serde).__name__}"
            raise ConfigError(message)
        BaseCache.__init__(self, serde=serde)
        self._tenant = None if tenant is None else check_name(tenant, "tenant")
        self._shelf: Lazy[ValueShelf] = Lazy()

    def __repr__(self) -> str:
        return f"LEOGraphCache({self._store!r})"

    # ------------------------------------------------------------------------------------------------- the door

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """The kept values of these keys; those that are not kept are left out."""
        found: dict[FullKey, ValueT] = {}
        for place, name in keys:
            try:
                kept = self._shelf.get(self._open).get(self._whose(), place, name)
                if kept is not None:
                    found[tuple(place), name] = self.serde.loads_typed(kept)
            except Exception as error:  # noqa: BLE001 - a cache must not take the graph down
                self._failed("lookup", error)
        return found

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """:meth:`get` without blocking the event loop."""
        return await asyncio.to_thread(self.get, keys)

    def set(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """Keep values, each with the seconds that it is kept; ``None`` for as long as there is room."""
        for (place, name), (value, ttl_s) in pairs.items():
            try:
                shelf, written = self._shelf.get(self._open), self.serde.dumps_typed(value)
                shelf.put(self._whose(), place, name, written, ttl_s=ttl_s)
            except Exception as error:  # noqa: BLE001 - as above
                self._failed("update", error)

    async def aset(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """:meth:`set` without blocking the event loop."""
        await asyncio.to_thread(self.set, pairs)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Remove the values of these namespaces for the present tenant; without namespaces all of all tenants.

        Raises:
            StorageError: The store failed, so that something may be left.
        """
        if namespaces is None:
            self.leo.store.clear()
        else:
            self._shelf.get(self._open).remove(self._whose(), namespaces)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """:meth:`clear` without blocking the event loop."""
        await asyncio.to_thread(self.clear, namespaces)

    def close(self) -> None:
        """Release the store; idempotent. A later use opens it again."""
        self._shelf.take()
        super().close()

    # -------------------------------------------------------------------------------------------------- private

    def _open(self) -> ValueShelf:
        return ValueShelf(self.leo, "langgraph")

    def _whose(self) -> str:
        named = current_tenant() or self._tenant
        if named is None and self._config.require_tenant:
            message = "the settings require a tenant: use the cache inside a tenant(...) block, or give it one"
            raise TenantRequiredError(message)
        return named or "default"
