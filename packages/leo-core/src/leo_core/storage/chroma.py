"""The store in Chroma: a server that several processes share, or a folder of one process."""

from __future__ import annotations

import base64
import math
import secrets
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from leo_core.errors import ConfigError, EntryCorruptError, StorageError
from leo_core.records import Alias, KeptEntry, Neighbour
from leo_core.storage.checks import check_entry, check_vector
from leo_core.storage.chroma_changes import is_opening, read_changes
from leo_core.storage.chroma_client import ChromaAddress, ChromaLink
from leo_core.storage.chroma_log import ChromaLog
from leo_core.storage.chroma_rows import (
    NEVER,
    Question,
    RowClock,
    alias_facts,
    decode_text,
    digest,
    encode_text,
    entry_facts,
    idle_vector,
    label_key,
)
from leo_core.storage.chroma_sealed import exchange_in_table, exchange_state, read_values
from leo_core.storage.chroma_table import (
    ROWS_AT_ONCE,
    UNSEARCHED,
    ChromaTable,
    among,
    either,
    parts,
    read_all,
)
from leo_core.storage.database import Database
from leo_core.storage.eviction import Occupant, choose_evicted
from leo_core.storage.sealing import SECRET_BYTES
from leo_core.storage.sqlite import SEAL_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from leo_core.records import CacheEntry, EmbedderFingerprint, Observation, QuestionChanges, SealedValue, Vector

__all__ = ["ChromaStore"]

_ENTRIES_AT_ONCE = 256
_HITS_HELD = 64
_ROUNDING = 1e-5
"""More than a float32 inner product of unit vectors can be off, for d up to some thousands."""


