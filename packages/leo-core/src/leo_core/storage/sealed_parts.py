"""All that one keyring has sealed in a private store, wherever it lies.

A tenant's keyring seals entries, questions, observations, states and the answers in the journal; the store's own
keyring the names of tenants and accounts, the requests in the journal, and the receipts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError, SealedDataError
from leo_core.privacy.keys.reencryption import SealedRecord
from leo_core.storage.exchanging import SealedValues
from leo_core.storage.sealed_file import FileValue, exchange_in_file, note_pass, read_file_values
from leo_core.storage.sealed_ledger import find_ledger_owner
from leo_core.storage.sealed_rows import decode_sealed, encode_sealed, join_place, name_result
from leo_core.storage.sqlite import SqliteStore
from leo_core.storage.tenant_directory import MARK, find_directory_owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leo_core.ports import Store
    from leo_core.privacy.keys.keyring import ClientKeyring
    from leo_core.records import SealedValue
    from leo_core.storage.database import Database
    from leo_core.storage.sealed_rows import SealedRows

__all__ = ["SealedParts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found(SealedRecord):
    """A record with where it is.

    Attributes:
        store: The store that holds it; ``None`` for what lies beside the store in its file.
        place: Its place there.
    """

    store: SealedValues | None
    place: SealedValue | FileValue


class SealedParts:
    """The records of one keyring in a store (:class:`leo_core.privacy.keys.reencryption.SealedRecords`).

    Args:
        store: The inner store of a private one.
        rows: How it seals.
        ring: The keyring: a tenant's, or the store's own.

    Raises:
        ConfigError: The store cannot exchange values where they lie (``SealedValues``).
    """

    def __init__(self, store: Store, rows: SealedRows, ring: ClientKeyring) -> None:
        if not isinstance(store, SealedValues):
            message = (
                f"{type(store).__name__} cannot exchange sealed values where they lie (SealedValues), so that "
                "nothing in it can be sealed anew: keep its key versions"
            )
            raise ConfigError(message)
        self._store, self._rows, self._ring = store, rows, ring
        self._database: Database | None = getattr(store, "database", None)
        self._owns_all = ring is rows.rings.root

    def scan(self) -> Iterator[SealedRecord]:
        """All records that are there from the first to the last step; of others any."""
        if self._owns_all:
            yield from self._scan_names()
        else:
            owner = self._ring.tenant
            for value in self._store.sealed_values(owner):
                yield self._find(self._store, value, value.part, join_place(owner, *value.names))
        if self._database is not None:
            owner_or_none = None if self._owns_all else self._ring.tenant
            for kept in read_file_values(self._database, owner_or_none):
                yield self._find_in_file(kept)

    def replace(self, record: SealedRecord, sealed: bytes) -> bool:
        """Put ``sealed`` in the place of what the record held, if that is still there; whether it was."""
        found = _must_be_found(record)
        fresh = sealed if isinstance(found.place.value, bytes) else encode_sealed(sealed)
        if isinstance(found.place, FileValue):
            return self._database is not None and exchange_in_file(self._database, found.place, fresh)
        return found.store is not None and found.store.exchange(found.place, fresh)

    def sync(self) -> None:
        """See that all that was replaced is on disk."""
        if self._database is not None:
            note_pass(self._database, self._ring.keyset.ring, self._ring.version)

    def _scan_names(self) -> Iterator[SealedRecord]:
        directory, ledger = find_directory_owner(self._rows), find_ledger_owner(self._rows)
        for value in self._store.sealed_values(directory):
            name = value.names[0]
            purpose = "mark" if name == MARK else "tenant"
            yield self._find(self._store, value, purpose, join_place(name))
        beside = self._store if self._database is None else SqliteStore(self._database)
        for value in beside.sealed_values(ledger):
            yield self._find(beside, value, "account", join_place(value.names[0]))

    def _find_in_file(self, kept: FileValue) -> SealedRecord:
        if kept.part == "result":
            owner, key = kept.keys
            return self._find(None, kept, "state", join_place(owner, name_result(self._ring, key)))
        purpose = "openings" if kept.part == "opening" else kept.part
        return self._find(None, kept, purpose, join_place(*kept.keys))

    def _find(
        self, store: SealedValues | None, place: SealedValue | FileValue, purpose: str, aad: bytes
    ) -> SealedRecord:
        keys = place.keys if isinstance(place, FileValue) else (place.row,)
        return _Found(
            id=":".join((place.part, *keys)),
            purpose=purpose,
            aad=aad,
            sealed=_to_sealed(place.value),
            store=store,
            place=place,
        )


def _to_sealed(value: str | bytes) -> bytes:
    """The sealed bytes; none where the text is none that was sealed, so that it is counted as such."""
    if isinstance(value, bytes):
        return value
    try:
        return decode_sealed(value)
    except SealedDataError:
        return b""


def _must_be_found(record: SealedRecord) -> _Found:
    if not isinstance(record, _Found):
        message = f"record {record.id!r} was not found in this store"
        raise ConfigError(message)
    return record
