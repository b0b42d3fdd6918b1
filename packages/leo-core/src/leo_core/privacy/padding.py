"""Padding: the length of what is sealed says little of what it holds.

The steps are those of Padmé (K. Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
PURBs", PoPETs 2019, section 4): a length L keeps only as many leading bits as log2 L has bits itself, so that a length
tells O(log log L) bits and grows by at most 12 %. Everything short has one length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.errors import SealedAlteredError

if TYPE_CHECKING:
    from typing import Final

__all__ = ["LEAST_BYTES", "pad", "round_up", "unpad"]

LEAST_BYTES: Final = 1024
"""Length of everything that is not longer."""

_COUNT: Final = 8


def round_up(length: int) -> int:
    """The Padmé step at or above a length, in bytes; at least 0."""
    if length < 2:  # noqa: PLR2004 - 0 and 1 are steps, and have no logarithm to speak of
        return max(0, length)
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def pad(data: bytes, *, least: int = LEAST_BYTES) -> bytes:
    """The data behind its length in 8 bytes, filled up with zeros to ``least`` bytes or the next step above."""
    whole = _COUNT + len(data)
    return len(data).to_bytes(_COUNT, "big") + data + bytes(max(least, round_up(whole)) - whole)


def unpad(padded: bytes) -> bytes:
    """What :func:`pad` was given.

    Raises:
        SealedAlteredError: It was padded by something else.
    """
    length = int.from_bytes(padded[:_COUNT], "big")
    if len(padded) < _COUNT + length:
        message = f"{len(padded)} bytes cannot hold {length} and their length: something else sealed them"
        raise SealedAlteredError(message)
    return padded[_COUNT : _COUNT + length]
