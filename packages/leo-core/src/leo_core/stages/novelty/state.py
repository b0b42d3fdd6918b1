"""What novelty knows of past traffic, and its bytes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import StoreCorruptError, StoreMismatchError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["NoveltyState"]

MAGIC = b"LEO-NOV"
VERSION = 2
WITHOUT_SKETCHES = 1
HEADER = struct.Struct("<7sBIIIQ")
COUNT = struct.Struct("<I")
CHECKSUM = struct.Struct("<I")
WORDS = 4
UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoveltyState:
    """Centres of past traffic and a reservoir of past scores.

    Attributes:
        centres: Unit rows, float32, shape (k, d).
        counts: Requests that each centre learned from, int64, shape (k,).
        radii: Radius of each cluster, float64, shape (k,).
        scores: Scores of past requests, each computed before the request was learned, float64, shape (n,).
        distances: Distance of these requests to their nearest centre at that time, float64, shape (n,).
        regions: That centre, int64, shape (n,).
        seen: Requests learned.
        sketches: Signs of past requests, 32 bytes each, uint64, shape (s, 4).
    """

    centres: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int64]
    radii: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    distances: npt.NDArray[np.float64]
    regions: npt.NDArray[np.int64]
    seen: int
    sketches: npt.NDArray[np.uint64]

    @classmethod
    def empty(cls, dimension: int) -> NoveltyState:
        """The state before the first request."""
        return cls(
            centres=np.zeros((0, dimension), dtype=np.float32),
            counts=np.zeros(0, dtype=np.int64),
            radii=np.zeros(0, dtype=np.float64),
            scores=np.zeros(0, dtype=np.float64),
            distances=np.zeros(0, dtype=np.float64),
            regions=np.zeros(0, dtype=np.int64),
            seen=0,
            sketches=np.zeros((0, WORDS), dtype=np.uint64),
        )

    def to_bytes(self) -> bytes:
        """Magic, version, sizes, the arrays little-endian, CRC-32."""
        count, dimension = self.centres.shape
        body = HEADER.pack(MAGIC, VERSION, dimension, count, len(self.scores), self.seen) + b"".join(
            array.astype(array.dtype.newbyteorder("<")).tobytes()
            for array in (self.centres, self.counts, self.radii, self.scores, self.distances, self.regions)
        )
        body += COUNT.pack(len(self.sketches)) + self.sketches.astype("<u8").tobytes()
        return body + CHECKSUM.pack(zlib.crc32(body))

    @classmethod
    def from_bytes(cls, data: bytes) -> NoveltyState:
        """The state that :meth:`to_bytes` wrote; that of version 1 had no sketches.

        Raises:
            StoreCorruptError: The bytes are damaged or something else.
            StoreMismatchError: A newer LEO wrote them.
        """
        dimension, count, samples, seen, sketches = _read_header(data)
        offset = HEADER.size

        def take(kind: str, length: int) -> npt.NDArray[np.generic]:
            nonlocal offset
            array = np.frombuffer(data, dtype=f"<{kind}", count=length, offset=offset)
            offset += array.nbytes
            return array.astype(array.dtype.newbyteorder("="))

        state = cls(
            centres=np.asarray(take("f4", count * dimension), dtype=np.float32).reshape(count, dimension),
            counts=np.asarray(take("i8", count), dtype=np.int64),
            radii=np.asarray(take("f8", count), dtype=np.float64),
            scores=np.asarray(take("f8", samples), dtype=np.float64),
            distances=np.asarray(take("f8", samples), dtype=np.float64),
            regions=np.asarray(take("i8", samples), dtype=np.int64),
            seen=seen,
            sketches=np.frombuffer(data, "<u8", WORDS * sketches, offset + COUNT.size if sketches else 0)
            .astype(np.uint64)
            .reshape(sketches, WORDS),
        )
        _check_ranges(state)
        return state


def _read_header(data: bytes) -> tuple[int, int, int, int, int]:
    """Dimension, centres, samples, requests seen and sketches, of bytes whose length and checksum are right."""
    if len(data) < HEADER.size + CHECKSUM.size or not data.startswith(MAGIC):
        message = f"these {len(data)} bytes are not a novelty state"
        raise StoreCorruptError(message)
    _, version, dimension, count, samples, seen = HEADER.unpack_from(data)
    if version > VERSION:
        message = f"the novelty state has version {version}, this LEO reads up to {VERSION}; update leo-core"
        raise StoreMismatchError(message)
    body = HEADER.size + count * (4 * dimension + 16) + 24 * samples
    sketches = 0
    expected = body + CHECKSUM.size
    if version != WITHOUT_SKETCHES:
        if len(data) >= body + COUNT.size:
            (sketches,) = COUNT.unpack_from(data, body)
        expected += COUNT.size + 8 * WORDS * sketches
    (checksum,) = CHECKSUM.unpack(data[-CHECKSUM.size :])
    known = WITHOUT_SKETCHES <= version <= VERSION
    if not known or len(data) != expected or zlib.crc32(data[: -CHECKSUM.size]) != checksum:
        message = f"the novelty state is damaged (version {version}, {len(data)} bytes, {expected} expected)"
        raise StoreCorruptError(message)
    return dimension, count, samples, seen, sketches


def _check_ranges(state: NoveltyState) -> None:
    """Refuse values that no state can have, whatever the checksum says."""
    norms = np.linalg.norm(state.centres, axis=1)
    sound = (
        np.all(np.abs(norms - 1.0) < UNIT_TOLERANCE)
        and np.all(state.counts >= 1)
        and np.all(state.radii > 0)
        and all(
            np.isfinite(array).all() and np.all(array >= 0) for array in (state.radii, state.scores, state.distances)
        )
        and np.all((state.regions >= 0) & (state.regions < max(1, len(state.centres))))
        and (len(state.centres) > 0 or len(state.scores) == 0)
    )
    if not sound:
        message = "the novelty state holds values that cannot occur"
        raise StoreCorruptError(message)
