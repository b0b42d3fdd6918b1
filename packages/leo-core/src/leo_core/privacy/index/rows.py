"""Rows of an index as the client seals them: a question's pseudonym, when it expires, and its vector.

::

    text question · 8 expiry (big-endian double, NaN for never) · vector (float32, little-endian)

sealed with the keyring for the purpose ``index row``, bound to tenant, index and row. All rows of an index have
one length, so that it says nothing.

The id of a row is 12 bytes of a keyed pseudonym of its question, by which a client finds the rows of a question without
opening them, and 4 random bytes, so that no id is used twice.
"""

from __future__ import annotations

import math
import secrets
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from leo_core.errors import EnvelopeError, KeyDestroyedError, KeyDisabledError, KeyringError, SealedDataError
from leo_core.privacy.index.framing import FramingReader, pack_text
from leo_core.privacy.index.payloads import SealedRow
from leo_core.privacy.keys.sealed_text import join_parts, read_header

if TYPE_CHECKING:
    from leo_core.privacy.keys.keyring import ClientKeyring
    from leo_core.records import Vector

__all__ = ["PREFIX_BYTES", "OpenedRow", "RowSealer"]

PREFIX_BYTES: Final = 12
"""Bytes of a row's id that its question determines."""

_RANDOM_BYTES = 4
_PURPOSE = "index row"
_EXPIRY = struct.Struct(">d")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedRow:
    """A row in the clear, on the client.

    Attributes:
        id: Its id, 16 bytes.
        question: Pseudonym of its question.
        expires_at: Instant after which it is not found; ``None`` for never.
        vector: Its vector, float32 (d,), read-only.
    """

    id: bytes
    question: str
    expires_at: float | None
    vector: Vector = field(repr=False)

    def is_expired(self, now: float) -> bool:
        """Whether it is not to be found any more."""
        return self.expires_at is not None and self.expires_at < now


class RowSealer:
    """Seals and opens the rows of one index.

    Args:
        ring: Keyring of the tenant.
        tenant: The tenant, as the server knows it.
        index: The index, as the server knows it.
    """

    def __init__(self, ring: ClientKeyring, tenant: str, index: str) -> None:
        self._ring, self._place = ring, (tenant.encode(), index.encode())

    def find_prefix(self, question: str) -> bytes:
        """What the ids of a question's rows begin with."""
        digits = self._ring.pseudonym(_PURPOSE, f"{self._place[1].decode()} {question}")
        return bytes.fromhex(digits)[:PREFIX_BYTES]

    def make(self, question: str, vector: Vector, *, expires_at: float | None) -> OpenedRow:
        """A row with a fresh id."""
        kept = np.array(vector, dtype=np.float32)
        kept.flags.writeable = False
        row_id = self.find_prefix(question) + secrets.token_bytes(_RANDOM_BYTES)
        return OpenedRow(id=row_id, question=question, expires_at=expires_at, vector=kept)

    def seal(self, row: OpenedRow) -> SealedRow:
        """The row as the server gets it."""
        expiry = _EXPIRY.pack(math.nan if row.expires_at is None else row.expires_at)
        body = pack_text(row.question) + expiry + row.vector.astype("<f4", copy=False).tobytes()
        return SealedRow(id=row.id, sealed=self._ring.seal(_PURPOSE, body, aad=join_parts(*self._place, row.id)))

    def is_current(self, row: SealedRow) -> bool:
        """Whether a row was sealed under the key version that seals now; not for one that nobody sealed.

        Raises:
            KeyringError: The keyring is disabled or destroyed.
        """
        version = self._ring.version
        try:
            return read_header(row.sealed).version == version
        except SealedDataError:
            return False

    def is_out_of_reach(self, row: SealedRow) -> bool:
        """Whether a row does not open because the version that it says sealed it is disabled or destroyed."""
        try:
            self.open(row)
        except (KeyDisabledError, KeyDestroyedError):
            return True
        except (KeyringError, EnvelopeError):
            return False
        return False

    def open(self, row: SealedRow) -> OpenedRow:
        """The row in the clear.

        Raises:
            KeyringError: It does not open: altered, moved, or sealed under another key.
            EnvelopeError: It opens and is no row.
        """
        body = self._ring.open(_PURPOSE, row.sealed, aad=join_parts(*self._place, row.id))
        reader = FramingReader(body, "a row")
        question, expiry = reader.text(), _EXPIRY.unpack(reader.take(_EXPIRY.size))[0]
        if reader.left % 4:
            message = f"a row ends in {reader.left} bytes, which are no vector"
            raise EnvelopeError(message, check="payload")
        vector = np.frombuffer(body, dtype="<f4", offset=reader.position) if reader.left else np.zeros(0, np.float32)
        return OpenedRow(
            id=row.id, question=question, expires_at=None if math.isnan(expiry) else expiry, vector=_aligned(vector)
        )


def _aligned(vector: Vector) -> Vector:
    kept = np.array(vector, dtype=np.float32)
    kept.flags.writeable = False
    return kept
