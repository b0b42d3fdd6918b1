"""What a Chroma store writes: one record per question, in JSON-like metadata and one document.

Records are never changed but for the count of hits: a newer row takes the place of an older one, which is deleted
afterwards. So a reader meets either of them, whole, and never a mixture.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import EntryCorruptError, StoreCorruptError
from leo_core.storage.codec import decode_entry, encode_entry, from_column, to_column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.records import CacheEntry, Vector

__all__ = [
    "Question",
    "RowClock",
    "alias_facts",
    "decode_text",
    "digest",
    "encode_text",
    "entry_facts",
    "idle_vector",
    "label_key",
    "read_questions",
    "time_of",
]

NEVER = 1e300
"""Stands for "does not expire": Chroma compares numbers, and JSON has no infinity."""
_PLAIN, _ODD = "t", "b"
_TIME_DIGITS = 20
_NUMBERS = ("ends", "hits", "size_bytes", "created_at")


def digest(*texts: str) -> str:
    """40 hex digits that stand for these texts in this order; any text will do."""
    hashed = hashlib.sha256()
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        hashed.update(len(raw).to_bytes(8, "big") + raw)
    return hashed.hexdigest()[:40]


def encode_text(text: str) -> str:
    """The text as valid Unicode: itself, or base64 where it holds an unpaired surrogate; a first letter tells."""
    column = to_column(text)
    return _PLAIN + column if isinstance(column, str) else _ODD + base64.b64encode(column).decode()


def decode_text(value: Any) -> str:
    """The text that :func:`encode_text` wrote.

    Raises:
        StoreCorruptError: The value is none that it writes.
    """
    if isinstance(value, str) and value[:1] == _PLAIN:
        return value[1:]
    if isinstance(value, str) and value[:1] == _ODD:
        try:
            return from_column(base64.b64decode(value[1:], validate=True))
        except binascii.Error:
            pass
    message = "a text in the Chroma store cannot be read; remove it or restore a copy of the store"
    raise StoreCorruptError(message)


def label_key(kind: str, label: str) -> str:
    """Name of the metadata field that says that an entry has this tag or source."""
    return f"{kind}:{digest(label)}"


def idle_vector() -> list[float]:
    """The vector of a record that is never searched; Chroma wants one, and equal ones would crowd its graph."""
    return [secrets.randbelow(2**24) / 2**24]  # not of ``random``, whose later draws could be told from it


class RowClock:
    """Gives names to rows: sortable by the time of writing, rising within a process, unique everywhere."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    @staticmethod
    def now_us() -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000

    def next(self) -> str:
        """20 digits of microseconds since the epoch, then 12 random hex digits."""
        with self._lock:
            self._last = max(self._last + 1, self.now_us())
            return f"{self._last:0{_TIME_DIGITS}d}{secrets.token_hex(6)}"


def time_of(row: str) -> int:
    """When a row was named, in microseconds since the epoch."""
    return int(row[:_TIME_DIGITS])


def entry_facts(entry: CacheEntry, row: str, vector: Vector | None) -> tuple[dict[str, Any], str]:
    """Metadata and document of an entry with its own question."""
    facts = _question_facts(row, entry.tenant, entry.exact_key, entry.text, entry.seal, vector)
    facts |= {
        "own": True,
        "of": row,
        "entry": digest(entry.tenant, entry.id),
        "name": encode_text(entry.id),
        "scope": digest(entry.tenant, entry.scope_key),
        "ends": NEVER if entry.expires_at is None else float(entry.expires_at),
        "owner": encode_text(entry.tenant),
        "model": digest(entry.model),
        "hits": entry.hits,
        "size_bytes": entry.size_bytes,
        "created_at": float(entry.created_at),
    }
    if entry.usage.cost_usd is not None:
        facts["cost_usd"] = float(entry.usage.cost_usd)
    facts |= {label_key("tag", tag): True for tag in entry.tags}
    facts |= {label_key("source", source): True for source in entry.sources}
    return facts, encode_text(encode_entry(entry))


