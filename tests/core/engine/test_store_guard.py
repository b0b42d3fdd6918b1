from __future__ import annotations

import logging

import pytest

from leo_core import LEO
from leo_core.engine import store_guard
from leo_core.engine.store_guard import StoreGuard
from leo_core.errors import KeyDisabledError, StorageError, StoreLockedError, TenantDestroyedError
from leo_core.providers.scripted import ScriptedModel


def fail():
    raise StoreLockedError("held by another process")


def test_a_failure_costs_the_result_and_nothing_else(caplog):
    heard = []
    guard = StoreGuard(lambda operation, error: heard.append((operation, type(error))))
    with caplog.at_level(logging.DEBUG, logger="leo_core"):
        assert guard.attempt("search", fail, ()) == ()
        assert guard.attempt("search", fail, ()) == ()
    assert heard == [("search", StoreLockedError)] * 2
    assert guard.failures == 2
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG"]


@pytest.mark.parametrize("cause", [TenantDestroyedError, KeyDisabledError])
def test_a_tenant_without_keys_costs_the_others_nothing(cause, caplog):
    heard = []
    guard = StoreGuard(lambda operation, error: heard.append(operation), trip_after=2)

    def refuse():
        raise StorageError("no keys") from cause("its keys are gone")

    with caplog.at_level(logging.INFO, logger="leo_core"):
        for _ in range(5):
            assert guard.attempt("search", refuse, ()) == ()
        assert guard.settle("put", refuse)
    assert guard.attempt("search", lambda: "found", ()) == "found"
    assert (guard.failures, guard.skipped, guard.outages) == (6, 0, 0)
    assert heard == ["search"] * 5 + ["put"]
    assert not caplog.records


def test_after_failures_in_a_row_the_store_rests_and_then_is_tried_again(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(store_guard.time, "monotonic", lambda: now[0])
    tried = []
    guard = StoreGuard(lambda *_: None, trip_after=3, rest_s=5.0)

    def attempt(do):
        return guard.attempt("put", lambda: (tried.append(1), do())[1], "otherwise")

    for _ in range(3):
        attempt(fail)
    assert attempt(lambda: "result") == "otherwise"
    assert (len(tried), guard.skipped) == (3, 1)
    now[0] += 5.1
    assert attempt(lambda: "result") == "result"
    assert len(tried) == 4


def test_a_success_in_between_resets_the_row():
    guard = StoreGuard(lambda *_: None, trip_after=2, rest_s=1000.0)
    for _ in range(5):
        guard.attempt("put", fail, None)
        assert guard.attempt("put", lambda: "fine", None) == "fine"


def test_after_the_rest_one_operation_tries_and_the_others_go_on_without(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(store_guard.time, "monotonic", lambda: now[0])
    guard = StoreGuard(lambda *_: None, trip_after=2, rest_s=5.0)
    for _ in range(2):
        guard.attempt("put", fail, None)
    now[0] += 5.1
    tried = []

    def probe():
        tried.append("probe")
        tried.append(guard.attempt("search", lambda: tried.append("never"), "without"))
        raise StoreLockedError("still held")

    assert guard.attempt("search", probe, "otherwise") == "otherwise"
    assert tried == ["probe", "without"]
    assert guard.attempt("search", lambda: tried.append("never"), "resting again") == "resting again"
    now[0] += 5.1
    assert guard.attempt("search", lambda: "works", None) == "works"
    assert guard.attempt("search", lambda: guard.attempt("get", lambda: "both", None), None) == "both"


def test_an_outage_is_logged_once_at_each_end_and_told(caplog, monkeypatch):
    monkeypatch.setattr(store_guard.time, "monotonic", lambda: 100.0)
    recovered = []
    guard = StoreGuard(lambda *_: None, lambda: recovered.append(1), trip_after=2, rest_s=5.0)
    with caplog.at_level(logging.WARNING, logger="leo_core"):
        for _ in range(2):
            for _ in range(4):
                guard.attempt("search", fail, None)
            guard.wake()
            for _ in range(3):
                guard.attempt("search", lambda: "fine", None)
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        "the store failed at search",
        "the store works again; 2 operations failed and 2 were left out",
    ] * 2
    assert (guard.failures, guard.skipped, guard.outages, len(recovered)) == (4, 4, 2, 2)


def test_what_can_still_be_read_does_not_end_an_outage_of_writes(caplog):
    recovered, contacts = [], []
    guard = StoreGuard(lambda *_: None, lambda: recovered.append(1), lambda: contacts.append(1), trip_after=9)
    with caplog.at_level(logging.WARNING, logger="leo_core"):
        guard.attempt("put", fail, None)
        assert guard.attempt("search", lambda: "found", None) == "found"
        guard.attempt("put", fail, None)
        assert (recovered, contacts, len(caplog.records)) == ([], [1], 1)
        guard.attempt("put", lambda: None, None)
    assert (recovered, contacts, len(caplog.records)) == ([1], [1, 1], 2)


def test_an_operation_that_began_before_the_failure_does_not_end_the_outage():
    guard = StoreGuard(lambda *_: None, trip_after=3)

    def slow():
        guard.attempt("get_exact", fail, None)
        return "read before the store went"

    assert guard.attempt("search", slow, None) == "read before the store went"
    guard.attempt("search", fail, None)
    assert guard.outages == 1
    assert guard.attempt("search", lambda: "back", None) == "back"
    guard.attempt("search", fail, None)
    assert guard.outages == 2


def test_a_bug_in_the_one_try_does_not_close_the_store_for_ever(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(store_guard.time, "monotonic", lambda: now[0])
    guard = StoreGuard(lambda *_: None, trip_after=1, rest_s=5.0)
    guard.attempt("put", fail, None)
    now[0] += 5.1
    with pytest.raises(ZeroDivisionError):
        guard.attempt("put", lambda: 1 / 0, None)
    assert guard.attempt("put", lambda: "fine", None) == "fine"


def test_an_error_that_is_no_storage_error_is_a_bug_and_goes_up():
    guard = StoreGuard(lambda *_: None)
    with pytest.raises(ZeroDivisionError):
        guard.attempt("put", lambda: 1 / 0, None)


def test_a_store_that_is_deleted_while_in_use_leaves_its_successor_alone(tmp_path):
    """Answers go on, without receipts that would be lost, or would stand in the new log under the old key."""
    before = LEO(small=ScriptedModel("s", replies="Hello."), store=tmp_path / "leo.db")
    assert before.ask("Hello?").receipt is not None
    before.flush()
    for each in tmp_path.iterdir():
        each.unlink()
    answer = before.ask("Hello?")
    assert (answer.text, answer.cache.hit, answer.receipt) == ("Hello.", False, None)
    assert list(tmp_path.iterdir()) == []
    with LEO(small=ScriptedModel("s", replies="Hello."), store=tmp_path / "leo.db") as after:
        assert after.ask("Hello?").route == "small"
        assert before.ask("And now?").receipt is None
        before.flush()
        before.close()
        after.flush()
        assert after.log.audit() == 1
    assert before.counts["store.failed"] >= 1
    assert before.counts["receipt.failed"] == 2
    with LEO(small=ScriptedModel("s", replies="Hello."), store=tmp_path / "leo.db") as again:
        assert again.ask("Hello?").route == "cache"
