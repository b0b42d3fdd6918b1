"""The ledger of budgets: in the store's SQLite file, and in memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from leo_core.records import Account, Balance, Booking
from leo_core.storage.codec import from_column, to_column

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from leo_core.records import Reservation
    from leo_core.storage.database import Database

__all__ = ["InMemoryLedger", "SqliteLedger"]

KEPT_S: Final = 35 * 86_400.0
"""How long an account is kept after its period, for calls that are settled late and for whoever looks it up."""
_SWEEP_FROM = 1024
"""Accounts in memory from which on old ones are looked for."""
_THIS = "budget = ? AND tenant = ? AND owner = ? AND begins_at = ?"
_OPEN = "ends_at IS NULL OR ends_at > ?"
_COLUMNS = "budget, tenant, owner, begins_at, ends_at, spending_limit"

_Key = tuple[str, str, str, float]


class SqliteLedger:
    """The ledger in a store's file, safe for several processes.

    A reservation is on disk before its call is made. Of a settlement that a power cut takes back the reservation is
    left, so that it counts in full.

    Args:
        database: The store's file; stays open.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, reservation: Reservation, *, now: float, forced: bool = False) -> Booking:
        """Set its amount aside in all its accounts, or in none."""
        with self._database.write() as connection:
            self._remove(connection, reservation)
            before = tuple(_read(connection, account, now) for account in reservation.accounts)
            if not forced and not all(balance.has_room_for(reservation.amount) for balance in before):
                return Booking(reserved=False, balances=before)
            for account in reservation.accounts:
                self._open(connection, account, now)
                row = (*_bind(account), reservation.id, reservation.amount, reservation.expires_at)
                connection.execute("INSERT INTO budget_reservations VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            after = tuple(_read(connection, account, now) for account in reservation.accounts)
        return Booking(reserved=True, balances=after)

    def settle(self, reservation: Reservation, cost: int) -> None:
        """Count what it really cost, in the place of what was reserved."""
        with self._database.write(durable=cost > reservation.amount) as connection:
            for account in self._remove(connection, reservation):
                connection.execute(
                    f"UPDATE budget_accounts SET spent = spent + ? WHERE {_THIS}",  # noqa: S608 - a constant of this module
                    (cost, *_bind(account)),
                )

    def release(self, reservation: Reservation) -> None:
        """Give all of it back."""
        with self._database.write(durable=False) as connection:
            self._remove(connection, reservation)

    def spent(self, accounts: Sequence[Account], *, now: float) -> tuple[Balance, ...]:
        """What is spent and reserved of each, in their order."""
        with self._database.read() as connection:
            return tuple(_read(connection, account, now) for account in accounts)

    def balances(self, *, now: float) -> tuple[Balance, ...]:
        """All accounts whose period is not over, sorted by their keys."""
        query = f"SELECT {_COLUMNS} FROM budget_accounts WHERE {_OPEN}"  # noqa: S608 - constants of this module
        with self._database.read() as connection:
            accounts = [_to_account(row) for row in connection.execute(query, (now,)).fetchall()]
            accounts.sort(key=lambda account: account.key)
            return tuple(_read(connection, account, now) for account in accounts)

    def _remove(self, connection: sqlite3.Connection, reservation: Reservation) -> list[Account]:
        """Take it out of its accounts; returns those in which it was."""
        return [
            account
            for account in reservation.accounts
            if connection.execute(
                f"DELETE FROM budget_reservations WHERE {_THIS} AND id = ?",  # noqa: S608 - a constant of this module
                (*_bind(account), reservation.id),
            ).rowcount
        ]

    def _open(self, connection: sqlite3.Connection, account: Account, now: float) -> None:
        """Note an account with the limit that it has now; a new one is the occasion to forget old ones."""
        changed = connection.execute(
            f"UPDATE budget_accounts SET spending_limit = ? WHERE {_THIS}",  # noqa: S608 - a constant of this module
            (account.limit, *_bind(account)),
        ).rowcount
        if not changed:
            row = (*_bind(account), account.ends_at, account.limit, 0)
            connection.execute("INSERT INTO budget_accounts VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            connection.execute("DELETE FROM budget_accounts WHERE ends_at < ?", (now - KEPT_S,))


def _bind(account: Account) -> tuple[str, str | bytes, str, float]:
    return account.budget, to_column(account.tenant), account.owner, account.begins_at


def _to_account(row: tuple[str, str | bytes, str, float, float | None, int]) -> Account:
    budget, tenant, owner, begins_at, ends_at, limit = row
    return Account(
        budget=budget,
        tenant=from_column(tenant),
        owner=owner,
        begins_at=begins_at,
        ends_at=ends_at,
        limit=limit,
    )


def _read(connection: sqlite3.Connection, account: Account, now: float) -> Balance:
    key = _bind(account)
    settled = connection.execute(
        f"SELECT spent FROM budget_accounts WHERE {_THIS}",  # noqa: S608 - a constant of this module
        key,
    ).fetchone()
    late, reserved = connection.execute(
        "SELECT coalesce(sum(CASE WHEN expires_at <= ? THEN amount END), 0), "  # noqa: S608 - as above
        f"coalesce(sum(CASE WHEN expires_at > ? THEN amount END), 0) FROM budget_reservations WHERE {_THIS}",
        (now, now, *key),
    ).fetchone()
    return Balance(account=account, spent=(settled[0] if settled else 0) + late, reserved=reserved, expired=late)


@dataclass(slots=True)
class _Page:
    """An account in memory: what was settled, and the amount and expiry of each reservation."""

    account: Account
    spent: int = 0
    reserved: dict[str, tuple[int, float]] = field(default_factory=dict)


class InMemoryLedger:
    """The ledger of a process that keeps nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: dict[_Key, _Page] = {}
        self._sweep_at = _SWEEP_FROM

    def reserve(self, reservation: Reservation, *, now: float, forced: bool = False) -> Booking:
        """Set its amount aside in all its accounts, or in none."""
        with self._lock:
            self._remove(reservation)
            before = tuple(self._read(account, now) for account in reservation.accounts)
            if not forced and not all(balance.has_room_for(reservation.amount) for balance in before):
                return Booking(reserved=False, balances=before)
            for account in reservation.accounts:
                page = self._open(account, now)
                page.reserved[reservation.id] = (reservation.amount, reservation.expires_at)
            after = tuple(self._read(account, now) for account in reservation.accounts)
        return Booking(reserved=True, balances=after)

    def settle(self, reservation: Reservation, cost: int) -> None:
        """Count what it really cost, in the place of what was reserved."""
        with self._lock:
            for page in self._remove(reservation):
                page.spent += cost

    def release(self, reservation: Reservation) -> None:
        """Give all of it back."""
        with self._lock:
            self._remove(reservation)

    def spent(self, accounts: Sequence[Account], *, now: float) -> tuple[Balance, ...]:
        """What is spent and reserved of each, in their order."""
        with self._lock:
            return tuple(self._read(account, now) for account in accounts)

    def balances(self, *, now: float) -> tuple[Balance, ...]:
        """All accounts whose period is not over, sorted by their keys."""
        with self._lock:
            pages = sorted(self._pages.items())
            return tuple(self._read(page.account, now) for _, page in pages if _ends_after(page.account, now))

    def _remove(self, reservation: Reservation) -> list[_Page]:
        """Take it out of its accounts; returns the pages on which it was."""
        pages = [self._pages[account.key] for account in reservation.accounts if account.key in self._pages]
        return [page for page in pages if page.reserved.pop(reservation.id, None) is not None]

    def _open(self, account: Account, now: float) -> _Page:
        page = self._pages.get(account.key)
        if page is None:
            if len(self._pages) >= self._sweep_at:
                kept = ((key, each) for key, each in self._pages.items() if _ends_after(each.account, now - KEPT_S))
                self._pages = dict(kept)
                self._sweep_at = max(_SWEEP_FROM, 2 * len(self._pages))
            page = self._pages[account.key] = _Page(account)
        page.account = account
        return page

    def _read(self, account: Account, now: float) -> Balance:
        page = self._pages.get(account.key) or _Page(account)
        late = sum(amount for amount, expires_at in page.reserved.values() if expires_at <= now)
        reserved = sum(amount for amount, expires_at in page.reserved.values() if expires_at > now)
        return Balance(account=account, spent=page.spent + late, reserved=reserved, expired=late)


def _ends_after(account: Account, now: float) -> bool:
    return account.ends_at is None or account.ends_at > now
