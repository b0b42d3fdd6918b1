"""A framework's own values in LEO's store: exact, sealed, each with an end of its own."""

from __future__ import annotations

import base64
import hashlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from leo_core.engine.entries import weigh_entry
from leo_core.records import CacheEntry, Message, Route, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from leo_core.engine.leo import LEO

__all__ = ["ValueShelf"]

_SCOPE: Final = "leo.values.v1"
_TRIM_EVERY: Final = 64

Value = tuple[str, bytes]
"""The kind of a value, in its framework's word, and its bytes."""


class ValueShelf:
    """Keeps bytes under a place and a name, in the store of a LEO and under its settings.

    The store holds them as it holds answers: sealed where it is private, bounded by ``cache.max_entries`` and
    ``cache.max_bytes``, seen by every process that shares it. Safe to share between threads.

    Args:
        leo: Whose store.
        owner: Whose values: part of every key, so that two frameworks do not meet.
    """

    def __init__(self, leo: LEO, owner: str) -> None:
        self._leo, self._owner = leo, owner
        self._written: Counter[str] = Counter()

    def get(self, tenant: str, place: Sequence[str], name: str) -> Value | None:
        """The value, unless its time is over.

        Raises:
            StorageError: The store failed, or what it holds cannot be read.
        """
        entry = self._leo.store.get_exact(tenant, self._key(place, name), now=time.time())
        if entry is None:
            return None
        return str(entry.metadata["kind"]), base64.b85decode(str(entry.metadata["value"]))

    def put(self, tenant: str, place: Sequence[str], name: str, value: Value, *, ttl_s: float | None) -> None:
        """Keep a value, in the place of an earlier one.

        Args:
            tenant: Whose.
            place: A path; :meth:`remove` takes away what stands in it.
            name: The name there.
            value: Its kind and its bytes.
            ttl_s: Seconds that it is kept; ``None`` for as long as there is room.

        Raises:
            StorageError: The store failed.
        """
        kind, body = value
        now, key = time.time(), self._key(place, name)
        entry = CacheEntry(
            id=key,
            tenant=tenant,
            exact_key=key,
            scope_key=_SCOPE,
            text="",
            message=Message(role="assistant"),
            members=(),
            model="",
            route=Route.CACHE,
            usage=Usage(),
            receipt_id="",
            created_at=now,
            expires_at=None if ttl_s is None else now + ttl_s,
            tags=(self._tag(place),),
            metadata={"kind": kind, "value": base64.b85encode(body).decode("ascii")},
        )
        self._leo.store.put(weigh_entry(entry, None), None)
        self._written[tenant] += 1
        if self._written[tenant] >= _TRIM_EVERY:
            del self._written[tenant]
            limits = self._leo.config.cache
            self._leo.store.trim(tenant, max_entries=limits.max_entries, max_bytes=limits.max_bytes, now=now)

    def remove(self, tenant: str, places: Iterable[Sequence[str]]) -> int:
        """Remove what stands in these places; returns how many values.

        Raises:
            StorageError: The store failed, so that something may be left.
        """
        return self._leo.store.remove(tenant, tags=[self._tag(place) for place in places])

    def _key(self, place: Sequence[str], name: str) -> str:
        return _digest("name", self._owner, *place, name)

    def _tag(self, place: Sequence[str]) -> str:
        return f"{_SCOPE}:{_digest('place', self._owner, *place)}"


def _digest(*parts: str) -> str:
    """SHA-256 of texts, each after its length."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in encoded)).hexdigest()