def alias_facts(of: Question, row: str, exact_key: str, text: str, seal: str, vector: Vector) -> dict[str, Any]:
    """Metadata of a paraphrase that leads to the entry of the question ``of``."""
    facts = _question_facts(row, of.tenant, exact_key, text, seal, vector)
    taken = ("of", "entry", "name", "scope", "ends", "owner")
    return facts | {"own": False, **{name: of.facts[name] for name in taken}}


def _question_facts(
    row: str, tenant: str, exact_key: str, text: str, seal: str, vector: Vector | None
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "written": time_of(row),
        "tenant": digest(tenant),
        "key": digest(tenant, exact_key),
        "exact_key": encode_text(exact_key),
        "text": encode_text(text),
        "seal": encode_text(seal),
    }
    if vector is not None:
        facts["vector"] = base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A record as read.

    Attributes:
        row: Its name.
        facts: Its metadata.
        document: The entry as JSON, for an entry's own question.
    """

    row: str
    facts: Mapping[str, Any]
    document: str | None = None

    @property
    def own(self) -> bool:
        """Whether it is an entry's own question."""
        return self.facts.get("own") is True

    @property
    def of(self) -> str:
        """Row of the entry to which it leads."""
        return str(self.facts.get("of"))

    @property
    def tenant(self) -> str:
        """Its tenant."""
        return decode_text(self.facts.get("owner"))

    @property
    def exact_key(self) -> str:
        """Exact key of the request that asked it."""
        return decode_text(self.facts.get("exact_key"))

    @property
    def text(self) -> str:
        """The question as embedded."""
        return decode_text(self.facts.get("text"))

    @property
    def seal(self) -> str:
        """Seal of the question."""
        return decode_text(self.facts.get("seal"))

    @property
    def vector(self) -> Vector | None:
        """Its vector as kept, float32 (d,); ``None`` for none, or none that can be read."""
        try:
            return np.frombuffer(base64.b64decode(self.facts["vector"], validate=True), dtype="<f4")
        except (KeyError, TypeError, ValueError):
            return None

    def is_whole(self) -> bool:
        """Whether it has what every question has that this module wrote."""
        facts = self.facts
        words = all(isinstance(facts.get(name), str) for name in ("tenant", "key", "of", "entry", "scope"))
        numbers = all(isinstance(facts.get(name), (int, float)) for name in (_NUMBERS if self.own else _NUMBERS[:1]))
        try:
            for name in ("owner", "exact_key", "text", "seal"):
                decode_text(facts.get(name))
        except StoreCorruptError:
            return False
        return words and numbers and isinstance(facts.get("own"), bool)

    def is_live(self, now: float) -> bool:
        """Whether it may be served."""
        return float(self.facts["ends"]) >= now

    def read(self, seal: str, *, more_hits: int) -> CacheEntry:
        """The entry, for an entry's own question.

        Args:
            seal: Seal of the question by which it was found.
            more_hits: Hits that are not written yet.

        Raises:
            EntryCorruptError: It cannot be read.
        """
        try:
            return decode_entry(decode_text(self.document), hits=int(self.facts["hits"]) + more_hits, seal=seal)
        except (StoreCorruptError, KeyError, TypeError, ValueError) as error:
            message = "an entry in the Chroma store cannot be read; remove it"
            raise EntryCorruptError(message, entry_id=decode_text(self.facts.get("name"))) from error


def read_questions(found: Mapping[str, Any]) -> list[Question]:
    """The questions in a reply of Chroma's ``get``, in the order of their writing; what is none is passed over."""
    rows: Sequence[str] = found["ids"]
    facts = found["metadatas"] or [{}] * len(rows)
    documents = found["documents"] or [None] * len(rows)
    made = [
        Question(row=row, facts=each or {}, document=document)
        for row, each, document in zip(rows, facts, documents, strict=True)
    ]
    return sorted((question for question in made if question.is_whole()), key=lambda question: question.row)
