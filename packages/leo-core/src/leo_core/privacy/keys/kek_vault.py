"""A wrapping key in HashiCorp Vault (or OpenBao): the transit engine wraps and unwraps, the key never leaves it.

https://developer.hashicorp.com/vault/api-docs/secret/transit, "Encrypt data" and "Decrypt data"; the associated data
needs a key of type ``aes256-gcm96`` or ``chacha20-poly1305``. Keys that Vault rotates stay usable: what it wrapped says
with which version.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from leo_core.errors import ConfigError, KekError, KekUnavailableError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["VaultKek"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_MOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_MOST_WORDS = 200


class VaultKek:
    """Wraps keys by Vault's transit engine (:class:`leo_core.privacy.keys.kek.KekProvider`).

    Vault sees the master keys of a tenant for the moment in which it wraps or unwraps them, and no data. Give the token
    ``update`` on ``<mount>/encrypt/<key>`` and ``<mount>/decrypt/<key>`` and nothing else: with ``create`` Vault makes
    a key that is not there.

    Args:
        url: Where Vault is; plain ``http`` on the loopback only, and past any proxy that the environment names.
        token: What Vault is asked with.
        key: Name of the key.
        mount: Path of the transit engine.
        namespace: Of Vault Enterprise.
        timeout_s: Seconds to wait for a reply.
        ca_file: Certificates that Vault's is checked with; by default the system's.

    Raises:
        MissingExtraError: The extra ``vault`` is not installed.
        ConfigError: An argument cannot be used.
    """

    def __init__(
        self,
        *,
        url: str,
        token: str,
        key: str,
        mount: str = "transit",
        namespace: str | None = None,
        timeout_s: float = 5.0,
        ca_file: str | None = None,
    ) -> None:
        _check(url, token, key, mount, timeout_s)
        try:
            import hvac  # noqa: PLC0415 - an optional part
            import requests  # noqa: PLC0415 - comes with hvac
        except ImportError as error:
            extra = "vault"
            raise MissingExtraError(extra, "a KEK in Vault") from error
        self.kid = f"vault:{mount}/{key}"
        self._key, self._mount = key, mount
        session = requests.Session()  # hvac takes the verification of a session that it is given
        session.verify = True if ca_file is None else ca_file
        session.trust_env = (
            urlsplit(url).scheme == "https"
        )  # a proxy of the environment would be sent token and keys to read
        client = hvac.Client(
            url=url,
            token=token,
            namespace=namespace,
            timeout=timeout_s,
            session=session,
            allow_redirects=False,  # another host would be sent the token
        )
        self._transit = client.secrets.transit

    def wrap(self, key: bytes, *, aad: bytes) -> bytes:
        """The key under Vault's: the text ``vault:v1:…``.

        Raises:
            KekError: Vault refuses, or its reply is not what its protocol promises.
            KekUnavailableError: Vault cannot be reached, is sealed or is busy.
        """
        found = self._ask(
            "ciphertext", self._transit.encrypt_data, plaintext=_to_text(key), associated_data=_to_text(aad)
        )
        if not found.startswith("vault:v"):
            message = f"Vault's reply for KEK {self.kid} does not begin with vault:v"
            raise KekError(message)
        return found.encode()

    def unwrap(self, wrapped: bytes, *, aad: bytes) -> bytes:
        """What :meth:`wrap` was given.

        Raises:
            KekError: Another key wrapped it, with another ``aad``, it was altered, or Vault refuses.
            KekUnavailableError: Vault cannot be reached, is sealed or is busy.
        """
        text = wrapped.decode("ascii", "replace")
        found = self._ask("plaintext", self._transit.decrypt_data, ciphertext=text, associated_data=_to_text(aad))
        try:
            return base64.b64decode(found, validate=True)
        except binascii.Error:
            message = f"Vault's reply for KEK {self.kid} is not base64"
            raise KekError(message) from None

    def __repr__(self) -> str:
        return f"VaultKek({self.kid})"

    def __reduce__(self) -> str:
        message = "a KEK is not pickled; hand over where it is kept instead"
        raise TypeError(message)

    def _ask(self, field: str, call: Callable[..., Any], **arguments: str) -> str:
        """One field of the reply's data. No error keeps the library's one as its cause, which holds the request."""
        import requests  # noqa: PLC0415 - comes with hvac
        from hvac import exceptions  # noqa: PLC0415 - an optional part

        busy = (exceptions.RateLimitExceeded, exceptions.InternalServerError, exceptions.VaultNotInitialized)
        down = (*busy, exceptions.BadGateway, exceptions.VaultDown)
        try:
            reply = call(name=self._key, mount_point=self._mount, **arguments)
        except down as error:
            message = f"Vault cannot use KEK {self.kid} now: {_word(error)}"
            raise KekUnavailableError(message) from None
        except exceptions.VaultError as error:
            message = f"Vault refuses KEK {self.kid}: {_word(error)}; check token, policy, mount and name"
            raise KekError(message) from None
        except requests.RequestException as error:
            message = f"Vault cannot be reached for KEK {self.kid}: {type(error).__name__}"
            raise KekUnavailableError(message) from None
        data = reply.get("data") if isinstance(reply, dict) else None
        found = data.get(field) if isinstance(data, dict) else None
        if not isinstance(found, str):
            status = getattr(reply, "status_code", 200)
            message = f"Vault's reply for KEK {self.kid} (status {status}) has no {field}: is this a transit engine?"
            raise KekError(message)
        return found


def _check(url: str, token: str, key: str, mount: str, timeout_s: float) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        message = f"Vault's address is {url.partition('@')[2] or url!r}; it is such as 'https://vault.example:8200'"
        raise ConfigError(message)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        message = f"Vault's address {url!r} would send token and keys in the clear: use https"
        raise ConfigError(message)
    if not token or not token.isascii() or not token.isprintable():
        message = "Vault's token is empty, or holds what no token does"
        raise ConfigError(message)
    if not _NAME.fullmatch(key) or not _MOUNT.fullmatch(mount):
        message = f"KEK {mount!r}/{key!r} is no path in Vault; it is such as 'transit' and 'leo'"
        raise ConfigError(message)
    if not 0 < timeout_s <= 600:  # noqa: PLR2004 - ten minutes
        message = f"timeout_s is {timeout_s!r}; it is a number of seconds above 0 and up to 600"
        raise ConfigError(message)


def _to_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _word(error: Any) -> str:
    """What Vault says is wrong; where it says nothing, which error it is."""
    said = "; ".join(str(each) for each in error.errors or ())
    return said[:_MOST_WORDS] or type(error).__name__
