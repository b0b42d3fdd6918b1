from __future__ import annotations

import logging

import pytest

from leo_core.engine import store_guard
from leo_core.engine.store_guard import StoreGuard
from leo_core.errors import StoreLockedError


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


def test_an_error_that_is_no_storage_error_is_a_bug_and_goes_up():
    guard = StoreGuard(lambda *_: None)
    with pytest.raises(ZeroDivisionError):
        guard.attempt("put", lambda: 1 / 0, None)