class ChromaStore:
    """A :class:`leo_core.ports.Store` in Chroma.

    Nothing is connected before the first use. On a server, reads end after the ``timeout_ms`` of the address and writes
    after ``write_timeout_s``, or raise ``StoreUnavailableError``; an embedded Chroma has no such limit. What a write
    acknowledged is with Chroma, which forces it to disk before it answers, but for counts of hits: these are written
    some at a time.

    Args:
        address: ``"chroma://host:port/name?home=folder&timeout_ms=250"`` for a server, with a folder of this machine
            for receipts and keys; ``"chroma:folder"`` for an embedded one; ``"chroma::memory:"`` for one that is
            forgotten.
        write_timeout_s: Time for a write, in seconds.
        headers: Sent with every request to a server, such as a token.

    Attributes:
        database: The SQLite file for the receipts, in the home of the address; ``None`` without a home.
        seal_secret: The file with what entries are sealed with, beside it; without a home, that itself.

    Raises:
        ConfigError: An argument is wrong.
        StorageError: The home cannot be used.
    """

    def __init__(
        self,
        address: str,
        *,
        write_timeout_s: float = 5.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not write_timeout_s > 0:
            message = f"write_timeout_s is {write_timeout_s}; give seconds, more than 0"
            raise ConfigError(message)
        self._link = ChromaLink(ChromaAddress.parse(address), headers)
        home = self.address.home
        self.database = None if home is None else Database(Path(home).expanduser() / "receipts.db")
        self.seal_secret: Path | bytes = (
            secrets.token_bytes(SECRET_BYTES) if self.database is None else Path(self.database.path + SEAL_SUFFIX)
        )
        self._timeout_s, self._write_timeout_s = self.address.timeout_s, write_timeout_s
        self._writing = threading.RLock()
        self._log = ChromaLog(lambda: self._link.collection("log", UNSEARCHED))
        self._table = ChromaTable(self._link)
        self._rows = RowClock()
        self._hits: Counter[str] = Counter()

    @property
    def address(self) -> ChromaAddress:
        """Where the store is."""
        return self._link.address

    @property
    def spills_memory(self) -> bool:
        """Whether its files may hold parts of this process's memory.

        An embedded Chroma writes the memory of its index to disk as it was allocated, with what freed objects of this
        process left in it: prompts, answers, even keys. That of a server is the server's.
        """
        return self.address.path not in {None, ":memory:"}

    def __repr__(self) -> str:
        return f"ChromaStore({str(self.address)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open_for(self, fingerprint: EmbedderFingerprint) -> None:
        """Declare the embedder; see :meth:`leo_core.ports.Store.open_for`.

        When the server does not answer, the declaration holds, and is checked against it at the next use.
        """
        with self._writing, self._link.within(self._write_timeout_s):
            self._table.declare(fingerprint)

    # ------------------------------------------------------------------------------------------ entries

    def get_exact(self, tenant: str, exact_key: str, *, now: float) -> CacheEntry | None:
        """The live entry whose request, or verified paraphrase, had this key."""
        with self._link.within(self._timeout_s):
            found = self._table.get({"key": digest(tenant, exact_key)})
            own = [question for question in found if question.own]
            # Of several, which only a crash or two writers at the same time leave, the newest counts.
            for question in reversed(own or found):
                entry = question if question.own else self._table.get_row(question.of)
                if entry is not None:
                    return self._read(entry, tenant, question.seal) if entry.is_live(now) else None
            return None

    def get(self, tenant: str, entry_id: str) -> CacheEntry | None:
        """The entry with this id, live or expired."""
        with self._link.within(self._timeout_s):
            question = self._table.get_own(tenant, entry_id)
            return None if question is None else self._read(question, tenant, question.seal)

    def search(self, tenant: str, scope_key: str, vector: Vector, *, k: int, now: float) -> tuple[Neighbour, ...]:
        """The ``k`` nearest live entries in scope; among equals the older question first.

        Chroma's index is approximate: what it finds is compared exactly, and what it misses is missed.
        """
        with self._link.within(self._timeout_s):
            query = check_vector(vector, self._table.fingerprint)
            if k < 1:
                return ()
            scope = digest(tenant, scope_key)
            wanted = 2 * k + 8
            while True:
                candidates, floor = self._table.find(scope, query, wanted, now)
                best = self._compare(candidates, scope, query, now)
                exhausted = len(candidates) < wanted
                if exhausted or (len(best) >= k and best[k - 1][0] > floor + _ROUNDING):
                    break
                wanted *= 4
            return self._read_neighbours(best[:k], tenant)

    def entries(self, tenant: str, *, entry_ids: Sequence[str] | None = None) -> Iterator[KeptEntry]:
        """Entries with vectors and aliases, live or expired, in the order of writing: all, or those with these ids.

        A few of them are a read like any other; many take as long as writes may.
        """
        few = entry_ids is not None and len(entry_ids) <= ROWS_AT_ONCE
        patience_s = self._timeout_s if few else self._write_timeout_s
        with self._link.within(patience_s):
            where: list[dict[str, Any]] = [{"tenant": digest(tenant)}, {"own": True}]
            if entry_ids is None:
                rows = sorted(self._table.get_rows(where))
            else:
                names = sorted({digest(tenant, entry_id) for entry_id in entry_ids})
                rows = sorted(
                    row
                    for some in parts(names, ROWS_AT_ONCE)
                    for row in self._table.get_rows([*where, among("entry", some)])
                )
        for some in parts(rows, _ENTRIES_AT_ONCE):
            with self._link.within(patience_s):
                questions = self._table.get(among("of", some))
            yield from self._read_kept(questions, tenant)

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Write an entry; replaces those of its tenant with the same id or the same exact key of their own.

        The new one is there before the old ones go: at no instant is there none.
        """
        check_entry(entry)
        row = self._rows.next()
        with self._writing, self._link.within(self._write_timeout_s):
            checked = None if vector is None else check_vector(vector, self._table.fingerprint)
            facts, document = entry_facts(entry, row, checked)
            before = self._table.get(either([{"key": facts["key"]}, {"entry": facts["entry"]}]))
            self._table.add(row, facts, document, checked)
            replaced = {question.of for question in before if question.own or question.facts["entry"] == facts["entry"]}
            self._table.delete_of(replaced)
            self._table.delete([question.row for question in before if question.of not in replaced])
            self._table.delete_stale()

    def put_many(self, rows: Sequence[tuple[CacheEntry, Vector | None]]) -> None:
        """:meth:`put` for several entries in turn; all are checked before the first is written."""
        for entry, vector in rows:
            check_entry(entry)
            if vector is not None:
                check_vector(vector, self._table.fingerprint)
        for entry, vector in rows:
            self.put(entry, vector)

    def add_alias(
        self, tenant: str, entry_id: str, text: str, vector: Vector, exact_key: str, *, seal: str = ""
    ) -> None:
        """Attach a verified paraphrase to an entry.

        Nothing happens when the entry is gone, or when the key is some entry's own. A paraphrase of another entry
        with this key moves here.
        """
        row = self._rows.next()
        with self._writing, self._link.within(self._write_timeout_s):
            checked = check_vector(vector, self._table.fingerprint)
            entry = self._table.get_own(tenant, entry_id)
            before = self._table.get({"key": digest(tenant, exact_key)})
            if entry is None or any(question.own for question in before):
                return
            self._table.add(row, alias_facts(entry, row, exact_key, text, seal, checked), None, checked)
            self._table.delete([question.row for question in before])

    def count_hit(self, tenant: str, entry_id: str) -> None:
        """Count one serving of the entry; nothing happens when it is gone.

        Counts are written some at a time, at the latest when the store is trimmed or closed. Of two processes that
        write the count of one entry in the same instant, one is heard.
        """
        with self._link.within(self._write_timeout_s):
            entry = self._table.get_own(tenant, entry_id)
            if entry is None:
                return
            with self._writing:
                self._hits[entry.row] += 1
                if self._hits.total() >= _HITS_HELD:
                    self._write_hits()

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
        wanted: list[dict[str, Any]] = [
            among("entry", some) for some in parts([digest(tenant, each) for each in entry_ids], ROWS_AT_ONCE)
        ]
        wanted += [{label_key("tag", tag): True} for tag in tags]
        wanted += [{label_key("source", source): True} for source in sources]
        wanted += [] if model is None else [{"model": digest(model)}]
        with self._writing, self._link.within(self._write_timeout_s):
            rows: set[str] = set()
            for some in parts(wanted, ROWS_AT_ONCE):
                rows.update(self._table.get_rows([{"tenant": digest(tenant)}, {"own": True}, either(some)]))
            self._table.delete_of(rows)
            return len(rows)

    def trim(self, tenant: str, *, max_entries: int | None, max_bytes: int | None, now: float) -> int:
        """Remove expired entries, then those that save least until the limits hold; returns how many."""
        kept: list[dict[str, Any]] = [{"tenant": digest(tenant)}, {"own": True}]
        with self._writing, self._link.within(self._write_timeout_s):
            gone = set(self._table.get_rows([*kept, {"ends": {"$lt": float(now)}}]))
            if max_entries is not None or max_bytes is not None:
                left = [row for row in self._table.get_rows(kept) if row not in gone]
                if max_bytes is not None or len(left) > (max_entries or 0):
                    gone.update(self._choose_evicted(left, max_entries=max_entries, max_bytes=max_bytes, now=now))
            self._table.delete_of(gone)
            self._write_hits()
            return len(gone)

    def clear(self, tenant: str | None = None) -> int:
        """Remove all entries of a tenant, or of all tenants; returns how many. Observations and states stay."""
        owned: list[dict[str, Any]] = [] if tenant is None else [{"tenant": digest(tenant)}]
        with self._writing, self._link.within(self._write_timeout_s):
            rows = self._table.get_rows([*owned, {"own": True}])
            aliases = self._table.get_rows([*owned, {"own": False}])
            self._table.delete([*rows, *aliases])
            if tenant is None:
                self._table.delete_vectors()
            return len(rows)

    def count_entries(self, tenant: str | None = None) -> int:
        """Entries kept, expired ones included."""
        owned: list[dict[str, Any]] = [] if tenant is None else [{"tenant": digest(tenant)}]
        with self._link.within(self._write_timeout_s):
            return len(self._table.get_rows([*owned, {"own": True}]))

    def changes(self, tenant: str, scope_key: str, after: str, *, known: Container[str] = ()) -> QuestionChanges:
        """What came in a scope; see :meth:`leo_core.ports.QuestionFeed.changes`. What went is not told.

        Rows are found by when they were written: the clocks of the machines that write to one store may differ by
        half a minute.
        """
        with self._link.within(self._write_timeout_s if is_opening(after) else self._timeout_s):
            return read_changes(self._table, digest(tenant, scope_key), after, known)

    def sealed_values(self, tenant: str) -> Iterator[SealedValue]:
        """Values of a tenant that were sealed outside; see :class:`leo_core.storage.exchanging.SealedValues`."""
        within = partial(self._link.within, self._write_timeout_s)
        return read_values(self._table, self._log, self._states, tenant, within)

    def exchange(self, value: SealedValue, fresh: str | bytes) -> bool:
        """Put another value in its place; see :class:`leo_core.storage.exchanging.SealedValues`."""
        with self._writing, self._link.within(self._write_timeout_s):
            if isinstance(fresh, bytes):
                return exchange_state(self._states(), value, fresh)
            if value.part == "observation":
                return self._log.exchange(value, fresh)
            return exchange_in_table(self._table, value, fresh)

    # ---------------------------------------------------------------------------- observations and states

    def observe(self, observations: Sequence[Observation]) -> None:
        """Append observations, all or none. A batch whose writing failed may be given again, with more after it."""
        with self._link.within(self._write_timeout_s):
            self._log.append(observations)

    def observations(self, after: int = 0, *, tenant: str | None = None) -> Iterator[tuple[int, Observation]]:
        """Observations with a number above ``after``, in order; those appended meanwhile are seen too."""
        number = max(0, after)
        while True:
            with self._link.within(self._timeout_s):
                page = self._log.read(number)
            if not page:
                return
            for number, observation in page:
                if tenant is None or observation.tenant == tenant:
                    yield number, observation

    def save_state(self, tenant: str, name: str, blob: bytes) -> None:
        """Keep a stage's state under a name; the last write wins."""
        facts = {"owner": encode_text(tenant), "name": encode_text(name), "blob": base64.b64encode(blob).decode()}
        with self._writing, self._link.within(self._write_timeout_s):
            self._states().upsert(ids=[digest(tenant, name)], embeddings=[idle_vector()], metadatas=[facts])

    def load_state(self, tenant: str, name: str) -> bytes | None:
        """The state kept under a name."""
        with self._link.within(self._timeout_s):
            found = self._states().get(ids=[digest(tenant, name)], include=["metadatas"])["metadatas"]
            return base64.b64decode(found[0]["blob"]) if found else None

    def tenants(self) -> tuple[str, ...]:
        """Tenants with an entry, an observation or a state, sorted."""
        with self._link.within(self._write_timeout_s):
            found = {each["owner"] for each in read_all(self._table.entries(), where={"own": True})}
            found.update(each["owner"] for each in read_all(self._states()))
        names = {decode_text(owner) for owner in found}
        names.update(observation.tenant for _, observation in self.observations())
        return tuple(sorted(names))

    def close(self) -> None:
        """Write the counts that wait and close; idempotent."""
        try:
            with self._writing:
                if self._hits:
                    with self._link.within(self._write_timeout_s):
                        self._write_hits()
        finally:
            self._link.close()
            if self.database is not None:
                self.database.close()

    def _states(self) -> Any:
        return self._link.collection("states", UNSEARCHED)

    # -------------------------------------------------------------------------------------------- reading

    def _read(self, question: Question, tenant: str, seal: str) -> CacheEntry:
        entry = question.read(seal, more_hits=self._hits[question.row])
        if entry.tenant != tenant:
            message = "an entry in the Chroma store belongs to another tenant than its record says; remove it"
            raise EntryCorruptError(message, entry_id=entry.id)
        return entry

    def _read_kept(self, questions: Sequence[Question], tenant: str) -> Iterator[KeptEntry]:
        for own in questions:
            if not own.own:
                continue
            yield KeptEntry(
                entry=self._read(own, tenant, own.seal),
                vector=own.vector,
                aliases=tuple(
                    Alias(exact_key=alias.exact_key, text=alias.text, vector=_must(alias.vector), seal=alias.seal)
                    for alias in questions
                    if alias.of == own.row and not alias.own
                ),
            )

    # ---------------------------------------------------------------------------------------------- search

    def _compare(
        self, rows: Sequence[str], scope: str, query: Vector, now: float
    ) -> list[tuple[float, Question, Question]]:
        """Exact inner products of the candidates that hold, with question and entry, best first, one per entry."""
        questions = self._table.get_each(rows)
        self._table.note_stale(set(rows) - {question.row for question in questions})
        entries = {question.row: question for question in questions if question.own}
        absent = {question.of for question in questions} - entries.keys()
        entries.update({question.row: question for question in self._table.get_each(sorted(absent))})
        scored: list[tuple[float, Question, Question]] = []
        for question in questions:
            entry, vector = entries.get(question.of), question.vector
            # What Chroma filtered is filtered again: a wrong scope would be a wrong answer.
            holds = entry is not None and question.facts["scope"] == scope == entry.facts["scope"]
            if entry is None or vector is None or not holds or not entry.is_live(now) or len(vector) != len(query):
                continue
            cosine = float((vector.astype(np.float64) * query.astype(np.float64)).sum())
            if math.isfinite(cosine):
                scored.append((cosine, question, entry))
        scored.sort(key=lambda each: (-each[0], each[1].row))
        best: dict[str, tuple[float, Question, Question]] = {}
        for each in scored:
            best.setdefault(str(each[2].facts["entry"]), each)
        return list(best.values())

    def _read_neighbours(self, best: Iterable[tuple[float, Question, Question]], tenant: str) -> tuple[Neighbour, ...]:
        return tuple(
            Neighbour(
                entry=self._read(entry, tenant, question.seal),
                cosine=cosine,
                text=question.text,
                vector=question.vector,
            )
            for cosine, question, entry in best
        )

    # --------------------------------------------------------------------------------------------- writing

    def _write_hits(self) -> None:
        rows = sorted(self._hits)
        for some in parts(rows, ROWS_AT_ONCE):
            found = self._table.get_each(some)
            if found:
                counts = [{"hits": int(each.facts["hits"]) + self._hits[each.row]} for each in found]
                self._table.entries().update(ids=[each.row for each in found], metadatas=counts)
            for row in some:
                del self._hits[row]

    def _choose_evicted(
        self, rows: Sequence[str], *, max_entries: int | None, max_bytes: int | None, now: float
    ) -> list[str]:
        occupants: list[Occupant] = []
        names: list[str] = []
        for some in parts(sorted(rows), _ENTRIES_AT_ONCE):
            for question in self._table.get_each(some):
                facts = question.facts
                names.append(question.row)
                occupants.append(
                    Occupant(
                        number=len(names) - 1,
                        hits=int(facts["hits"]) + self._hits[question.row],
                        cost_usd=facts.get("cost_usd"),
                        size_bytes=int(facts["size_bytes"]),
                        created_at=float(facts["created_at"]),
                        expires_at=None if facts["ends"] == NEVER else float(facts["ends"]),
                    )
                )
        gone = choose_evicted(occupants, max_entries=max_entries, max_bytes=max_bytes, now=now)
        return [names[number] for number in gone]


def _must(vector: Vector | None) -> Vector:
    if vector is None:
        message = "an alias has no vector"
        raise StorageError(message)
    return vector
