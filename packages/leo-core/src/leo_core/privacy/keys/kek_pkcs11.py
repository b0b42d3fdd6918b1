"""A wrapping key in a hardware security module, or in SoftHSM, by PKCS #11 (v3.0, section 2.13: AES-GCM).

The key is made inside the module, marked as sensitive and not extractable, and wraps and unwraps there.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from leo_core.errors import ConfigError, KekError, KekUnavailableError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Pkcs11Kek"]

_NONCE_BYTES, _TAG_BYTES, _ID_BYTES = 12, 16, 8
_KEY_BITS = 256


class Pkcs11Kek:
    """Wraps keys inside a PKCS #11 module (:class:`leo_core.privacy.keys.kek.KekProvider`).

    One session, one operation at a time. After a fork it has to be made anew. A process has one login at a token, and
    whoever opens a second KEK there uses it: :meth:`close` of the first ends both.

    Args:
        library: Path of the module's library, such as ``/usr/lib/softhsm/libsofthsm2.so``.
        token: Label of the token.
        key: Label of the AES key.
        pin: The user's PIN.
        make: Whether the key is to be made first, inside the module.

    Raises:
        MissingExtraError: The extra ``pkcs11`` is not installed.
        ConfigError: An argument is empty, or there is a key already that was to be made.
        KekError: There is no such library, token or key, or the PIN is wrong.
    """

    def __init__(self, *, library: str, token: str, key: str, pin: str, make: bool = False) -> None:
        self._lock, self._pid = threading.Lock(), os.getpid()
        self._token, self._label = token, key
        self._session = _open(library, token, pin, writes=make)
        try:
            with self._translated():
                if make:
                    self._make()
                self._key = self._find()
                self.kid = f"pkcs11:{token}/{key}/{self._key.id.hex()}"
        except BaseException:
            self.close()
            raise

    def wrap(self, key: bytes, *, aad: bytes) -> bytes:
        """The key under the module's: nonce, ciphertext and tag.

        Raises:
            KekError: The module refuses.
            KekUnavailableError: It is not there now.
        """
        pkcs11, nonce = _load(), os.urandom(_NONCE_BYTES)
        with self._lock, self._translated():
            parameters = pkcs11.GCMParams(nonce, aad, 8 * _TAG_BYTES)
            sealed = self._key.encrypt(key, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=parameters)
            return nonce + bytes(sealed)

    def unwrap(self, wrapped: bytes, *, aad: bytes) -> bytes:
        """What :meth:`wrap` was given.

        Raises:
            KekError: Another key wrapped it, with another ``aad``, it was altered, or the module refuses.
            KekUnavailableError: It is not there now.
        """
        pkcs11 = _load()
        if len(wrapped) < _NONCE_BYTES + _TAG_BYTES:
            message = f"KEK {self.kid} does not unwrap {len(wrapped)} bytes: they were cut off"
            raise KekError(message)
        with self._lock, self._translated():
            parameters = pkcs11.GCMParams(wrapped[:_NONCE_BYTES], aad, 8 * _TAG_BYTES)
            opened = self._key.decrypt(
                wrapped[_NONCE_BYTES:], mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=parameters
            )
            return bytes(opened)

    def close(self) -> None:
        """End the session, and the login where this one made it; idempotent."""
        session, self._session = self._session, None
        if session is not None and os.getpid() == self._pid:
            session.close()

    def __repr__(self) -> str:
        return f"Pkcs11Kek({self.kid})"

    def __reduce__(self) -> str:
        message = "a KEK is not pickled; hand over where it is kept instead"
        raise TypeError(message)

    def _make(self) -> None:
        pkcs11 = _load()
        wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY, pkcs11.Attribute.LABEL: self._label}
        if list(self._session.get_objects(wanted)):
            message = f"token {self._token!r} has a key {self._label!r} already; choose another label"
            raise ConfigError(message)
        self._session.generate_key(
            pkcs11.KeyType.AES,
            _KEY_BITS,
            id=os.urandom(_ID_BYTES),
            label=self._label,
            store=True,
            capabilities=pkcs11.MechanismFlag.ENCRYPT | pkcs11.MechanismFlag.DECRYPT,
            template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
        )

    def _find(self) -> Any:
        pkcs11 = _load()
        return self._session.get_key(
            object_class=pkcs11.ObjectClass.SECRET_KEY, key_type=pkcs11.KeyType.AES, label=self._label
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        pkcs11 = _load()
        name = f"{self._token}/{self._label}"
        if os.getpid() != self._pid or self._session is None:
            message = f"KEK {name} was closed, or opened before this process was forked: make it anew here"
            raise KekError(message)
        gone = (pkcs11.DeviceRemoved, pkcs11.DeviceError, pkcs11.SessionHandleInvalid, pkcs11.SessionClosed)
        try:
            yield
        except pkcs11.NoSuchKey as error:
            message = f"token {self._token!r} has no AES key {self._label!r}; 'leo keys kek new' makes one"
            raise KekError(message) from error
        except (*gone, pkcs11.TokenNotPresent, pkcs11.UserNotLoggedIn, pkcs11.ObjectHandleInvalid) as error:
            message = f"the module of KEK {name} is not there now: {type(error).__name__}"
            raise KekUnavailableError(message) from error
        except pkcs11.PKCS11Error as error:
            message = (
                f"KEK {name} refuses ({type(error).__name__}): another key wrapped it, it was altered, "
                "or the module has no AES-GCM"
            )
            raise KekError(message) from error


def _load() -> Any:
    try:
        import pkcs11  # noqa: PLC0415 - an optional part
    except ImportError as error:
        extra = "pkcs11"
        raise MissingExtraError(extra, "a KEK in a PKCS #11 module") from error
    return pkcs11


def _open(library: str, token: str, pin: str, *, writes: bool) -> Any:
    """A session of the user's."""
    pkcs11 = _load()
    for name, value in (("library", library), ("token", token), ("PIN", pin)):
        if not value:
            message = f"{name} is empty; a PKCS #11 KEK needs it"
            raise ConfigError(message)
    try:
        found = pkcs11.lib(library).get_token(token_label=token)
        try:
            return found.open(user_pin=pin, rw=writes)
        except pkcs11.UserAlreadyLoggedIn:  # by another KEK of this process; the login holds for this session too
            return found.open(rw=writes)
    except (pkcs11.PinIncorrect, pkcs11.PinLocked, pkcs11.PinLenRange, pkcs11.PinInvalid) as error:
        message = f"token {token!r} refuses the PIN: {type(error).__name__}; too many wrong ones lock it"
        raise KekError(message) from error
    except pkcs11.NoSuchToken as error:
        message = f"module {library!r} has no token {token!r}"
        raise KekError(message) from error
    except pkcs11.PKCS11Error as error:  # also a library that cannot be loaded
        message = f"module {library!r} cannot be used: {type(error).__name__}; check path and rights"
        raise KekError(message) from error
