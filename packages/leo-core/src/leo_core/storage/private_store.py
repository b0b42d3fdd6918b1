"""A store that may be read by anybody: what LEO keeps in it is sealed, and searched on the client."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self, cast

from leo_core.errors import (
    ConfigError,
    KeyDestroyedError,
    KeyDisabledError,
    SealedDataError,
    StoreCorruptError,
    StoreUnavailableError,
)
from leo_core.ports import Leases, QuestionFeed
from leo_core.stages.receipt.keys import SigningKey
from leo_core.storage.checks import check_entry, check_vector
from leo_core.storage.key_trouble import key_trouble_told
from leo_core.storage.opened_index import OpenedIndex
from leo_core.storage.resealing import Resealing, refuse_beside_index
from leo_core.storage.sealed_leases import SealedLeases
from leo_core.storage.sealed_reader import SealedReader, holds_question
from leo_core.storage.sealed_rows import OpenedQuestion, SealedRows, draw_decoy
from leo_core.storage.tenant_directory import TenantDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence

    from leo_core.ports import PrivateIndex, Store
    from leo_core.privacy.keys.keyring import ClientKeyring
    from leo_core.privacy.keys.reencryption import Reencrypted
    from leo_core.records import (
        CacheEntry,
        EmbedderFingerprint,
        IndexHit,
        KeptEntry,
        Neighbour,
        Observation,
        QuestionChanges,
        Vector,
    )
    from leo_core.storage.database import Database
    from leo_core.storage.sealed_rows import Rings

__all__ = ["PrivateStore"]

_MOST_ROUNDS = 4
"""Searches made for one, while questions that are gone take the places of others."""


class PrivateStore:
    """A :class:`leo_core.ports.Store` around another one, which learns no text, no vector and no name.

    What the other store gets is described in :mod:`leo_core.storage.sealed_rows`. An entry that does not open (altered,
    swapped, moved from another tenant, sealed under other keys) is not there; it is counted, and logged once. It stays
    where it is, because the key may be the wrong one. An entry that cannot be read at all is removed.

    A search asks the index for the nearest questions, fetches as many entries as were asked for whether there are hits
    or not, opens them, and computes the inner products again: what the index says is never taken on trust.

    Args:
        inner: Keeps the rows.
        rings: The keyrings.
        index: Finds the nearest questions; by default the opened vectors in this process's memory.
        index_bytes: Memory for these, see :class:`leo_core.storage.opened_index.OpenedIndex`.
        report: Told the tenant and the number of questions opened so far, while a scope is opened.

    Attributes:
        inner: As given.
        rows: How records are sealed, for the other parts of the store's file.
        directory: Whose pseudonym is whose, for the same.
        index: As given, or the default one.

    Raises:
        ConfigError: The inner store does not tell its changes, which the default index needs, or its files may hold
            parts of this process's memory, as those of an embedded Chroma do.
    """

    def __init__(
        self,
        inner: Store,
        rings: Rings,
        *,
        index: PrivateIndex | None = None,
        index_bytes: int = 512 * 1024 * 1024,
        report: Callable[[str, int], None] = lambda *_: None,
    ) -> None:
        if getattr(inner, "spills_memory", False):
            message = (
                f"{inner!r} may write parts of this process's memory to disk, whatever is sealed: "
                "give a SQLite file, or start 'chroma run' and give chroma://host:port/name"
            )
            raise ConfigError(message)
        if index is None and not isinstance(inner, QuestionFeed):
            message = f"{type(inner).__name__} does not tell its changes (ports.QuestionFeed); give an index"
            raise ConfigError(message)
        self.inner, self.rows = inner, SealedRows(rings)
        self.directory = TenantDirectory(inner, self.rows)
        self._reader = SealedReader(inner, self.rows)
        self.index: PrivateIndex = index or OpenedIndex(
            self._read_changes, self._reader.open_vector, max_bytes=index_bytes, report=report
        )
        self._resealing = Resealing(inner, self.rows)
        self._fingerprint: EmbedderFingerprint | None = None

    def __repr__(self) -> str:
        return f"PrivateStore({self.inner!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def database(self) -> Database | None:
        """The file of the inner store, where it has one."""
        return getattr(self.inner, "database", None)

    @property
    def leases(self) -> Leases | None:
        """The store's leases, under pseudonyms; ``None`` where it has none."""
        return SealedLeases(self.inner, self.rows) if isinstance(self.inner, Leases) else None

    @property
    def on_refused(self) -> Callable[[str, str, str], None]:
        """Hears of each refused record: its tenant, its id as the row has it, and why."""
        return self._reader.on_refused

    @on_refused.setter
    def on_refused(self, hear: Callable[[str, str, str], None]) -> None:
        """Say who hears of them."""
        self._reader.on_refused = hear

    @property
    def refused(self) -> int:
        """Records refused so far."""
        return self._reader.refused

    @property
    def mismatches(self) -> int:
        """Of these, those whose inner product was not what the index said."""
        return self._reader.mismatches

    def derive_export_key(self) -> SigningKey:
        """The key that signs exports of this store."""
        names = (self.rows.name_for_store("leo.export.v1", half) for half in ("first half", "second half"))
        return SigningKey.from_seed(bytes.fromhex("".join(names)))

    def open_for(self, fingerprint: EmbedderFingerprint) -> None:
        """Declare the embedder; see :meth:`leo_core.ports.Store.open_for`. The store is told a pseudonym of it."""
        try:
            with key_trouble_told("store"):
                self.directory.mark()
                self.inner.open_for(self.rows.name_embedder(fingerprint))
        except StoreUnavailableError:
            self._declare(fingerprint)
            raise
        self._declare(fingerprint)

    def _declare(self, fingerprint: EmbedderFingerprint) -> None:
        if self._fingerprint is not None and fingerprint != self._fingerprint:
            self.index.clear()
        self._fingerprint = fingerprint

    # ------------------------------------------------------------------------------------------ entries

    def get_exact(self, tenant: str, exact_key: str, *, now: float) -> CacheEntry | None:
        """The live entry to which the question with this key leads."""
        with key_trouble_told("store"):
            owner, key = self.rows.name_tenant(tenant), self.rows.name(tenant, "key", exact_key)
        row = self._reader.read_row(tenant, lambda: self.inner.get_exact(owner, key, now=now))
        return None if row is None else self._reader.open_row(tenant, row, key, now=now)

    def get(self, tenant: str, entry_id: str) -> CacheEntry | None:
        """The entry with this id, live or expired."""
        with key_trouble_told("store"):
            owner, name = self.rows.name_tenant(tenant), self.rows.name(tenant, "entry", entry_id)
        row = self._reader.read_row(tenant, lambda: self.inner.get(owner, name))
        if row is None:
            return None
        if row.id != name:
            self._reader.refuse(tenant, name, "id")
            return None
        return self._reader.open_row(tenant, row, row.exact_key, now=None)

    def search(self, tenant: str, scope_key: str, vector: Vector, *, k: int, now: float) -> tuple[Neighbour, ...]:
        """The ``k`` nearest live entries in scope. Those that are refused leave no place to others."""
        query = check_vector(vector, self._fingerprint)
        if k < 1:
            return ()
        with key_trouble_told("store"):
            scope = self.rows.name_scope(tenant, scope_key)
            for _ in range(_MOST_ROUNDS):
                hits = self.index.search(tenant, scope, query, k=k, now=now)
                kept = self._reader.fetch(tenant, [hit.question.partition(":")[0] for hit in hits], k)
                gone = [hit.question for hit in hits if not holds_question(kept, hit.question)]
                if not gone:
                    break
                self.index.remove(tenant, scope, gone)
            found = [self._admit(tenant, scope, hit, kept, query, now) for hit in hits]
        admitted = [each for each in found if each is not None]
        return tuple(sorted(admitted, key=lambda each: -each.cosine))

    def entries(self, tenant: str, *, entry_ids: Sequence[str] | None = None) -> Iterator[KeptEntry]:
        """Entries with vectors and aliases; what does not open is left out."""
        with key_trouble_told("store"):
            names = None if entry_ids is None else self.rows.name_all(tenant, "entry", entry_ids)
            for row in self._reader.list_rows(tenant, names):
                kept = self._reader.open_kept(tenant, row)
                if kept is not None:
                    yield kept

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Write an entry, sealed."""
        self.put_many([(entry, vector)])

    def put_many(self, rows: Sequence[tuple[CacheEntry, Vector | None]]) -> None:
        """Write several entries, sealed; all or none where the inner store has transactions."""
        checked = [(entry, self._check(entry, vector)) for entry, vector in rows]
        with key_trouble_told("store"):
            self._write(checked)
            for tenant in dict.fromkeys(entry.tenant for entry, _ in checked):
                self._resealing.step(tenant)

    def add_alias(
        self, tenant: str, entry_id: str, text: str, vector: Vector, exact_key: str, *, seal: str = ""
    ) -> None:
        """Attach a verified paraphrase, sealed, to an entry that opens itself."""
        checked = check_vector(vector, self._fingerprint)
        entry = self.get(tenant, entry_id)
        if entry is None:
            return
        with key_trouble_told("store"):
            rows, owner = self.rows, self.rows.name_tenant(tenant)
            name, key = rows.name(tenant, "entry", entry_id), rows.name(tenant, "key", exact_key)
            taken = self.inner.get_exact(owner, key, now=-math.inf)
            if taken is not None and taken.exact_key == key:  # an entry's own: no alias, and nothing for the index
                return
            scope = rows.name_scope(tenant, entry.scope_key)
            question = OpenedQuestion(exact_key=exact_key, text=text, seal=seal, vector=checked)
            made = rows.seal_question(tenant, name, scope, question)
            self.inner.add_alias(owner, name, "", draw_decoy(), key, seal=made)
            self._tell_index(tenant, scope, f"{name}:{key}", checked, entry.expires_at)

    def count_hit(self, tenant: str, entry_id: str) -> None:
        """Count one serving of the entry."""
        with key_trouble_told("store"):
            self.inner.count_hit(self.rows.name_tenant(tenant), self.rows.name(tenant, "entry", entry_id))

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
        with key_trouble_told("store"):
            rows = self.rows
            return self.inner.remove(
                rows.name_tenant(tenant),
                entry_ids=rows.name_all(tenant, "entry", entry_ids),
                tags=rows.name_all(tenant, "tag", tags),
                sources=rows.name_all(tenant, "source", sources),
                model=None if model is None else rows.name(tenant, "model", model),
            )

    def remove_rows(self, tenant: str, names: Sequence[str]) -> int:
        """Remove rows by the ids that they have in the store, as refused ones are told by; returns how many."""
        with key_trouble_told("store"):
            return self.inner.remove(self.rows.name_tenant(tenant), entry_ids=names)

    def trim(self, tenant: str, *, max_entries: int | None, max_bytes: int | None, now: float) -> int:
        """Remove expired entries, then those that save least until the limits hold; returns how many.

        Sizes count as the store knows them: rounded up.
        """
        with key_trouble_told("store"):
            owner = self.rows.name_tenant(tenant)
            return self.inner.trim(owner, max_entries=max_entries, max_bytes=max_bytes, now=now)

    def clear(self, tenant: str | None = None) -> int:
        """Remove all entries of a tenant, or of all tenants, whichever keys sealed them; returns how many."""
        with key_trouble_told("store"):
            removed = self.inner.clear(None if tenant is None else self.rows.name_tenant(tenant))
            self.index.clear(tenant)
        return removed

    def count_entries(self, tenant: str | None = None) -> int:
        """Entries kept, expired and refused ones included."""
        with key_trouble_told("store"):
            return self.inner.count_entries(None if tenant is None else self.rows.name_tenant(tenant))

    # ------------------------------------------------------------------------------------------ rotation

    def reseal(self, tenant: str | None = None, *, report: Callable[[int, int], None] = lambda *_: None) -> Reencrypted:
        """Seal anew what earlier key versions sealed, wherever in the store it lies; destroys no key.

        After a rotation this goes on by itself, some records with each write.

        Args:
            tenant: Whose; ``None`` for what lies under the store's own keys: receipts, requests in the journal, names.
            report: Told after each record how many were looked at, and how many of them were sealed anew.

        Raises:
            ConfigError: The inner store cannot exchange sealed values.
            StorageError: The keys cannot be used, or the store failed.
        """
        with key_trouble_told("store"):
            return self._resealing.run(self._ring(tenant), report)

    def count_sealed(self, tenant: str | None = None) -> dict[int, dict[str, int]]:
        """By key version: how many records of each part it sealed. Version 0: what this keyring did not seal.

        Args:
            tenant: Whose; ``None`` for what lies under the store's own keys.
        """
        with key_trouble_told("store"):
            counted = self._resealing.count(self._ring(tenant))
        return {version: dict(parts) for version, parts in sorted(counted.items())}

    def destroy_version(self, version: int, *, tenant: str | None = None) -> None:
        """Destroy an old key version, once nothing in the store is under it and its grace is over.

        An index server is asked to have everything anew first (:meth:`EncryptedIndex.rewrite
        <leo_core.privacy.index.client.EncryptedIndex.rewrite>`), where the index of this store is one. Opened without
        it, the store cannot know what lies there: then no version goes of a tenant whose keyring keeps a homomorphic
        secret.

        Args:
            version: The version.
            tenant: Whose; ``None`` for the store's own.

        Raises:
            KeyInUseError: Records are under it; ``.left`` counts them. Or its grace is not over, or an index server may
                have something under it.
            StorageError: The index server cannot write everything anew now.
            ConfigError: It is the primary, or the inner store cannot exchange sealed values.
            KeyringError: There is no such version, or it is destroyed already.
        """
        rewrite = getattr(self.index, "rewrite", None)
        if tenant is not None and rewrite is not None:
            rewrite(tenant)
        elif tenant is not None:
            refuse_beside_index(self._ring(tenant).keyset, version)
        self._resealing.destroy(self._ring(tenant), version)

    def _ring(self, tenant: str | None) -> ClientKeyring:
        return self.rows.rings.root if tenant is None else self.rows.rings.of(tenant)

    # ---------------------------------------------------------------------------- observations and states

    def observe(self, observations: Sequence[Observation]) -> None:
        """Append observations, sealed."""
        with key_trouble_told("store"):
            sealed = [self.rows.seal_observation(each) for each in observations]
            for tenant in dict.fromkeys(each.tenant for each in observations):
                self.directory.note(tenant)
            self.inner.observe(sealed)

    def observations(self, after: int = 0, *, tenant: str | None = None) -> Iterator[tuple[int, Observation]]:
        """Observations with a number above ``after``, in order; what does not open is left out."""
        with key_trouble_told("store"):
            owner = None if tenant is None else self.rows.name_tenant(tenant)
            for number, row in self.inner.observations(after, tenant=owner):
                opened = self._open_observation(row)
                if opened is not None:
                    yield number, opened

    def save_state(self, tenant: str, name: str, blob: bytes) -> None:
        """Keep a stage's state, sealed, under a pseudonym of its name."""
        with key_trouble_told("store"):
            self.directory.note(tenant)
            place = self.rows.name(tenant, "state", name)
            self.inner.save_state(self.rows.name_tenant(tenant), place, self.rows.seal_state(tenant, place, blob))

    def load_state(self, tenant: str, name: str) -> bytes | None:
        """The state kept under a name.

        Raises:
            StoreCorruptError: It does not open: it was altered, or sealed under other keys.
        """
        with key_trouble_told("store"):
            place = self.rows.name(tenant, "state", name)
            sealed = self.inner.load_state(self.rows.name_tenant(tenant), place)
            if sealed is None:
                return None
            try:
                return self.rows.open_state(tenant, place, sealed)
            except SealedDataError:
                self._reader.refuse(tenant, "", "state")
                raise

    def tenants(self) -> tuple[str, ...]:
        """Tenants with any row whose names open, sorted."""
        with key_trouble_told("store"):
            names = set(self.inner.tenants()) - {self.directory.owner}
            found = [self.directory.find(name) for name in names]
        return tuple(sorted(each for each in found if each is not None))

    def close(self) -> None:
        """Close the index and the inner store; idempotent."""
        try:
            self.index.close()
        finally:
            self.inner.close()

    # -------------------------------------------------------------------------------------------- private

    def _check(self, entry: CacheEntry, vector: Vector | None) -> Vector | None:
        check_entry(entry)
        return None if vector is None else check_vector(vector, self._fingerprint)

    def _write(self, rows: Sequence[tuple[CacheEntry, Vector | None]]) -> None:
        sealed = [self.rows.seal_entry(entry, vector) for entry, vector in rows]
        for tenant in dict.fromkeys(entry.tenant for entry, _ in rows):
            self.directory.note(tenant)
        if len(sealed) == 1:
            self.inner.put(*sealed[0])
        else:
            self.inner.put_many(sealed)
        for (entry, vector), (row, _) in zip(rows, sealed, strict=True):
            self._reader.note_seen(entry.tenant, row.id)
            self._tell_index(entry.tenant, row.scope_key, f"{row.id}:{row.exact_key}", vector, entry.expires_at)

    def _tell_index(
        self, tenant: str, scope: str, question: str, vector: Vector | None, expires_at: float | None
    ) -> None:
        if vector is not None:
            self.index.add(tenant, scope, question, vector, expires_at=expires_at)

    def _read_changes(self, tenant: str, scope: str, cursor: str, known: Container[str]) -> QuestionChanges:
        feed = cast("QuestionFeed", self.inner)
        return feed.changes(self.rows.name_tenant(tenant), scope, cursor, known=known)

    def _admit(
        self, tenant: str, scope: str, hit: IndexHit, kept: Mapping[str, KeptEntry], query: Vector, now: float
    ) -> Neighbour | None:
        if not holds_question(kept, hit.question):
            return None
        row = kept[hit.question.partition(":")[0]]
        found = self._reader.admit(tenant, scope, hit, row, query, max_error=self.index.max_error)
        ends = None if found is None else found.entry.expires_at
        if found is not None and ends is not None and ends < now:
            self._reader.refuse(tenant, row.entry.id, "expiry")
            return None
        return found

    def _open_observation(self, row: Observation) -> Observation | None:
        tenant = self.directory.find(row.tenant)
        if tenant is None:
            self._reader.refuse("", "", "observation of nobody")
            return None
        try:
            return self.rows.open_observation(tenant, row)
        except (SealedDataError, KeyDisabledError, KeyDestroyedError, StoreCorruptError):
            self._reader.refuse(tenant, "", "observation")
            return None
