"""The index of sealed vectors in the client's memory: opened once, then kept in step with the store."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from leo_core.records import IndexHit
from leo_core.storage.vector_index import ScopeIndex, find_nearest
from leo_core.storage.vector_rows import grow

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    import numpy.typing as npt

    from leo_core.records import KeptQuestion, QuestionChanges, Vector
    from leo_core.storage.vector_index import ScopeView

    Rows = npt.NDArray[np.float32]
    Integers = npt.NDArray[np.int64]

__all__ = ["OpenedIndex"]

_log = logging.getLogger("leo_core")
_ROUNDING = 1e-9
_STRINGS_BYTES = 640
"""About what the names of a question take."""
_FEW_DEAD = 1024
_LONG_OPEN = 16_384
"""Questions from which on the opening of a scope is logged."""


class OpenedIndex:
    """A :class:`leo_core.ports.PrivateIndex` over opened vectors, by tenant and scope.

    A scope is opened when it is first searched, a page at a time; then each search reads what came and went since,
    by whichever process. So additions need not be told.

    Args:
        read: Tells what came and went in a scope of a tenant since a cursor, but for rows that are known.
        open_vector: Opens a question of a tenant and scope; ``None`` for one that is not to be found.
        max_bytes: Memory for all scopes together; those searched longest ago go, and are opened again when they are
            searched. The scope searched last is kept even when it alone is larger.
        report: Told the tenant, and how many questions of its scope are opened so far, after each page of an opening.
    """

    def __init__(
        self,
        read: Callable[[str, str, str, Container[str]], QuestionChanges],
        open_vector: Callable[[str, str, KeptQuestion], Vector | None],
        *,
        max_bytes: int = 512 * 1024 * 1024,
        report: Callable[[str, int], None] = lambda *_: None,
    ) -> None:
        self._read, self._open_vector, self._max_bytes, self._report = read, open_vector, max_bytes, report
        self._scopes: OrderedDict[tuple[str, str], _OpenedScope] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    @property
    def max_error(self) -> float:
        """How far a cosine may be off: by rounding."""
        return _ROUNDING

    @property
    def size_bytes(self) -> int:
        """Memory taken, about."""
        with self._lock:
            return sum(scope.size_bytes for scope in self._scopes.values())

    def search(self, tenant: str, scope: str, vector: Vector, *, k: int, now: float) -> tuple[IndexHit, ...]:
        """The ``k`` nearest questions, best first, one per entry; among equals the older question."""
        opened = self._find(tenant, scope)
        with opened.lock:
            self._follow(opened, tenant, scope)
            found, size_bytes = opened.look(), opened.size_bytes
        self._weigh((tenant, scope), opened, size_bytes)
        return () if found is None else found.search(vector, k=k, now=now)

    def add(self, tenant: str, scope: str, question: str, vector: Vector, *, expires_at: float | None) -> None:
        """Nothing is to be done: the next search reads what came."""

    def remove(self, tenant: str, scope: str, questions: Sequence[str]) -> None:
        """Forget questions that are not in the store any more."""
        opened = self._find(tenant, scope)
        with opened.lock:
            opened.remove_ids(questions)

    def clear(self, tenant: str | None = None) -> None:
        """Forget the scopes of a tenant, or all."""
        with self._lock:
            for key in [key for key in self._scopes if tenant is None or key[0] == tenant]:
                self._size_bytes -= self._scopes.pop(key).counted_bytes

    def close(self) -> None:
        """Forget everything."""
        self.clear()

    def _find(self, tenant: str, scope: str) -> _OpenedScope:
        key = tenant, scope
        with self._lock:
            opened = self._scopes.get(key)
            if opened is None:
                opened = self._scopes[key] = _OpenedScope()
            self._scopes.move_to_end(key)
            return opened

    def _follow(self, opened: _OpenedScope, tenant: str, scope: str) -> None:
        """Bring a scope in step with the store."""
        first = not opened.cursor
        while True:
            changes = self._read(tenant, scope, opened.cursor, opened)
            if changes.anew:
                opened.reset()
            opened.remove_rows(changes.removed)
            fresh = [each for each in changes.added if each.row not in opened]
            vectors = [self._open_vector(tenant, scope, each) for each in fresh]
            opened.append([(each, row) for each, row in zip(fresh, vectors, strict=True) if row is not None])
            opened.passed_over.update(each.row for each, row in zip(fresh, vectors, strict=True) if row is None)
            opened.cursor = changes.cursor
            if first and changes.added:
                self._report(tenant, len(opened))
            if not changes.more:
                break
        if first and len(opened) >= _LONG_OPEN:
            _log.info("a private index was opened: %d questions, %d bytes", len(opened), opened.size_bytes)

    def _weigh(self, key: tuple[str, str], opened: _OpenedScope, size_bytes: int) -> None:
        """Count what a scope takes now, and let go of those searched longest ago where that is too much.

        Only the scope that was searched is looked at, however many there are.
        """
        with self._lock:
            if self._scopes.get(key) is opened:  # and was not forgotten meanwhile
                self._size_bytes += size_bytes - opened.counted_bytes
                opened.counted_bytes = size_bytes
            while len(self._scopes) > 1 and self._size_bytes > self._max_bytes:
                self._size_bytes -= self._scopes.popitem(last=False)[1].counted_bytes


class _OpenedScope:
    """The opened questions of a scope, numbered from 1 in the order in which they were opened.

    Attributes:
        lock: Held by whoever reads or changes it.
        counted_bytes: What it is counted with in the memory of all scopes.
        cursor: How far the store was read.
        numbers: Numbers of the questions that have not gone, by the store's rows.
        passed_over: Rows that are not to be found.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counted_bytes = 0
        self.reset()

    def reset(self) -> None:
        self.cursor = ""
        self.numbers: dict[str, int] = {}
        self.passed_over: set[str] = set()
        self._by_id: dict[str, int] = {}
        self._entries: dict[str, int] = {}
        self._ids: list[str] = []
        self._rows: list[str] = []
        self._index: ScopeIndex | None = None
        self._vectors: Rows = np.empty((0, 0), dtype=np.float32)
        self._ends = np.empty(0, dtype=np.float64)

    def __len__(self) -> int:
        return len(self.numbers)

    def __contains__(self, row: object) -> bool:
        return row in self.numbers or row in self.passed_over

    @property
    def size_bytes(self) -> int:
        index = self._index
        arrays = self._vectors.nbytes + self._ends.nbytes + (0 if index is None else index.size_bytes)
        return arrays + _STRINGS_BYTES * len(self._ids)

    def append(self, found: Sequence[tuple[KeptQuestion, Vector]]) -> None:
        if not found:
            return
        questions = [each for each, _ in found]
        ends = np.array([np.inf if each.expires_at is None else each.expires_at for each in questions], np.float64)
        self._extend(
            [(each.row, f"{each.entry_id}:{each.exact_key}") for each in questions], ends, [v for _, v in found]
        )

    def _extend(
        self, names: Sequence[tuple[str, str]], ends: npt.NDArray[np.float64], vectors: Sequence[Vector]
    ) -> None:
        start, stop = len(self._ids), len(self._ids) + len(names)
        if self._index is None:
            self._index = ScopeIndex(len(vectors[0]))
            self._vectors = np.empty((0, len(vectors[0])), dtype=np.float32)
        numbers = np.arange(start + 1, stop + 1, dtype=np.int64)
        entries = []
        for number, (row, question) in zip(numbers.tolist(), names, strict=True):
            self.numbers[row] = self._by_id[question] = number
            entry_id = question.partition(":")[0]
            entries.append(self._entries.setdefault(entry_id, len(self._entries)))
        self._vectors, self._ends = grow(self._vectors, start, stop), grow(self._ends, start, stop)
        self._vectors[start:stop], self._ends[start:stop] = vectors, ends
        self._ids += [question for _, question in names]
        self._rows += [row for row, _ in names]
        self._index.append(numbers, np.array(entries, dtype=np.int64), ends, self._vectors[start:stop])

    def remove_rows(self, rows: Iterable[str]) -> None:
        self._remove([number for row in rows if (number := self.numbers.get(row)) is not None])

    def remove_ids(self, questions: Iterable[str]) -> None:
        self._remove([number for each in questions if (number := self._by_id.get(each)) is not None])

    def _remove(self, numbers: Sequence[int]) -> None:
        if not numbers or self._index is None:
            return
        for number in numbers:
            self.numbers.pop(self._rows[number - 1], None)
            if self._by_id.get(self._ids[number - 1]) == number:
                del self._by_id[self._ids[number - 1]]
        self._index.remove(np.array(numbers, dtype=np.int64))
        dead = len(self._ids) - len(self.numbers)
        if dead > _FEW_DEAD and 2 * dead > len(self._ids):
            self._compact()

    def _compact(self) -> None:
        """Number what is left anew."""
        left = sorted(self.numbers.values())
        names = [(self._rows[number - 1], self._ids[number - 1]) for number in left]
        places = np.array(left, dtype=np.int64) - 1
        ends, vectors, cursor = self._ends[places], self._vectors[places], self.cursor
        self.reset()
        self.cursor = cursor
        if names:
            self._extend(names, ends, list(vectors))

    def look(self) -> _OpenedView | None:
        """The questions as they are now; ``None`` where there are none."""
        if self._index is None:
            return None
        return _OpenedView(self._index.view(), self._vectors, self._ids)


class _OpenedView:
    """The questions of a scope at one moment, to be searched while others change it."""

    def __init__(self, view: ScopeView, vectors: Rows, ids: Sequence[str]) -> None:
        self._view, self._vectors, self._ids = view, vectors, ids

    def search(self, vector: Vector, *, k: int, now: float) -> tuple[IndexHit, ...]:
        hits = find_nearest(self._view, vector, k=k, now=now, read_vectors=self._read)
        return tuple(IndexHit(question=self._ids[hit.question - 1], cosine=hit.cosine, kin=hit.kin) for hit in hits)

    def _read(self, questions: Integers) -> Rows:
        return self._vectors[questions - 1]
