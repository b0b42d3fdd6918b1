"""Two collections of Chroma as one table: questions by their rows, and their vectors.

The vector is added before its question and deleted after it, so that at worst a vector has no question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leo_core.errors import StoreMismatchError
from leo_core.storage.checks import check_embedder
from leo_core.storage.chroma_rows import Question, RowClock, digest, idle_vector, read_questions
from leo_core.storage.codec import decode_fingerprint, encode_fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from leo_core.records import EmbedderFingerprint, Vector
    from leo_core.storage.chroma_client import ChromaLink

__all__ = ["ROWS_AT_ONCE", "UNSEARCHED", "ChromaTable", "among", "both", "either", "parts", "read_all"]

ROWS_AT_ONCE = 128
UNSEARCHED = {"configuration": {"hnsw": {"max_neighbors": 4, "ef_construction": 8}}}
"""How a collection is made that is read by ids and metadata only."""
_SEARCHED = {"hnsw": {"space": "ip", "ef_search": 200, "ef_construction": 200, "max_neighbors": 32}}
_PAGE = 256
_STALE_AFTER_US = 60_000_000
_EMBEDDER = "leo:embedder"


class ChromaTable:
    """The questions of a store. All methods are to be called within a time limit of the link.

    Args:
        link: The connection.
    """

    def __init__(self, link: ChromaLink) -> None:
        self._link = link
        self._fingerprint: EmbedderFingerprint | None = None
        self._checked = False
        self._stale: set[str] = set()

    @property
    def fingerprint(self) -> EmbedderFingerprint | None:
        """The embedder that was declared."""
        return self._fingerprint

    def declare(self, fingerprint: EmbedderFingerprint) -> None:
        """Declare the embedder.

        Raises:
            StoreMismatchError: Vectors of another one are inside; the one declared before stays.
            StoreUnavailableError: That cannot be told yet; it will be, at the next use of a vector.
        """
        before, self._fingerprint, self._checked = self._fingerprint, fingerprint, False
        try:
            self._check_embedder()
        except StoreMismatchError:
            self._fingerprint = before
            raise

    def _check_embedder(self) -> None:
        """See that no vectors of another embedder are inside, once per declaration."""
        if self._checked or self._fingerprint is None:
            return
        own = _vectors_kind(self._fingerprint)
        for kind, collection in self._link.list_kinds("vectors-").items():
            if kind == own:
                continue
            if collection.count():
                note = (collection.metadata or {}).get(_EMBEDDER, "")
                check_embedder(self._fingerprint, decode_fingerprint(note))
            self._link.drop(kind)
        self._checked = True
        self.vectors()

    def vectors(self) -> Any:
        """The collection of the vectors of the declared embedder."""
        fingerprint = self._fingerprint
        if fingerprint is None:
            message = "no embedder was declared; call open_for(embedder.fingerprint) first"
            raise StoreMismatchError(message)
        self._check_embedder()
        note = {_EMBEDDER: encode_fingerprint(fingerprint)}
        return self._link.collection(_vectors_kind(fingerprint), {"configuration": _SEARCHED, "metadata": note})

    def entries(self) -> Any:
        """The collection of the questions."""
        return self._link.collection("entries", UNSEARCHED)

    def get(self, where: Mapping[str, Any]) -> list[Question]:
        """Questions that match, in the order of their writing."""
        return read_questions(self.entries().get(where=dict(where), include=["metadatas", "documents"]))

    def get_rows(self, clauses: Sequence[Mapping[str, Any]]) -> list[str]:
        """Rows of the records that match all clauses."""
        rows: list[str] = self.entries().get(where=both(clauses), include=[])["ids"]
        return rows

    def get_each(self, rows: Sequence[str]) -> list[Question]:
        """Questions with these rows."""
        if not rows:
            return []
        return read_questions(self.entries().get(ids=list(rows), include=["metadatas", "documents"]))

    def get_row(self, row: str) -> Question | None:
        """The question with this row."""
        found = self.get_each([row])
        return found[0] if found else None

    def get_own(self, tenant: str, entry_id: str) -> Question | None:
        """An entry's own question; of several the newest."""
        found = self.get(both([{"entry": digest(tenant, entry_id)}, {"own": True}]))
        return found[-1] if found else None

    def find(self, scope: str, query: Vector, wanted: int, now: float) -> tuple[list[str], float]:
        """Rows that Chroma finds near, best first, and the inner product of the last of them."""
        found = self.vectors().query(
            query_embeddings=[query],
            n_results=wanted,
            where=both([{"scope": scope}, {"ends": {"$gte": float(now)}}]),
            include=["distances"],
        )
        rows, distances = found["ids"][0], found["distances"][0]
        return list(rows), 1.0 - distances[-1] if rows else -1.0

    def add(self, row: str, facts: Mapping[str, Any], document: str | None, vector: Vector | None) -> None:
        """Add a question, its vector first: a vector without a question is passed over, the reverse is not found."""
        if vector is not None:
            place = {"scope": facts["scope"], "ends": facts["ends"]}
            self.vectors().add(ids=[row], embeddings=[vector], metadatas=[place])
        documents = None if document is None else [document]
        self.entries().add(ids=[row], embeddings=[idle_vector()], metadatas=[dict(facts)], documents=documents)

    def delete_of(self, rows: Iterable[str]) -> None:
        """Delete entries by their rows, with all their questions."""
        for some in parts(sorted(rows), ROWS_AT_ONCE):
            self.delete(self.get_rows([among("of", some)]))

    def delete(self, rows: Sequence[str]) -> None:
        """Delete questions; the vectors after what makes them count."""
        for some in parts(rows, ROWS_AT_ONCE):
            self.entries().delete(ids=some)
            if self._fingerprint is not None:
                self.vectors().delete(ids=some)

    def note_stale(self, rows: set[str]) -> None:
        """Remember vectors without a question, unless it may be on its way; a crash left them."""
        limit = RowClock.now_us() - _STALE_AFTER_US
        self._stale.update(row for row in rows if row[:20].isdecimal() and int(row[:20]) < limit)

    def delete_stale(self) -> None:
        """Delete the vectors that were noted."""
        stale, self._stale = sorted(self._stale), set()
        if stale:
            self.vectors().delete(ids=stale[:ROWS_AT_ONCE])

    def delete_vectors(self) -> None:
        """Delete all vectors, those without a question too."""
        for vectors in self._link.list_kinds("vectors-").values():
            for some in parts(vectors.get(include=[])["ids"], ROWS_AT_ONCE):
                vectors.delete(ids=some)


def _vectors_kind(fingerprint: EmbedderFingerprint) -> str:
    return f"vectors-{digest(encode_fingerprint(fingerprint))[:16]}"


def both(clauses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A filter that all clauses have to pass."""
    return dict(clauses[0]) if len(clauses) == 1 else {"$and": [dict(each) for each in clauses]}


def either(clauses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A filter that one of the clauses has to pass."""
    return dict(clauses[0]) if len(clauses) == 1 else {"$or": [dict(each) for each in clauses]}


def among(field: str, values: Sequence[str]) -> dict[str, Any]:
    """A filter on the values of a field."""
    return {field: {"$in": list(values)}}


def parts(items: Sequence[Any], count: int) -> Iterator[Any]:
    """The items, at most ``count`` at a time."""
    for start in range(0, len(items), count):
        yield items[start : start + count]


def read_all(collection: Any, where: Mapping[str, Any] | None = None) -> Iterator[Mapping[str, Any]]:
    """Metadata of all records."""
    offset = 0
    while True:
        found = collection.get(where=where, include=["metadatas"], limit=_PAGE, offset=offset)["metadatas"]
        yield from found
        if len(found) < _PAGE:
            return
        offset += len(found)
