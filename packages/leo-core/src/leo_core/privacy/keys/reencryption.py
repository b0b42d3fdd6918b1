"""Sealing anew what old key versions sealed, so that they can be destroyed."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from leo_core.errors import KeyDestroyedError, KeyDisabledError, SealedDataError
from leo_core.privacy.keys.keyset import KeyState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

    from leo_core.privacy.keys.keyring import ClientKeyring
    from leo_core.privacy.keys.keyset import KeyVersion

__all__ = ["BackgroundReencryption", "Reencrypted", "SealedRecord", "SealedRecords", "reencrypt", "renew"]

_log = logging.getLogger("leo_core")


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRecord:
    """Something sealed, where it is kept.

    Attributes:
        id: Finds it again in its store.
        purpose: What it was sealed for.
        aad: What it was sealed with.
        sealed: The sealed bytes.
    """

    id: str
    purpose: str
    aad: bytes
    sealed: bytes


class SealedRecords(Protocol):
    """A store of sealed records that can be gone through while others use it."""

    def scan(self) -> Iterator[SealedRecord]:
        """All records that are there from the first to the last step; of others any."""
        ...

    def replace(self, record: SealedRecord, sealed: bytes) -> bool:
        """Put ``sealed`` in the place of ``record.sealed``, if that is still what is there; whether it was."""
        ...

    def sync(self) -> None:
        """See that all that was replaced survives a power cut; before a key is destroyed that it was under."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reencrypted:
    """What one pass over a store did.

    Attributes:
        met: Records that were looked at.
        resealed: Records that were sealed anew.
        changed: Records that somebody else changed or removed meanwhile.
        unreadable: Records that do not open, by what is wrong with them; they were left as they are.
        destroyed: Key versions that nothing needed any more, and whose grace was over.
    """

    met: int
    resealed: int
    changed: int
    unreadable: dict[str, int]
    destroyed: tuple[int, ...]


def reencrypt(
    ring: ClientKeyring,
    records: SealedRecords,
    *,
    in_use: Callable[[int], bool] = lambda _: False,
    clock: Callable[[], float] = time.time,
    stopped: Callable[[], bool] = lambda: False,
    report: Callable[[int, int], None] = lambda *_: None,
) -> Reencrypted:
    """Go through a store once; seal anew what old versions sealed, and then destroy those whose grace was over.

    A version is destroyed when its grace was over before the pass began, the pass went through the whole store, what it
    replaced is on disk, and no record of the version was left: processes that seal see a rotation at once, and grace is
    longer than any takes to store what it sealed, so nothing can come after. Every store of a tenant has to be gone
    through: hand over one that scans all.

    Args:
        ring: The tenant's keyring.
        records: All that it sealed.
        in_use: Whether something else needs a version, such as blocks under its homomorphic secret.
        clock: Seconds since the Unix epoch; the one of the keyring.
        stopped: Asked before each record; when it says so, the pass ends and destroys nothing.
        report: Told after each record how many were looked at, and how many of them were sealed anew.

    Raises:
        KeyDisabledError: The keyring is disabled.
        TenantDestroyedError: Its keys are destroyed.
        KeyringError: It cannot be read, or its KEK cannot be used.
    """
    started = clock()
    over = [each.number for each in ring.keyset.versions if _is_over(each, started)]
    counts, faults, held = Counter[str](), Counter[str](), set[int]()
    for record in records.scan():
        if stopped():
            over = []
            break
        primary = ring.version  # raises where the keyring as a whole refuses
        counts["met"] += 1
        version = 0
        try:
            version = ring.version_of(record.sealed)
            if version != primary:
                counts[renew(ring, records, record)] += 1
        except (SealedDataError, KeyDisabledError, KeyDestroyedError) as error:
            faults[type(error).__name__] += 1
            held.add(version)
        report(counts["met"], counts["resealed"])
    if over:
        records.sync()
    destroyed = tuple(each for each in over if each not in held and not in_use(each) and _destroy(ring, each))
    return Reencrypted(
        met=counts["met"],
        resealed=counts["resealed"],
        changed=counts["changed"],
        unreadable=dict(faults),
        destroyed=destroyed,
    )


def renew(ring: ClientKeyring, records: SealedRecords, record: SealedRecord) -> str:
    """Seal a record anew; returns what came of it: ``"resealed"``, or ``"changed"`` where somebody was first.

    Raises:
        SealedDataError: It does not open.
        KeyDisabledError: Its version, or the keyring, is disabled.
        KeyDestroyedError: Its version is destroyed.
    """
    data = ring.open(record.purpose, record.sealed, aad=record.aad)
    fresh = ring.seal(record.purpose, data, aad=record.aad)
    return "resealed" if records.replace(record, fresh) else "changed"


def _is_over(version: KeyVersion, now: float) -> bool:
    ends_at = version.grace_ends_at
    return version.state is KeyState.DECRYPT_ONLY and ends_at is not None and ends_at <= now


def _destroy(ring: ClientKeyring, number: int) -> bool:
    try:
        ring.destroy_version(number)
    except KeyDestroyedError:  # another process was first
        return False
    return True


class BackgroundReencryption:
    """A thread that goes through a store while old key versions are left (:func:`reencrypt`).

    Args:
        ring: The tenant's keyring.
        records: All that it sealed.
        every_s: Seconds between two looks at the keyring.
        in_use: Whether something else needs a version.
        clock: Seconds since the Unix epoch; the one of the keyring.

    Attributes:
        last: What the last whole pass did; ``None`` before the first.
    """

    def __init__(
        self,
        ring: ClientKeyring,
        records: SealedRecords,
        *,
        every_s: float = 60.0,
        in_use: Callable[[int], bool] = lambda _: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.last: Reencrypted | None = None
        self._ring, self._records, self._every_s = ring, records, every_s
        self._in_use, self._clock = in_use, clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leo-reencryption", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop after the record at hand; idempotent."""
        self._stopped.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        going = True
        while going and not self._stopped.is_set():
            try:
                going = self._look()
            except Exception as error:  # noqa: BLE001 - a store may fail with anything; the next look may succeed
                _log.warning("re-encryption stopped short (%s); it is tried again", type(error).__name__)
            self._stopped.wait(self._every_s)

    def _look(self) -> bool:
        """One pass, if there is something to do; whether there may be something later."""
        keyset = self._ring.keyset
        if not keyset.suspended and any(each.state is KeyState.DECRYPT_ONLY for each in keyset.versions):
            done = reencrypt(
                self._ring, self._records, in_use=self._in_use, clock=self._clock, stopped=self._stopped.is_set
            )
            if not self._stopped.is_set():
                self.last = done
        return keyset.destroyed_at is None
