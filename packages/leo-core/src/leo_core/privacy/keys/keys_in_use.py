"""The keys of a keyring as this process holds them: in step with the store, unwrapped when they are first needed."""

from __future__ import annotations

import hmac
import secrets
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from leo_core.errors import ForeignTenantError, KekError, KeyringCorruptError, WrongKeyError
from leo_core.privacy.keys.keyset import Keyset, KeyState, KeyVersion, check_usable, find_version
from leo_core.privacy.keys.keyset_text import check_mac, read_keyset, write_keyset
from leo_core.privacy.keys.sealed_text import KEY_BYTES, RING_BYTES, SealedHeader, derive_key, derive_kid, join_parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from leo_core.privacy.keys.kek import KekProvider
    from leo_core.privacy.keys.keyset_store import KeysetStore

__all__ = ["KeysInUse", "make_keyset", "make_version"]

_CIPHERS_KEPT = 256


class KeysInUse:
    """A keyset, its store, and the keys that were unwrapped of it. Each method holds :attr:`lock`.

    Attributes:
        lock: Held by whoever does several things that belong together.
        keyset: As it was when it was last read.
        kek: What wraps its keys.

    Raises:
        KeyringError: The store holds no keyring, or cannot be read.
        KeyringCorruptError: It is no keyring, or was altered.
        KekError: Another KEK wrapped its keys, or the KEK cannot be used.
        TenantDestroyedError: Its keys are destroyed.
    """

    def __init__(self, store: KeysetStore, kek: KekProvider) -> None:
        self.lock = threading.RLock()
        self.kek = kek
        self._store = store
        self._masters: dict[str, bytes] = {}
        self._ciphers: dict[tuple[str, str], AESGCM] = {}
        self._derived: dict[str, bytes] = {}
        text, self._stamp = store.read()
        self.keyset = read_keyset(text)
        if self.keyset.destroyed_at is not None:
            check_usable(self.keyset)
        self._lasting = self._unwrap_lasting(self.keyset)
        self._proven = self.keyset.lasting
        check_mac(text, _derive_mac_key(self._lasting, self.ring))

    @property
    def ring(self) -> bytes:
        """The keyring's id."""
        return bytes.fromhex(self.keyset.ring)

    def refresh(self) -> Keyset:
        """The keyset as it is in the store now.

        Raises:
            KeyringError: The store cannot be read.
            KeyringCorruptError: It was altered, or holds an older keyset or another tenant's.
        """
        with self.lock:
            if self._stamp != self._store.stamp():
                text, stamp = self._store.read()
                self._take(read_keyset(text), text)
                self._stamp = stamp
            return self.keyset

    def change(self, update: Callable[[Keyset], Keyset], *, shred: bool = False) -> Keyset:
        """Change the keyset in the store; ``update`` is given what is there, and nobody changes it meanwhile.

        Args:
            update: Makes the new keyset; nothing is written when it returns the same object.
            shred: Whether the old text is overwritten where it lies.

        Raises:
            StoreLockedError: Another process changed it for too long.
            KeyringError: It cannot be written.
        """
        with self.lock, self._store.changing():
            before = self.refresh()
            after = update(before)
            if after is not before:
                after = replace(after, revision=before.revision + 1)
                mac_key = None if after.destroyed_at is not None else _derive_mac_key(self._lasting, self.ring)
                write = self._store.shred if shred else self._store.replace
                write(write_keyset(after, mac_key))
                self.refresh()
            return self.keyset

    def find(self, header: SealedHeader) -> KeyVersion:
        """The version that sealed data with this header opens with.

        Raises:
            ForeignTenantError: Another keyring sealed it.
            UnknownKeyError: There is no version of its number.
            WrongKeyError: The version of its number is another key.
            KeyDisabledError: The version, or the keyring, is disabled.
            KeyDestroyedError: The version, or the keyring, is destroyed.
        """
        with self.lock:
            self.check_ring(header)
            version = find_version(self.keyset, header.version)
            if header.kid.hex() != version.kid:
                message = (
                    f"this was sealed with key {header.kid.hex()}, and key version {version.number} of tenant "
                    f"{self.keyset.tenant!r} is {version.kid}: was an older keyring put back?"
                )
                raise WrongKeyError(message)
            return version

    def check_ring(self, header: SealedHeader) -> None:
        """Refuse what another keyring sealed.

        Raises:
            ForeignTenantError: Another keyring did.
        """
        if header.ring != self.ring:
            message = (
                f"this was sealed by keyring {header.ring.hex()}; that of tenant {self.keyset.tenant!r} "
                f"is {self.keyset.ring}"
            )
            raise ForeignTenantError(message)

    def head(self, version: KeyVersion) -> SealedHeader:
        """The header of what this version seals."""
        return SealedHeader(ring=self.ring, version=version.number, kid=bytes.fromhex(version.kid))

    def cipher(self, version: KeyVersion, use: str) -> AESGCM:
        """The cipher of a version for one use.

        Raises:
            KekError: The version's key cannot be unwrapped.
        """
        with self.lock:
            cipher = self._ciphers.get((version.kid, use))
            if cipher is None:
                cipher = AESGCM(derive_key(self._master(version), use, salt=self.ring))
                if len(self._ciphers) >= _CIPHERS_KEPT:
                    self._ciphers.clear()
                self._ciphers[version.kid, use] = cipher
            return cipher

    def derive_lasting(self, use: str) -> bytes:
        """A key that stays the same through rotations."""
        with self.lock:
            check_usable(self.keyset)
            key = self._derived.get(use)
            if key is None:
                key = self._derived[use] = derive_key(self._lasting, use, salt=self.ring)
            return key

    def check_kek(self, keyset: Keyset) -> None:
        """Refuse to add keys to a keyset that another KEK wraps by now: nobody could unwrap them.

        Args:
            keyset: As it is in the store at this moment, which nobody changes meanwhile.

        Raises:
            KekError: Another KEK wraps it, or this one cannot be used.
        """
        if keyset.kek == self.kek.kid and keyset.lasting == self._proven:
            return
        if not hmac.compare_digest(self._unwrap_lasting(keyset), self._lasting):
            message = f"what KEK {self.kek.kid} unwraps is not the keyring of tenant {keyset.tenant!r}"
            raise KekError(message)
        self._proven = keyset.lasting

    def rewrap(self, kek: KekProvider) -> None:
        """Wrap all keys with another KEK.

        Raises:
            KekError: One of the KEKs cannot be used.
        """

        def wrap(keyset: Keyset) -> Keyset:
            check_usable(keyset)
            lasting = kek.wrap(self._lasting, aad=_bind_lasting(keyset))
            versions = tuple(self._wrap_with(kek, each) for each in keyset.versions)
            return replace(keyset, kek=kek.kid, lasting=lasting, versions=versions)

        with self.lock:
            self._proven = self.change(wrap, shred=True).lasting
            self.kek = kek

    def _take(self, keyset: Keyset, text: bytes) -> None:
        """Go on with what was read, if it follows on what was there; forget the keys that may not be used any more."""
        before = self.keyset
        if keyset.ring != before.ring or keyset.revision < before.revision:
            message = f"the keyring of tenant {before.tenant!r} gave way to an older or another one; load it again"
            raise KeyringCorruptError(message)
        if keyset.destroyed_at is None:
            if before.destroyed_at is not None:
                check_usable(before)
            check_mac(text, _derive_mac_key(self._lasting, self.ring))
        else:
            self._lasting = b""
            self._derived.clear()
        self.keyset = keyset
        alive = {each.kid for each in keyset.versions if each.state in {KeyState.ENABLED, KeyState.DECRYPT_ONLY}}
        self._masters = {kid: key for kid, key in self._masters.items() if kid in alive}
        self._ciphers = {at: cipher for at, cipher in self._ciphers.items() if at[0] in alive}

    def _master(self, version: KeyVersion) -> bytes:
        master = self._masters.get(version.kid)
        if master is None:
            master = self._unwrap(self.keyset, version.wrapped, _bind_master(self.ring, version.kid))
            if derive_kid(master, salt=self.ring).hex() != version.kid:
                message = f"what KEK {self.kek.kid} unwraps is not key version {version.number}"
                raise KekError(message)
            self._masters[version.kid] = master
        return master

    def _wrap_with(self, kek: KekProvider, version: KeyVersion) -> KeyVersion:
        if version.state is KeyState.DESTROYED:
            return version
        return replace(version, wrapped=kek.wrap(self._master(version), aad=_bind_master(self.ring, version.kid)))

    def _unwrap_lasting(self, keyset: Keyset) -> bytes:
        return self._unwrap(keyset, keyset.lasting, _bind_lasting(keyset))

    def _unwrap(self, keyset: Keyset, wrapped: bytes, aad: bytes) -> bytes:
        if self.kek.kid != keyset.kek:
            message = (
                f"the keyring of tenant {keyset.tenant!r} is wrapped with KEK {keyset.kek}; this one is {self.kek.kid}"
            )
            raise KekError(message)
        key = self.kek.unwrap(wrapped, aad=aad)
        if len(key) != KEY_BYTES:
            message = f"KEK {self.kek.kid} unwraps {len(key)} bytes; a key has {KEY_BYTES}"
            raise KekError(message)
        return key


