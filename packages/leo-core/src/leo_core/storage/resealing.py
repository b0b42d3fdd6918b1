"""Sealing anew what earlier key versions sealed in a private store, and destroying versions that nothing needs."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError, KeyDestroyedError, KeyDisabledError, KeyInUseError, SealedDataError
from leo_core.privacy.keys.keyset import KeyState
from leo_core.privacy.keys.reencryption import reencrypt, renew
from leo_core.storage.exchanging import SealedValues
from leo_core.storage.sealed_parts import SealedParts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from leo_core.ports import Store
    from leo_core.privacy.keys.keyring import ClientKeyring
    from leo_core.privacy.keys.keyset import Keyset
    from leo_core.privacy.keys.reencryption import Reencrypted, SealedRecord
    from leo_core.storage.sealed_rows import SealedRows

__all__ = ["Resealing", "refuse_beside_index"]

_log = logging.getLogger("leo_core")
_FIRST = 1
_HOMOMORPHIC = "ckks/"
RECORDS_AT_ONCE = 32
"""Records that are looked at in a step, which follows on a write."""


class Resealing:
    """Goes through what a keyring has sealed: once after each rotation, and once for each new process.

    Each record is exchanged where it lies, if it is still what was read: nothing is away at any instant, readers and
    writers go on, and whoever is killed in the middle leaves records under the one version or the other.

    Args:
        store: The inner store.
        rows: Its keyrings, and how it seals.
    """

    def __init__(self, store: Store, rows: SealedRows) -> None:
        self._store, self._rows = store, rows
        self._passes: dict[str, tuple[int, Iterator[SealedRecord]]] = {}
        self._stepping = threading.Lock()

    def step(self, tenant: str) -> None:
        """Look at some more records of a tenant and of the store's own, unless another thread does."""
        if not isinstance(self._store, SealedValues) or not self._stepping.acquire(blocking=False):
            return
        try:
            for ring in (self._rows.rings.of(tenant), self._rows.rings.root):
                self._step(ring)
        finally:
            self._stepping.release()

    def run(self, ring: ClientKeyring, report: Callable[[int, int], None]) -> Reencrypted:
        """Go through all that a keyring has sealed; destroys nothing. Cut off, it can be run again.

        Args:
            ring: The keyring.
            report: Told after each record how many were looked at, and how many of them were sealed anew.
        """
        parts = SealedParts(self._store, self._rows, ring)
        done = reencrypt(ring, parts, in_use=lambda _: True, report=report)
        parts.sync()
        return done

    def count(self, ring: ClientKeyring) -> dict[int, Counter[str]]:
        """By key version: how many records of each part it sealed. What is not sealed by the keyring is under 0."""
        found: dict[int, Counter[str]] = {}
        for record in SealedParts(self._store, self._rows, ring).scan():
            try:
                version = ring.version_of(record.sealed)
            except SealedDataError:
                version = 0
            found.setdefault(version, Counter())[record.id.partition(":")[0]] += 1
        return found

    def destroy(self, ring: ClientKeyring, version: int, *, clock: Callable[[], float] = time.time) -> None:
        """Destroy an old version that nothing in the store needs.

        Raises:
            KeyInUseError: Something does, or may yet: its grace is not over.
            ConfigError: It is the primary.
            UnknownKeyError: There is none of this number.
            KeyDestroyedError: It is destroyed already.
        """
        _check_grace(ring, version, clock())
        left = self.count(ring).get(version)
        if left:
            raise refuse_destroying(version, left)
        SealedParts(self._store, self._rows, ring).sync()
        ring.destroy_version(version)

    def _step(self, ring: ClientKeyring) -> None:
        version = ring.version
        if version == _FIRST:
            return
        parts = SealedParts(self._store, self._rows, ring)
        known = self._passes.get(ring.tenant)
        if known is None or known[0] != version:
            known = self._passes[ring.tenant] = version, parts.scan()
        try:
            for record in islice(known[1], RECORDS_AT_ONCE):
                self._renew(ring, parts, record)
        except BaseException:
            self._passes.pop(ring.tenant, None)  # what was begun is at its end now, and not through
            raise

    @staticmethod
    def _renew(ring: ClientKeyring, parts: SealedParts, record: SealedRecord) -> None:
        try:
            if ring.version_of(record.sealed) != ring.version:
                renew(ring, parts, record)
        except (SealedDataError, KeyDisabledError, KeyDestroyedError) as error:
            _log.debug("a sealed record stays as it is (%s)", type(error).__name__)  # whoever reads it says so


def refuse_destroying(version: int, left: Mapping[str, int]) -> KeyInUseError:
    """What says that a version is needed, and by what."""
    listed = ", ".join(f"{count} {part}" for part, count in sorted(left.items()))
    message = (
        f"key version {version} sealed {sum(left.values())} records that are still under it ({listed}): "
        "'leo keys reseal' seals them anew; what does not open is removed by 'leo cache check --remove'"
    )
    return KeyInUseError(message, left=dict(left))


def refuse_beside_index(keyset: Keyset, version: int) -> None:
    """Refuse where an index server may have rows or blocks under a version, which only a client of it writes anew.

    Raises:
        KeyInUseError: A version of the keyring keeps a homomorphic secret.
    """
    if any(kept.name.startswith(_HOMOMORPHIC) for each in keyset.versions for kept in each.kept):
        message = (
            f"key version {version} stays: the keyring keeps a homomorphic secret, so that an index server may have "
            "rows under it, which this store, opened without its index, cannot have written anew; use "
            "PrivateStore.destroy_version of the store with its index, such as model.leo.store"
        )
        raise KeyInUseError(message, left={})


def _check_grace(ring: ClientKeyring, version: int, now: float) -> None:
    keyset = ring.keyset
    found = next((each for each in keyset.versions if each.number == version), None)
    if found is None or found.state is KeyState.DESTROYED:
        return  # the keyring says so itself
    if version == keyset.primary:
        message = f"key version {version} is the primary; rotate first"
        raise ConfigError(message)
    if found.grace_ends_at is not None and found.grace_ends_at > now:
        left_s = found.grace_ends_at - now
        message = (
            f"the grace of key version {version} ends in {left_s / 86_400:.1f} days: until then a process may still "
            "store what it sealed under it"
        )
        raise KeyInUseError(message, left={})
