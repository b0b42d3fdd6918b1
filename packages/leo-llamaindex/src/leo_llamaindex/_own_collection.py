"""A part of a key-value store that only one embedder writes."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llama_index.core.storage.kvstore.types import DEFAULT_COLLECTION, BaseKVStore

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["OwnCollection", "embedding_a_query"]

_KIND: ContextVar[str] = ContextVar("leo_embedded_kind", default="text")


@contextmanager
def embedding_a_query() -> Iterator[None]:
    """What is kept inside the block is of a query, and otherwise of a text."""
    token = _KIND.set("query")
    try:
        yield
    finally:
        _KIND.reset(token)


class OwnCollection(BaseKVStore):
    """Adds an owner's name, and whether a query or a text is embedded, to the name of each collection.

    Args:
        inner: Where everything is kept.
        owner: Whose part it is.
    """

    def __init__(self, inner: BaseKVStore, owner: str) -> None:
        self.inner, self.owner = inner, owner

    def _name(self, collection: str) -> str:
        return f"{collection}/{self.owner}/{_KIND.get()}"

    def put(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        """Keep a value."""
        self.inner.put(key, val, collection=self._name(collection))

    async def aput(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        """:meth:`put` of the inner store's asynchronous kind."""
        await self.inner.aput(key, val, collection=self._name(collection))

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """The value kept under a key."""
        return self.inner.get(key, collection=self._name(collection))

    async def aget(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """:meth:`get` of the inner store's asynchronous kind."""
        return await self.inner.aget(key, collection=self._name(collection))

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """Everything in a collection."""
        return self.inner.get_all(collection=self._name(collection))

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """:meth:`get_all` of the inner store's asynchronous kind."""
        return await self.inner.aget_all(collection=self._name(collection))

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Remove a value; tells whether there was one."""
        return self.inner.delete(key, collection=self._name(collection))

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """:meth:`delete` of the inner store's asynchronous kind."""
        return await self.inner.adelete(key, collection=self._name(collection))