def make_version(ring: bytes, kek: KekProvider, *, number: int, now: float, reason: str) -> KeyVersion:
    """A version with a fresh key.

    Raises:
        KekError: The KEK cannot be used.
    """
    master = secrets.token_bytes(KEY_BYTES)
    kid = derive_kid(master, salt=ring).hex()
    wrapped = kek.wrap(master, aad=_bind_master(ring, kid))
    return KeyVersion(number=number, kid=kid, state=KeyState.ENABLED, reason=reason, created_at=now, wrapped=wrapped)


def make_keyset(tenant: str, kek: KekProvider, *, now: float) -> bytes:
    """The text of a fresh keyset with one version.

    Raises:
        KekError: The KEK cannot be used.
    """
    ring, lasting = secrets.token_bytes(RING_BYTES), secrets.token_bytes(KEY_BYTES)
    first = make_version(ring, kek, number=1, now=now, reason="new")
    empty = Keyset(ring=ring.hex(), tenant=tenant, kek=kek.kid, lasting=b"", primary=1, versions=(first,))
    keyset = replace(empty, lasting=kek.wrap(lasting, aad=_bind_lasting(empty)))
    return write_keyset(keyset, _derive_mac_key(lasting, ring))


def _bind_lasting(keyset: Keyset) -> bytes:
    return join_parts(b"LEO lasting", bytes.fromhex(keyset.ring), keyset.tenant.encode())


def _bind_master(ring: bytes, kid: str) -> bytes:
    return join_parts(b"LEO master", ring, bytes.fromhex(kid))


def _derive_mac_key(lasting: bytes, ring: bytes) -> bytes:
    return derive_key(lasting, "keyset/mac", salt=ring)
