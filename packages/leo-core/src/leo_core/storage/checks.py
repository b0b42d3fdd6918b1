"""What a store refuses to take in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import StorageError, StoreMismatchError

if TYPE_CHECKING:
    from leo_core.records import CacheEntry, EmbedderFingerprint, Vector

__all__ = ["SEALED_EMBEDDER", "check_embedder", "check_entry", "check_vector"]

SEALED_EMBEDDER = "sealed"
"""Name of the embedder that a store with sealed vectors is told of."""


def check_entry(entry: CacheEntry) -> None:
    """Refuse an entry whose end cannot be compared.

    Raises:
        StorageError: ``expires_at`` is not a number.
    """
    if entry.expires_at is not None and math.isnan(entry.expires_at):
        message = "expires_at is not a number; give an instant, or None for never"
        raise StorageError(message)


def check_vector(vector: Vector, fingerprint: EmbedderFingerprint | None) -> Vector:
    """The vector as float32 (d,), contiguous; it may be the caller's own array.

    Raises:
        StoreMismatchError: No embedder was declared, or the vector has another length than its vectors.
        StorageError: The vector holds a value that is not finite.
    """
    if fingerprint is None:
        message = "no embedder was declared; call open_for(embedder.fingerprint) first"
        raise StoreMismatchError(message)
    checked = np.ascontiguousarray(vector, dtype=np.float32)
    if checked.shape != (fingerprint.dimension,):
        message = f"the vector has shape {checked.shape}, those of {fingerprint} have ({fingerprint.dimension},)"
        raise StoreMismatchError(message)
    if not np.isfinite(checked).all():
        message = "the vector holds a value that is not finite; check the embedder"
        raise StorageError(message)
    return checked


def check_embedder(
    declared: EmbedderFingerprint | None, inside: EmbedderFingerprint | None
) -> EmbedderFingerprint | None:
    """The embedder whose vectors the store holds.

    Args:
        declared: Embedder for which this object was opened, if any.
        inside: Embedder of which the store has a note, if any.

    Raises:
        StoreMismatchError: They differ.
    """
    if declared is not None and declared != inside:
        if inside is not None and inside.name == SEALED_EMBEDDER != declared.name:
            message = (
                "the store is private: what it holds is sealed; open it with privacy= and the keyrings that sealed it, "
                "or choose another path"
            )
            raise StoreMismatchError(message)
        message = (
            f"the store holds vectors of {inside}, not of {declared}; open it with that embedder (embedder=…), "
            "clear it, or choose another path"
        )
        raise StoreMismatchError(message)
    return inside
