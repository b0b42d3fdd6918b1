"""The ledger of budgets under pseudonyms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from leo_core.errors import SealedDataError
from leo_core.storage.key_trouble import key_trouble_told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.ports import Ledger, Store
    from leo_core.records import Account, Balance, Booking, Reservation
    from leo_core.storage.sealed_rows import SealedRows

__all__ = ["SealedLedger", "find_ledger_owner"]

_OWNER = "\0ledger"


class SealedLedger:
    """The :class:`leo_core.ports.Ledger` of another store, which learns no name of a budget, tenant or owner.

    It learns amounts, limits and periods, which it counts with. The names are kept beside it, sealed, so that accounts
    can be listed.

    Args:
        inner: Keeps the accounts.
        store: Keeps the names, as states of a tenant of its own; in the ledger's file, so that neither is without the
            other.
        rows: Makes the pseudonyms.
    """

    def __init__(self, inner: Ledger, store: Store, rows: SealedRows) -> None:
        self._inner, self._store, self._rows = inner, store, rows
        self._noted: set[str] = set()

    def reserve(self, reservation: Reservation, *, now: float, forced: bool = False) -> Booking:
        """Set its amount aside in all its accounts, or in none."""
        with key_trouble_told("ledger"):
            for account in reservation.accounts:
                self._note(account)
            booking = self._inner.reserve(self._hide_all(reservation), now=now, forced=forced)
        return replace(booking, balances=_reveal(booking.balances, reservation.accounts))

    def settle(self, reservation: Reservation, cost: int) -> None:
        """Count what it really cost, in the place of what was reserved."""
        with key_trouble_told("ledger"):
            self._inner.settle(self._hide_all(reservation), cost)

    def release(self, reservation: Reservation) -> None:
        """Give all of it back."""
        with key_trouble_told("ledger"):
            self._inner.release(self._hide_all(reservation))

    def spent(self, accounts: Sequence[Account], *, now: float) -> tuple[Balance, ...]:
        """What is spent and reserved of each, in their order."""
        with key_trouble_told("ledger"):
            return _reveal(self._inner.spent([self._hide(each) for each in accounts], now=now), accounts)

    def balances(self, *, now: float) -> tuple[Balance, ...]:
        """All accounts whose period is not over and whose names open, sorted by their keys."""
        found = []
        with key_trouble_told("ledger"):
            for balance in self._inner.balances(now=now):
                names = self._find(balance.account)
                if names is not None:
                    budget, tenant, owner = names
                    account = replace(balance.account, budget=budget, tenant=tenant, owner=owner)
                    found.append(replace(balance, account=account))
        return tuple(sorted(found, key=lambda each: each.account.key))

    def _hide(self, account: Account) -> Account:
        name = self._rows.name_for_store
        return replace(
            account,
            budget=name("budget", account.budget),
            tenant=self._rows.name_tenant(account.tenant) if account.tenant else "",
            owner=name("owner", account.owner) if account.owner else "",
        )

    def _hide_all(self, reservation: Reservation) -> Reservation:
        return replace(reservation, accounts=tuple(self._hide(each) for each in reservation.accounts))

    def _note(self, account: Account) -> None:
        """See that the names of an account are kept; before it is opened."""
        place = _place(self._hide(account))
        if place in self._noted:
            return
        owner = find_ledger_owner(self._rows)
        if self._store.load_state(owner, place) is None:
            names = [account.budget, account.tenant, account.owner]
            self._store.save_state(owner, place, self._rows.seal_for_store("account", names, place=place))
        self._noted.add(place)

    def _find(self, hidden: Account) -> tuple[str, str, str] | None:
        place = _place(hidden)
        sealed = self._store.load_state(find_ledger_owner(self._rows), place)
        if sealed is None:
            return None
        try:
            budget, tenant, owner = self._rows.open_for_store("account", sealed, place=place)
        except SealedDataError:
            return None
        return str(budget), str(tenant), str(owner)


def find_ledger_owner(rows: SealedRows) -> str:
    """The pseudonym under which a store keeps the names of its accounts."""
    return rows.name_tenant(_OWNER)


def _place(hidden: Account) -> str:
    return f"{hidden.budget}:{hidden.tenant}:{hidden.owner}"


def _reveal(balances: Sequence[Balance], accounts: Sequence[Account]) -> tuple[Balance, ...]:
    """The balances with the accounts that were asked for, in their order."""
    return tuple(replace(balance, account=account) for balance, account in zip(balances, accounts, strict=True))
