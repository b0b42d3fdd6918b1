"""Fewer dimensions with known distortion: a sparse Johnson–Lindenstrauss transform."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    import numpy.typing as npt

    Words = npt.NDArray[np.uint64]

__all__ = ["JLProjector"]

BLOCKS = 8


class JLProjector:
    """Linear map from R^D to R^d that keeps lengths, distances and inner products up to a known error.

    Every input coordinate goes to 8 output coordinates, one in each of 8 blocks, with weight ±1/√8 (the block
    construction of D. Kane and J. Nelson, "Sparser Johnson–Lindenstrauss transforms", J. ACM 61, 2014).

    For every fixed vector x, over the seed: E‖Px‖² = ‖x‖² and Var‖Px‖² ≤ (2/d)·‖x‖⁴. So by Chebyshev's
    inequality, for any ``pairs`` fixed differences at once and with probability at least 1 - ``failure``,

        (1 - ε)·‖x - y‖² ≤ ‖Px - Py‖² ≤ (1 + ε)·‖x - y‖²,    ε = √(2·pairs / (d·failure)),

    see :meth:`bound_distortion`. The bound holds without any assumption; the typical error is √(2/d), which is
    0.09 for d = 256, and large deviations are rarer than Chebyshev's inequality says.

    Args:
        input_dimension: D.
        dimension: d, at least 8.
        seed: Chooses the map; the same seed gives the same map on every platform and in every version.
    """

    def __init__(self, input_dimension: int, dimension: int = 256, seed: int = 0) -> None:
        if input_dimension < 1 or dimension < BLOCKS:
            message = f"cannot project from {input_dimension} to {dimension}; use at least 1 and at least {BLOCKS}"
            raise ConfigError(message)
        self._matrix = _build_matrix(input_dimension, dimension, seed)

    @property
    def input_dimension(self) -> int:
        """Length of the rows to project, D."""
        return int(self._matrix.shape[0])

    @property
    def dimension(self) -> int:
        """Length of the result, d."""
        return int(self._matrix.shape[1])

    def bound_distortion(self, failure: float, pairs: int = 1) -> float:
        """ε such that ``pairs`` squared distances all keep within a factor 1 ± ε, but for probability ``failure``."""
        return math.sqrt(2.0 * pairs / (self.dimension * failure))

    def project(self, rows: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Project rows (n, D), or one vector (D,), to float32 (n, d) or (d,); lengths are kept, not set to 1.

        Raises:
            ConfigError: The rows do not have length D.
        """
        matrix = np.asarray(rows, dtype=np.float32)
        if matrix.ndim not in (1, 2) or matrix.shape[-1] != self.input_dimension:
            message = f"rows of shape {matrix.shape} given to a projector from {self.input_dimension}"
            raise ConfigError(message)
        return matrix @ self._matrix


def _mix(value: Words) -> Words:
    """splitmix64: the hash of a counter."""
    value = value * np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _build_matrix(input_dimension: int, dimension: int, seed: int) -> npt.NDArray[np.float32]:
    """P transposed, shape (D, d): 8 entries ±1/√8 in every row."""
    key = _mix(np.array([seed % 2**64], dtype=np.uint64) + np.uint64(1))
    matrix = np.zeros((input_dimension, dimension), dtype=np.float32)
    sources = np.arange(input_dimension, dtype=np.uint64)
    for block in range(BLOCKS):
        low, high = block * dimension // BLOCKS, (block + 1) * dimension // BLOCKS
        bits = _mix(key ^ _mix(sources * np.uint64(BLOCKS) + np.uint64(block + 1)))
        places = low + ((bits >> np.uint64(32)) * np.uint64(high - low) >> np.uint64(32)).astype(np.int64)
        signs = np.where(bits & np.uint64(1), 1.0, -1.0)
        matrix[np.arange(input_dimension), places] = signs / math.sqrt(BLOCKS)
    return matrix
