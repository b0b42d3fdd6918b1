"""Writes that wait for the end of an outage."""

from __future__ import annotations

import pytest

from leo_core.engine import store_guard
from leo_core.engine.held_writes import HeldWrites
from leo_core.engine.store_guard import StoreGuard
from leo_core.errors import StorageError, StoreUnavailableError


class Shop:
    """Where writes arrive, unless it is out."""

    def __init__(self):
        self.out = False
        self.done = []
        self.dropped = []
        self.guard = StoreGuard(lambda *_: None, trip_after=2, rest_s=0.0)
        self.writes = HeldWrites(self.guard, self.dropped.append, capacity=3)

    def write(self, name, *, error=None, removes=None):
        def do():
            if self.out:
                raise StoreUnavailableError("out")
            if error is not None:
                raise error
            self.done.append(name)

        self.writes.write(name, do, removes=removes)


@pytest.fixture
def shop():
    return Shop()


def test_a_write_is_done_at_once_while_the_store_works(shop):
    shop.write("a")
    assert (shop.done, len(shop.writes)) == (["a"], 0)


def test_writes_of_an_outage_are_done_after_it_in_their_order(shop):
    shop.out = True
    for name in "abc":
        shop.write(name)
    assert (shop.done, len(shop.writes)) == ([], 3)
    shop.out = False
    shop.write("d")
    assert shop.done == ["a", "b", "c", "d"]
    assert len(shop.writes) == 0


def test_past_the_capacity_the_oldest_go_but_removals_stay(shop):
    shop.out = True
    shop.write("remove", removes="id-1")
    for name in "abcd":
        shop.write(name)
    assert shop.dropped == ["a", "b"]
    assert shop.writes.dropped == 2
    assert shop.writes.awaits_removal("id-1")
    assert not shop.writes.awaits_removal("id-2")
    shop.out = False
    assert shop.writes.drain()
    assert shop.done == ["remove", "c", "d"]
    assert not shop.writes.awaits_removal("id-1")


def test_removals_alone_are_bounded_too(shop):
    shop.out = True
    for number in range(5):
        shop.write(f"remove-{number}", removes=f"id-{number}")
    assert shop.dropped == ["remove-0", "remove-1"]


def test_a_write_that_is_refused_for_good_holds_up_nobody(shop):
    shop.write("bad", error=StorageError("not JSON"))
    assert len(shop.writes) == 0
    shop.write("good")
    assert shop.done == ["good"]


def test_a_resting_store_is_not_asked(shop, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(store_guard.time, "monotonic", lambda: now[0])
    shop.guard._rest_s = 5.0
    shop.out = True
    for name in "abc":
        shop.write(name)
    assert shop.guard.failures == 2
    shop.out = False
    assert not shop.writes.drain()
    now[0] += 5.1
    assert shop.writes.drain()
    assert shop.done == ["a", "b", "c"]
