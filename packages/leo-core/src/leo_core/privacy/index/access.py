"""Accounts at an index server: the token, what of it goes over the wire, and what the server keeps.

The token is 32 random bytes that the operator hands to the tenant once. From it both sides derive (HKDF-SHA-256,
RFC 5869)

* the *bearer*, which the client sends with each request, and
* the *MAC key* of the envelopes, which is never sent.

The server keeps the SHA-256 of the bearer (a random secret of 256 bits needs no slow hash) and the MAC key, wrapped
with AES-256-GCM under a key derived from the bearer. So it can check an envelope only while a request with the bearer
is there, and

* who reads the server's disk or a backup has neither bearer nor MAC key, and can neither ask nor forge;
* who reads the bearer (a proxy that ends TLS, a log of headers) can send what he has seen once more, which changes
  nothing, and cannot make an envelope of his own;
* who has both can write into the index of that account, and still reads nothing: what is inside is encrypted under keys
  that the server never sees.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from leo_core.errors import ConfigError, IndexAccessError

__all__ = ["AccountAccess", "IndexToken", "check_account", "read_bearer"]

_PREFIX: Final = "leo-index-1"
_SECRET_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_account(account: str) -> str:
    """The name of an account, if it is one.

    Raises:
        ConfigError: It has other characters than letters, digits, ``_`` and ``-``, or not 1 to 64 of them.
    """
    if not _ACCOUNT.fullmatch(account):
        message = f"{account!r} is no name of an account: 1 to 64 letters, digits, '_' and '-'"
        raise ConfigError(message)
    return account


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexToken:
    """The tenant's secret at an index server.

    Attributes:
        account: Name of the account. The server sees it: choose one that says nothing.
        secret: 32 random bytes.
    """

    account: str
    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls, account: str) -> IndexToken:
        """A fresh token.

        Raises:
            ConfigError: The name is none.
        """
        return cls(account=check_account(account), secret=secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def from_text(cls, text: str) -> IndexToken:
        """Read a token.

        Raises:
            ConfigError: It is none; the message does not repeat it.
        """
        found = _split(text.strip())
        if found is None:
            message = f"the token of the index is not one: it reads {_PREFIX}.ACCOUNT.SECRET"
            raise ConfigError(message)
        return cls(account=found[0], secret=found[1])

    def to_text(self) -> str:
        """The token as it is handed over: a secret."""
        return _join(self.account, self.secret)

    def bearer(self) -> str:
        """What the client sends with each request."""
        return _join(self.account, _derive(self.secret, "bearer", self.account))

    def mac_key(self) -> bytes:
        """Key of the envelopes' MACs, 32 bytes."""
        return _derive(self.secret, "envelope mac", self.account)

    def __reduce__(self) -> str:
        message = "a token is not pickled; hand over its file instead"
        raise TypeError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAccess:
    """What a server keeps of a token.

    Attributes:
        account: Name of the account.
        bearer_sha256: Hash of the bearer's secret.
        wrapped_mac_key: Nonce and AES-256-GCM of the MAC key, under a key derived from the bearer.
    """

    account: str
    bearer_sha256: bytes = field(repr=False)
    wrapped_mac_key: bytes = field(repr=False)

    @classmethod
    def of(cls, token: IndexToken) -> AccountAccess:
        """What is to be kept of this token."""
        secret = _derive(token.secret, "bearer", token.account)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        wrapped = AESGCM(_derive(secret, "wrap", token.account)).encrypt(
            nonce, token.mac_key(), token.account.encode("ascii")
        )
        return cls(
            account=token.account, bearer_sha256=hashlib.sha256(secret).digest(), wrapped_mac_key=nonce + wrapped
        )

    def open(self, secret: bytes) -> bytes:
        """The MAC key, for a request with the right bearer.

        Args:
            secret: The bearer's secret, as :func:`read_bearer` gives it.

        Raises:
            IndexAccessError: It is another one.
        """
        if not hmac.compare_digest(hashlib.sha256(secret).digest(), self.bearer_sha256):
            raise refuse_access()
        nonce, wrapped = self.wrapped_mac_key[:_NONCE_BYTES], self.wrapped_mac_key[_NONCE_BYTES:]
        try:
            return AESGCM(_derive(secret, "wrap", self.account)).decrypt(nonce, wrapped, self.account.encode("ascii"))
        except InvalidTag:
            raise refuse_access() from None


def read_bearer(text: str) -> tuple[str, bytes]:
    """Account and secret of a bearer.

    Raises:
        IndexAccessError: It is none.
    """
    found = _split(text)
    if found is None:
        raise refuse_access()
    return found


def refuse_access() -> IndexAccessError:
    """The one error for unknown accounts and wrong tokens, so that it does not say which accounts there are."""
    message = "the token is not the one of an account of this index server; ask its operator for a token"
    return IndexAccessError(message, check="token")


def _derive(secret: bytes, purpose: str, account: str) -> bytes:
    info = f"leo.index.v1|{purpose}|{account}".encode()
    return HKDF(algorithm=SHA256(), length=_SECRET_BYTES, salt=None, info=info).derive(secret)


def _join(account: str, secret: bytes) -> str:
    return f"{_PREFIX}.{account}.{base64.urlsafe_b64encode(secret).decode('ascii').rstrip('=')}"


def _split(text: str) -> tuple[str, bytes] | None:
    prefix, _, rest = text.partition(".")
    account, _, encoded = rest.partition(".")
    if prefix != _PREFIX or not _ACCOUNT.fullmatch(account) or not encoded.isascii():
        return None
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    if len(secret) != _SECRET_BYTES or _join(account, secret) != text:
        return None
    return account, secret
