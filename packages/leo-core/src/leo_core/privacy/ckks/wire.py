"""The bytes in which queries, blocks, replies and keys travel: one header, then residues, each with the bits it needs.

::

    magic "LEOF" | version | kind | 0 0 | parameters (8) | secret id (16) | dim (2) | baby (2) | count (4)

Numbers are little-endian. Everything behind the header has a length that the header determines, so that bytes of any
other length are refused before anything is read or allocated. A residue modulo a prime of b bits takes b bits, the
lowest first; the second half of a fresh ciphertext is the seed of 64 bytes from which it is drawn.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import CiphertextError, KeyMismatchError, ParametersMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from leo_core.privacy.ckks.params import FheParams

    Residues = npt.NDArray[np.uint32]

__all__ = [
    "HEADER_BYTES",
    "SEED_BYTES",
    "Header",
    "Kind",
    "check_length",
    "count_bytes",
    "pack",
    "read_header",
    "unpack",
]

MAGIC = b"LEOF"
VERSION = 1
SEED_BYTES = 64
_HEADER = struct.Struct("<4sBBH8s16sHHI")
HEADER_BYTES = _HEADER.size
_GROUP = 8


class Kind(IntEnum):
    """What the bytes are."""

    QUERY = 1
    BLOCK = 2
    REPLY = 3
    KEYS = 4
    SECRET = 5

    @property
    def label(self) -> str:
        """How messages call it."""
        return ("a query", "a block", "a reply", "evaluation keys", "a secret")[self - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What stands before the residues.

    Attributes:
        kind: What follows.
        params_id: Eight bytes for the parameters.
        secret_id: Sixteen bytes for the secret with which it was made.
        dim: Coordinates of a vector; 0 for a secret.
        baby: Rotations of a query; 0 where that does not matter.
        count: Ciphertexts of a query, rows of a block, blocks of a reply, keys of evaluation keys; 0 for a secret.
    """

    kind: Kind
    params_id: bytes
    secret_id: bytes
    dim: int = 0
    baby: int = 0
    count: int = 0

    def to_bytes(self) -> bytes:
        """The 40 bytes of the header."""
        numbers = (self.dim, self.baby, self.count)
        return _HEADER.pack(MAGIC, VERSION, self.kind, 0, self.params_id, self.secret_id, *numbers)

    def check(self, params: FheParams, secret_id: bytes | None = None) -> None:
        """Raise unless it was made with these parameters and, if given, with this secret.

        Raises:
            ParametersMismatchError: Other parameters.
            KeyMismatchError: Another secret.
        """
        if self.params_id != params.params_id:
            message = (
                f"{self.kind.label} was made with parameters {self.params_id.hex()}, not with "
                f"{params.params_id.hex()}; use one preset on both sides"
            )
            raise ParametersMismatchError(message)
        if secret_id is not None and self.secret_id != secret_id:
            message = (
                f"{self.kind.label} was made with key {self.secret_id.hex()}, not with {secret_id.hex()}; after a "
                "rotation, upload new evaluation keys and blocks"
            )
            raise KeyMismatchError(message)


def read_header(data: bytes, kind: Kind) -> Header:
    """The header of bytes that must be of ``kind``.

    Raises:
        CiphertextError: They are too short, or of another kind or version.
    """
    if not isinstance(data, bytes):
        message = f"{kind.label} is given as bytes, not as {type(data).__name__}"
        raise CiphertextError(message)
    if len(data) < HEADER_BYTES:
        message = f"{kind.label} has at least {HEADER_BYTES} bytes; these are {len(data)}"
        raise CiphertextError(message)
    magic, version, found, zero, params_id, secret_id, dim, baby, count = _HEADER.unpack_from(data)
    if magic != MAGIC or zero:
        message = f"these {len(data)} bytes are not {kind.label}: they do not start as one"
        raise CiphertextError(message)
    if version != VERSION:
        message = f"{kind.label} of version {version} cannot be read; this LEO reads version {VERSION}"
        raise CiphertextError(message)
    if found != kind:
        label = Kind(found).label if found in set(Kind) else f"of kind {found}"
        message = f"these bytes are {label}, not {kind.label}"
        raise CiphertextError(message)
    return Header(kind=kind, params_id=params_id, secret_id=secret_id, dim=dim, baby=baby, count=count)


def check_length(data: bytes, kind: Kind, expected: int) -> None:
    """Raise unless there are exactly as many bytes as the header promises.

    Raises:
        CiphertextError: There are more or fewer.
    """
    if len(data) != expected:
        problem = "truncated" if len(data) < expected else "oversized"
        message = f"{kind.label} is {problem}: {len(data)} bytes instead of {expected}"
        raise CiphertextError(message)


def count_bytes(primes: Sequence[int], degree: int) -> int:
    """Bytes of one polynomial of ``degree`` residues for every prime."""
    return sum(prime.bit_length() for prime in primes) * degree // 8


def pack(residues: npt.NDArray[np.integer], primes: Sequence[int]) -> bytes:
    """Residues (k, n), n a multiple of 8, row i modulo ``primes[i]``, with as few bits as the prime has."""
    return b"".join(_pack_row(row, prime.bit_length()) for row, prime in zip(residues, primes, strict=True))


def _pack_row(row: npt.NDArray[np.integer], bits: int) -> bytes:
    values = row.astype(np.uint64).reshape(-1, _GROUP)
    packed = np.zeros((len(values), bits + 8), dtype=np.uint8)
    for place in range(_GROUP):
        byte, offset = divmod(place * bits, 8)
        shifted = np.ascontiguousarray(values[:, place] << np.uint64(offset)).astype("<u8")
        packed[:, byte : byte + 8] |= shifted.view(np.uint8).reshape(-1, 8)
    return packed[:, :bits].tobytes()


def unpack(data: bytes, primes: Sequence[int], degree: int, *, what: str) -> Residues:
    """The residues (k, degree) in exactly ``count_bytes(primes, degree)`` bytes.

    Raises:
        CiphertextError: A residue is not below its prime.
    """
    residues = np.empty((len(primes), degree), dtype=np.uint32)
    first = 0
    for number, prime in enumerate(primes):
        size = prime.bit_length() * degree // 8
        residues[number] = _unpack_row(data[first : first + size], prime.bit_length())
        first += size
        if residues[number].max() >= prime:
            message = f"{what} is damaged: a residue is not below its prime"
            raise CiphertextError(message)
    return residues


def _unpack_row(data: bytes, bits: int) -> Residues:
    groups = np.frombuffer(data, dtype=np.uint8).reshape(-1, bits)
    padded = np.zeros((len(groups), bits + 8), dtype=np.uint8)
    padded[:, :bits] = groups
    values = np.empty((len(groups), _GROUP), dtype=np.uint32)
    for place in range(_GROUP):
        byte, offset = divmod(place * bits, 8)
        words = np.ascontiguousarray(padded[:, byte : byte + 8]).view("<u8")[:, 0]
        values[:, place] = (words >> np.uint64(offset)) & np.uint64((1 << bits) - 1)
    return values.reshape(-1)
