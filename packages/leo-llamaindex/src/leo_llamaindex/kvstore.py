"""LEO's store as a key-value store of LlamaIndex, for ingestion caches and caches of embeddings."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING, Any

from llama_index.core.storage.kvstore.types import DEFAULT_BATCH_SIZE, DEFAULT_COLLECTION, BaseKVStore

from leo_core.adapting.keeper import AnswerKeeper
from leo_core.adapting.lazy import Lazy
from leo_core.adapting.values import ValueShelf
from leo_core.engine.arguments import check_arguments
from leo_core.errors import TenantRequiredError
from leo_llamaindex._settings import current_tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from leo_core.config import LEOConfig
    from leo_core.privacy.config import PrivacyConfig

__all__ = ["LEOKVStore"]

_OWNER = "llama_index.kvstore"


class LEOKVStore(AnswerKeeper, BaseKVStore):
    """Keeps what LlamaIndex computed once, in LEO's store: sealed, bounded, apart for each tenant.

    It is a cache: a value that cannot be read counts as missing, one that cannot be written is dropped, values end with
    ``ttl_s``, and what saves least goes when ``config.cache.max_entries`` or ``max_bytes`` is reached. So it is no home
    for documents that exist nowhere else.

    Args:
        store: A path, ``":memory:"``, or a store of leo_core.
        tenant: Whose values, where ``instrument_tags`` does not say so. Never shared between tenants.
        ttl_s: Seconds that a value is kept; ``None`` for as long as there is room.
        privacy: ``"sealed_local"``, another mode, or a ``PrivacyConfig``: whoever holds the store learns no text and no
            name. By default what the settings say.
        seal_key: File of the key that values are sealed with; made beside the store (mode 0600) by default.
        config: Every other setting.

    Example:
        >>> from llama_index.core.ingestion import IngestionCache
        >>> cache = IngestionCache(cache=LEOKVStore("leo.db", privacy="sealed_local"))  # doctest: +SKIP
    """

    def __init__(
        self,
        store: Any = ":memory:",
        *,
        tenant: str | None = None,
        ttl_s: float | None = None,
        privacy: PrivacyConfig | str | None = None,
        seal_key: str | Path | None = None,
        config: LEOConfig | None = None,
    ) -> None:
        super().__init__(
            store, logger="leo_llamaindex", owner="LEOKVStore", privacy=privacy, seal_key=seal_key, config=config
        )
        check_arguments({"tenant": tenant, "ttl_s": ttl_s}, owner="LEOKVStore")
        self._tenant, self._ttl_s = tenant, ttl_s
        self._opened: Lazy[ValueShelf] = Lazy()

    def __repr__(self) -> str:
        return f"LEOKVStore({self._store!r})"

    @property
    def _owner(self) -> str:
        named = current_tags().get("tenant") or self._tenant
        if named is None and self._config.require_tenant:
            message = "the settings require a tenant: tenant=, or instrument_tags({'tenant': …}) around the call"
            raise TenantRequiredError(message)
        return named or "default"

    @property
    def _shelf(self) -> ValueShelf:
        return self._opened.get(lambda: ValueShelf(self.leo, _OWNER))

    def close(self) -> None:
        """Write what is left and release the store; idempotent. A later use opens it again."""
        super().close()
        self._opened.take()

    # ------------------------------------------------------------------------------------------------------- one

    def put(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        """Keep a value of JSON under a key."""
        try:
            body = json.dumps([collection, key, val]).encode()
            self._shelf.put(self._owner, (collection, key), key, (_OWNER, body), ttl_s=self._ttl_s)
        except Exception as error:  # noqa: BLE001 - a cache must not take the caller down
            self._failed("put", error)

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """A new copy of the value kept under a key."""
        try:
            found = self._shelf.get(self._owner, (collection, key), key)
            return None if found is None else _read(found[1])[2]
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("get", error)
            return None

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Remove a value; tells whether there was one.

        Raises:
            StorageError: The store failed.
            TenantRequiredError: The settings require a tenant, and none is named.
        """
        return self._shelf.remove(self._owner, [(collection, key)]) > 0

    # ------------------------------------------------------------------------------------------------------ many

    def put_all(
        self,
        kv_pairs: Sequence[tuple[str, dict[str, Any]]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,  # noqa: ARG002 - LlamaIndex's signature; each value is written by itself
    ) -> None:
        """Keep several values."""
        for key, val in kv_pairs:
            self.put(key, val, collection=collection)

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """Everything in a collection, oldest first. Every entry of the tenant is read for that.

        Raises:
            StorageError: The store failed.
            TenantRequiredError: The settings require a tenant, and none is named.
        """
        return {key: val for place, key, val in self._list() if place == collection}

    def _list(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        now = time.time()
        for kept in self.leo.store.entries(self._owner):
            entry = kept.entry
            live = entry.expires_at is None or entry.expires_at > now
            if live and entry.metadata.get("kind") == _OWNER:
                yield _read(base64.b85decode(str(entry.metadata["value"])))

    # --------------------------------------------------------------------------------------------- asynchronous

    async def aput(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        """:meth:`put` without blocking the event loop."""
        await asyncio.to_thread(self.put, key, val, collection)

    async def aput_all(
        self,
        kv_pairs: Sequence[tuple[str, dict[str, Any]]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        """:meth:`put_all` without blocking the event loop."""
        await asyncio.to_thread(self.put_all, kv_pairs, collection, batch_size)

    async def aget(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """:meth:`get` without blocking the event loop."""
        return await asyncio.to_thread(self.get, key, collection)

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """:meth:`get_all` without blocking the event loop."""
        return await asyncio.to_thread(self.get_all, collection)

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """:meth:`delete` without blocking the event loop."""
        return await asyncio.to_thread(self.delete, key, collection)


def _read(body: bytes) -> tuple[str, str, dict[str, Any]]:
    collection, key, val = json.loads(body)
    return collection, key, val
