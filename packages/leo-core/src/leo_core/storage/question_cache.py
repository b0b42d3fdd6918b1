"""Questions of the store's file as they were read: those found lately stay decoded in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, cast

import numpy as np

from leo_core.errors import EntryCorruptError, StoreCorruptError
from leo_core.records import Neighbour
from leo_core.storage.codec import copy_entry, from_column
from leo_core.storage.sqlite_rows import read_own, read_text, read_vector

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from leo_core.records import CacheEntry
    from leo_core.storage.vector_index import Hit

__all__ = ["FoundQuestion", "QuestionCache", "QuestionReader"]

_Column = str | bytes
_Row = tuple[int, _Column, _Column, int, str, _Column, object]

_AT_ONCE = 512
_KEPT_AT_ONCE = 64
"""Questions of one search that all stay in memory: what nearly was a neighbour will be looked at again."""
_OVERHEAD_BYTES = 2048
_THERE = "SELECT 1 FROM questions WHERE row = ?"
_DAMAGED = "an index of the store is damaged; restore a copy of the store"
_QUERY = """
    SELECT q.row, e.id, e.body, e.hits, q.seal, q.text, q.vector
    FROM questions q JOIN entries e ON e.row = q.entry WHERE q.row IN ({marks})
"""


class FoundQuestion:
    """A question with the entry that it leads to, which is decoded when it is first asked for.

    Args:
        row: Its columns, as the query gives them.

    Raises:
        EntryCorruptError: Its vector cannot be read.

    Attributes:
        vector: Its vector, float32 (d,), read-only.
        blob: The same as bytes.
    """

    __slots__ = ("_entry", "_row", "_text", "blob", "vector")

    def __init__(self, row: _Row) -> None:
        self._row = row
        self.vector = read_vector(row[6], row[1])
        self.blob = cast("bytes", row[6])
        self._entry: CacheEntry | None = None
        self._text = ""

    @property
    def entry_id(self) -> str:
        """Id of its entry."""
        return from_column(self._row[1])

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory once decoded."""
        return _OVERHEAD_BYTES + 2 * len(self._row[2]) + len(self._row[5]) + self.vector.nbytes

    def read_neighbour(self, hit: Hit) -> Neighbour:
        """The neighbour that was hit by this question. Shares nothing that can be changed with other results.

        Raises:
            EntryCorruptError: Its entry or text cannot be read.
        """
        if self._entry is None:
            _, entry_id, body, hits, seal, text, _ = self._row
            self._text = read_text(text, entry_id)
            self._entry = read_own(entry_id, body, hits, seal)
        entry = copy_entry(self._entry)
        return Neighbour(entry=entry, cosine=hit.cosine, text=self._text, vector=self.vector, kin=hit.kin)


class QuestionCache:
    """The questions found last, by their numbers. A number never comes to mean another row, so none goes stale.

    Args:
        max_bytes: Memory for all of them, about.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._found: OrderedDict[int, FoundQuestion] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    def find(self, numbers: Iterable[int]) -> dict[int, FoundQuestion]:
        """Those of these numbers that are in memory."""
        found = self._found
        with self._lock:
            return {number: found[number] for number in numbers if number in found}

    def keep(self, questions: Iterable[tuple[int, FoundQuestion]]) -> None:
        """Keep these, found just now; those found longest ago go when memory is short."""
        with self._lock:
            for number, question in questions:
                if number in self._found:
                    self._found.move_to_end(number)
                    continue
                self._found[number] = question
                self._size_bytes += question.size_bytes
            while self._size_bytes > self._max_bytes:
                self._size_bytes -= self._found.popitem(last=False)[1].size_bytes

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._found.clear()
            self._size_bytes = 0


class QuestionReader:
    """Reads questions inside one read transaction: from memory where they are in it, the others from the file.

    Args:
        connection: Inside a read transaction.
        cache: The questions in memory.
        dimension: Length d of the vectors.
    """

    def __init__(self, connection: sqlite3.Connection, cache: QuestionCache, *, dimension: int) -> None:
        self._connection, self._cache, self._dimension = connection, cache, dimension
        self._read: dict[int, FoundQuestion] = {}
        self._in_file: set[int] = set()

    def read_vectors(self, questions: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Vectors float32 (m, d) of the questions with these different numbers, int64 (m,), in this order.

        Raises:
            EntryCorruptError: One cannot be read.
            StoreCorruptError: One is missing.
        """
        numbers = questions.tolist()
        self._fetch(numbers)
        return self._stack([self._read[number] for number in numbers])

    def _stack(self, found: Sequence[FoundQuestion]) -> npt.NDArray[np.float32]:
        whole = b"".join([each.blob for each in found])
        return np.frombuffer(whole, dtype="<f4").reshape(len(found), self._dimension)

    def read_neighbours(self, hits: Sequence[Hit]) -> tuple[Neighbour, ...]:
        """What was hit; it stays in memory.

        Raises:
            EntryCorruptError: One cannot be read.
            StoreCorruptError: One is missing.
        """
        numbers = [hit.question for hit in hits]
        self._fetch(numbers)
        # The nearest is looked up in any case, so that an index which has lost rows is noticed.
        if hits and numbers[0] not in self._in_file and not self._connection.execute(_THERE, numbers[:1]).fetchall():
            raise StoreCorruptError(_DAMAGED)
        found = tuple(self._read[hit.question].read_neighbour(hit) for hit in hits)
        self._cache.keep(self._read.items() if len(self._read) <= _KEPT_AT_ONCE else self._pick(numbers))
        return found

    def _pick(self, numbers: Sequence[int]) -> list[tuple[int, FoundQuestion]]:
        return [(number, self._read[number]) for number in numbers]

    def _fetch(self, numbers: Sequence[int]) -> None:
        unread = [number for number in numbers if number not in self._read]
        if not unread:
            return
        known = self._cache.find(unread)
        self._read.update(known)
        unread = [number for number in unread if number not in known]
        for first in range(0, len(unread), _AT_ONCE):
            part = unread[first : first + _AT_ONCE]
            rows = self._connection.execute(_QUERY.format(marks=_mark(part)), part).fetchall()
            if len(rows) < len(part):
                raise StoreCorruptError(_DAMAGED)
            found = [FoundQuestion(row) for row in rows]
            self._check(found)
            self._in_file.update(part)
            self._read.update((row[0], each) for row, each in zip(rows, found, strict=True))

    def _check(self, found: Sequence[FoundQuestion]) -> None:
        for each in found:
            if len(each.vector) != self._dimension:
                raise _refuse(each)
        finite = np.isfinite(self._stack(found))
        if not finite.all():
            raise _refuse(found[int(np.argmin(finite.all(axis=1)))])


def _mark(values: Sequence[int]) -> str:
    return ",".join("?" * len(values))


def _refuse(question: FoundQuestion) -> EntryCorruptError:
    return EntryCorruptError("a stored vector cannot be read; remove its entry", entry_id=question.entry_id)
