"""Exact nearest neighbours among the vectors of one scope.

The seam for a faster index: anything that appends, removes and finds like :class:`ScopeIndex` can take its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from leo_core.records import Vector

__all__ = ["Hit", "ScopeIndex", "ScopeView", "find_nearest"]

_UNIT_ROUNDOFF = 2.0**-24
"""Largest relative error of one float32 operation."""

_LEAST_CAPACITY = 16
_FEW_DEAD = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A vector that was found: the number of its question, and its inner product with the query."""

    question: int
    cosine: float


class ScopeIndex:
    """The vectors of one scope with the entries they lead to. Not thread-safe; :meth:`view` gives a safe copy.

    Args:
        dimension: Length d of the vectors.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._count = 0
        self._dead = 0
        self._vectors = np.empty((0, dimension), dtype=np.float32)
        self._questions = np.empty(0, dtype=np.int64)
        self._entries = np.empty(0, dtype=np.int64)
        self._ends = np.empty(0, dtype=np.float64)
        self.last_question = 0

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._dimension

    @property
    def size_bytes(self) -> int:
        """Memory taken by the arrays."""
        return self._vectors.nbytes + self._questions.nbytes + self._entries.nbytes + self._ends.nbytes

    def __len__(self) -> int:
        """Vectors that have not been removed, expired ones included."""
        return self._count - self._dead

    def append(
        self,
        questions: npt.NDArray[np.int64],
        entries: npt.NDArray[np.int64],
        ends: npt.NDArray[np.float64],
        vectors: npt.NDArray[np.float32],
    ) -> None:
        """Add m vectors.

        Args:
            questions: int64 (m,), rising, all above those already inside.
            entries: int64 (m,), the entry that each leads to.
            ends: float64 (m,), instant after which each is not found; +inf for never.
            vectors: float32 (m, d).
        """
        if not len(questions):
            return
        start, stop = self._count, self._count + len(questions)
        self._reserve(stop)
        self._vectors[start:stop] = vectors
        self._questions[start:stop] = questions
        self._entries[start:stop] = entries
        self._ends[start:stop] = ends
        self._count = stop
        self.last_question = int(questions[-1])

    def remove(self, questions: npt.NDArray[np.int64]) -> None:
        """Remove the vectors with these numbers; unknown ones are passed over."""
        known = self._questions[: self._count]
        places = np.searchsorted(known, questions)
        places = places[places < self._count]
        places = np.unique(places[np.isin(known[places], questions)])
        self._dead += int(np.count_nonzero(self._ends[places] != -np.inf))
        self._ends[places] = -np.inf
        if self._dead > _FEW_DEAD and self._dead * 2 > self._count:
            self._compact()

    def view(self) -> ScopeView:
        """The vectors as they are now. Later appends do not show in it; later removals may."""
        return ScopeView(
            vectors=self._vectors[: self._count],
            questions=self._questions[: self._count],
            entries=self._entries[: self._count],
            ends=self._ends[: self._count],
        )

    def _reserve(self, count: int) -> None:
        if count <= len(self._questions):
            return
        # A quarter of slack: growing copies everything, and the vectors are most of the memory of the store.
        capacity = max(_LEAST_CAPACITY, count + count // 4)
        self._vectors = _grown(self._vectors, self._count, capacity)
        self._questions = _grown(self._questions, self._count, capacity)
        self._entries = _grown(self._entries, self._count, capacity)
        self._ends = _grown(self._ends, self._count, capacity)

    def _compact(self) -> None:
        alive = np.flatnonzero(self._ends[: self._count] != -np.inf)
        self._vectors = self._vectors[alive]
        self._questions = self._questions[alive]
        self._entries = self._entries[alive]
        self._ends = self._ends[alive]
        self._count, self._dead = len(alive), 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScopeView:
    """Arrays of n vectors: float32 (n, d), int64 (n,), int64 (n,), float64 (n,); see :meth:`ScopeIndex.append`."""

    vectors: npt.NDArray[np.float32]
    questions: npt.NDArray[np.int64]
    entries: npt.NDArray[np.int64]
    ends: npt.NDArray[np.float64]


def find_nearest(view: ScopeView, vector: Vector, *, k: int, now: float) -> tuple[Hit, ...]:
    """The ``k`` nearest live vectors, best first, one per entry.

    Candidates are found in float32; their inner products are then computed in float64, so that the order does not
    depend on how a library sums. Among equals the older question comes first.

    Args:
        view: What to search.
        vector: float32 (d,).
        k: How many entries.
        now: Present instant.

    Returns:
        At most ``k`` hits, of different entries.
    """
    if k < 1 or not len(view.questions):
        return ()
    scores = view.vectors @ vector
    # |error| of an inner product <= d·u·|x|ᵀ|y| (Higham, Accuracy and Stability, §3.1), for both of two compared ones.
    rounding = 2 * len(vector) * _UNIT_ROUNDOFF
    scores[view.ends < now] = -np.inf
    wanted = k
    while True:
        places = _select(scores, wanted, rounding)
        hits = _best_per_entry(view, places, vector, k)
        if len(hits) == k or len(places) < wanted:
            return hits
        wanted = max(2 * wanted, len(places) + 1)


def _select(scores: npt.NDArray[np.float32], wanted: int, rounding: float) -> npt.NDArray[np.intp]:
    """Places of every score that may be among the ``wanted`` best but for rounding; none of -inf."""
    if wanted < len(scores):
        threshold = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
    else:
        threshold = np.float32(-np.inf)
    if threshold == -np.inf:
        return np.flatnonzero(scores != -np.inf)
    return np.flatnonzero(scores >= threshold - rounding)


def _best_per_entry(view: ScopeView, places: npt.NDArray[np.intp], vector: Vector, k: int) -> tuple[Hit, ...]:
    # Not a matrix product: that may sum equal rows in different orders, and equals have to stay equal.
    cosines = (view.vectors[places].astype(np.float64) * vector.astype(np.float64)).sum(axis=1)
    seen: set[int] = set()
    hits: list[Hit] = []
    for place in np.lexsort((view.questions[places], -cosines)):
        entry = int(view.entries[places[place]])
        if entry in seen:
            continue
        seen.add(entry)
        hits.append(Hit(question=int(view.questions[places[place]]), cosine=float(cosines[place])))
        if len(hits) == k:
            break
    return tuple(hits)


def _grown(array: npt.NDArray[Any], count: int, capacity: int) -> npt.NDArray[Any]:
    grown = np.empty((capacity, *array.shape[1:]), dtype=array.dtype)
    grown[:count] = array[:count]
    return grown
