"""A budget is never overspent: not by threads, not by processes, not across restarts."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from leo_core.errors import ConfigError, PrivacyBudgetError, StorageError, StoreCorruptError, StoreLockedError
from leo_core.privacy.publishing.accountant import PrivacyAccountant
from leo_core.privacy.publishing.composition import compose
from leo_core.privacy.publishing.mechanisms import DiscreteGaussian, DiscreteLaplace, Gaussian, Laplace

ONE = DiscreteGaussian(sigma=40)


def open_ledger(path, **settings):
    return PrivacyAccountant(**{"epsilon": 1.0, "delta": 1e-6, "path": path} | settings)


def most_that_fit(epsilon=1.0, delta=1e-6):
    count = 0
    while compose([(ONE, count + 1)], delta).epsilon <= epsilon:
        count += 1
    return count


def test_a_charge_is_kept_and_a_refused_one_leaves_nothing(tmp_path):
    accountant = open_ledger(tmp_path / "sub" / "budget.db", now=lambda: 12.5)
    first = accountant.charge(Gaussian(sigma=10), principal="t1", count=2, label="hits")
    assert first == compose([(Gaussian(sigma=10), 2)], 1e-6)
    before = accountant.spent("t1")
    with pytest.raises(PrivacyBudgetError, match=r"'t1' is epsilon=1.*nothing was charged") as caught:
        accountant.charge(Gaussian(sigma=0.5), principal="t1")
    assert (caught.value.principal, caught.value.spent, caught.value.epsilon) == ("t1", before.epsilon, 1.0)
    assert caught.value.needed > 1.0
    assert accountant.spent("t1") == before
    again = open_ledger(tmp_path / "sub" / "budget.db")
    assert again.spent("t1") == before
    assert again.remaining("t1") == pytest.approx(1.0 - before.epsilon)
    assert again.remaining("t2") == 1.0
    (charge,) = again.history("t1")
    assert (charge.principal, charge.mechanism, charge.count) == ("t1", Gaussian(sigma=10), 2)
    assert (charge.label, charge.at) == ("hits", 12.5)
    assert (tmp_path / "sub" / "budget.db").stat().st_mode & 0o777 == 0o600


def test_several_are_charged_together_or_not_at_all(tmp_path):
    accountant = open_ledger(tmp_path / "budget.db")
    with pytest.raises(PrivacyBudgetError):
        accountant.charge_all([(Gaussian(sigma=50), 1), (Laplace(scale=0.1), 1)], principal="t1")
    assert accountant.history() == ()
    made = [(Gaussian(sigma=50), 1), (Laplace(scale=20), 2), (DiscreteLaplace(scale=30, sensitivity=2), 1)]
    cost = accountant.charge_all(made, principal="t1")
    assert cost == compose(made, 1e-6) == accountant.spent("t1")
    assert [charge.mechanism for charge in accountant.history()] == [each for each, _ in made]


def test_how_many_more_are_affordable_is_what_can_be_charged():
    accountant = open_ledger(None)
    accountant.charge(Laplace(scale=10), principal="t1")
    count = accountant.count_affordable(ONE, principal="t1")
    assert count > 10
    accountant.charge(ONE, principal="t1", count=count)
    assert accountant.count_affordable(ONE, principal="t1") == 0
    with pytest.raises(PrivacyBudgetError):
        accountant.charge(ONE, principal="t1")


def test_a_hundred_threads_cannot_overspend(tmp_path):
    accountant = open_ledger(tmp_path / "budget.db", epsilon=0.4)
    together = threading.Barrier(100)

    def try_once(_):
        together.wait(timeout=60)
        try:
            accountant.charge(ONE, principal="t1")
        except PrivacyBudgetError:
            return 0
        return 1

    fit = most_that_fit(epsilon=0.4)
    assert 5 < fit < 90
    with ThreadPoolExecutor(100) as pool:
        assert sum(pool.map(try_once, range(100))) == fit
    assert len(accountant.history()) == fit
    assert accountant.spent("t1").epsilon <= 0.4


def charge_until_refused(path, made):
    accountant = open_ledger(path, epsilon=0.5)
    count = 0
    try:
        while True:
            accountant.charge(ONE, principal="t1")
            count += 1
    except PrivacyBudgetError:
        made.put(count)


def test_four_processes_cannot_overspend(tmp_path):
    context = multiprocessing.get_context("spawn")
    made = context.Queue()
    workers = [context.Process(target=charge_until_refused, args=(tmp_path / "b.db", made)) for _ in range(4)]
    for worker in workers:
        worker.start()
    counts = [made.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    kept = open_ledger(tmp_path / "b.db", epsilon=0.5).history()
    assert sum(counts) == most_that_fit(epsilon=0.5) == len(kept)


def test_in_memory_threads_take_turns():
    accountant = open_ledger(None)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: accountant.charge(ONE, principal="t1"), range(20)))
    assert accountant.spent("t1") == compose([(ONE, 20)], 1e-6)


def test_a_promise_that_was_given_is_not_changed(tmp_path):
    open_ledger(tmp_path / "budget.db")
    for other in ({"epsilon": 2.0}, {"delta": 1e-5}, {"accounting": "zcdp"}):
        with pytest.raises(ConfigError, match=r"begun with epsilon=1\.0"):
            open_ledger(tmp_path / "budget.db", **other)


def test_zcdp_is_what_it_charges_when_asked_for():
    accountant = open_ledger(None, accounting="zcdp")
    cost = accountant.charge(Gaussian(sigma=10), principal="t1")
    assert cost == compose([(Gaussian(sigma=10), 1)], 1e-6, "zcdp")
    assert cost.by == "zcdp"


@pytest.mark.parametrize(
    "settings",
    [
        {"epsilon": 0.0},
        {"epsilon": float("inf")},
        {"epsilon": "3"},
        {"delta": 0.0},
        {"delta": 1.0},
        {"accounting": "x"},
    ],
)
def test_bad_budgets_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        open_ledger(None, **settings)


def test_bad_charges_are_refused():
    accountant = open_ledger(None)
    for charge in (
        lambda: accountant.charge(Gaussian(sigma=1), principal=""),
        lambda: accountant.charge(Gaussian(sigma=1), principal="t", count=0),
        lambda: accountant.charge(Gaussian(sigma=1), principal="t", count=True),
        lambda: accountant.charge("gaussian", principal="t"),
    ):
        with pytest.raises(ConfigError):
            charge()
    assert accountant.history() == ()


def test_other_files_are_left_alone(tmp_path):
    text = tmp_path / "text.db"
    text.write_text("not a database, and long enough to be read as one" * 40)
    with pytest.raises(StoreCorruptError):
        open_ledger(text)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(StoreCorruptError, match="another program"):
        open_ledger(other)
    with pytest.raises(StorageError, match="folder"):
        open_ledger(tmp_path)
    newer = tmp_path / "newer.db"
    open_ledger(newer)
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(StoreCorruptError, match="version 9"):
        open_ledger(newer)


def test_a_locked_ledger_charges_nothing(tmp_path):
    from leo_core.privacy.publishing.charge_ledger import ChargeLedger

    ledger = ChargeLedger(tmp_path / "b.db", (1.0, 1e-6, "tightest"), busy_timeout_s=0.05)
    holder = sqlite3.connect(tmp_path / "b.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLockedError), ledger.write():
        pass
    holder.close()


def test_an_error_in_the_middle_takes_everything_back(tmp_path):
    accountant = open_ledger(tmp_path / "b.db")

    def stop():
        raise KeyboardInterrupt

    accountant._now = stop
    with pytest.raises(KeyboardInterrupt):
        accountant.charge(ONE, principal="t1")
    assert open_ledger(tmp_path / "b.db").spent("t1").epsilon == 0.0


def test_its_repr_says_the_budget():
    assert repr(open_ledger(None)) == "PrivacyAccountant(epsilon=1, delta=1e-06, path=':memory:')"
