"""Keys that wrap keys (KEKs): what a keyring's master keys are locked up with.

A KEK is outside the keyring: in a file, in the environment, in Vault, or in a hardware module. It wraps a few dozen
bytes for each key version and never sees data.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from leo_core.errors import KekError
from leo_core.privacy.keys.sealed_text import KEY_BYTES, derive_key

if TYPE_CHECKING:
    from typing import Final

__all__ = ["KekProvider", "LocalKek"]

_MARK: Final = "leo-kek:1:"
_TEXT = re.compile(rf"{_MARK}([0-9a-f]{{{2 * KEY_BYTES}}})")
_SALT = b"LEO local KEK"
_NONCE_BYTES = 12


@runtime_checkable
class KekProvider(Protocol):
    """Wraps keys under a key that stays where it is. Calls come from several threads."""

    @property
    def kid(self) -> str:
        """Names the wrapping key, and says nothing of its secret; stays the same as long as the key does."""
        ...

    def wrap(self, key: bytes, *, aad: bytes) -> bytes:
        """The key, encrypted and authenticated with ``aad``.

        Raises:
            KekError: The wrapping key cannot be used.
            KekUnavailableError: Its service cannot be reached now.
        """
        ...

    def unwrap(self, wrapped: bytes, *, aad: bytes) -> bytes:
        """What :meth:`wrap` was given.

        Raises:
            KekError: Another key wrapped it, with another ``aad``, or it was altered.
            KekUnavailableError: The service cannot be reached now.
        """
        ...


class LocalKek:
    """A wrapping key in this process: AES-256-GCM under a random nonce. Shows its id only.

    Whoever can read the process's memory, or the file or variable that the key comes from, has it.

    Args:
        secret: 32 random bytes.

    Raises:
        KekError: The secret has another length.
    """

    __slots__ = ("_cipher", "_secret", "kid")

    kid: str

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            message = f"a local KEK has {KEY_BYTES} bytes, got {len(secret)}"
            raise KekError(message)
        self._secret = bytes(secret)
        self._cipher = AESGCM(derive_key(secret, "kek/wrap", salt=_SALT))
        self.kid = "local:" + derive_key(secret, "kek/id", salt=_SALT, length=8).hex()

    @classmethod
    def generate(cls) -> LocalKek:
        """A fresh key from the randomness of the operating system, kept nowhere."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def from_text(cls, text: str) -> LocalKek:
        """The key that :meth:`to_text` wrote.

        Raises:
            KekError: It is no such text; nothing of it is repeated, because it may be a part of a secret.
        """
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            message = f"this is no KEK: one begins with {_MARK} and ends with {2 * KEY_BYTES} hex digits"
            raise KekError(message)
        return cls(bytes.fromhex(match[1]))

    def to_text(self) -> str:
        """The secret, for a file or a variable that only its owner reads."""
        return _MARK + self._secret.hex()

    def to_bytes(self) -> bytes:
        """The secret, for splitting it."""
        return self._secret

    def wrap(self, key: bytes, *, aad: bytes) -> bytes:
        """The key under this one: nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, aad)

    def unwrap(self, wrapped: bytes, *, aad: bytes) -> bytes:
        """What :meth:`wrap` was given.

        Raises:
            KekError: Another key wrapped it, with another ``aad``, or it was altered.
        """
        try:
            return self._cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], aad)
        except (InvalidTag, ValueError):
            message = f"KEK {self.kid} does not unwrap the key: another KEK wrapped it, or it was altered"
            raise KekError(message) from None

    def is_same(self, other: LocalKek) -> bool:
        """Whether both hold the same secret, compared in constant time."""
        return hmac.compare_digest(self._secret, other._secret)

    def __repr__(self) -> str:
        return f"LocalKek({self.kid})"

    def __reduce__(self) -> str:
        message = "a KEK is not pickled; hand over where it is kept instead"
        raise TypeError(message)
