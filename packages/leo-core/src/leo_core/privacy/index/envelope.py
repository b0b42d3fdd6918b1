"""Envelopes: what goes between the client and the server of an encrypted index.

::

    magic        4   "LEOX"
    version      1   1
    kind         1   what is asked, or answered: :class:`Kind`
    sequence     8   of a write: the number that it gets in its index; otherwise 0
    request id  16   random; the reply repeats it
    params id  1+n   encryption parameters, such as "score128"
    key id     1+n   evaluation keys
    tenant     1+n   account at the server
    index      1+n   index of the account
    payload    4+n   as the kind says: :mod:`leo_core.privacy.index.payloads`
    mac         32   HMAC-SHA-256 (RFC 2104) of all bytes before it

Integers are big-endian. The key of the MAC belongs to the account (:mod:`leo_core.privacy.index.access`). Because every
field stands under the MAC, nothing that was made for one tenant, index, key, parameter set, kind, place in the sequence
or request can be used for another.
"""

from __future__ import annotations

import enum
import hmac
from dataclasses import dataclass, field
from typing import Final

from leo_core.errors import EnvelopeError, EnvelopeMacError, EnvelopeSizeError
from leo_core.privacy.index.framing import ID_BYTES, FramingReader, pack_blob, pack_byte, pack_text, pack_u64

__all__ = ["MAC_BYTES", "MAGIC", "VERSION", "Envelope", "Kind", "open_envelope", "read_mac", "seal_envelope"]

MAGIC: Final = b"LEOX"
VERSION: Final = 1
MAC_BYTES: Final = 32
_REPLY = 0x80
_LEAST_BYTES = len(MAGIC) + 2 + 8 + ID_BYTES + 4 + 4 + MAC_BYTES


class Kind(enum.IntEnum):
    """What an envelope asks for; a reply has the kind of its request plus 128."""

    REGISTER_KEYS = 1
    RETIRE_KEYS = 2
    OPEN_INDEX = 3
    APPEND_TAIL = 4
    APPEND_PLAIN_BLOCK = 5
    APPEND_ENCRYPTED_BLOCK = 6
    REMOVE = 7
    RESEAL = 8
    CHANGES = 9
    SCORE = 10
    FETCH = 11
    BLOCK_ROWS = 12
    DROP_INDEX = 13
    STATS = 14

    @property
    def writes(self) -> bool:
        """Whether it changes an index, so that it takes a number of its sequence."""
        return self in _WRITES


_WRITES = frozenset(
    {
        Kind.APPEND_TAIL,
        Kind.APPEND_PLAIN_BLOCK,
        Kind.APPEND_ENCRYPTED_BLOCK,
        Kind.REMOVE,
        Kind.RESEAL,
        Kind.DROP_INDEX,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """An envelope, opened.

    Attributes:
        kind: What is asked, or what was.
        is_reply: Whether it is the answer.
        request_id: 16 random bytes that belong to the request and its reply.
        sequence: Number of a write in its index, in [0, 2^64); of a reply, of the last write in the index.
        params_id: Encryption parameters; at most 255 bytes of UTF-8, as the next three.
        key_id: Evaluation keys.
        tenant: Account at the server.
        index: Index of the account; empty where the account itself is meant.
        payload: What the kind says.
    """

    kind: Kind
    request_id: bytes
    tenant: str
    is_reply: bool = False
    sequence: int = 0
    params_id: str = ""
    key_id: str = ""
    index: str = ""
    payload: bytes = field(default=b"", repr=False)


def seal_envelope(envelope: Envelope, mac_key: bytes) -> bytes:
    """The bytes of an envelope.

    Raises:
        EnvelopeSizeError: A field is too long.
    """
    body = b"".join(
        (
            MAGIC,
            pack_byte(VERSION),
            pack_byte(envelope.kind | (_REPLY if envelope.is_reply else 0)),
            pack_u64(envelope.sequence),
            envelope.request_id,
            pack_text(envelope.params_id),
            pack_text(envelope.key_id),
            pack_text(envelope.tenant),
            pack_text(envelope.index),
            pack_blob(envelope.payload),
        )
    )
    return body + hmac.digest(mac_key, body, "sha256")


def open_envelope(data: bytes, mac_key: bytes, *, most_bytes: int) -> Envelope:
    """Check and read an envelope. The MAC is checked before any field but magic and version is looked at.

    Args:
        data: The bytes.
        mac_key: Key of the account.
        most_bytes: Largest size allowed.

    Raises:
        EnvelopeSizeError: It is too large, too short, or its lengths do not add up.
        EnvelopeMacError: It was altered, or made with another key.
        EnvelopeError: It has another magic, version or kind, or a field cannot be read; ``.check`` says which.
    """
    if len(data) > most_bytes:
        message = f"an envelope of {len(data)} bytes is refused: at most {most_bytes} are allowed"
        raise EnvelopeSizeError(message, check="oversized")
    _check_begin(data)
    body, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
    if not hmac.compare_digest(hmac.digest(mac_key, body, "sha256"), mac):
        message = "the envelope was altered, or made with another key: its MAC does not fit; check token and account"
        raise EnvelopeMacError(message, check="mac")
    return _read_fields(body)


def read_mac(data: bytes) -> bytes:
    """The MAC of an envelope that was opened: what it is known again by."""
    return data[-MAC_BYTES:]


def _check_begin(data: bytes) -> None:
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        message = f"{data[: len(MAGIC)]!r} does not begin an envelope of LEO"
        raise EnvelopeError(message, check="magic")
    if len(data) < _LEAST_BYTES:
        message = f"an envelope is cut off: it has {len(data)} bytes and no envelope has fewer than {_LEAST_BYTES}"
        raise EnvelopeSizeError(message, check="truncated")
    version = data[len(MAGIC)]
    if version != VERSION:
        message = f"version {version} of the envelope is not understood; this LEO writes and reads version {VERSION}"
        raise EnvelopeError(message, check="version")


def _read_fields(body: bytes) -> Envelope:
    reader = FramingReader(body, "the envelope")
    reader.take(len(MAGIC) + 1)
    code = reader.u8()
    try:
        kind = Kind(code & ~_REPLY)
    except ValueError:
        message = f"kind {code} of the envelope is not known"
        raise EnvelopeError(message, check="kind") from None
    sequence, request_id = reader.u64(), reader.take(ID_BYTES)
    params_id, key_id, tenant, index = (reader.text() for _ in range(4))
    payload = reader.blob()
    reader.end()
    return Envelope(
        kind=kind,
        is_reply=bool(code & _REPLY),
        request_id=request_id,
        sequence=sequence,
        params_id=params_id,
        key_id=key_id,
        tenant=tenant,
        index=index,
        payload=payload,
    )
