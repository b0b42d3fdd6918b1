"""What every ledger does. Subclass :class:`LedgerContract` and give it a fixture ``make_ledger``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from leo_core.ports import Ledger
from leo_core.records import Account, Balance, Reservation

MONTH = Account(budget="team/month", tenant="acme", owner="", begins_at=100.0, ends_at=200.0, limit=1_000)
USER = replace(MONTH, budget="user/day", owner="user:0f", limit=300)
ODD = replace(MONTH, tenant="caf\ud800é", ends_at=None)
NOW = 150.0


def hold(name, amount, *accounts, expires_at=190.0):
    return Reservation(id=name, accounts=accounts or (MONTH,), amount=amount, expires_at=expires_at)


class LedgerContract:
    """``make_ledger()`` gives a view of the same ledger each time it is called in one test."""

    @pytest.fixture
    def ledger(self, make_ledger):
        return make_ledger()

    def of(self, ledger, account=MONTH, now=NOW):
        (balance,) = ledger.spent((account,), now=now)
        return balance.spent, balance.reserved

    def test_is_a_ledger(self, ledger):
        assert isinstance(ledger, Ledger)
        assert ledger.balances(now=NOW) == ()
        assert ledger.spent((MONTH, USER), now=NOW) == (Balance(account=MONTH), Balance(account=USER))

    @pytest.mark.parametrize("account", [MONTH, USER, ODD], ids=["tenant", "user", "odd"])
    def test_a_reservation_goes_its_way(self, ledger, make_ledger, account):
        booking = ledger.reserve(hold("a", 250, account), now=NOW)
        assert booking.reserved
        assert booking.balances == (Balance(account=account, reserved=250),)
        assert self.of(make_ledger(), account) == (0, 250)
        ledger.settle(hold("a", 250, account), 90)
        assert self.of(make_ledger(), account) == (90, 0)
        assert make_ledger().balances(now=NOW) == (Balance(account=account, spent=90),)

    def test_what_is_released_is_there_again(self, ledger):
        assert ledger.reserve(hold("a", 1_000), now=NOW).reserved
        assert not ledger.reserve(hold("b", 1), now=NOW).reserved
        ledger.release(hold("a", 1_000))
        assert self.of(ledger) == (0, 0)
        assert ledger.reserve(hold("b", 1), now=NOW).reserved

    def test_the_limit_itself_fits_and_a_nano_more_does_not(self, ledger):
        assert not ledger.reserve(hold("a", 1_001), now=NOW).reserved
        assert ledger.reserve(hold("a", 400), now=NOW).reserved
        ledger.settle(hold("a", 400), 400)
        refused = ledger.reserve(hold("b", 601), now=NOW)
        assert (refused.reserved, refused.balances) == (False, (Balance(account=MONTH, spent=400),))
        assert ledger.reserve(hold("b", 600), now=NOW).reserved

    def test_nothing_always_fits(self, ledger):
        ledger.reserve(hold("a", 1_000), now=NOW)
        ledger.settle(hold("a", 1_000), 1_500)
        assert self.of(ledger) == (1_500, 0)
        assert ledger.reserve(hold("free", 0), now=NOW).reserved
        ledger.settle(hold("free", 0), 7)
        assert self.of(ledger) == (1_507, 0)

    def test_all_accounts_or_none(self, ledger):
        both = (MONTH, USER)
        assert not ledger.reserve(hold("a", 301, *both), now=NOW).reserved
        assert (self.of(ledger), self.of(ledger, USER)) == ((0, 0), (0, 0))
        assert ledger.reserve(hold("a", 300, *both), now=NOW).reserved
        ledger.settle(hold("a", 300, *both), 200)
        assert (self.of(ledger), self.of(ledger, USER)) == ((200, 0), (200, 0))

    def test_accounts_are_apart(self, ledger):
        others = (
            replace(MONTH, tenant="globex"),
            replace(MONTH, budget="other"),
            replace(MONTH, owner="user:aa"),
            replace(MONTH, begins_at=200.0, ends_at=300.0),
        )
        assert ledger.reserve(hold("a", 1_000), now=NOW).reserved
        for number, account in enumerate(others):
            assert ledger.reserve(hold(f"b{number}", 1_000, account), now=NOW).reserved
        ledger.settle(hold("a", 1_000), 1)
        assert [self.of(ledger, account) for account in others] == [(0, 1_000)] * 4

    def test_settled_twice_is_settled_once(self, ledger):
        ledger.reserve(hold("a", 10), now=NOW)
        ledger.settle(hold("a", 10), 8)
        ledger.settle(hold("a", 10), 8)
        ledger.release(hold("a", 10))
        ledger.settle(hold("nobody knows it", 10), 8)
        assert self.of(ledger) == (8, 0)

    def test_the_same_id_again_takes_the_place_of_the_first(self, ledger):
        ledger.reserve(hold("a", 600), now=NOW)
        assert ledger.reserve(hold("a", 700), now=NOW).reserved
        assert self.of(ledger) == (0, 700)

    def test_forced_reserves_whatever_the_limit_says(self, ledger):
        booking = ledger.reserve(hold("a", 1_200), now=NOW, forced=True)
        assert (booking.reserved, booking.balances[0].left) == (True, 0)
        assert not ledger.reserve(hold("b", 1), now=NOW).reserved

    def test_an_expired_reservation_counts_as_spent_until_it_is_settled(self, ledger):
        ledger.reserve(hold("a", 900, expires_at=160.0), now=NOW)
        assert ledger.spent((MONTH,), now=159.0) == (Balance(account=MONTH, reserved=900),)
        late = Balance(account=MONTH, spent=900, expired=900)
        assert ledger.spent((MONTH,), now=160.0) == (late,)
        assert ledger.balances(now=160.0) == (late,)
        assert not ledger.reserve(hold("b", 101), now=170.0).reserved
        assert ledger.reserve(hold("b", 100), now=170.0).reserved
        ledger.settle(hold("a", 900, expires_at=160.0), 30)
        assert ledger.spent((MONTH,), now=170.0) == (Balance(account=MONTH, spent=30, reserved=100),)

    def test_a_call_is_counted_in_the_period_in_which_it_was_reserved(self, ledger):
        following = replace(MONTH, begins_at=200.0, ends_at=300.0)
        ledger.reserve(hold("a", 10, expires_at=260.0), now=199.0)
        ledger.reserve(hold("b", 20, following, expires_at=260.0), now=201.0)
        ledger.settle(hold("a", 10), 9)
        assert self.of(ledger, MONTH, 201.0) == (9, 0)
        assert self.of(ledger, following, 201.0) == (0, 20)
        assert [balance.account for balance in ledger.balances(now=201.0)] == [following]

    def test_the_limit_of_the_last_reservation_counts(self, ledger):
        ledger.reserve(hold("a", 900), now=NOW)
        less = replace(MONTH, limit=500)
        assert not ledger.reserve(hold("b", 1, less), now=NOW).reserved
        ledger.settle(hold("a", 900), 100)
        assert ledger.reserve(hold("b", 1, less), now=NOW).reserved
        assert [balance.account.limit for balance in ledger.balances(now=NOW)] == [500]

    def test_of_many_at_once_only_those_get_in_that_fit(self, make_ledger):
        views = [make_ledger() for _ in range(4)]

        def reserve(number):
            wanted = hold(f"call-{number}", 100)
            if not views[number % 4].reserve(wanted, now=NOW).reserved:
                return 0
            views[number % 4].settle(wanted, 100)
            return 1

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(reserve, range(40))) == 10
        assert self.of(views[0]) == (1_000, 0)
