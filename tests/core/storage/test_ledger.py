from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from leo_core.engine.assembly import open_ledger
from leo_core.records import Reservation
from leo_core.storage.database import Database
from leo_core.storage.ledger import InMemoryLedger, SqliteLedger
from tests.contracts.ledger import MONTH, NOW, USER, LedgerContract, hold


class TestInMemoryLedger(LedgerContract):
    @pytest.fixture
    def make_ledger(self):
        ledger = InMemoryLedger()
        return lambda: ledger


class TestSqliteLedger(LedgerContract):
    @pytest.fixture
    def make_ledger(self, tmp_path):
        opened = []

        def make():
            opened.append(Database(tmp_path / "leo.db"))
            return SqliteLedger(opened[-1])

        yield make
        for database in opened:
            database.close()


def test_an_account_and_its_reservations_outlive_the_process_that_made_them(tmp_path):
    with Database(tmp_path / "leo.db") as database:
        SqliteLedger(database).reserve(hold("a", 600), now=NOW)
    with Database(tmp_path / "leo.db") as database:
        ledger = SqliteLedger(database)
        assert not ledger.reserve(hold("b", 401), now=NOW).reserved
        ledger.settle(hold("a", 600), 1)
        assert ledger.reserve(hold("b", 401), now=NOW).reserved


LATER = 1_000.0 + 400 * 86_400.0
FRESH = replace(MONTH, begins_at=LATER, ends_at=LATER + 1.0)


def test_old_accounts_are_forgotten_with_their_reservations(tmp_path):
    with Database(tmp_path / "leo.db") as database:
        ledger = SqliteLedger(database)
        ledger.reserve(hold("a", 600), now=NOW)
        ledger.reserve(hold("b", 1, replace(MONTH, budget="for ever", ends_at=None)), now=NOW)
        ledger.reserve(hold("c", 1, FRESH), now=LATER)
        with database.read() as connection:
            kept = connection.execute("SELECT budget FROM budget_reservations ORDER BY budget").fetchall()
        assert kept == [("for ever",), (MONTH.budget,)]
        assert ledger.spent((MONTH,), now=LATER)[0].expired == 0


def test_a_ledger_in_memory_does_not_grow_for_ever():
    ledger = InMemoryLedger()
    for number in range(10_000):
        day = replace(MONTH, begins_at=86_400.0 * number, ends_at=86_400.0 * (number + 1))
        ledger.reserve(hold("a", 1, day), now=day.begins_at)
    assert len(ledger._pages) < 1_100


ACCOUNTS = (MONTH, USER, replace(USER, owner="user:aa"), replace(MONTH, budget="all/total", tenant="", ends_at=None))


class LedgerMachine(RuleBasedStateMachine):
    """Reservations, settlements and releases in any order, with time passing; compared with a plain sum.

    Every call costs at most what was reserved for it.
    """

    held = Bundle("held")

    def __init__(self):
        super().__init__()
        self.ledger, self.now = self.make(), NOW
        self.spent = dict.fromkeys(ACCOUNTS, 0)
        self.open = {}
        self.number = 0

    def make(self):
        return InMemoryLedger()

    @rule(target=held, amount=st.integers(0, 400), accounts=st.sets(st.sampled_from(ACCOUNTS), min_size=1))
    def reserve(self, amount, accounts):
        self.number += 1
        wanted = Reservation(
            id=str(self.number), accounts=tuple(sorted(accounts, key=str)), amount=amount, expires_at=self.now + 30.0
        )
        fits = amount == 0 or all(self.committed(account) + amount <= account.limit for account in accounts)
        assert self.ledger.reserve(wanted, now=self.now).reserved == fits
        if fits:
            self.open[wanted.id] = wanted
        return wanted

    @rule(reservation=held, share=st.floats(0.0, 1.0))
    def settle(self, reservation, share):
        cost = int(reservation.amount * share)
        self.ledger.settle(reservation, cost)
        if self.open.pop(reservation.id, None) is not None:
            for account in reservation.accounts:
                self.spent[account] += cost

    @rule(reservation=consumes(held))
    def release(self, reservation):
        self.ledger.release(reservation)
        self.open.pop(reservation.id, None)

    @rule(seconds=st.floats(0.0, 40.0))
    def wait(self, seconds):
        self.now += seconds

    def committed(self, account):
        return self.spent[account] + sum(each.amount for each in self.open.values() if account in each.accounts)

    @invariant()
    def no_limit_is_exceeded_and_nothing_is_lost(self):
        for balance in self.ledger.spent(ACCOUNTS, now=self.now):
            assert balance.spent + balance.reserved <= balance.account.limit
            assert balance.spent + balance.reserved == self.committed(balance.account)
            expired = [each for each in self.open.values() if each.expires_at <= self.now]
            assert balance.expired == sum(each.amount for each in expired if balance.account in each.accounts)


class SqliteLedgerMachine(LedgerMachine):
    def make(self):
        self.database = Database(":memory:")
        return SqliteLedger(self.database)

    def teardown(self):
        self.database.close()


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestSqliteLedgerMachine = SqliteLedgerMachine.TestCase
TestSqliteLedgerMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_a_store_with_a_file_has_its_ledger_there(tmp_path):
    with Database(tmp_path / "leo.db") as database:
        kept = open_ledger(SimpleNamespace(inner=SimpleNamespace(database=database)))
        assert isinstance(kept, SqliteLedger)
    for inner in (SimpleNamespace(), SimpleNamespace(database=None), SimpleNamespace(database=Database(":memory:"))):
        assert isinstance(open_ledger(SimpleNamespace(inner=inner)), InMemoryLedger)
        if getattr(inner, "database", None) is not None:
            inner.database.close()
