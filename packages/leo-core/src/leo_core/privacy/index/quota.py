"""How much room an account has left, without counting all of it at each write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.errors import IndexQuotaError
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
            message = f"{used} bytes are used and {size} more do not fit into {limits.max_account_bytes}"
            raise IndexQuotaError(message, check="bytes")
        self._bytes[account] += size
        self._rows[head.row] += rows

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
        measured = measure_account(connection, account)
        self._bytes[account] = sum(each["bytes"] for indexes in measured.values() for each in indexes.values())
        here = measured[tenant][head.name]
        self._rows[head.row] = here["rows"] + here["dead"]
