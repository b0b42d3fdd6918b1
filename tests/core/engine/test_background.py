from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

from leo_core.engine.background import Background, _close_if_alive


def call(job):
    return job()


def test_jobs_run_in_order_and_flush_waits_for_them():
    done = []
    background = Background(call)
    for number in range(100):
        background.submit(lambda number=number: done.append(number))
    assert background.flush(10)
    assert done == list(range(100))
    background.close()


@pytest.mark.parametrize("end", ["flush", "close", "full"])
def test_an_idle_thread_leaves_the_submitter_alone_until_somebody_waits(monkeypatch, end):
    """An answer is about to be returned when its job is handed over."""
    monkeypatch.setattr("leo_core.engine.background._GRACE_S", 60.0)
    done, begun = [], threading.Event()
    background = Background(call, capacity=2)
    background.submit(lambda: done.append(1))
    time.sleep(0.05)
    assert done == []
    if end == "full":
        background.submit(begun.set)
        assert begun.wait(10)
    else:
        getattr(background, end)(10)
    assert done == [1]
    background.close()


def test_an_idle_thread_begins_by_itself_after_a_moment():
    begun = threading.Event()
    background = Background(call)
    background.submit(begun.set)
    assert begun.wait(10)
    background.close()


def test_flush_waits_for_what_was_queued_before_it_and_not_for_what_follows():
    """Under steady traffic the queue may never be empty, and feedback and invalidation flush it first."""
    gates, done = [threading.Event() for _ in range(2)], []

    def job(number):
        gates[number].wait(10)
        done.append(number)

    background = Background(call)
    background.submit(lambda: job(0))
    flushed = []
    waiter = threading.Thread(target=lambda: flushed.append((background.flush(10), list(done))))
    waiter.start()
    while not background._waited_for:
        time.sleep(0.01)
    background.submit(lambda: job(1))
    gates[0].set()
    waiter.join(10)
    assert flushed == [(True, [0])]
    assert not background.flush(0.05)
    gates[1].set()
    assert background.flush(10)
    assert done == [0, 1]
    background.close()


def test_flush_waits_for_what_a_job_queued():
    done = []
    background = Background(call)
    background.submit(lambda: (time.sleep(0.05), background.submit(lambda: (time.sleep(0.05), done.append(1)))))
    assert background.flush(10)
    assert done == [1]
    background.close()


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError, ValueError])
def test_a_job_ends_with_any_error_and_the_next_goes_on(error, caplog):
    """As a comparator or a checker may raise that asks a model on an event loop of its own."""

    def fail():
        raise error

    done = []
    background = Background(call)
    background.submit(fail)
    background.submit(lambda: done.append(1))
    assert background.flush(10)
    assert done == [1]
    assert background.failures == 1
    assert "a background job of LEO failed" in caplog.text
    background.close()


def test_no_thread_before_the_first_job():
    background = Background(call)
    assert background._thread is None
    assert background.flush(0.1)
    assert background.close()


def test_a_full_queue_refuses_and_then_makes_the_submitter_wait():
    gate, started, done = threading.Event(), threading.Event(), []
    background = Background(call, capacity=1)
    background.submit(lambda: (started.set(), gate.wait(10)))
    assert started.wait(10)
    assert background.try_submit(lambda: done.append(1))
    assert not background.try_submit(lambda: done.append(2))
    waiter = threading.Thread(target=lambda: background.submit(lambda: done.append(3)))
    waiter.start()
    waiter.join(0.05)
    assert waiter.is_alive()
    gate.set()
    waiter.join(10)
    assert background.flush(10)
    assert done == [1, 3]
    background.close()


def test_a_job_may_submit_another_even_when_the_queue_is_full():
    done = []
    background = Background(call, capacity=1)

    def outer():
        background.submit(lambda: done.append("a"))
        background.submit(lambda: done.append("b"))

    background.submit(outer)
    assert background.flush(10)
    assert done == ["a", "b"]
    background.close()


def test_a_failing_job_is_logged_and_counted_and_the_next_goes_on(caplog):
    done = []
    background = Background(call)
    with caplog.at_level(logging.ERROR, logger="leo_core"):
        background.submit(lambda: 1 / 0)
        background.submit(lambda: done.append(1))
        assert background.flush(10)
    assert done == [1]
    assert background.failures == 1
    assert "background job" in caplog.text
    background.close()


def test_close_finishes_what_is_queued_and_is_idempotent():
    done = []
    background = Background(call)
    for number in range(50):
        background.submit(lambda number=number: done.append(number))
    assert background.close(10)
    assert background.close(10)
    assert done == list(range(50))
    with pytest.raises(RuntimeError, match="closed"):
        background.submit(lambda: None)


def test_the_exit_hook_closes_a_living_background_and_ignores_a_dead_one():
    import weakref

    background = Background(call)
    done = []
    background.submit(lambda: done.append(1))
    reference = weakref.ref(background)
    _close_if_alive(reference)
    assert done == [1]
    _close_if_alive(lambda: None)
