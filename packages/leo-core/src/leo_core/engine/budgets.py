"""The ledger's side of the world: reservations before calls, settlements after them, and what holds in an outage.

The ledger fails closed where the cache fails open: a hit that is lost costs money, a count that is lost too. While it
cannot be asked, the process goes on in memory against what it last knew of each account, and what it spends meanwhile
is written as soon as the ledger works again. Of an account that it never read nothing is known: calls that would be
charged to it are refused, unless its period began in the outage.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Self

from leo_core.engine.store_guard import StoreGuard
from leo_core.records import Balance, Booking, Reservation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from leo_core.engine.threads import Threads
    from leo_core.ports import Clock, Ledger
    from leo_core.records import Account, Json

__all__ = ["Budgets", "Hold"]

_MOST_KNOWN = 16_384
"""Accounts whose last balance is remembered, the last ones used."""

_Key = tuple[str, str, str, float]


class Hold:
    """What is reserved for calls, until they are settled. As a context it is left to the ledger when the block fails.

    Args:
        reservation: What is reserved; ``None`` when it was refused.
        short: The balance of the account that has no room; ``None`` when it was granted.
        leave: What to do with a reservation whose calls were given up.
    """

    __slots__ = ("_leave", "reservation", "short")

    def __init__(
        self,
        reservation: Reservation | None,
        *,
        short: Balance | None = None,
        leave: Callable[[Reservation], None] = lambda _: None,
    ) -> None:
        self.reservation, self.short, self._leave = reservation, short, leave

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None and self.reservation is not None:
            self._leave(self.reservation)


class Budgets:
    """Reserves in the ledger and settles there.

    Args:
        ledger: What is spent and reserved.
        clock: Tells the time.
        notify: Hears of failures (``ledger.failed``) and of their end (``ledger.recovered``), and of reservations that
            nobody settled in time (``budget.expired``).

    Attributes:
        clock: As given.
        guard: Leaves a ledger that fails alone for a while.
    """

    def __init__(self, ledger: Ledger, *, clock: Clock, notify: Callable[[str, Mapping[str, Json]], None]) -> None:
        self._ledger, self.clock = ledger, clock
        self.guard = StoreGuard(
            lambda operation, error: notify("ledger.failed", {"operation": operation, "error": type(error).__name__}),
            lambda: notify("ledger.recovered", {}),
        )
        self._notify = notify
        # One at a time: the file has one writer, and what is known stays in step. A listener may ask again.
        self._lock = threading.RLock()
        self._known: OrderedDict[_Key, int] = OrderedDict()
        self._expired: dict[_Key, int] = {}
        self._contact = clock.now()
        self._apart: dict[str, Reservation] = {}
        self._sums_apart: Counter[_Key] = Counter()
        self._spent_apart: dict[tuple[Account, ...], int] = {}
        self._unsettled: deque[tuple[Reservation, int]] = deque()

    def reserve(self, accounts: tuple[Account, ...], amount: int, life_s: float) -> Hold:
        """Set an amount aside for calls, in all accounts or in none."""
        with self._lock:
            now = self.clock.now()
            wanted = Reservation(id=secrets.token_hex(16), accounts=accounts, amount=amount, expires_at=now + life_s)
            booking = self._write(wanted, now) if self._catch_up(now) else None
            if booking is None:
                booking = self._reserve_apart(wanted)
        if booking.reserved:
            return Hold(wanted, leave=self.leave)
        return Hold(None, short=next(each for each in booking.balances if not each.has_room_for(amount)))

    async def areserve(self, accounts: tuple[Account, ...], amount: int, life_s: float, threads: Threads) -> Hold:
        """:meth:`reserve` without blocking the event loop; a caller that is cancelled meanwhile gives it back."""
        running = asyncio.ensure_future(threads.run(self.reserve, accounts, amount, life_s))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(self._withdraw_late)
            raise

    def _withdraw_late(self, running: asyncio.Future[Hold]) -> None:
        if not running.cancelled() and running.exception() is None:
            reservation = running.result().reservation
            if reservation is not None:
                self._unsettled.append((reservation, 0))

    def settle(self, reservation: Reservation, cost: int) -> None:
        """Count what calls really cost; when the ledger fails, it is done later."""
        with self._lock:
            apart = self._apart.pop(reservation.id, None)
            if apart is not None:
                self._settle_apart(apart, cost)
            else:
                self._unsettled.append((reservation, cost))
            self._catch_up(self.clock.now())

    def leave(self, reservation: Reservation) -> None:
        """Count a reservation in full, because nobody will say what its calls cost; never blocks."""
        self._unsettled.append((reservation, reservation.amount))

    def find(self, accounts: Sequence[Account]) -> tuple[Balance, ...]:
        """The balances of accounts: the ledger's, or what is known of them while it fails."""
        with self._lock:
            now = self.clock.now()
            nothing: tuple[Balance, ...] | None = None
            if self._catch_up(now):
                found = self.guard.attempt("spent", lambda: self._ledger.spent(accounts, now=now), nothing)
                if found is not None:
                    self._note(found, now)
                    return found
            return tuple(self._recall(account) for account in accounts)

    def list_open(self) -> tuple[Balance, ...]:
        """The balances of all accounts whose period is not over.

        Raises:
            StorageError: The ledger failed.
        """
        with self._lock:
            now = self.clock.now()
            self._catch_up(now)
            return self._ledger.balances(now=now)

    def close(self) -> None:
        """Write what waits for the ledger; what cannot be written stays reserved there and counts as spent."""
        with self._lock:
            self.guard.wake()
            self._catch_up(self.clock.now())

    def start_anew(self) -> None:
        """Go on in a forked process: what waits for the ledger is written by the parent."""
        self._lock = threading.RLock()
        self._apart, self._spent_apart = {}, {}
        self._sums_apart.clear()
        self._unsettled.clear()

    # ------------------------------------------------------------------------------------------- in touch

    def _write(self, wanted: Reservation, now: float, *, forced: bool = False) -> Booking | None:
        """Reserve in the ledger; ``None`` when it failed."""
        nothing: Booking | None = None
        booking = self.guard.attempt("reserve", lambda: self._ledger.reserve(wanted, now=now, forced=forced), nothing)
        if booking is not None:
            self._note(booking.balances, now)
        return booking

    def _note(self, balances: Sequence[Balance], now: float) -> None:
        self._contact = now
        for balance in balances:
            self._known[balance.account.key] = balance.spent + balance.reserved
            self._known.move_to_end(balance.account.key)
            self._watch(balance)
        while len(self._known) > _MOST_KNOWN:
            key, _ = self._known.popitem(last=False)
            self._expired.pop(key, None)

    def _watch(self, balance: Balance) -> None:
        """Tell of reservations that expired since the account was last read."""
        before = self._expired.get(balance.account.key, 0)
        if balance.expired != before:
            self._expired[balance.account.key] = balance.expired
        if balance.expired > before:
            facts = {"budget": balance.account.budget, "expired_usd": balance.expired_usd}
            self._notify("budget.expired", facts)

    def _catch_up(self, now: float) -> bool:
        """Write what waits for the ledger; tells whether nothing does any more."""
        while self._unsettled:
            reservation, cost = self._unsettled[0]
            if reservation.id in self._apart:
                self._settle_apart(self._apart.pop(reservation.id), cost)
            elif not self._write_settlement(reservation, cost):
                return False
            self._unsettled.popleft()
        if not (self._apart or self._spent_apart):
            return True
        return self._write_apart(now)

    def _write_settlement(self, reservation: Reservation, cost: int) -> bool:
        def write() -> bool:
            if cost:
                self._ledger.settle(reservation, cost)
            else:
                self._ledger.release(reservation)
            return True

        if not self.guard.attempt("settle", write, otherwise=False):
            return False
        for account in reservation.accounts:
            if account.key in self._known:
                self._known[account.key] += cost - reservation.amount
        return True

    # --------------------------------------------------------------------------------------- in an outage

    def _reserve_apart(self, wanted: Reservation) -> Booking:
        """Reserve in memory, against what is known."""
        before = tuple(self._recall(account) for account in wanted.accounts)
        if not all(balance.has_room_for(wanted.amount) for balance in before):
            return Booking(reserved=False, balances=before)
        self._apart[wanted.id] = wanted
        self._sums_apart.update({account.key: wanted.amount for account in wanted.accounts})
        return Booking(reserved=True, balances=tuple(self._recall(account) for account in wanted.accounts))

    def _recall(self, account: Account) -> Balance:
        """What is known of an account: of one whose period began since the ledger was last read, all."""
        known = self._known.get(account.key)
        if known is None and account.begins_at < self._contact:
            return Balance(account=account, known=False)
        return Balance(account=account, spent=(known or 0) + self._sums_apart[account.key])

    def _settle_apart(self, reservation: Reservation, cost: int) -> None:
        self._sums_apart.update({account.key: cost - reservation.amount for account in reservation.accounts})
        self._spent_apart[reservation.accounts] = self._spent_apart.get(reservation.accounts, 0) + cost

    def _write_apart(self, now: float) -> bool:
        """Write what was reserved and spent in the outage, whatever the limits say; tells whether all is written."""
        for reservation in list(self._apart.values()):
            if not self._write_forced(reservation, now):
                return False
            del self._apart[reservation.id]
        for accounts, cost in list(self._spent_apart.items()):
            paid = Reservation(id=secrets.token_hex(16), accounts=accounts, amount=cost, expires_at=now)
            if not self._write_forced(paid, now):
                return False
            del self._spent_apart[accounts]
            self._unsettled.append((paid, cost))
        while self._unsettled:
            if not self._write_settlement(*self._unsettled[0]):
                return False
            self._unsettled.popleft()
        return True

    def _write_forced(self, reservation: Reservation, now: float) -> bool:
        if self._write(reservation, now, forced=True) is None:
            return False
        self._sums_apart.subtract({account.key: reservation.amount for account in reservation.accounts})
        return True
