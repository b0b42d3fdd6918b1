"""Micro-memory: at most 32 directions of a session, and a bounded lean of the next turn towards them.

The lean is for novelty and routing of follow-up turns only; cache keys and hit decisions never see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from leo_core.records import Vector
    from leo_core.stages.memory.config import MemoryConfig

__all__ = ["MemoryState", "blend_memory", "remember"]

TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemoryState:
    """What a session remembers.

    Attributes:
        vectors: M, unit rows, float32, shape (n, d) with n at most 32.
    """

    vectors: npt.NDArray[np.float32]

    @classmethod
    def empty(cls, dimension: int) -> MemoryState:
        """The memory of a new session."""
        return cls(vectors=np.zeros((0, dimension), dtype=np.float32))


def blend_memory(vector: Vector, state: MemoryState, config: MemoryConfig) -> Vector:
    """``normalize((1 - a)·v + a·Σ_k softmax(⟨v, M_k⟩ / T)·M_k)``, a unit vector of shape (d,).

    The memory's term is at most a ≤ 1/4 long, so the result keeps a cosine of at least √(1 - (a/(1-a))²) ≥ 0.94
    with ``vector``. Without memory, ``vector`` itself.
    """
    if not len(state.vectors) or config.influence == 0:
        return vector
    scores = (state.vectors @ vector).astype(np.float64) / config.temperature
    attention = np.exp(scores - scores.max())
    attention /= attention.sum()
    mixed = (1.0 - config.influence) * vector + config.influence * (attention @ state.vectors)
    return np.asarray(mixed / np.linalg.norm(mixed), dtype=np.float32)


def remember(vector: Vector, state: MemoryState, config: MemoryConfig) -> MemoryState:
    """The memory after a turn with this unit ``vector`` (d,): a free slot takes it, else the nearest slot moves.

    The nearest slot becomes ``normalize(β·M_k + (1 - β)·v)``; no other slot changes, and ``state`` never does.
    """
    if len(state.vectors) < config.slots:
        return MemoryState(vectors=np.vstack([state.vectors, vector]).astype(np.float32))
    vectors = state.vectors.copy()
    nearest = int(np.argmax(vectors @ vector))
    moved = config.decay * vectors[nearest].astype(np.float64) + (1.0 - config.decay) * vector
    norm = float(np.linalg.norm(moved))
    if norm > TINY:
        vectors[nearest] = moved / norm
    return MemoryState(vectors=vectors)
