"""A ledger that is out: nothing is overspent meanwhile, and everything is in the books afterwards."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from leo_core import LEO, Budget, LEOConfig, Route
from leo_core.engine.budgets import Budgets
from leo_core.errors import BudgetExceededError, StoreLockedError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Account
from leo_core.storage.database import Database
from leo_core.storage.ledger import InMemoryLedger, SqliteLedger

ACCOUNT = Account(budget="team", tenant="acme", owner="", begins_at=0.0, ends_at=None, limit=1_000)
OTHER = replace(ACCOUNT, tenant="globex")


class Clock:
    def __init__(self):
        self.at = 1_000.0

    def now(self):
        return self.at


class Moody(InMemoryLedger):
    """A ledger that can be out."""

    out = False

    def _check(self):
        if self.out:
            raise StoreLockedError("held by another process")

    def reserve(self, reservation, **settings):
        self._check()
        return super().reserve(reservation, **settings)

    def settle(self, reservation, cost):
        self._check()
        super().settle(reservation, cost)

    def release(self, reservation):
        self._check()
        super().release(reservation)

    def spent(self, accounts, *, now):
        self._check()
        return super().spent(accounts, now=now)


@pytest.fixture
def ledger():
    return Moody()


@pytest.fixture
def budgets(ledger):
    return Budgets(ledger, clock=Clock(), notify=lambda name, facts: events.append(name))


events: list[str] = []


@pytest.fixture(autouse=True)
def _no_events_before():
    events.clear()


def recover(budgets, ledger):
    ledger.out = False
    budgets.guard.wake()


def in_the_ledger(ledger, account=ACCOUNT):
    (balance,) = InMemoryLedger.spent(ledger, (account,), now=1_000.0)
    return balance.spent, balance.reserved


def test_it_goes_on_against_what_it_last_knew(budgets, ledger):
    paid = budgets.reserve((ACCOUNT,), 600, 60.0)
    budgets.settle(paid.reservation, 500)
    ledger.out = True
    first = budgets.reserve((ACCOUNT,), 300, 60.0)
    assert first.reservation is not None
    assert budgets.reserve((ACCOUNT,), 201, 60.0).short.left == 200
    budgets.settle(first.reservation, 100)
    second = budgets.reserve((ACCOUNT,), 400, 60.0)
    assert second.reservation is not None
    assert budgets.find((ACCOUNT,))[0].left == 0
    assert events.count("ledger.failed") == 3, "then it is left alone"
    recover(budgets, ledger)
    assert budgets.find((ACCOUNT,))[0].left == 0
    assert in_the_ledger(ledger) == (600, 400)
    assert "ledger.recovered" in events
    budgets.settle(second.reservation, 7)
    assert in_the_ledger(ledger) == (607, 0)


def test_of_an_account_that_it_never_read_nothing_is_known(budgets, ledger):
    ledger.out = True
    refused = budgets.reserve((OTHER,), 1, 60.0)
    assert (refused.reservation, refused.short.known) == (None, False)
    assert budgets.reserve((OTHER,), 0, 60.0).reservation is not None
    assert not budgets.find((OTHER,))[0].known


def test_a_period_that_begins_in_the_outage_begins_with_nothing_spent(budgets, ledger):
    ledger.out = True
    fresh = replace(ACCOUNT, begins_at=1_000.0, ends_at=2_000.0)
    assert budgets.reserve((fresh,), 1_000, 60.0).reservation is not None
    assert budgets.reserve((fresh,), 1, 60.0).short.left == 0


def test_a_settlement_that_failed_is_made_good(budgets, ledger):
    one, two = (budgets.reserve((ACCOUNT,), 400, 60.0) for _ in range(2))
    ledger.out = True
    budgets.settle(one.reservation, 10)
    budgets.settle(two.reservation, 0)
    assert in_the_ledger(ledger) == (0, 800)
    assert budgets.find((ACCOUNT,))[0].left == 200
    recover(budgets, ledger)
    budgets.close()
    assert in_the_ledger(ledger) == (10, 0)


def test_what_cannot_be_written_until_the_end_counts_in_full(budgets, ledger):
    held = budgets.reserve((ACCOUNT,), 400, 60.0)
    ledger.out = True
    budgets.settle(held.reservation, 10)
    budgets.close()
    (balance,) = InMemoryLedger.spent(ledger, (ACCOUNT,), now=1_061.0)
    assert (balance.spent, balance.expired) == (400, 400)


def test_a_listener_may_ask_how_the_budgets_stand(ledger):
    seen = []
    clock = Clock()
    budgets = Budgets(ledger, clock=clock, notify=lambda name, _: seen.append((name, budgets.find((ACCOUNT,))[0].left)))
    budgets.reserve((ACCOUNT,), 400, 60.0)
    clock.at += 60.0
    budgets.find((ACCOUNT,))
    budgets.find((ACCOUNT,))
    assert seen == [("budget.expired", 600)]


def test_accounts_that_were_used_long_ago_are_forgotten_one_by_one(ledger, monkeypatch):
    monkeypatch.setattr("leo_core.engine.budgets._MOST_KNOWN", 2)
    budgets = Budgets(ledger, clock=Clock(), notify=lambda *_: None)
    for number in range(3):
        budgets.reserve((replace(ACCOUNT, tenant=f"t{number}"),), 1, 60.0)
    ledger.out = True
    known = [budgets.find((replace(ACCOUNT, tenant=f"t{number}"),))[0].known for number in range(3)]
    assert known == [False, True, True]


class OutageMachine(RuleBasedStateMachine):
    """One process that spends from two accounts while its ledger comes and goes; compared with a plain sum."""

    def __init__(self):
        super().__init__()
        self.ledger = Moody()
        self.budgets = Budgets(self.ledger, clock=Clock(), notify=lambda *_: None)
        self.budgets.guard._trip_after = 1_000_000  # no rests, which depend on the time
        self.budgets.find((ACCOUNT, OTHER))
        self.paid = {ACCOUNT.key: 0, OTHER.key: 0}
        self.held = []

    @rule(amount=st.integers(0, 700), which=st.sampled_from([(ACCOUNT,), (OTHER,), (ACCOUNT, OTHER)]))
    def reserve(self, amount, which):
        hold = self.budgets.reserve(which, amount, 3_600.0)
        if hold.reservation is not None:
            self.held.append(hold.reservation)

    @precondition(lambda self: self.held)
    @rule(share=st.floats(0.0, 1.0), which=st.integers(0))
    def settle(self, share, which):
        reservation = self.held.pop(which % len(self.held))
        cost = int(reservation.amount * share)
        self.budgets.settle(reservation, cost)
        self.count(reservation, cost)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0))
    def leave(self, which):
        reservation = self.held.pop(which % len(self.held))
        self.budgets.leave(reservation)
        self.count(reservation, reservation.amount)

    def count(self, reservation, cost):
        for account in reservation.accounts:
            self.paid[account.key] += cost

    @rule(lasts=st.integers(0, 5))
    def fail(self, lasts):
        """Fail at once, or in the middle of the next catching-up."""
        calls = itertools.count()
        self.ledger._check = lambda: self.refuse(next(calls) >= lasts)

    @staticmethod
    def refuse(out):
        if out:
            raise StoreLockedError("held by another process")

    @rule()
    def recover(self):
        self.ledger._check = lambda: None
        self.budgets.guard.wake()
        self.budgets.close()
        for balance in InMemoryLedger.spent(self.ledger, (ACCOUNT, OTHER), now=1_000.0):
            assert balance.spent == self.paid[balance.account.key]
            assert balance.reserved == self.reserved(balance.account)

    def reserved(self, account):
        return sum(each.amount for each in self.held if account in each.accounts)

    @invariant()
    def nothing_is_overspent(self):
        for account in (ACCOUNT, OTHER):
            assert self.paid[account.key] + self.reserved(account) <= account.limit


TestOutageMachine = OutageMachine.TestCase
TestOutageMachine.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)


# --------------------------------------------------------------------------------------- through the engine


def test_answers_go_on_within_what_is_left_while_the_ledger_is_out(ledger, caplog):
    caplog.set_level(logging.WARNING, logger="leo_core")
    member = ScriptedModel("parrot", replies=lambda request: request.question, cost=0.01)
    config = LEOConfig(budgets=(Budget(limit_usd=0.03),))
    with LEO(small=member, config=config) as leo:
        leo._world.budgets._ledger = ledger
        leo.ask("one?")
        ledger.out = True
        leo.ask("two?")
        leo.ask("three?")
        with pytest.raises(BudgetExceededError):
            leo.ask("four?")
        with pytest.raises(BudgetExceededError, match="nothing is known"):
            leo.ask("five?", tenant="globex")
        assert leo.ask("one?").route is Route.CACHE
        assert leo.counts["ledger.failed"] >= 1
        assert [record.levelname for record in caplog.records].count("WARNING") == 1
        recover(leo._world.budgets, ledger)
        assert [balance.spent_usd for balance in leo.budgets()] == [0.03]
    assert member.calls == 3


def test_another_program_that_holds_the_file_is_an_outage(tmp_path):
    with Database(tmp_path / "leo.db", busy_timeout_s=0.01) as mine, Database(tmp_path / "leo.db") as others:
        budgets = Budgets(SqliteLedger(mine), clock=Clock(), notify=lambda *_: None)
        assert budgets.reserve((ACCOUNT,), 400, 60.0).reservation is not None
        with others.write():
            assert budgets.reserve((ACCOUNT,), 601, 60.0).short.left == 600
            assert budgets.reserve((ACCOUNT,), 600, 60.0).reservation is not None
        budgets.close()
        (balance,) = SqliteLedger(others).spent((ACCOUNT,), now=1_000.0)
        assert balance.spent + balance.reserved == 1_000
