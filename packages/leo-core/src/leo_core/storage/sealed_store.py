"""A store whose entries are sealed: what LEO did not write itself is not served."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import EntryCorruptError
from leo_core.ports import Leases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from leo_core.ports import Store
    from leo_core.records import Alias, CacheEntry, EmbedderFingerprint, KeptEntry, Neighbour, Observation, Vector
    from leo_core.stages.receipt.keys import SigningKey
    from leo_core.storage.sealing import SealKey

__all__ = ["SealedStore"]

_log = logging.getLogger("leo_core")
_ADMITTED_KEPT = 4096
_MOST_ROUNDS = 4
"""Searches made for one, each for twice as many neighbours, while refused ones take the places of others."""


class SealedStore:
    """A :class:`leo_core.ports.Store` around another one, that seals what is written and checks what is read.

    An entry without the right seal (altered, copied from another tenant, scope or store, or written by somebody else)
    is not there; it is counted, and logged once. It stays where it is, because the key may be the wrong one, until
    something else takes its place. An entry that cannot be read at all is removed.

    Args:
        inner: Keeps the rows.
        key: Makes and checks the seals.

    Attributes:
        inner: As given.
        key: As given.
        on_refused: Hears of each refused entry: its tenant, its id as the row has it, and why.
        refused: Entries refused so far.
    """

    def __init__(self, inner: Store, key: SealKey) -> None:
        self.inner, self.key = inner, key
        self.on_refused: Callable[[str, str, str], None] = lambda *_: None
        self.refused = 0
        self._admitted: OrderedDict[str, Neighbour] = OrderedDict()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"SealedStore({self.inner!r})"

    @property
    def leases(self) -> Leases | None:
        """The store's leases; ``None`` where it has none."""
        return self.inner if isinstance(self.inner, Leases) else None

    def derive_export_key(self) -> SigningKey:
        """The key that signs exports of this store."""
        return self.key.derive_export_key()

    def open_for(self, fingerprint: EmbedderFingerprint) -> None:
        """Declare the embedder; see :meth:`leo_core.ports.Store.open_for`."""
        self.inner.open_for(fingerprint)

    # ------------------------------------------------------------------------------------------ entries

    def get_exact(self, tenant: str, exact_key: str, *, now: float) -> CacheEntry | None:
        """The live entry to which the question with this key leads."""
        try:
            entry = self.inner.get_exact(tenant, exact_key, now=now)
        except EntryCorruptError as error:
            self._drop(tenant, error)
            return None
        if entry is None:
            return None
        return entry if self._admits_exact(entry, tenant, exact_key, now) else None

    def get(self, tenant: str, entry_id: str) -> CacheEntry | None:
        """The entry with this id, live or expired."""
        try:
            entry = self.inner.get(tenant, entry_id)
        except EntryCorruptError as error:
            self._drop(tenant, error)
            return None
        if entry is None:
            return None
        if entry.id != entry_id:
            self._refuse(tenant, entry_id, "id")
            return None
        return entry if self._admits_exact(entry, tenant, entry.exact_key, None) else None

    def search(self, tenant: str, scope_key: str, vector: Vector, *, k: int, now: float) -> tuple[Neighbour, ...]:
        """The ``k`` nearest live entries in scope. Those that are refused leave their places to others."""
        wanted, seen = k, set[str]()
        for _ in range(_MOST_ROUNDS):
            found = self._search(tenant, scope_key, vector, k=wanted, now=now)
            admitted = tuple(each for each in found if self._admits_near(each, tenant, scope_key, now, seen))
            if len(admitted) >= k or len(found) < wanted:
                break
            wanted *= 2
        return admitted[:k]

    def entries(self, tenant: str, *, entry_ids: Sequence[str] | None = None) -> Iterator[KeptEntry]:
        """Entries with vectors and aliases; what is not sealed is left out."""
        done: set[str] = set()
        while True:
            try:
                for kept in self.inner.entries(tenant, entry_ids=entry_ids):
                    if kept.entry.id not in done:
                        done.add(kept.entry.id)
                        yield from self._admit_kept(kept, tenant)
            except EntryCorruptError as error:
                self._drop(tenant, error)
                continue
            return

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Write an entry under a new seal."""
        self.inner.put(*self._seal(entry, vector))

    def put_many(self, rows: Sequence[tuple[CacheEntry, Vector | None]]) -> None:
        """Write several entries under new seals, all or none."""
        self.inner.put_many([self._seal(entry, vector) for entry, vector in rows])

    def add_alias(
        self,
        tenant: str,
        entry_id: str,
        text: str,
        vector: Vector,
        exact_key: str,
        *,
        seal: str = "",  # noqa: ARG002 - the port's; here every seal is made anew
    ) -> None:
        """Attach a verified paraphrase, under a new seal, to an entry that is sealed itself."""
        entry = self.get(tenant, entry_id)
        if entry is not None:
            kept = np.asarray(vector, dtype=np.float32)
            made = self.key.seal(entry, exact_key=exact_key, text=text, vector=kept)
            self.inner.add_alias(tenant, entry_id, text, kept, exact_key, seal=made)

    def count_hit(self, tenant: str, entry_id: str) -> None:
        """Count one serving of the entry."""
        self.inner.count_hit(tenant, entry_id)

    def remove(
        self,
        tenant: str,
        *,
        entry_ids: Sequence[str] = (),
        tags: Sequence[str] = (),
        sources: Sequence[str] = (),
        model: str | None = None,
    ) -> int:
        """Remove the entries that have one of the ids, tags or sources, or the model; returns how many."""
        return self.inner.remove(tenant, entry_ids=entry_ids, tags=tags, sources=sources, model=model)

    def remove_rows(self, tenant: str, names: Sequence[str]) -> int:
        """Remove rows by the ids that they have in the store, as refused ones are told by; returns how many."""
        return self.inner.remove(tenant, entry_ids=names)

    def trim(self, tenant: str, *, max_entries: int | None, max_bytes: int | None, now: float) -> int:
        """Remove expired entries, then those that save least until the limits hold; returns how many."""
        return self.inner.trim(tenant, max_entries=max_entries, max_bytes=max_bytes, now=now)

    def clear(self, tenant: str | None = None) -> int:
        """Remove all entries of a tenant, or of all tenants; returns how many."""
        return self.inner.clear(tenant)

    def count_entries(self, tenant: str | None = None) -> int:
        """Entries kept, expired and refused ones included."""
        return self.inner.count_entries(tenant)

    # ---------------------------------------------------------------------------- observations and states

    def observe(self, observations: Sequence[Observation]) -> None:
        """Append observations."""
        self.inner.observe(observations)

    def observations(self, after: int = 0, *, tenant: str | None = None) -> Iterator[tuple[int, Observation]]:
        """Observations with a number above ``after``, in order."""
        return self.inner.observations(after, tenant=tenant)

    def save_state(self, tenant: str, name: str, blob: bytes) -> None:
        """Keep a stage's state under a name."""
        self.inner.save_state(tenant, name, blob)

    def load_state(self, tenant: str, name: str) -> bytes | None:
        """The state kept under a name."""
        return self.inner.load_state(tenant, name)

    def tenants(self) -> tuple[str, ...]:
        """Tenants with any row, sorted."""
        return self.inner.tenants()

    def close(self) -> None:
        """Close the inner store; idempotent."""
        self.inner.close()

    # -------------------------------------------------------------------------------------------- checks

    def _seal(self, entry: CacheEntry, vector: Vector | None) -> tuple[CacheEntry, Vector | None]:
        kept = None if vector is None else np.asarray(vector, dtype=np.float32)
        seal = self.key.seal(entry, exact_key=entry.exact_key, text=entry.text, vector=kept)
        return replace(entry, seal=seal), kept

    def _search(self, tenant: str, scope_key: str, vector: Vector, *, k: int, now: float) -> tuple[Neighbour, ...]:
        while True:
            try:
                return self.inner.search(tenant, scope_key, vector, k=k, now=now)
            except EntryCorruptError as error:
                if not self._drop(tenant, error):
                    raise

    def _admits_exact(self, entry: CacheEntry, tenant: str, exact_key: str, now: float | None) -> bool:
        why = _find_mismatch(entry, tenant, None, now)
        if not why and not self.key.admits_exact(entry, exact_key):
            why = "seal"
        if why:
            self._refuse(tenant, entry.id, why)
        return not why

    def _admits_near(self, found: Neighbour, tenant: str, scope_key: str, now: float, seen: set[str]) -> bool:
        entry = found.entry
        why = _find_mismatch(entry, tenant, scope_key, now)
        if not why and not self._has_seal(found):
            why = "seal"
        if why and entry.id not in seen:
            seen.add(entry.id)
            self._refuse(tenant, entry.id, why)
        return not why

    def _has_seal(self, found: Neighbour) -> bool:
        """Whether its seal is right; what a store has in memory since it was looked at is not looked at again."""
        with self._lock:
            known = self._admitted.get(found.entry.seal)
        if (
            known is not None
            and known.vector is found.vector
            and known.text == found.text
            and known.entry == found.entry
        ):
            return True
        if not self.key.admits_near(found.entry, found.text, found.vector):
            return False
        with self._lock:
            self._admitted[found.entry.seal] = found
            while len(self._admitted) > _ADMITTED_KEPT:
                self._admitted.popitem(last=False)
        return True

    def _admit_kept(self, kept: KeptEntry, tenant: str) -> Iterator[KeptEntry]:
        entry = kept.entry
        if not self._admits_exact(entry, tenant, entry.exact_key, None):
            return
        if not self.key.admits_near(entry, entry.text, kept.vector):
            self._refuse(tenant, entry.id, "seal")
            return
        aliases = tuple(alias for alias in kept.aliases if self._admits_alias(entry, alias))
        if len(aliases) < len(kept.aliases):
            self._refuse(tenant, entry.id, "seal of an alias")
        yield replace(kept, aliases=aliases)

    def _admits_alias(self, entry: CacheEntry, alias: Alias) -> bool:
        sealed = replace(entry, seal=alias.seal)
        return self.key.admits_exact(sealed, alias.exact_key) and self.key.admits_near(sealed, alias.text, alias.vector)

    def _drop(self, tenant: str, error: EntryCorruptError) -> int:
        """Remove an entry that cannot be read; returns how many went."""
        self._refuse(tenant, error.entry_id, "unreadable")
        return self.inner.remove(tenant, entry_ids=[error.entry_id])

    def _refuse(self, tenant: str, entry_id: str, why: str) -> None:
        self.refused += 1
        level = logging.WARNING if self.refused == 1 else logging.DEBUG
        _log.log(level, "a cache entry that this LEO did not write so was refused (%s)", why)
        self.on_refused(tenant, entry_id, why)


def _find_mismatch(entry: CacheEntry, tenant: str, scope_key: str | None, now: float | None) -> str:
    """What of the entry is not what was asked for; its row may say otherwise."""
    if entry.tenant != tenant:
        return "tenant"
    if scope_key is not None and entry.scope_key != scope_key:
        return "scope"
    if now is not None and entry.expires_at is not None and entry.expires_at < now:
        return "expiry"
    return ""
