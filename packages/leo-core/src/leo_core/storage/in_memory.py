"""The store of tests and of short-lived processes."""

from __future__ import annotations

import json
import secrets
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from leo_core.errors import StorageError
from leo_core.records import Alias, KeptEntry, KeptQuestion, Neighbour, QuestionChanges, SealedValue
from leo_core.storage.checks import check_embedder, check_entry, check_vector
from leo_core.storage.codec import decode_entry, decode_observation, encode_entry, encode_observation
from leo_core.storage.eviction import Occupant, choose_evicted
from leo_core.storage.sealed_values import find_in_entry, find_in_observation, put_in_entry, put_in_observation
from leo_core.storage.sealing import SECRET_BYTES
from leo_core.storage.vector_index import ScopeIndex, find_nearest

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    import numpy.typing as npt

    from leo_core.records import CacheEntry, EmbedderFingerprint, Observation, Vector

__all__ = ["InMemoryStore"]

_REMOVALS_KEPT = 4096


@dataclass(slots=True, kw_only=True)
class _Kept:
    """An entry as JSON, so that nobody outside holds a part of it, with the columns that are searched."""

    tenant: str
    id: str
    model: str
    tags: frozenset[str]
    sources: frozenset[str]
    scope_key: str
    created_at: float
    expires_at: float | None
    cost_usd: float | None
    size_bytes: int
    hits: int
    body: str
    questions: set[int] = field(default_factory=set)

    def read(self, seal: str) -> CacheEntry:
        return decode_entry(self.body, hits=self.hits, seal=seal)

    def is_live(self, now: float) -> bool:
        return self.expires_at is None or self.expires_at >= now


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A question that leads to an entry; ``own`` unless it is a paraphrase."""

    entry: int
    tenant: str
    exact_key: str
    own: bool
    text: str
    vector: Vector | None
    seal: str

    def read_alias(self) -> Alias:
        if self.vector is None:
            message = "an alias has no vector"
            raise StorageError(message)
        return Alias(exact_key=self.exact_key, text=self.text, vector=self.vector.copy(), seal=self.seal)


class InMemoryStore:
    """A :class:`leo_core.ports.Store` in the memory of one process.

    Attributes:
        seal_secret: What its entries are sealed with; it lives as long as they do.
    """

    def __init__(self) -> None:
        self.seal_secret = secrets.token_bytes(SECRET_BYTES)
        self._lock = threading.RLock()
        self._closed = False
        self._fingerprint: EmbedderFingerprint | None = None
        self._number = 0
        self._entries: dict[int, _Kept] = {}
        self._questions: dict[int, _Question] = {}
        self._by_id: dict[tuple[str, str], int] = {}
        self._by_key: dict[tuple[str, str], int] = {}
        self._scopes: dict[tuple[str, str], ScopeIndex] = {}
        self._removed: deque[int] = deque(maxlen=_REMOVALS_KEPT)
        self._removals = 0
        self._observations: list[tuple[str, str]] = []
        self._states: dict[tuple[str, str], bytes] = {}

    def __repr__(self) -> str:
        return f"InMemoryStore({len(self._entries)} entries)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open_for(self, fingerprint: EmbedderFingerprint) -> None:
        """Declare the embedder; see :meth:`leo_core.ports.Store.open_for`."""
        with self._opened():
            if any(len(index) for index in self._scopes.values()):
                check_embedder(fingerprint, self._fingerprint)
            elif fingerprint != self._fingerprint:
                self._scopes.clear()
            self._fingerprint = fingerprint

    # ------------------------------------------------------------------------------------------ entries

    def get_exact(self, tenant: str, exact_key: str, *, now: float) -> CacheEntry | None:
        """The live entry whose request, or verified paraphrase, had this key."""
        with self._opened():
            number = self._by_key.get((tenant, exact_key))
            if number is None:
                return None
            question = self._questions[number]
            kept = self._entries[question.entry]
            return kept.read(question.seal) if kept.is_live(now) else None

    def get(self, tenant: str, entry_id: str) -> CacheEntry | None:
        """The entry with this id, live or expired."""
        with self._opened():
            number = self._by_id.get((tenant, entry_id))
            return None if number is None else self._read(number).entry

    def search(self, tenant: str, scope_key: str, vector: Vector, *, k: int, now: float) -> tuple[Neighbour, ...]:
        """The ``k`` nearest live entries in scope; among equals the older question first."""
        with self._opened():
            query = check_vector(vector, self._fingerprint)
            index = self._scopes.get((tenant, scope_key))
            if index is None:
                return ()
            hits = find_nearest(index.view(), query, k=k, now=now, read_vectors=self._read_vectors)
            questions = [self._questions[hit.question] for hit in hits]
            return tuple(
                Neighbour(
                    entry=self._entries[question.entry].read(question.seal),
                    cosine=hit.cosine,
                    text=question.text,
                    vector=None if question.vector is None else question.vector.copy(),
                    kin=hit.kin,
                )
                for question, hit in zip(questions, hits, strict=True)
            )

    def entries(self, tenant: str, *, entry_ids: Sequence[str] | None = None) -> Iterator[KeptEntry]:
        """Entries with vectors and aliases, live or expired, in the order of writing: all, or those with these ids."""
        with self._opened():
            wanted = None if entry_ids is None else frozenset(entry_ids)
            numbers = [
                number
                for number, kept in self._entries.items()
                if kept.tenant == tenant and (wanted is None or kept.id in wanted)
            ]
        for number in numbers:
            with self._opened():
                found = self._read(number) if number in self._entries else None
            if found is not None:
                yield found

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Write an entry; replaces those of its tenant with the same id or the same exact key of their own."""
        self.put_many([(entry, vector)])

    def put_many(self, rows: Sequence[tuple[CacheEntry, Vector | None]]) -> None:
        """:meth:`put` for several entries in turn, all or none."""
        for entry, _ in rows:
            check_entry(entry)
        bodies = [encode_entry(entry) for entry, _ in rows]
        with self._opened():
            vectors = [None if row is None else check_vector(row, self._fingerprint).copy() for _, row in rows]
            for (entry, _), body, vector in zip(rows, bodies, vectors, strict=True):
                self._insert(entry, body, vector)

    def add_alias(
        self, tenant: str, entry_id: str, text: str, vector: Vector, exact_key: str, *, seal: str = ""
    ) -> None:
        """Attach a verified paraphrase to an entry.

        Nothing happens when the entry is gone, or when the key is some entry's own. A paraphrase of another entry
        with this key moves here.
        """
        with self._opened():
            checked = check_vector(vector, self._fingerprint).copy()
            number = self._by_id.get((tenant, entry_id))
            taken = self._by_key.get((tenant, exact_key))
            if number is None or (taken is not None and self._questions[taken].own):
                return
            if taken is not None:
                self._remove_question(taken)
            question = _Question(
                entry=number, tenant=tenant, exact_key=exact_key, own=False, text=text, vector=checked, seal=seal
            )
            self._add_question(question)

    def count_hit(self, tenant: str, entry_id: str) -> None:
        """Count one serving of the entry; nothing happens when it is gone."""
        with self._opened():
            number = self._by_id.get((tenant, entry_id))
            if number is not None:
                self._entries[number].hits += 1

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
        with self._opened():
            found = {number for entry_id in entry_ids if (number := self._by_id.get((tenant, entry_id))) is not None}
            if tags or sources or model is not None:
                labels, documents = frozenset(tags), frozenset(sources)
                found.update(
                    number
                    for number, kept in self._entries.items()
                    if kept.tenant == tenant
                    and (
                        kept.model == model
                        or not labels.isdisjoint(kept.tags)
                        or not documents.isdisjoint(kept.sources)
                    )
                )
            return self._remove_entries(found)

    def trim(self, tenant: str, *, max_entries: int | None, max_bytes: int | None, now: float) -> int:
        """Remove expired entries, then those that save least until the limits hold; returns how many."""
        with self._opened():
            occupants = [
                Occupant(
                    number=number,
                    hits=kept.hits,
                    cost_usd=kept.cost_usd,
                    size_bytes=kept.size_bytes,
                    created_at=kept.created_at,
                    expires_at=kept.expires_at,
                )
                for number, kept in self._entries.items()
                if kept.tenant == tenant
            ]
            gone = choose_evicted(occupants, max_entries=max_entries, max_bytes=max_bytes, now=now)
            return self._remove_entries(set(gone))

    def clear(self, tenant: str | None = None) -> int:
        """Remove all entries of a tenant, or of all tenants; returns how many. Observations and states stay."""
        with self._opened():
            return self._remove_entries(
                {number for number, kept in self._entries.items() if tenant is None or kept.tenant == tenant}
            )

    def count_entries(self, tenant: str | None = None) -> int:
        """Entries kept, expired ones included."""
        with self._opened():
            return sum(tenant is None or kept.tenant == tenant for kept in self._entries.values())

    def changes(
        self,
        tenant: str,
        scope_key: str,
        after: str,
        *,
        known: Container[str] = (),  # noqa: ARG002 - the port's; here the cursor says it all
    ) -> QuestionChanges:
        """What came and went in a scope; see :meth:`leo_core.ports.QuestionFeed.changes`."""
        with self._opened():
            last, seen = map(int, after.split(".")) if after else (0, self._removals)
            behind = self._removals - seen
            anew = behind > len(self._removed)
            removed = () if anew or not behind else tuple(self._removed)[-behind:]
            index = self._scopes.get((tenant, scope_key))
            numbers: list[int] = []
            if index is not None:
                view = index.view()
                numbers = view.questions[view.alive & (view.questions > (0 if anew else last))].tolist()
            return QuestionChanges(
                cursor=f"{self._number}.{self._removals}",
                added=tuple(self._read_question(number) for number in numbers),
                removed=tuple(map(str, removed)),
                anew=anew,
            )

    def sealed_values(self, tenant: str) -> Iterator[SealedValue]:
        """Values of a tenant that were sealed outside; see :class:`leo_core.storage.exchanging.SealedValues`."""
        with self._opened():
            found = [value for owner, value in self._list_values() if owner == tenant]
        yield from found

    def exchange(self, value: SealedValue, fresh: str | bytes) -> bool:
        """Put another value in its place; see :class:`leo_core.storage.exchanging.SealedValues`."""
        with self._opened():
            if all(each != value for _, each in self._list_values()):
                return False
            if isinstance(fresh, bytes):
                tenant, name = json.loads(value.row)
                self._states[tenant, name] = fresh
            elif value.part == "entry":
                kept = self._entries[int(value.row)]
                kept.body = put_in_entry(kept.body, fresh)
            elif value.part == "question":
                self._questions[int(value.row)] = replace(self._questions[int(value.row)], seal=fresh)
            else:
                owner, body = self._observations[int(value.row)]
                self._observations[int(value.row)] = owner, put_in_observation(body, fresh)
            return True

    # ---------------------------------------------------------------------------- observations and states

    def observe(self, observations: Sequence[Observation]) -> None:
        """Append observations, all or none."""
        rows = [(item.tenant, encode_observation(item)) for item in observations]
        with self._opened():
            self._observations += rows

    def observations(self, after: int = 0, *, tenant: str | None = None) -> Iterator[tuple[int, Observation]]:
        """Observations with a number above ``after``, in order; those appended meanwhile are seen too."""
        number = max(0, after)
        while True:
            with self._opened():
                if number >= len(self._observations):
                    return
                owner, body = self._observations[number]
            number += 1
            if tenant is None or owner == tenant:
                yield number, decode_observation(body)

    def save_state(self, tenant: str, name: str, blob: bytes) -> None:
        """Keep a stage's state under a name; the last write wins."""
        with self._opened():
            self._states[tenant, name] = bytes(blob)

    def load_state(self, tenant: str, name: str) -> bytes | None:
        """The state kept under a name."""
        with self._opened():
            return self._states.get((tenant, name))

    def tenants(self) -> tuple[str, ...]:
        """Tenants with an entry, an observation or a state, sorted."""
        with self._opened():
            found = {kept.tenant for kept in self._entries.values()}
            found.update(tenant for tenant, _ in self._observations)
            found.update(tenant for tenant, _ in self._states)
        return tuple(sorted(found))

    def close(self) -> None:
        """Refuse further use; idempotent."""
        with self._lock:
            self._closed = True

    # --------------------------------------------------------------------------------------------- rows

    def _opened(self) -> threading.RLock:
        """The lock, for a store that is still open."""
        if self._closed:
            message = "the store is closed"
            raise StorageError(message)
        return self._lock

    def _read(self, number: int) -> KeptEntry:
        kept = self._entries[number]
        questions = [self._questions[each] for each in sorted(kept.questions)]
        own = next(question for question in questions if question.own)
        return KeptEntry(
            entry=kept.read(own.seal),
            vector=None if own.vector is None else own.vector.copy(),
            aliases=tuple(question.read_alias() for question in questions if not question.own),
        )

    def _read_question(self, number: int) -> KeptQuestion:
        question = self._questions[number]
        entry = self._entries[question.entry]
        return KeptQuestion(
            row=str(number),
            entry_id=entry.id,
            exact_key=question.exact_key,
            expires_at=entry.expires_at,
            seal=question.seal,
        )

    def _list_values(self) -> Iterator[tuple[str, SealedValue]]:
        for number, kept in self._entries.items():
            found = find_in_entry(kept.body)
            yield kept.tenant, SealedValue(part="entry", row=str(number), names=(kept.id,), value=found)
        for number, question in self._questions.items():
            kept = self._entries[question.entry]
            names = (kept.id, kept.scope_key, question.exact_key)
            yield kept.tenant, SealedValue(part="question", row=str(number), names=names, value=question.seal)
        for place, (owner, body) in enumerate(self._observations):
            yield owner, SealedValue(part="observation", row=str(place), value=find_in_observation(body))
        for (owner, name), blob in self._states.items():
            yield owner, SealedValue(part="state", row=json.dumps([owner, name]), names=(name,), value=blob)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _insert(self, entry: CacheEntry, body: str, vector: Vector | None) -> None:
        self._make_room(entry)
        number = self._next()
        self._entries[number] = _Kept(
            tenant=entry.tenant,
            id=entry.id,
            model=entry.model,
            tags=frozenset(entry.tags),
            sources=frozenset(entry.sources),
            scope_key=entry.scope_key,
            created_at=entry.created_at,
            expires_at=entry.expires_at,
            cost_usd=entry.usage.cost_usd,
            size_bytes=entry.size_bytes,
            hits=entry.hits,
            body=body,
        )
        self._by_id[entry.tenant, entry.id] = number
        question = _Question(
            entry=number,
            tenant=entry.tenant,
            exact_key=entry.exact_key,
            own=True,
            text=entry.text,
            vector=vector,
            seal=entry.seal,
        )
        self._add_question(question)

    def _make_room(self, entry: CacheEntry) -> None:
        same_id = self._by_id.get((entry.tenant, entry.id))
        if same_id is not None:
            self._remove_entry(same_id)
        taken = self._by_key.get((entry.tenant, entry.exact_key))
        if taken is None:
            return
        if self._questions[taken].own:
            self._remove_entry(self._questions[taken].entry)
        else:
            self._remove_question(taken)

    def _read_vectors(self, questions: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return np.array([self._questions[number].vector for number in questions.tolist()], dtype=np.float32)

    def _add_question(self, question: _Question) -> None:
        number = self._next()
        self._questions[number] = question
        self._by_key[question.tenant, question.exact_key] = number
        kept = self._entries[question.entry]
        kept.questions.add(number)
        vector = question.vector
        if vector is None:
            return
        index = self._scopes.setdefault((kept.tenant, kept.scope_key), ScopeIndex(len(vector)))
        index.append(
            np.array([number], dtype=np.int64),
            np.array([question.entry], dtype=np.int64),
            np.array([np.inf if kept.expires_at is None else kept.expires_at], dtype=np.float64),
            vector[np.newaxis],
        )

    def _remove_question(self, number: int) -> None:
        question = self._questions.pop(number)
        del self._by_key[question.tenant, question.exact_key]
        kept = self._entries[question.entry]
        kept.questions.discard(number)
        if question.vector is not None:
            self._removed.append(number)
            self._removals += 1
        index = self._scopes.get((kept.tenant, kept.scope_key))
        if index is not None:
            index.remove(np.array([number], dtype=np.int64))
            if not len(index):
                del self._scopes[kept.tenant, kept.scope_key]

    def _remove_entry(self, number: int) -> None:
        kept = self._entries[number]
        for question in sorted(kept.questions):
            self._remove_question(question)
        del self._by_id[kept.tenant, kept.id]
        del self._entries[number]

    def _remove_entries(self, numbers: set[int]) -> int:
        for number in numbers:
            self._remove_entry(number)
        return len(numbers)
