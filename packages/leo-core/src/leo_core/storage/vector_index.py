"""Nearest neighbours among the vectors of one scope: an exact scan while they are few, sketches beyond.

The seam for another index: anything that appends, removes and finds like :class:`ScopeIndex` can take its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leo_core.storage.vector_rows import LISTS, PROBES, FloatRows, FloatView, SketchedRows, SketchView, grow

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from leo_core.records import Vector

    Integers = npt.NDArray[np.int64]
    Rows = npt.NDArray[np.float32]

__all__ = ["Hit", "ScopeIndex", "ScopeView", "find_nearest"]

EXACT_UP_TO = 2_048
"""Vectors that are scanned exactly. Measured: ``leo bench core`` prints where the sketches become faster."""

PARTITION_ABOVE = 150_000
"""Vectors from which the sketches lie in lists. Measured as above."""

CANDIDATES = 128
"""Rows that the sketches put forward, at least; twice as many where they lie in lists."""

SURE = 0.85
"""Inner product from which the nearest rows are trusted to lie in the nearest lists; below, all of them are scanned."""

_UNIT_ROUNDOFF = 2.0**-24
"""Largest relative error of one float32 operation."""

_NUMBERS_AT_ONCE = 1 << 17
"""Larger products are spread over threads by BLAS, which wait for each other: up to 0.1 s on a busy machine."""

_FEW_DEAD = 1024
MOST_KIN = 31
"""Further vectors of an entry that are told with its nearest one."""

_SHORT = np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A vector that was found: the number of its question, and its inner product with the query.

    ``kin`` are those of further near vectors of the same entry, best first, at most :data:`MOST_KIN`.
    """

    question: int
    cosine: float
    kin: tuple[float, ...] = ()


class ScopeIndex:
    """The unit vectors of one scope with the entries they lead to. Not thread-safe; :meth:`view` gives a safe copy.

    Args:
        dimension: Length d of the vectors.
        exact_up_to: Vectors up to which they are kept as they are, and searched exactly.
        partition_above: Vectors above which not all are looked at.
    """

    def __init__(
        self, dimension: int, *, exact_up_to: int = EXACT_UP_TO, partition_above: int = PARTITION_ABOVE
    ) -> None:
        self._dimension = dimension
        self._exact_up_to = exact_up_to
        self._partition_above = partition_above
        self._count = 0
        self._dead = 0
        self._rows: FloatRows | SketchedRows = FloatRows(dimension)
        self._questions: npt.NDArray[np.signedinteger] = np.empty(0, dtype=np.int32)
        self._entries: npt.NDArray[np.signedinteger] = np.empty(0, dtype=np.int32)
        self._alive = np.empty(0, dtype=np.bool_)
        self._ends = np.empty(0, dtype=np.float64)
        self.last_question = 0

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._dimension

    @property
    def size_bytes(self) -> int:
        """Memory taken by the arrays."""
        arrays = (self._questions, self._entries, self._alive, self._ends)
        return self._rows.size_bytes + sum(array.nbytes for array in arrays)

    def __len__(self) -> int:
        """Vectors that have not been removed, expired ones included."""
        return self._count - self._dead

    def append(self, questions: Integers, entries: Integers, ends: npt.NDArray[np.float64], vectors: Rows) -> None:
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
        self._questions = _extend(self._questions, start, questions)
        self._entries = _extend(self._entries, start, entries)
        self._alive = grow(self._alive, start, stop)
        self._alive[start:stop] = True
        self._extend_ends(start, ends)
        if isinstance(self._rows, FloatRows) and stop > self._exact_up_to:
            vectors_before = self._rows.view().vectors
            self._rows = SketchedRows(self._dimension, partition_above=self._partition_above)
            self._rows.append(vectors_before)
        self._rows.append(vectors)
        self._count = stop
        self.last_question = int(questions[-1])

    def remove(self, questions: Integers) -> None:
        """Remove the vectors with these numbers; unknown ones are passed over."""
        known = self._questions[: self._count]
        questions = np.unique(questions[questions <= np.iinfo(known.dtype).max]).astype(known.dtype)
        places = np.searchsorted(known, questions)
        inside = places < self._count
        places = places[inside][known[places[inside]] == questions[inside]]
        self._dead += int(np.count_nonzero(self._alive[places]))
        self._alive[places] = False
        if self._dead > _FEW_DEAD and self._dead * 2 > self._count:
            self._compact()

    def view(self) -> ScopeView:
        """The vectors as they are now. Later appends do not show in it; later removals may."""
        return ScopeView(
            rows=self._rows.view(),
            questions=self._questions[: self._count],
            entries=self._entries[: self._count],
            alive=self._alive[: self._count],
            ends=self._ends[: self._count],
        )

    def _extend_ends(self, start: int, ends: npt.NDArray[np.float64]) -> None:
        """Keep the instants only if there is one: most scopes have none, and they are 8 bytes a vector."""
        if not len(self._ends):
            if np.all(np.isposinf(ends)):
                return
            self._ends = np.full(len(self._alive), np.inf)
        stop = start + len(ends)
        self._ends = grow(self._ends, start, stop)
        self._ends[start:stop] = ends

    def _compact(self) -> None:
        alive = np.flatnonzero(self._alive[: self._count])
        self._rows.keep(alive)
        self._questions = self._questions[alive]
        self._entries = self._entries[alive]
        self._ends = self._ends[alive] if len(self._ends) else self._ends
        self._alive = np.ones(len(alive), dtype=np.bool_)
        self._count, self._dead = len(alive), 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScopeView:
    """The vectors of a scope at one moment.

    Attributes:
        rows: The n vectors.
        questions: Their numbers, rising, int32 or int64 (n,).
        entries: The entries they lead to, int32 or int64 (n,).
        alive: Whether each still counts, bool (n,).
        ends: Instant after which each does not, float64 (n,); of length 0 where all of them stay.
    """

    rows: FloatView | SketchView
    questions: npt.NDArray[np.signedinteger]
    entries: npt.NDArray[np.signedinteger]
    alive: npt.NDArray[np.bool_]
    ends: npt.NDArray[np.float64]


