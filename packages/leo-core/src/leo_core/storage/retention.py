"""Erasing what a store holds of old requests, while the receipts and their log stay whole.

A receipt holds no text. What could still open it are the nonces beside it; what holds the text are the cache's entries
and the journal of requests with an idempotency key. Without the nonces a commitment says nothing about its content
(crypto-shredding), and the receipt still proves when, by whom and how some answer was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError
from leo_core.stages.receipt.document import read_statement, stated_time
from leo_core.storage.journal import SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Callable

    from leo_core.storage.private_store import PrivateStore
    from leo_core.storage.receipt_log import SqliteReceiptLog
    from leo_core.storage.sqlite import SqliteStore

__all__ = ["Erased", "erase_before"]

_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How much was erased.

    Attributes:
        receipts: Receipts whose nonces are gone; the receipts stay.
        entries: Entries of the cache.
        requests: Requests of the journal.
    """

    receipts: int
    entries: int
    requests: int


def erase_before(
    store: SqliteStore | PrivateStore,
    log: SqliteReceiptLog,
    before: float,
    *,
    report: Callable[[int, int], None] = lambda *_: None,
) -> Erased:
    """Erase nonces, cached answers and journalled requests of all tenants from before an instant; compact the file.

    Entries count by when they were written, receipts and requests by their own time. Cut off at any point, it can be
    run again.

    Args:
        store: The store.
        log: The log in its file.
        before: Seconds since the Unix epoch.
        report: Told the receipts seen and their number, every now and then.

    Raises:
        ConfigError: The store has no file.
        StoreLockedError: Another process works with the store, so that the file cannot be compacted: what was erased
            is gone from the store, but may be left in free pages of the file until this is run again.
        StorageError: The store failed.
    """
    receipts = 0
    size = log.size()
    for start in range(0, size, _AT_ONCE):
        old = [
            receipt.id
            for receipt in log.receipts(start, min(start + _AT_ONCE, size))
            if receipt.openings and stated_time(read_statement(receipt)).timestamp() < before
        ]
        receipts += log.erase_openings(*old)
        report(min(start + _AT_ONCE, size), size)
    entries = 0
    for tenant in store.tenants():
        ids = [kept.entry.id for kept in store.entries(tenant) if kept.entry.created_at < before]
        for start in range(0, len(ids), _AT_ONCE):
            entries += store.remove(tenant, entry_ids=ids[start : start + _AT_ONCE])
    database = store.database
    if database is None:
        message = "the store has no file that could be compacted; give a SQLite store"
        raise ConfigError(message)
    requests = SqliteJournal(database).trim(before)
    database.compact()
    return Erased(receipts=receipts, entries=entries, requests=requests)
