"""How much room an account has left, without counting all of it at each write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.errors import IndexQuotaError
from leo_core.privacy.index.accounts import measure_keys
from leo_core.privacy.index.tables import measure_account

if TYPE_CHECKING:
    import sqlite3

    from leo_core.privacy.index.limits import IndexLimits
    from leo_core.privacy.index.tables import IndexHead

__all__ = ["IndexQuota"]


class IndexQuota:
    """Upper bounds of what accounts and indexes hold: what was counted last, and all that was written since.

    Counted anew only where the bound says that there is no room. Whoever calls holds the database.

    Args:
        limits: What may be held.
    """

    def __init__(self, limits: IndexLimits) -> None:
        self._limits = limits
        self._bytes: dict[str, int] = {}
        self._rows: dict[int, int] = {}

    def take(self, connection: sqlite3.Connection, tenant: str, head: IndexHead, *, size: int, rows: int) -> None:
        """Take room for a write.

        Args:
            connection: The database.
            tenant: Whose index.
            head: The index.
            size: Bytes of the write.
            rows: Rows that it adds.

        Raises:
            IndexQuotaError: There is none.
        """
        account = tenant.partition("/")[0]
        if not self._fits(account, head, size, rows):
            self._count(connection, account, tenant, head)
        if not self._fits(account, head, size, rows):
            used, inside = self._bytes[account], self._rows[head.row]
            limits = self._limits
            if inside + rows > limits.max_rows:
                message = f"the index has {inside} rows, removed ones included, and {limits.max_rows} are allowed"
                raise IndexQuotaError(message, check="rows")
            raise _refuse(used, size, limits.max_account_bytes)
        self._bytes[account] += size
        self._rows[head.row] += rows

    def take_for_keys(self, connection: sqlite3.Connection, tenant: str, size: int) -> None:
        """Take room for evaluation keys, which count like rows and blocks.

        Args:
            connection: The database.
            tenant: Whose keys.
            size: Their bytes.

        Raises:
            IndexQuotaError: There is none.
        """
        account, most = tenant.partition("/")[0], self._limits.max_account_bytes
        if self._bytes.get(account, most) + size > most:
            self._bytes[account] = _measure(connection, account)
        if self._bytes[account] + size > most:
            raise _refuse(self._bytes[account], size, most)
        self._bytes[account] += size

    def forget(self) -> None:
        """Count all anew at the next write."""
        self._bytes.clear()
        self._rows.clear()

    def _fits(self, account: str, head: IndexHead, size: int, rows: int) -> bool:
        used, inside = self._bytes.get(account), self._rows.get(head.row)
        if used is None or inside is None:
            return False
        return used + size <= self._limits.max_account_bytes and inside + rows <= self._limits.max_rows

    def _count(self, connection: sqlite3.Connection, account: str, tenant: str, head: IndexHead) -> None:
        self._bytes[account] = _measure(connection, account)
        here = measure_account(connection, tenant)[tenant][head.name]
        self._rows[head.row] = here["rows"] + here["dead"]


def _measure(connection: sqlite3.Connection, account: str) -> int:
    """Bytes of the rows, blocks and evaluation keys of all tenants of an account."""
    measured = measure_account(connection, account).values()
    return measure_keys(connection, account) + sum(each["bytes"] for indexes in measured for each in indexes.values())


def _refuse(used: int, size: int, most: int) -> IndexQuotaError:
    message = f"{used} bytes are used and {size} more do not fit into {most}"
    return IndexQuotaError(message, check="bytes")