def find_nearest(
    view: ScopeView, vector: Vector, *, k: int, now: float, read_vectors: Callable[[Integers], Rows]
) -> tuple[Hit, ...]:
    """The ``k`` nearest live vectors, best first, one per entry.

    In small scopes these are the nearest ones; in large ones nearly always. Inner products are exact in both: they
    are computed in float64, so that the order does not depend on how a library sums. Among equals the older question
    comes first.

    Args:
        view: What to search.
        vector: float32 (d,).
        k: How many entries.
        now: Present instant.
        read_vectors: Gives the vectors float32 (m, d) of the questions with these numbers, int64 (m,), in this order;
            called where the view has rounded ones only.

    Returns:
        At most ``k`` hits, of different entries.
    """
    if k < 1 or not len(view.questions):
        return ()
    if isinstance(view.rows, FloatView):
        return _find_exactly(view, view.rows.vectors, vector, k, now)
    return _find_by_sketches(view, view.rows, vector, k, now, read_vectors)


def _find_exactly(view: ScopeView, vectors: Rows, vector: Vector, k: int, now: float) -> tuple[Hit, ...]:
    scores = np.empty(len(vectors), dtype=np.float32)
    step = max(1, _NUMBERS_AT_ONCE // max(1, len(vector)))
    for first in range(0, len(vectors), step):
        np.dot(vectors[first : first + step], vector, out=scores[first : first + step])
    scores[~view.alive] = -np.inf
    if len(view.ends):
        scores[view.ends < now] = -np.inf
    # |error| of an inner product <= d·u·|x|ᵀ|y| (Higham, Accuracy and Stability, §3.1), for both of two compared ones.
    rounding = 2 * len(vector) * _UNIT_ROUNDOFF
    wanted = k
    while True:
        places = _select(scores, wanted, rounding)
        hits = _best_per_entry(view, places, vectors[places], vector, k)
        if len(hits) == k or len(places) < wanted:
            return hits
        wanted = max(2 * wanted, len(places) + 1)


def _find_by_sketches(
    view: ScopeView, rows: SketchView, vector: Vector, k: int, now: float, read_vectors: Callable[[Integers], Rows]
) -> tuple[Hit, ...]:
    wanted, probes = max(2 * CANDIDATES if rows.centres.size else CANDIDATES, 8 * k), PROBES
    while True:
        whole = not rows.centres.size or probes >= LISTS
        count, places = rows.find(
            vector, alive=view.alive, ends=view.ends, entries=view.entries, now=now, wanted=wanted, probes=probes, k=k
        )
        hits = _best_per_entry(view, places, read_vectors(view.questions[places].astype(np.int64)), vector, k)
        if len(hits) == k and (whole or hits[-1].cosine >= SURE):
            return hits
        if whole and count < wanted:
            return hits
        if whole:
            wanted = min(4 * wanted, len(view.questions) + 1)
        probes = LISTS


def _select(scores: npt.NDArray[np.float32], wanted: int, rounding: float) -> npt.NDArray[np.intp]:
    """Places of every score that may be among the ``wanted`` best but for rounding; none of -inf."""
    if wanted < len(scores):
        threshold = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
    else:
        threshold = np.float32(-np.inf)
    if threshold == -np.inf:
        return np.flatnonzero(scores != -np.inf)
    return np.flatnonzero(scores >= threshold - rounding)


def _best_per_entry(
    view: ScopeView, places: npt.NDArray[np.intp], vectors: Rows, vector: Vector, k: int
) -> tuple[Hit, ...]:
    # Not a matrix product: that may sum equal rows in different orders, and equals have to stay equal.
    negatives = (-np.multiply(vectors, vector, dtype=np.float64).sum(axis=1)).tolist()
    questions, entries = view.questions[places].tolist(), view.entries[places].tolist()
    found: dict[int, tuple[int, list[float]]] = {}
    for negative, question, entry in sorted(zip(negatives, questions, entries, strict=True)):
        known = found.get(entry)
        if known is not None:
            if len(known[1]) <= MOST_KIN:
                known[1].append(-negative)
            continue
        found[entry] = (question, [-negative])
        if len(found) == k:
            break
    return tuple(Hit(question=question, cosine=own[0], kin=tuple(own[1:])) for question, own in found.values())


def _extend(array: npt.NDArray[np.signedinteger], count: int, values: Integers) -> npt.NDArray[np.signedinteger]:
    """``array`` with ``values`` after its first ``count``; 4 bytes each while they fit."""
    if array.dtype == np.int32 and int(values.max()) > _SHORT:
        array = array.astype(np.int64)
    extended = grow(array, count, count + len(values))
    extended[count : count + len(values)] = values
    return extended
