"""How the vectors of a scope are kept: as they are while they are few, as sketches and rounded rows beyond.

Where one hands over to the next was measured with ``leo bench core`` (section "index"); see
``docs/reference/vector-index.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from leo_core.records import Vector

    Rows = npt.NDArray[np.float32]

__all__ = ["FloatRows", "FloatView", "SketchView", "SketchedRows", "grow"]

LISTS = 256
PROBES = 32
MERGE_AT_LEAST = 16_384
TRAINED_ON = 16_384
TRAINING_STEPS = 6
ROWS_AT_ONCE = 16_384

_LEAST_CAPACITY = 16


def grow(array: npt.NDArray[Any], count: int, wanted: int) -> npt.NDArray[Any]:
    """``array`` itself if it has room for ``wanted`` rows, else a larger one with its first ``count`` rows.

    A quarter of slack: growing copies everything, and the rows are most of the memory of the index.
    """
    if wanted <= len(array):
        return array
    grown = np.empty((max(_LEAST_CAPACITY, wanted + wanted // 4), *array.shape[1:]), dtype=array.dtype)
    grown[:count] = array[:count]
    return grown


def _grow_planes(planes: npt.NDArray[np.uint64], count: int, wanted: int) -> npt.NDArray[np.uint64]:
    """:func:`grow` for sketches by planes, uint64 (4, n)."""
    if wanted <= planes.shape[1]:
        return planes
    grown = np.empty((len(planes), max(_LEAST_CAPACITY, wanted + wanted // 4)), dtype=np.uint64)
    grown[:, :count] = planes[:, :count]
    return grown


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FloatView:
    """Vectors as they are: float32 (n, d)."""

    vectors: Rows


class FloatRows:
    """Vectors kept as they are, for an exact scan.

    Args:
        dimension: Their length d.
    """

    def __init__(self, dimension: int) -> None:
        self._count = 0
        self._vectors = np.empty((0, dimension), dtype=np.float32)

    @property
    def size_bytes(self) -> int:
        """Memory taken."""
        return self._vectors.nbytes

    def append(self, vectors: Rows) -> None:
        """Add ``vectors`` (m, d) at the end."""
        stop = self._count + len(vectors)
        self._vectors = grow(self._vectors, self._count, stop)
        self._vectors[self._count : stop] = vectors
        self._count = stop

    def keep(self, places: npt.NDArray[np.intp]) -> None:
        """Keep the rows at ``places`` (rising) only, in new memory."""
        self._vectors = self._vectors[places]
        self._count = len(places)

    def view(self) -> FloatView:
        """The rows as they are now."""
        return FloatView(vectors=self._vectors[: self._count])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SketchView:
    """Sketches and rounded rows of n vectors; see :class:`SketchedRows`.

    Attributes:
        planes: Sketches, uint64 (4, n) or wider, lists first, in the order of ``order``.
        order: Row of each sketch, int32 (n,); of length 0 where that is its place.
        rows: int8 (n, d).
        scales: float32 (n,).
        centres: Centres of the lists, as columns, float32 (d, 256); without columns where there are none.
        bounds: List i is places ``bounds[i]`` to ``bounds[i + 1]``, int64 (257,); what follows is in no list yet.
    """

    planes: npt.NDArray[np.uint64]
    order: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    centres: Rows
    bounds: npt.NDArray[np.int64]

    def find(
        self,
        vector: Vector,
        *,
        alive: npt.NDArray[np.bool_],
        ends: npt.NDArray[np.float64],
        entries: npt.NDArray[np.signedinteger],
        now: float,
        wanted: int,
        probes: int,
        k: int,
    ) -> tuple[int, npt.NDArray[np.int64]]:
        """Rows that may be the nearest of one of the ``k`` best entries, in the ``probes`` nearest lists.

        Returns:
            How many of the ``wanted`` candidates there were, and those that rounding leaves in the running.
        """
        from leo_core.kernels import sketch  # noqa: PLC0415 - loads numba, and small scopes do without

        count, places = sketch.search_sketches(
            self.planes,
            self.order,
            alive,
            ends,
            entries,
            self.rows,
            self.scales,
            self._choose_spans(sketch.project(vector, self.centres), probes),
            sketch.make_rotation(len(vector)),
            vector,
            now,
            wanted,
            k,
        )
        return count, places

    def _choose_spans(self, scores: npt.NDArray[np.float32], probes: int) -> npt.NDArray[np.int64]:
        """First and last place of each part to look at, by the ``scores`` of the lists, (p, 2)."""
        count = len(self.rows)
        if probes >= len(scores):
            return np.array([[0, count]], dtype=np.int64)
        nearest = np.argpartition(scores, -probes)[-probes:]
        spans = np.empty((probes + 1, 2), dtype=np.int64)
        spans[:probes, 0], spans[:probes, 1] = self.bounds[nearest], self.bounds[nearest + 1]
        spans[probes] = self.bounds[-1], count
        return spans


class SketchedRows:
    """Unit vectors kept as 256 signs and 8-bit rows, past a size in lists around 256 centres.

    Later vectors wait behind the lists, where every search scans them, until there are an eighth as many; then they
    are sorted in. The arrays of a view are never written to below its length.

    Args:
        dimension: Length d of the vectors.
        partition_above: Count from which there are lists.
    """

    def __init__(self, dimension: int, *, partition_above: int) -> None:
        self._partition_above = partition_above
        self._count = 0
        self._planes = np.empty((4, 0), dtype=np.uint64)
        self._order = np.empty(0, dtype=np.int32)
        self._rows = np.empty((0, dimension), dtype=np.int8)
        self._scales = np.empty(0, dtype=np.float32)
        self._centres = np.empty((dimension, 0), dtype=np.float32)
        self._bounds = np.zeros(1, dtype=np.int64)
        self._waiting: list[npt.NDArray[np.uint8]] = []

    @property
    def size_bytes(self) -> int:
        """Memory taken."""
        arrays = (self._planes, self._order, self._rows, self._scales, self._centres, self._bounds)
        return sum(array.nbytes for array in arrays) + sum(len(lists) for lists in self._waiting)

    def append(self, vectors: Rows) -> None:
        """Add ``vectors`` (m, d) at the end."""
        for first in range(0, len(vectors), ROWS_AT_ONCE):
            self._append(vectors[first : first + ROWS_AT_ONCE])

    def keep(self, places: npt.NDArray[np.intp]) -> None:
        """Keep the rows at ``places`` (rising) only, in new memory, and make new lists if they are many."""
        planes = self._planes[:, : self._count]
        if len(self._order):
            by_row = np.empty_like(planes)
            by_row[:, self._order[: self._count]] = planes
            planes = by_row
        self._planes, self._rows, self._scales = (
            np.take(planes, places, axis=1),
            self._rows[places],
            self._scales[places],
        )
        self._count = len(places)
        self._order, self._centres = self._order[:0].copy(), self._centres[:, :0].copy()
        self._bounds, self._waiting = np.zeros(1, dtype=np.int64), []
        self._partition_if_many()

    def view(self) -> SketchView:
        """The rows as they are now."""
        return SketchView(
            planes=self._planes,
            order=self._order[: self._count],
            rows=self._rows[: self._count],
            scales=self._scales[: self._count],
            centres=self._centres,
            bounds=self._bounds,
        )

    def _append(self, vectors: Rows) -> None:
        from leo_core.kernels import sketch  # noqa: PLC0415 - loads numba, and small scopes do without

        start, stop = self._count, self._count + len(vectors)
        self._planes = _grow_planes(self._planes, start, stop)
        self._rows = grow(self._rows, start, stop)
        self._scales = grow(self._scales, start, stop)
        self._planes[:, start:stop] = sketch.sketch_rows(vectors).T
        self._rows[start:stop], self._scales[start:stop] = sketch.quantise_rows(vectors)
        self._count = stop
        if not self._centres.shape[1]:
            self._partition_if_many()
            return
        self._order = grow(self._order, start, stop)
        self._order[start:stop] = np.arange(start, stop)
        self._waiting.append(_assign(vectors, self._centres.T))
        if stop - self._bounds[-1] > max(MERGE_AT_LEAST, self._bounds[-1] // 8):
            self._merge()

    def _partition_if_many(self) -> None:
        if self._count <= self._partition_above:
            return
        sample = np.linspace(0, self._count - 1, min(self._count, TRAINED_ON), dtype=np.int64)
        self._centres = np.ascontiguousarray(_train_centres(self._restore(sample)).T)
        self._order = np.arange(self._count, dtype=np.int32)
        self._bounds = np.zeros(LISTS + 1, dtype=np.int64)
        self._waiting = [
            _assign(self._restore(np.arange(first, min(first + ROWS_AT_ONCE, self._count))), self._centres.T)
            for first in range(0, self._count, ROWS_AT_ONCE)
        ]
        self._merge()

    def _merge(self) -> None:
        """Sort the waiting sketches into the lists, in new memory."""
        listed = np.repeat(np.arange(LISTS, dtype=np.uint8), np.diff(self._bounds))
        lists = np.concatenate([listed, *self._waiting])
        places = np.argsort(lists, kind="stable")
        planes, order = np.empty_like(self._planes), np.empty(self._planes.shape[1], dtype=np.int32)
        for old, new in zip(self._planes, planes, strict=True):
            np.take(old, places, out=new[: self._count])
        np.take(self._order, places, out=order[: self._count])
        self._planes, self._order, self._waiting = planes, order, []
        self._bounds = np.concatenate([[0], np.cumsum(np.bincount(lists, minlength=LISTS))]).astype(np.int64)

    def _restore(self, places: npt.NDArray[np.int64]) -> Rows:
        """The vectors up to rounding."""
        return self._rows[places].astype(np.float32) * self._scales[places, np.newaxis]


def _assign(vectors: Rows, centres: Rows) -> npt.NDArray[np.uint8]:
    """The nearest centre of each vector."""
    return np.asarray((vectors @ centres.T).argmax(axis=1), dtype=np.uint8)


def _train_centres(sample: Rows) -> Rows:
    """256 unit centres by spherical k-means (Dhillon and Modha, 2001), from evenly spaced rows of ``sample``."""
    centres = sample[np.linspace(0, len(sample) - 1, LISTS, dtype=np.int64)].copy()
    for _ in range(TRAINING_STEPS):
        lists = _assign(sample, centres)
        order = np.argsort(lists, kind="stable")
        used, starts = np.unique(lists[order], return_index=True)
        sums = np.add.reduceat(sample[order], starts, axis=0)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres[used] = sums / np.maximum(norms, np.float32(1e-12))
    return centres
