"""Opens what a private store holds, and refuses what does not open or is not what was asked for."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import EntryCorruptError, KeyDestroyedError, KeyDisabledError, SealedDataError, StoreCorruptError
from leo_core.records import Alias, KeptEntry, Neighbour
from leo_core.storage.codec import copy_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from leo_core.ports import Store
    from leo_core.records import CacheEntry, IndexHit, KeptQuestion, Vector
    from leo_core.storage.sealed_rows import OpenedQuestion, SealedRows

__all__ = ["SealedReader", "holds_question"]

_log = logging.getLogger("leo_core")
_OPENED_KEPT = 4096
_SEEN_KEPT = 1024
_UNREADABLE = (SealedDataError, KeyDisabledError, KeyDestroyedError, StoreCorruptError, ValueError)


class SealedReader:
    """Reads and opens the rows of a store.

    Args:
        inner: Keeps the rows.
        rows: Opens them.

    Attributes:
        on_refused: Hears of each refused row: its tenant, its id as the row has it, and why.
        refused: Rows refused so far.
        mismatches: Of these, those whose inner product was not what the index said.
    """

    def __init__(self, inner: Store, rows: SealedRows) -> None:
        self._inner, self._rows = inner, rows
        self.on_refused: Callable[[str, str, str], None] = lambda *_: None
        self.refused = self.mismatches = 0
        self._opened: OrderedDict[tuple[str, str, object], CacheEntry] = OrderedDict()
        self._seen: dict[str, deque[str]] = {}
        self._lock = threading.Lock()

    # ------------------------------------------------------------------------------------------- reading

    def read_row(self, tenant: str, read: Callable[[], CacheEntry | None]) -> CacheEntry | None:
        """The row that is read so; one that cannot be read is removed."""
        try:
            return read()
        except EntryCorruptError as error:
            self._drop(tenant, error)
            return None

    def list_rows(self, tenant: str, names: Sequence[str] | None) -> Iterator[KeptEntry]:
        """Rows of a tenant as the store has them: all, or those with these ids. What cannot be read is removed."""
        owner = self._rows.name_tenant(tenant)
        done: set[str] = set()
        while True:
            try:
                for kept in self._inner.entries(owner, entry_ids=names):
                    if kept.entry.id not in done:
                        done.add(kept.entry.id)
                        yield kept
            except EntryCorruptError as error:
                self._drop(tenant, error)
                continue
            return

    def fetch(self, tenant: str, names: Sequence[str], count: int) -> dict[str, KeptEntry]:
        """The rows with these ids. As many as ``count`` are asked for in any case, in an order that says nothing."""
        wanted = dict.fromkeys(names)
        for decoy in self._draw_decoys(tenant, count):
            if len(wanted) >= count:
                break
            wanted.setdefault(decoy)
        return {kept.entry.id: kept for kept in self.list_rows(tenant, sorted(wanted)) if kept.entry.id in names}

    def note_seen(self, tenant: str, name: str) -> None:
        """Remember an id of a row that exists, to be asked for where there is no other."""
        with self._lock:
            self._seen.setdefault(tenant, deque(maxlen=_SEEN_KEPT)).append(name)

    # ------------------------------------------------------------------------------------------- opening

    def open_row(self, tenant: str, row: CacheEntry, key: str, *, now: float | None) -> CacheEntry | None:
        """The entry of a row to which the question with this key's pseudonym leads; ``None`` when it is refused.

        Args:
            tenant: Whose it has to be.
            row: The row, with the seal of that question.
            key: Pseudonym of the key.
            now: Instant at which it has to be live, if it has to be.
        """
        try:
            entry = self._open_entry(tenant, row)
            scope = self._rows.name_scope(tenant, entry.scope_key)
            question = self._rows.open_question(tenant, row.id, scope, key, row.seal)
        except _UNREADABLE as error:
            self.refuse(tenant, row.id, _explain(error))
            return None
        if now is not None and entry.expires_at is not None and entry.expires_at < now:
            self.refuse(tenant, row.id, "expiry")
            return None
        return copy_entry(entry, hits=row.hits, seal=question.seal)

    def open_kept(self, tenant: str, row: KeptEntry) -> KeptEntry | None:
        """An entry with its vector and paraphrases; ``None`` when it is refused. Refused paraphrases are left out."""
        try:
            entry = self._open_entry(tenant, row.entry)
            scope = self._rows.name_scope(tenant, entry.scope_key)
            own = self._rows.open_question(tenant, row.entry.id, scope, row.entry.exact_key, row.entry.seal)
        except _UNREADABLE as error:
            self.refuse(tenant, row.entry.id, _explain(error))
            return None
        opened = [self._open_alias(tenant, row.entry.id, scope, alias) for alias in row.aliases]
        aliases = tuple(
            Alias(exact_key=each.exact_key, text=each.text, vector=each.vector, seal=each.seal)
            for each in opened
            if each is not None and each.vector is not None
        )
        return KeptEntry(
            entry=copy_entry(entry, hits=row.entry.hits, seal=own.seal), vector=own.vector, aliases=aliases
        )

    def open_vector(self, tenant: str, scope: str, question: KeptQuestion) -> Vector | None:
        """The vector of a question; ``None`` when it is refused."""
        try:
            opened = self._rows.open_question(tenant, question.entry_id, scope, question.exact_key, question.seal)
        except _UNREADABLE as error:
            self.refuse(tenant, question.entry_id, _explain(error))
            return None
        self.note_seen(tenant, question.entry_id)
        return opened.vector

    def admit(
        self, tenant: str, scope: str, hit: IndexHit, row: KeptEntry, query: Vector, *, max_error: float
    ) -> Neighbour | None:
        """The neighbour that an index found, opened and compared again; ``None`` when it is refused."""
        name, _, key = hit.question.partition(":")
        seal = row.entry.seal if row.entry.exact_key == key else _find_alias(row, key).seal
        try:
            entry = self._open_entry(tenant, row.entry)
            question = self._rows.open_question(tenant, name, scope, key, seal)
        except _UNREADABLE as error:
            self.refuse(tenant, name, _explain(error))
            return None
        if question.vector is None:
            self.refuse(tenant, name, "vector")
            return None
        cosine = float(np.multiply(question.vector, query, dtype=np.float64).sum())
        if not abs(cosine - hit.cosine) <= max_error:
            self.mismatches += 1
            if self.mismatches == 1:
                _log.warning("an index tells inner products that are none: its server lies, or keys were mixed up")
            self.refuse(tenant, name, "score")
            return None
        return Neighbour(
            entry=copy_entry(entry, hits=row.entry.hits, seal=question.seal),
            cosine=cosine,
            text=question.text,
            vector=question.vector,
            kin=hit.kin,
        )

    def refuse(self, tenant: str, name: str, why: str) -> None:
        """Count a row that is not served; the first is logged as a warning."""
        self.refused += 1
        level = logging.WARNING if self.refused == 1 else logging.DEBUG
        _log.log(level, "a sealed record that does not hold was refused (%s)", why)
        self.on_refused(tenant, name, why)

    def _open_entry(self, tenant: str, row: CacheEntry) -> CacheEntry:
        """The entry of a row, to be copied; what was opened lately is not opened again."""
        place = tenant, row.id, row.message.content
        with self._lock:
            known = self._opened.get(place)
            if known is not None:
                self._opened.move_to_end(place)
        if known is None:
            known = self._rows.open_entry(tenant, row)
            with self._lock:
                self._opened[place] = known
                while len(self._opened) > _OPENED_KEPT:
                    self._opened.popitem(last=False)
        return known

    def _open_alias(self, tenant: str, name: str, scope: str, alias: Alias) -> OpenedQuestion | None:
        try:
            return self._rows.open_question(tenant, name, scope, alias.exact_key, alias.seal)
        except _UNREADABLE as error:
            self.refuse(tenant, name, f"alias: {_explain(error)}")
            return None

    def _draw_decoys(self, tenant: str, count: int) -> Iterator[str]:
        with self._lock:
            seen = list(self._seen.get(tenant, ()))
        for _ in range(2 * count if seen else 0):
            yield secrets.choice(seen)
        while True:
            yield secrets.token_hex(16)

    def _drop(self, tenant: str, error: EntryCorruptError) -> None:
        """Remove a row that cannot be read.

        Raises:
            EntryCorruptError: There is none of that id, so that it would be met again.
        """
        self.refuse(tenant, error.entry_id, "unreadable")
        if not self._inner.remove(self._rows.name_tenant(tenant), entry_ids=[error.entry_id]):
            raise error


def holds_question(kept: Mapping[str, KeptEntry], question: str) -> bool:
    """Whether one of these rows has the question with this id of an index."""
    name, _, key = question.partition(":")
    row = kept.get(name)
    return row is not None and (row.entry.exact_key == key or any(each.exact_key == key for each in row.aliases))


def _find_alias(row: KeptEntry, key: str) -> Alias:
    return next(each for each in row.aliases if each.exact_key == key)


def _explain(error: Exception) -> str:
    """Why something did not open: the kind of the error, no word of it."""
    return type(error).__name__.removesuffix("Error")
