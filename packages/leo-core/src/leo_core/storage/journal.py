"""The journal of requests with an idempotency key: in the store's SQLite file, and in memory."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from leo_core.records import Intent
from leo_core.storage.codec import from_column, to_column

if TYPE_CHECKING:
    from leo_core.storage.database import Database

__all__ = ["InMemoryJournal", "SqliteJournal"]

_COLUMNS = "tenant, key, digest, began_at, result, receipt_id"


class SqliteJournal:
    """The journal in a store's file.

    Args:
        database: The store's file; stays open.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, tenant: str, key: str) -> Intent | None:
        """The intent with this idempotency key."""
        query = f"SELECT {_COLUMNS} FROM journal WHERE tenant = ? AND key = ?"  # noqa: S608 - a constant of this module
        with self._database.read() as connection:
            row = connection.execute(query, (to_column(tenant), to_column(key))).fetchone()
        return None if row is None else _read(row)

    def begin(self, intent: Intent) -> None:
        """Write an intent, in the place of an earlier one with the same key."""
        row = (to_column(intent.tenant), to_column(intent.key), intent.digest, intent.began_at)
        with self._database.write() as connection:
            connection.execute("REPLACE INTO journal (tenant, key, digest, began_at) VALUES (?, ?, ?, ?)", row)

    def keep(self, tenant: str, key: str, result: str) -> None:
        """Note the result of an intent."""
        self._change("UPDATE journal SET result = ? WHERE tenant = ? AND key = ?", to_column(result), tenant, key)

    def settle(self, tenant: str, key: str, receipt_id: str) -> None:
        """Note the receipt of a result."""
        self._change("UPDATE journal SET receipt_id = ? WHERE tenant = ? AND key = ?", receipt_id, tenant, key)

    def drop(self, tenant: str, key: str) -> None:
        """Forget an intent that came to nothing."""
        row = (to_column(tenant), to_column(key))
        with self._database.write() as connection:
            connection.execute("DELETE FROM journal WHERE tenant = ? AND key = ? AND result IS NULL", row)

    def unsettled(self) -> tuple[Intent, ...]:
        """Intents with a result and without a receipt, oldest first."""
        unsettled = "result IS NOT NULL AND receipt_id IS NULL"
        query = f"SELECT {_COLUMNS} FROM journal WHERE {unsettled} ORDER BY began_at"  # noqa: S608 - constants
        with self._database.read() as connection:
            return tuple(_read(row) for row in connection.execute(query).fetchall())

    def trim(self, before: float) -> int:
        """Forget what was begun before that instant; returns how many."""
        with self._database.write() as connection:
            return connection.execute("DELETE FROM journal WHERE began_at < ?", (before,)).rowcount

    def _change(self, statement: str, value: str | bytes, tenant: str, key: str) -> None:
        with self._database.write() as connection:
            connection.execute(statement, (value, to_column(tenant), to_column(key)))


class InMemoryJournal:
    """The journal of a process that keeps nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._intents: dict[tuple[str, str], Intent] = {}

    def find(self, tenant: str, key: str) -> Intent | None:
        """The intent with this idempotency key."""
        with self._lock:
            return self._intents.get((tenant, key))

    def begin(self, intent: Intent) -> None:
        """Write an intent, in the place of an earlier one with the same key."""
        with self._lock:
            self._intents[intent.tenant, intent.key] = replace(intent, result=None, receipt_id=None)

    def keep(self, tenant: str, key: str, result: str) -> None:
        """Note the result of an intent."""
        self._change(tenant, key, result=result)

    def settle(self, tenant: str, key: str, receipt_id: str) -> None:
        """Note the receipt of a result."""
        self._change(tenant, key, receipt_id=receipt_id)

    def drop(self, tenant: str, key: str) -> None:
        """Forget an intent that came to nothing."""
        with self._lock:
            known = self._intents.get((tenant, key))
            if known is not None and known.result is None:
                del self._intents[tenant, key]

    def unsettled(self) -> tuple[Intent, ...]:
        """Intents with a result and without a receipt, oldest first."""
        with self._lock:
            found = [each for each in self._intents.values() if each.result is not None and each.receipt_id is None]
        return tuple(sorted(found, key=lambda each: each.began_at))

    def trim(self, before: float) -> int:
        """Forget what was begun before that instant; returns how many."""
        with self._lock:
            old = [name for name, intent in self._intents.items() if intent.began_at < before]
            for name in old:
                del self._intents[name]
        return len(old)

    def _change(self, tenant: str, key: str, **changes: str) -> None:
        with self._lock:
            known = self._intents.get((tenant, key))
            if known is not None:
                self._intents[tenant, key] = replace(known, **changes)  # type: ignore[arg-type]  # names of two texts


def _read(row: tuple[str | bytes, str | bytes, str, float, str | bytes | None, str | None]) -> Intent:
    tenant, key, digest, began_at, result, receipt_id = row
    return Intent(
        tenant=from_column(tenant),
        key=from_column(key),
        digest=digest,
        began_at=began_at,
        result=None if result is None else from_column(result),
        receipt_id=receipt_id,
    )
