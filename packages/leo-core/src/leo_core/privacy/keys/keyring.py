"""The keyring of a tenant: seals and opens data, and knows when its keys have served long enough."""

from __future__ import annotations

import hashlib
import hmac
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from leo_core.errors import ConfigError, ForeignTenantError, KeyringError
from leo_core.privacy.keys import keyset as keysets
from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.privacy.keys.key_uses import KeyUses
from leo_core.privacy.keys.keys_in_use import KeysInUse, make_keyset
from leo_core.privacy.keys.keyset_store import InMemoryKeysetStore
from leo_core.privacy.keys.keyset_text import read_keyset, write_keyset
from leo_core.privacy.keys.sealed_text import bind_place, check_purpose, open_sealed, read_header, seal

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from leo_core.privacy.keys.kek import KekProvider
    from leo_core.privacy.keys.keyset import Keyset, KeyVersion
    from leo_core.privacy.keys.keyset_store import KeysetStore

__all__ = ["ClientKeyring"]

PSEUDONYM_DIGITS: Final = 32
"""Hex digits of a pseudonym: 128 bits, so that two texts never share one by chance."""

_LONGEST_TENANT = 1024
_LONGEST_REASON = 256


class ClientKeyring:
    """The keys of one tenant. Threads share it; processes share its store. Shows and pickles none of its secrets.

    Each call sees what other processes have changed: a version that was disabled or destroyed opens nothing from then
    on. Made by :meth:`create` and :meth:`load`.

    Attributes:
        policy: When keys are rotated.
    """

    def __init__(
        self, store: KeysetStore, kek: KekProvider, policy: RotationPolicy, clock: Callable[[], float]
    ) -> None:
        self.policy = policy
        self._clock = clock
        self._keys = KeysInUse(store, kek)
        self._uses = KeyUses(self._keys, policy, clock)

    @classmethod
    def create(
        cls,
        store: KeysetStore | None = None,
        *,
        tenant: str,
        kek: KekProvider,
        policy: RotationPolicy | None = None,
        clock: Callable[[], float] = time.time,
    ) -> ClientKeyring:
        """A new keyring with one key version.

        Args:
            store: Where it is kept, such as :class:`leo_core.storage.keyring_file.KeyringFile`; by default in memory.
            tenant: Whose keys they are; 1 to 1024 characters.
            kek: Wraps the keys.
            policy: When keys are rotated.
            clock: Seconds since the Unix epoch.

        Raises:
            ConfigError: There is a keyring already, or the tenant's name cannot be one.
            KekError: The KEK cannot be used.
            KeyringError: It cannot be written.
        """
        _check_tenant(tenant)
        kept = InMemoryKeysetStore() if store is None else store
        kept.create(make_keyset(tenant, kek, now=clock()))
        return cls(kept, kek, policy or RotationPolicy(), clock)

    @classmethod
    def load(
        cls,
        store: KeysetStore,
        *,
        kek: KekProvider,
        tenant: str | None = None,
        policy: RotationPolicy | None = None,
        clock: Callable[[], float] = time.time,
    ) -> ClientKeyring:
        """The keyring in a store.

        Args:
            store: Where it is kept.
            kek: What its keys are wrapped with.
            tenant: Whose keys they have to be, if that matters.
            policy: When keys are rotated.
            clock: Seconds since the Unix epoch.

        Raises:
            KeyringError: There is none, or it cannot be read.
            KeyringCorruptError: It is no keyring, or was altered.
            KekError: Another KEK wrapped its keys, or the KEK cannot be used.
            TenantDestroyedError: Its keys are destroyed.
            ForeignTenantError: It is another tenant's.
        """
        ring = cls(store, kek, policy or RotationPolicy(), clock)
        if tenant is not None and ring.tenant != tenant:
            message = f"this is the keyring of tenant {ring.tenant!r}, not of {tenant!r}"
            raise ForeignTenantError(message)
        return ring

    @staticmethod
    def shred(store: KeysetStore, *, clock: Callable[[], float] = time.time) -> None:
        """Destroy all keys of the tenant whose keyring is in a store, as :meth:`destroy` does, without its KEK.

        Raises:
            KeyringError: There is none, or it cannot be written.
            KeyringCorruptError: It is no keyring.
            TenantDestroyedError: Its keys are destroyed already.
        """
        with store.changing():
            keyset = read_keyset(store.read()[0])
            if keyset.destroyed_at is not None:
                keysets.check_usable(keyset)
            store.shred(write_keyset(keysets.destroy_all(keyset, now=clock()), None))

    # ------------------------------------------------------------------------------------------- what it is

    @property
    def tenant(self) -> str:
        """Whose keys they are."""
        return self._keys.keyset.tenant

    @property
    def version(self) -> int:
        """Number of the version that seals now.

        Raises:
            KeyDisabledError: The keyring is disabled.
            TenantDestroyedError: Its keys are destroyed.
        """
        keyset = self.keyset
        keysets.check_usable(keyset)
        return keyset.primary

    @property
    def keyset(self) -> Keyset:
        """All versions with their states and counts, as they are in the store now; secrets only as they are wrapped."""
        return self._keys.refresh()

    def __repr__(self) -> str:
        return f"ClientKeyring(tenant={self.tenant!r}, versions={len(self._keys.keyset.versions)})"

    def __reduce__(self) -> str:
        message = "a keyring is not pickled; load it where it is needed"
        raise TypeError(message)

    # ------------------------------------------------------------------------------------------- data

    def seal(self, purpose: str, data: bytes, *, aad: bytes) -> bytes:
        """Data that nobody reads without this keyring, and that opens for the same purpose and ``aad`` only.

        Args:
            purpose: What it is for, such as ``"answer"``; each purpose has a key of its own.
            data: Up to 2^31 - 1 bytes.
            aad: Where it belongs, such as :func:`leo_core.privacy.keys.sealed_text.join_parts` of index and entry.
                Bound to the data together with tenant, purpose and key, and not kept in it.

        Raises:
            ConfigError: The purpose or the data cannot be sealed.
            KeyDisabledError: The keyring is disabled.
            TenantDestroyedError: Its keys are destroyed.
            KeyExhaustedError: The key may seal no more, and the policy does not rotate by itself.
        """
        use = f"seal/{check_purpose(purpose)}"
        with self._keys.lock:
            self._keys.refresh()
            version = self._uses.take_seal()
            cipher, header = self._keys.cipher(version, use), self._keys.head(version)
        return seal(cipher, header, data, place=bind_place(self.tenant, purpose, aad))

    def open(self, purpose: str, sealed: bytes, *, aad: bytes) -> bytes:
        """What was sealed for this purpose with this ``aad``.

        Raises:
            NotSealedError: It does not begin as sealed data does.
            SealedTruncatedError: It is shorter than sealed data can be.
            ForeignTenantError: Another keyring sealed it.
            UnknownKeyError: There is no key version of its number.
            WrongKeyError: The version of its number is another key, such as after a backup was put back.
            KeyDisabledError: The version, or the keyring, is disabled.
            KeyDestroyedError: The version is destroyed.
            TenantDestroyedError: All are.
            SealedAlteredError: A byte is another one, or purpose or ``aad`` are.
        """
        use = f"seal/{check_purpose(purpose)}"
        header = read_header(sealed)
        with self._keys.lock:
            self._keys.refresh()
            cipher = self._keys.cipher(self._keys.find(header), use)
        return open_sealed(cipher, sealed, place=bind_place(self.tenant, purpose, aad))

    def version_of(self, sealed: bytes) -> int:
        """Number of the version that sealed it, as it says itself.

        Raises:
            NotSealedError: It does not begin as sealed data does.
            SealedTruncatedError: It is shorter than sealed data can be.
            ForeignTenantError: Another keyring sealed it.
        """
        header = read_header(sealed)
        self._keys.check_ring(header)
        return header.version

    def pseudonym(self, purpose: str, text: str) -> str:
        """A name for a text, the same each time and after rotations: HMAC-SHA256, cut to 32 hex digits.

        Without the keyring nobody can tell which text it stands for, or find it by trying texts.

        Raises:
            ConfigError: The purpose cannot be one.
            KeyDisabledError: The keyring is disabled.
            TenantDestroyedError: Its keys are destroyed.
        """
        use = f"pseudonym/{check_purpose(purpose)}"
        with self._keys.lock:
            self._keys.refresh()
            key = self._keys.derive_lasting(use)
        return hmac.digest(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[:PSEUDONYM_DIGITS]

    # ------------------------------------------------------------------------------------------- versions

    def rotate(self, *, reason: str = "asked") -> int:
        """Make a fresh version the primary; the old one opens for the policy's grace, and its number is kept for good.

        Returns:
            The number of the fresh version.

        Raises:
            KekError: The KEK cannot be used, or another process has wrapped the keyring with another one.
            KeyDisabledError: The keyring is disabled.
            TenantDestroyedError: Its keys are destroyed.
        """
        _check_reason(reason)
        with self._keys.lock:
            self._keys.refresh()
            keysets.check_usable(self._keys.keyset)
            return self._uses.rotate(reason)

    def disable(self, version: int | None = None) -> None:
        """Let an old version, or the whole keyring, do nothing until it is enabled again.

        Args:
            version: The version; by default the whole keyring.

        Raises:
            ConfigError: It is the primary.
            UnknownKeyError: There is none of this number.
            KeyDestroyedError: It is destroyed.
        """
        if version is None:
            self._keys.change(lambda keyset: keysets.suspend(keyset, suspended=True))
        else:
            self._keys.change(lambda keyset: keysets.disable_version(keyset, version))

    def enable(self, version: int | None = None) -> None:
        """Let a disabled version open again, or the whole keyring do what it did.

        Args:
            version: The version; by default the whole keyring.

        Raises:
            UnknownKeyError: There is none of this number.
            KeyDestroyedError: It is destroyed.
        """
        if version is None:
            self._keys.change(lambda keyset: keysets.suspend(keyset, suspended=False))
        else:
            self._keys.change(lambda keyset: keysets.enable_version(keyset, version))

    def destroy_version(self, version: int) -> None:
        """Destroy the key of an old version, and the secrets that it kept: what it sealed is lost for good.

        Raises:
            ConfigError: It is the primary.
            UnknownKeyError: There is none of this number.
            KeyDestroyedError: It is destroyed already.
        """
        self._keys.change(lambda keyset: keysets.destroy_version(keyset, version), shred=True)

    def destroy(self) -> None:
        """Destroy all keys of the tenant, pseudonyms included: nothing that they sealed opens ever again.

        The old file is overwritten where it lies. A solid-state drive, a file system that copies on write, and backups
        may still hold it; it is wrapped there, so destroy the KEK as well where it is this tenant's alone.
        """
        self._keys.change(lambda keyset: keysets.destroy_all(keyset, now=self._clock()), shred=True)

    def kept_secret(self, name: str, make: Callable[[], bytes], *, version: int | None = None) -> bytes:
        """A secret that lives and dies with a version; made when the primary has none of this name yet.

        Args:
            name: What it is, such as ``"ckks/score128"``.
            make: Makes one, while other threads go on with the keyring. Of several threads and processes that do so at
                once, all end with the same.
            version: Of an old version; by default the primary.

        Raises:
            KeyringError: The old version has none of this name.
            KeyDisabledError: The version, or the keyring, is disabled.
            KeyDestroyedError: The version is destroyed.
        """
        check_purpose(name)
        found = self._find_kept(name, version)
        return self._keep(name, make()) if found is None else found

    def fhe_secret(self, params: Any, *, version: int | None = None) -> Any:
        """The secret of the homomorphic encryption, which lives and dies with a version; a rotation makes a new one.

        Args:
            params: A ``FheParams`` of :mod:`leo_core.privacy.ckks.params`; each has a secret of its own.
            version: Of an old version; by default the primary.

        Returns:
            A ``FheSecret`` of :mod:`leo_core.privacy.ckks.fhe_secret`; count what it decrypts (:meth:`count_decrypts`).

        Raises:
            MissingExtraError: The extra ``fhe`` is not installed.
            KeyringError: As :meth:`kept_secret` says.
        """
        kind = import_module("leo_core.privacy.ckks.fhe_secret").FheSecret
        name = f"ckks/{params.params_id.hex()}"
        data = self.kept_secret(name, lambda: bytes(kind.generate(params).to_bytes()), version=version)
        return kind.from_bytes(params, data)

    def count_decrypts(self, count: int = 1, *, version: int | None = None) -> int:
        """Count homomorphic results before they are decrypted; rotates when so many were that it is due.

        Args:
            count: Results that are about to be decrypted, from 1.
            version: Whose secret decrypts them; by default the primary's.

        Returns:
            The version on which they were counted.

        Raises:
            ConfigError: ``count`` is below 1.
            KeyExhaustedError: The version may decrypt no more; none of them is to be decrypted.
            KeyDisabledError: The version, or the keyring, is disabled.
            KeyDestroyedError: The version is destroyed.
        """
        _check_count(count)
        with self._keys.lock:
            keyset = self._keys.refresh()
            number = keysets.find_version(keyset, keyset.primary if version is None else version).number
            self._uses.take_decrypts(number, count)
            if self.policy.automatic:
                self._uses.rotate_when_due("decrypts")
        return number

    def rewrap(self, kek: KekProvider) -> None:
        """Wrap all keys with another KEK, from now on this keyring's; what was sealed stays as it is.

        Other processes go on with the keys that they have, and make none with the old KEK: they need the other one at
        the next rotation.

        Raises:
            KekError: One of the KEKs cannot be used.
            KeyDisabledError: The keyring is disabled.
            TenantDestroyedError: Its keys are destroyed.
        """
        self._keys.rewrap(kek)

    def _find_kept(self, name: str, number: int | None) -> bytes | None:
        """The secret of this name; ``None`` where it is the primary's to be made."""
        with self._keys.lock:
            keyset = self._keys.refresh()
            version = keysets.find_version(keyset, keyset.primary if number is None else number)
            sealed = keysets.find_kept(version, name)
            if sealed is None and version.number != keyset.primary:
                message = f"key version {version.number} of tenant {self.tenant!r} keeps no secret {name!r}"
                raise KeyringError(message)
            return None if sealed is None else self._open_kept(version, name, sealed)

    def _keep(self, name: str, data: bytes) -> bytes:
        """Keep a secret of this name for the primary, unless another thread or process was first; returns what is."""
        with self._keys.lock:
            keyset = self._keys.refresh()
            version = keysets.find_version(keyset, keyset.primary)
            cipher, header = self._keys.cipher(version, f"kept/{name}"), self._keys.head(version)
            sealed = seal(cipher, header, data, place=bind_place(self.tenant, f"kept/{name}", b""))

            def keep(keyset: Keyset) -> Keyset:
                if keysets.find_kept(keysets.find_version(keyset, version.number), name) is not None:
                    return keyset
                return keysets.keep_secret(keyset, version.number, keysets.KeptSecret(name=name, sealed=sealed))

            changed = self._keys.change(keep)
            kept = keysets.find_kept(keysets.find_version(changed, version.number), name) or sealed
            return self._open_kept(version, name, kept)

    def _open_kept(self, version: KeyVersion, name: str, sealed: bytes) -> bytes:
        cipher = self._keys.cipher(version, f"kept/{name}")
        return open_sealed(cipher, sealed, place=bind_place(self.tenant, f"kept/{name}", b""))


def _check_count(count: object) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        message = f"count is {count!r}; it is a whole number from 1"
        raise ConfigError(message)


def _check_reason(reason: object) -> None:
    if not isinstance(reason, str) or not 0 < len(reason) <= _LONGEST_REASON or not reason.isprintable():
        message = f"reason is {reason!r}; it is a text of 1 to {_LONGEST_REASON} printable characters"
        raise ConfigError(message)


def _check_tenant(tenant: object) -> None:
    try:
        fits = isinstance(tenant, str) and 0 < len(tenant.encode()) <= _LONGEST_TENANT
    except UnicodeEncodeError:
        fits = False
    if not fits:
        message = f"tenant is {tenant!r}; it is a name of 1 to {_LONGEST_TENANT} bytes of UTF-8"
        raise ConfigError(message)
