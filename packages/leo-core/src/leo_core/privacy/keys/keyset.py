"""The keys of a tenant: versions, their states, and what may follow on what. Pure; nothing here reads or writes.

A version is *enabled* exactly as long as it is the primary, the one that seals. Then it is *decrypt-only*: it opens
what it sealed, until all of that is sealed anew. *Disabled* it does nothing and can come back; *destroyed* its
key is gone and only its number is left. (The model is that of Tink's keysets and of Vault's transit keys.)
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError, KeyDestroyedError, KeyDisabledError, TenantDestroyedError, UnknownKeyError

if TYPE_CHECKING:
    from typing import Final

__all__ = [
    "KeptSecret",
    "KeyState",
    "KeyVersion",
    "Keyset",
    "add_uses",
    "change_primary",
    "check_usable",
    "destroy_all",
    "destroy_version",
    "disable_version",
    "enable_version",
    "find_kept",
    "find_version",
    "keep_secret",
    "next_number",
    "suspend",
]

MOST_VERSIONS: Final = 2**32 - 1


class KeyState(StrEnum):
    """What a key version may do."""

    ENABLED = "enabled"
    """Seals and opens: the primary."""
    DECRYPT_ONLY = "decrypt_only"
    """Opens."""
    DISABLED = "disabled"
    """Nothing, until it is enabled again."""
    DESTROYED = "destroyed"
    """Nothing, for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSecret:
    """A secret that lives and dies with a key version, such as that of the homomorphic encryption.

    Attributes:
        name: What it is, such as ``"ckks/score128"``.
        sealed: The secret, sealed under the version.
    """

    name: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVersion:
    """One version of a tenant's keys.

    Attributes:
        number: 1 for the first; never used again.
        kid: Id of the key, 16 hex digits.
        state: What it may do.
        reason: Why it was made, in a few words.
        created_at: When (seconds since the Unix epoch).
        grace_ends_at: From when on it is to be destroyed, once it is no primary any more.
        wrapped: The master key under the KEK; empty once it is destroyed.
        seals: How often it may have sealed: an upper bound, counted before use.
        decrypts: How many homomorphic results may have been decrypted under it: an upper bound, counted before use.
        kept: Secrets that belong to it.
    """

    number: int
    kid: str
    state: KeyState
    reason: str
    created_at: float
    grace_ends_at: float | None = None
    wrapped: bytes = field(repr=False)
    seals: int = 0
    decrypts: int = 0
    kept: tuple[KeptSecret, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyset:
    """All key versions of a tenant.

    Attributes:
        ring: Id of the keyring, 16 hex digits, random.
        tenant: Whose keys they are.
        kek: Id of the KEK that wraps them.
        lasting: The secret, under the KEK, that outlives rotations: pseudonyms and the file's MAC are made with it.
        primary: Number of the version that seals; 0 once all are destroyed.
        versions: By number, ascending.
        revision: Counts the changes.
        suspended: Whether all is disabled for the time being.
        destroyed_at: When all keys were destroyed (seconds since the Unix epoch).
    """

    ring: str
    tenant: str
    kek: str
    lasting: bytes = field(repr=False)
    primary: int
    versions: tuple[KeyVersion, ...]
    revision: int = 1
    suspended: bool = False
    destroyed_at: float | None = None


def check_usable(keyset: Keyset) -> None:
    """Refuse a keyset that opens nothing.

    Raises:
        TenantDestroyedError: Its keys are destroyed.
        KeyDisabledError: It is disabled as a whole.
    """
    if keyset.destroyed_at is not None:
        message = f"the keys of tenant {keyset.tenant!r} are destroyed; what they sealed cannot be opened any more"
        raise TenantDestroyedError(message)
    if keyset.suspended:
        message = f"the keys of tenant {keyset.tenant!r} are disabled; 'leo keys tenant enable' brings them back"
        raise KeyDisabledError(message)


def find_version(keyset: Keyset, number: int) -> KeyVersion:
    """The version of this number, if it opens.

    Raises:
        UnknownKeyError: There is none.
        KeyDisabledError: It, or the whole keyset, is disabled.
        KeyDestroyedError: It is destroyed.
        TenantDestroyedError: All are.
    """
    check_usable(keyset)
    found = _get(keyset, number)
    if found.state is KeyState.DISABLED:
        message = f"key version {number} of tenant {keyset.tenant!r} is disabled; enable it to open what it sealed"
        raise KeyDisabledError(message)
    if found.state is KeyState.DESTROYED:
        message = f"key version {number} of tenant {keyset.tenant!r} is destroyed; what it sealed is lost for good"
        raise KeyDestroyedError(message)
    return found


def find_kept(version: KeyVersion, name: str) -> bytes | None:
    """The sealed secret of this name that the version keeps."""
    return next((each.sealed for each in version.kept if each.name == name), None)


def change_primary(keyset: Keyset, fresh: KeyVersion, *, now: float, grace_s: float) -> Keyset:
    """The keyset after a rotation: the old primary opens for ``grace_s`` seconds at least, the fresh version seals.

    Raises:
        KeyDisabledError: The keyset is disabled as a whole.
        TenantDestroyedError: Its keys are destroyed.
        ConfigError: The fresh version's number is not the next one.
    """
    check_usable(keyset)
    if fresh.number != next_number(keyset):
        message = f"the next key version is {next_number(keyset)}, got {fresh.number}"
        raise ConfigError(message)
    old = replace(_get(keyset, keyset.primary), state=KeyState.DECRYPT_ONLY, grace_ends_at=now + grace_s)
    changed = _put(keyset, old)
    return replace(changed, primary=fresh.number, versions=(*changed.versions, fresh))


def next_number(keyset: Keyset) -> int:
    """The number of the next version.

    Raises:
        ConfigError: There were too many.
    """
    number = keyset.versions[-1].number + 1
    if number > MOST_VERSIONS:
        message = f"tenant {keyset.tenant!r} has had {MOST_VERSIONS} key versions; make a new keyring"
        raise ConfigError(message)
    return number


def disable_version(keyset: Keyset, number: int) -> Keyset:
    """The keyset with a version that opens nothing until it is enabled again.

    Raises:
        ConfigError: It is the primary.
        UnknownKeyError: There is none of this number.
        KeyDestroyedError: It is destroyed.
    """
    found = _get_changeable(keyset, number, "disable")
    return _put(keyset, replace(found, state=KeyState.DISABLED))


def enable_version(keyset: Keyset, number: int) -> Keyset:
    """The keyset with a disabled version that opens again; it does not seal.

    Raises:
        UnknownKeyError: There is none of this number.
        KeyDestroyedError: It is destroyed.
    """
    if number == keyset.primary:
        return keyset
    found = _get_changeable(keyset, number, "enable")
    return _put(keyset, replace(found, state=KeyState.DECRYPT_ONLY))


def destroy_version(keyset: Keyset, number: int) -> Keyset:
    """The keyset without the key of a version, and without the secrets that it kept.

    Raises:
        ConfigError: It is the primary.
        UnknownKeyError: There is none of this number.
        KeyDestroyedError: It is destroyed already.
    """
    found = _get_changeable(keyset, number, "destroy")
    return _put(keyset, _bury(found))


def destroy_all(keyset: Keyset, *, now: float) -> Keyset:
    """The keyset without any key: what is left says whose keys were destroyed, and when."""
    return replace(
        keyset,
        lasting=b"",
        primary=0,
        versions=tuple(_bury(each) for each in keyset.versions),
        revision=keyset.revision + 1,
        destroyed_at=now,
    )


def suspend(keyset: Keyset, *, suspended: bool) -> Keyset:
    """The keyset, disabled as a whole or no longer so.

    Raises:
        TenantDestroyedError: Its keys are destroyed.
    """
    if keyset.destroyed_at is not None:
        check_usable(keyset)
    return replace(keyset, suspended=suspended)


def add_uses(keyset: Keyset, number: int, *, seals: int = 0, decrypts: int = 0) -> Keyset:
    """The keyset with more uses counted on a version."""
    found = _get(keyset, number)
    return _put(keyset, replace(found, seals=found.seals + seals, decrypts=found.decrypts + decrypts))


def keep_secret(keyset: Keyset, number: int, secret: KeptSecret) -> Keyset:
    """The keyset with a secret that lives and dies with a version; one of the same name gives way."""
    found = _get(keyset, number)
    others = tuple(each for each in found.kept if each.name != secret.name)
    return _put(keyset, replace(found, kept=(*others, secret)))


def _get(keyset: Keyset, number: int) -> KeyVersion:
    for each in reversed(keyset.versions):
        if each.number == number:
            return each
    known = ", ".join(str(each.number) for each in keyset.versions[-8:])
    message = f"tenant {keyset.tenant!r} has no key version {number}; the last ones are {known}"
    raise UnknownKeyError(message)


def _get_changeable(keyset: Keyset, number: int, what: str) -> KeyVersion:
    if keyset.destroyed_at is not None:
        check_usable(keyset)
    found = _get(keyset, number)
    if found.state is KeyState.DESTROYED:
        message = f"cannot {what} key version {number} of tenant {keyset.tenant!r}: it is destroyed"
        raise KeyDestroyedError(message)
    if number == keyset.primary:
        message = f"cannot {what} key version {number} of tenant {keyset.tenant!r}: it is the primary; rotate first"
        raise ConfigError(message)
    return found


def _put(keyset: Keyset, version: KeyVersion) -> Keyset:
    versions = tuple(version if each.number == version.number else each for each in keyset.versions)
    return replace(keyset, versions=versions)


def _bury(version: KeyVersion) -> KeyVersion:
    return replace(version, state=KeyState.DESTROYED, wrapped=b"", kept=())
