"""Masks and sealed shares of a secure sum: X25519 (RFC 7748), HKDF (RFC 5869), ChaCha20 and its AEAD (RFC 8439)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from leo_core.errors import SecureSumError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leo_core.privacy.sums.sum_session import SumSession

    Words = NDArray[np.uint64]

__all__ = ["make_mask", "mask_between", "open_shares", "public_bytes", "read_words", "seal_shares"]

_WORD_BYTES: Final = 8
_RAW: Final = serialization.Encoding.Raw, serialization.PublicFormat.Raw
_NONCE: Final = bytes(12)
"""Each sealing key seals one message in its life."""


def public_bytes(private: bytes) -> bytes:
    """The X25519 public key of a private one, 32 bytes each."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(*_RAW)


def make_mask(seed: bytes, session: SumSession, purpose: str) -> Words:
    """uint64 ``(length,)``: the ChaCha20 stream of a key that follows from a seed, the session and the purpose."""
    key = _derive(seed, session, purpose)
    stream = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(_WORD_BYTES * session.length))
    return np.frombuffer(stream, dtype="<u8").astype(np.uint64)


def mask_between(private: bytes, own: str, public: bytes, other: str, session: SumSession) -> Words:
    """uint64 ``(length,)``: what ``own`` adds for ``other``; what ``other`` adds for ``own`` is its negative.

    Raises:
        SecureSumError: The other key is no good one.
    """
    mask = make_mask(_agree(private, public, other), session, "mask " + _pair(*sorted((own, other))))
    return mask if own < other else np.negative(mask)


def seal_shares(private: bytes, own: str, public: bytes, other: str, session: SumSession, shares: bytes) -> bytes:
    """Shares sealed by ``own`` for ``other`` alone.

    Raises:
        SecureSumError: The other key is no good one.
    """
    key = _derive(_agree(private, public, other), session, "shares " + _pair(own, other))
    return ChaCha20Poly1305(key).encrypt(_NONCE, shares, session.digest)


def open_shares(private: bytes, own: str, public: bytes, other: str, session: SumSession, sealed: bytes) -> bytes:
    """Shares that ``other`` sealed for ``own``.

    Raises:
        SecureSumError: They were altered, or are of another session or for somebody else.
    """
    key = _derive(_agree(private, public, other), session, "shares " + _pair(other, own))
    try:
        return ChaCha20Poly1305(key).decrypt(_NONCE, sealed, session.digest)
    except (InvalidTag, ValueError) as error:
        message = f"the shares from {other} for {own} were altered on their way, or are of another session"
        raise SecureSumError(message) from error


def read_words(words: bytes, session: SumSession, sender: str) -> Words:
    """uint64 ``(length,)`` from bytes.

    Raises:
        SecureSumError: There are more or fewer.
    """
    if len(words) != _WORD_BYTES * session.length:
        message = f"{sender} sent {len(words)} bytes; {session.length} figures have {_WORD_BYTES * session.length}"
        raise SecureSumError(message)
    return np.frombuffer(words, dtype="<u8").astype(np.uint64)


def _agree(private: bytes, public: bytes, other: str) -> bytes:
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:  # of the wrong length, or a point of small order (RFC 7748, section 6.1)
        message = f"the key of {other} is no X25519 key that can be agreed with"
        raise SecureSumError(message) from error


def _derive(secret: bytes, session: SumSession, purpose: str) -> bytes:
    info = b"leo secure sum v1 " + purpose.encode()
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=session.digest, info=info).derive(secret)


def _pair(one: str, two: str) -> str:
    """Two names in one text that no other two have."""
    return f"{len(one)}:{one}{two}"
