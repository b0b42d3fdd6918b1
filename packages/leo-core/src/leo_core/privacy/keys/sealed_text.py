"""Sealed data: bytes under AES-256-GCM (NIST SP 800-38D) that say which key opens them.

::

    magic "LEOS" | format 1 | keyring 8 | version 4, big-endian | key id 8 | nonce 12 | ciphertext | tag 16

The key is derived from the version's master key with HKDF-SHA256 (RFC 5869) for one purpose: the keyring's id is the
salt, the purpose is part of ``info``. The associated data binds the header, the tenant, the purpose and what the caller
says of the place, each with its length before it, so that no two different places have the same bytes.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from leo_core.errors import ConfigError, NotSealedError, SealedAlteredError, SealedTruncatedError

if TYPE_CHECKING:
    from typing import Final

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = [
    "KEY_BYTES",
    "KID_BYTES",
    "OVERHEAD",
    "RING_BYTES",
    "SealedHeader",
    "bind_place",
    "check_purpose",
    "derive_key",
    "derive_kid",
    "join_parts",
    "open_sealed",
    "read_header",
    "seal",
]

KEY_BYTES: Final = 32
"""Bytes of every secret key here: AES-256, HMAC-SHA256 and the input of HKDF."""

RING_BYTES: Final = 8
"""Bytes of a keyring's id: drawn at random, so that it says nothing of the tenant."""

KID_BYTES: Final = 8
"""Bytes of a key id."""

_MAGIC, _FORMAT = b"LEOS", 1
_HEADER = struct.Struct(f">4sB{RING_BYTES}sI{KID_BYTES}s")
_NONCE_BYTES, _TAG_BYTES = 12, 16

OVERHEAD: Final = _HEADER.size + _NONCE_BYTES + _TAG_BYTES
"""Bytes by which sealed data is longer than what was sealed."""

_INFO = b"LEO/1/"
_LONGEST_PURPOSE = 128
_MOST_BYTES = 2**31 - 1
"""Most bytes that are sealed at once: what ``cryptography`` takes; SP 800-38D allows 2^36 - 32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedHeader:
    """What sealed data says of its key, in the clear.

    Attributes:
        ring: Id of the keyring, :data:`RING_BYTES` bytes.
        version: Number of the key version, 1 to 2^32 - 1.
        kid: Id of that version's key, :data:`KID_BYTES` bytes.
    """

    ring: bytes
    version: int
    kid: bytes

    def to_bytes(self) -> bytes:
        """The bytes that sealed data begins with."""
        return _HEADER.pack(_MAGIC, _FORMAT, self.ring, self.version, self.kid)


def read_header(sealed: bytes) -> SealedHeader:
    """The header of sealed data; nothing of it is proven until the data opens.

    Raises:
        NotSealedError: It does not begin as sealed data does, or has a format that this LEO does not know.
        SealedTruncatedError: It begins so, and is shorter than sealed data can be.
    """
    start = sealed[: len(_MAGIC)]
    if not start or start != _MAGIC[: len(start)]:
        message = f"this is not sealed data: its {len(sealed)} bytes do not begin with {_MAGIC.decode()}"
        raise NotSealedError(message)
    if len(sealed) > len(_MAGIC) and sealed[len(_MAGIC)] != _FORMAT:
        message = f"this was sealed in format {sealed[len(_MAGIC)]}; this LEO knows {_FORMAT}: use a newer LEO"
        raise NotSealedError(message)
    if len(sealed) < OVERHEAD:
        message = f"sealed data was cut off: {len(sealed)} bytes, and there are at least {OVERHEAD}"
        raise SealedTruncatedError(message)
    _, _, ring, version, kid = _HEADER.unpack_from(sealed)
    return SealedHeader(ring=ring, version=version, kid=kid)


def seal(cipher: AESGCM, header: SealedHeader, data: bytes, *, place: bytes) -> bytes:
    """Seal data under a fresh random nonce of 96 bits (SP 800-38D, section 8.2.2).

    Args:
        cipher: The key derived for the purpose.
        header: Says which key that is.
        data: Up to 2^31 - 1 bytes.
        place: From :func:`bind_place`.

    Raises:
        ConfigError: There are more bytes.
    """
    if len(data) > _MOST_BYTES:
        message = f"{len(data)} bytes are sealed at once; up to {_MOST_BYTES} can be: seal them in parts"
        raise ConfigError(message)
    start, nonce = header.to_bytes(), os.urandom(_NONCE_BYTES)
    return b"".join((start, nonce, cipher.encrypt(nonce, data, start + place)))


def open_sealed(cipher: AESGCM, sealed: bytes, *, place: bytes) -> bytes:
    """What was sealed; :func:`read_header` has to have taken it before.

    Raises:
        SealedAlteredError: A byte of it, of its purpose or of its place is another one.
    """
    start, body = sealed[: _HEADER.size], _HEADER.size + _NONCE_BYTES
    try:
        return cipher.decrypt(sealed[_HEADER.size : body], sealed[body:], start + place)
    except InvalidTag:
        message = (
            f"sealed data of {len(sealed)} bytes does not open: it was altered or cut off, "
            "or sealed for another purpose or with other associated data"
        )
        raise SealedAlteredError(message) from None


def bind_place(tenant: str, purpose: str, aad: bytes) -> bytes:
    """The associated data of a seal, beside its header."""
    return join_parts(b"LEO seal", tenant.encode(), purpose.encode(), aad)


def join_parts(*parts: bytes) -> bytes:
    """Parts, each behind its length in 8 bytes: different parts never make the same bytes."""
    return b"".join(piece for part in parts for piece in (len(part).to_bytes(8, "big"), part))


def check_purpose(purpose: object) -> str:
    """The purpose, if it can be one.

    Raises:
        ConfigError: It is empty or longer than 128 characters, or is not text that can be encoded.
    """
    if not isinstance(purpose, str) or not 0 < len(purpose) <= _LONGEST_PURPOSE:
        message = f"purpose is {purpose!r}; it is a name of 1 to {_LONGEST_PURPOSE} characters, such as 'answer'"
        raise ConfigError(message)
    try:
        purpose.encode()
    except UnicodeEncodeError:
        message = f"purpose is {purpose!r}, which has no UTF-8 form; give a name such as 'answer'"
        raise ConfigError(message) from None
    return purpose


def derive_key(secret: bytes, use: str, *, salt: bytes, length: int = KEY_BYTES) -> bytes:
    """A key below a secret (HKDF-SHA256, RFC 5869); those of different uses say nothing of each other.

    Args:
        secret: :data:`KEY_BYTES` random bytes.
        use: What the key is for.
        salt: Id of the keyring.
        length: Bytes of the key, 1 to 8160.
    """
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=_INFO + use.encode()).derive(secret)


def derive_kid(secret: bytes, *, salt: bytes) -> bytes:
    """The id of a key: tells it from others, and says nothing of it."""
    return derive_key(secret, "kid", salt=salt, length=KID_BYTES)
