"""What a client needs of a store's questions to search them itself, and what it found."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["IndexHit", "KeptQuestion", "QuestionChanges"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptQuestion:
    """A question with a vector, as a store keeps it.

    Attributes:
        row: The store's own name for it, never used for another one.
        entry_id: Id of the entry to which it leads.
        exact_key: Its exact key.
        expires_at: Instant after which the entry is not served; ``None`` for never.
        seal: As :attr:`leo_core.records.CacheEntry.seal`.
    """

    row: str
    entry_id: str
    exact_key: str
    expires_at: float | None
    seal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionChanges:
    """What came and went in a scope.

    Attributes:
        cursor: Where the next reading goes on; opaque.
        added: Questions that came, in the order of writing. One may be told twice.
        removed: Rows that went; of any scope, and perhaps of questions that were never told.
        anew: Whether everything that was told before is to be forgotten first.
        more: Whether there is more to read already.
    """

    cursor: str
    added: tuple[KeptQuestion, ...] = ()
    removed: tuple[str, ...] = ()
    anew: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexHit:
    """A question that an index found near.

    Attributes:
        question: Its id in the index.
        cosine: Its inner product with the query, as exact as the index can tell.
        kin: Those of further near questions of the same entry, best first; empty where the index does not know them.
    """

    question: str
    cosine: float
    kin: tuple[float, ...] = ()
