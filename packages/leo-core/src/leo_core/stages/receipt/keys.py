"""Ed25519 keys (RFC 8032) and sets of public keys for rotation.

No ``repr`` shows a secret. Files are the business of ``storage.keyfile``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from leo_core.errors import SigningKeyError

__all__ = ["KEY_ID_LENGTH", "SEED_BYTES", "Keyset", "PublicKey", "PublicKeys", "SigningKey"]

KEY_ID_LENGTH = 32
"""Hex digits of a key id."""

SEED_BYTES = 32
"""Length of the secret that a key is made from."""

_RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw
_PEM = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key.

    Attributes:
        raw: The 32 bytes of RFC 8032.
    """

    raw: bytes

    def __post_init__(self) -> None:
        """Refuse bytes that are no key."""
        if len(self.raw) != SEED_BYTES:
            message = f"an Ed25519 public key has {SEED_BYTES} bytes, got {len(self.raw)}"
            raise SigningKeyError(message)

    @classmethod
    def from_pem(cls, pem: str | bytes) -> PublicKey:
        """Read a PEM ``PUBLIC KEY``.

        Raises:
            SigningKeyError: Not a PEM, a private key, or a key of another algorithm.
        """
        data = pem.encode() if isinstance(pem, str) else pem
        if b"PRIVATE KEY-----" in data:
            message = "this is a private key; verification needs the public key"
            raise SigningKeyError(message)
        try:
            key = serialization.load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as error:
            message = "this is not a public key in PEM form (-----BEGIN PUBLIC KEY-----)"
            raise SigningKeyError(message) from error
        if not isinstance(key, Ed25519PublicKey):
            message = "the key is not an Ed25519 key; receipts are signed with Ed25519"
            raise SigningKeyError(message)
        return cls(key.public_bytes(*_RAW))

    @property
    def id(self) -> str:
        """The first :data:`KEY_ID_LENGTH` hex digits of SHA-256 of the raw key."""
        return hashlib.sha256(self.raw).hexdigest()[:KEY_ID_LENGTH]

    def to_pem(self) -> str:
        """The key as a PEM ``PUBLIC KEY``."""
        return Ed25519PublicKey.from_public_bytes(self.raw).public_bytes(*_PEM).decode()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature over the message is this key's."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class SigningKey:
    """An Ed25519 private key. Compared by identity; shows its key id only.

    Attributes:
        public: Its public key.
        id: Id of that.
    """

    __slots__ = ("_private", "id", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Take over a private key of ``cryptography``."""
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes(*_RAW))
        self.id = self.public.id

    @classmethod
    def generate(cls) -> SigningKey:
        """A fresh key from the randomness of the operating system, kept nowhere."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """The key made from 32 secret random bytes (RFC 8032, section 5.1.5).

        Raises:
            SigningKeyError: The seed has another length.
        """
        if len(seed) != SEED_BYTES:
            message = f"a signing key is made from {SEED_BYTES} bytes, got {len(seed)}"
            raise SigningKeyError(message)
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_pem(cls, pem: str | bytes, *, password: bytes | None = None) -> SigningKey:
        """Read a PEM ``PRIVATE KEY`` (PKCS #8).

        Raises:
            SigningKeyError: Not a private key in PEM form, another algorithm, or a wrong or missing password.
        """
        data = pem.encode() if isinstance(pem, str) else pem
        try:
            key = serialization.load_pem_private_key(data, password=password)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            message = "this is not a readable private key in PEM form (-----BEGIN PRIVATE KEY-----)"
            raise SigningKeyError(message) from error
        if not isinstance(key, Ed25519PrivateKey):
            message = "the key is not an Ed25519 key; receipts are signed with Ed25519"
            raise SigningKeyError(message)
        return cls(key)

    def to_pem(self) -> str:
        """The secret key as an unencrypted PEM ``PRIVATE KEY`` (PKCS #8)."""
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes, deterministic."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey(id={self.id!r})"

    def __reduce__(self) -> str:
        message = "a signing key is not pickled; hand over its file instead"
        raise TypeError(message)


@dataclass(frozen=True, slots=True)
class Keyset:
    """Public keys that are trusted, the present one and those it replaced."""

    keys: tuple[PublicKey, ...]

    @classmethod
    def of(cls, keys: PublicKeys) -> Keyset:
        """A keyset of whatever names public keys: PEM text with one or several keys, keys, or several of these.

        Raises:
            SigningKeyError: Nothing in it is a public key.
        """
        return cls(tuple(_each_key(keys)))

    def find(self, key_id: str) -> PublicKey | None:
        """The key with this id."""
        return next((key for key in self.keys if key.id == key_id), None)


PublicKeys = PublicKey | SigningKey | Keyset | str | bytes | Iterable["PublicKey | SigningKey | str | bytes"]
"""Anything that names one or several public keys."""


def _each_key(keys: PublicKeys) -> Iterable[PublicKey]:
    if isinstance(keys, PublicKey):
        return [keys]
    if isinstance(keys, SigningKey):
        return [keys.public]
    if isinstance(keys, Keyset):
        return keys.keys
    if isinstance(keys, bytes):
        return _each_key(keys.decode("utf-8", "replace"))
    if isinstance(keys, str):
        blocks = [match.group(0) for match in _PEM_BLOCK.finditer(keys)]
        return [PublicKey.from_pem(block) for block in blocks or [keys]]
    found = [key for item in keys for key in _each_key(item)]
    if not found:
        message = "no public key was given"
        raise SigningKeyError(message)
    return found
