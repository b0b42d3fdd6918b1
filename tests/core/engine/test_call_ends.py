"""The stack of a thread tells whether a call that began there is over."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from leo_core.engine.call_ends import watch_call
from leo_core.engine.flights import Turn
from leo_core.engine.landing import Landing

FRAMEWORK = """
def invoke(door, then):
    over = generate(door)
    then(over)
    return over

def generate(door):
    return door()

async def ainvoke(door):
    return generate(door)

def stream(door):
    yield generate(door)
"""


@pytest.fixture
def framework():
    """A framework whose ``invoke`` lets a door look up, and then works; its own calls lie one upon the other."""
    module = ModuleType("framework.models")
    exec(compile(FRAMEWORK, "framework", "exec"), module.__dict__)
    return module


def door():
    """What a cache does in its look-up."""
    return watch_call("framework")


def nothing(_):
    pass


def test_a_call_is_over_when_it_has_returned(framework):
    seen = []
    over = framework.invoke(door, lambda tell: seen.append(tell()))
    assert seen == [False], "while it works, also after its own inner function has returned"
    assert over() is True


def test_a_call_is_over_when_it_has_raised_and_whoever_keeps_the_error(framework):
    told, errors = [], []

    def fail(over):
        told.append(over)
        raise RuntimeError

    try:
        framework.invoke(door, fail)
    except RuntimeError as error:
        errors.append(error)
    assert errors[0].__traceback__.tb_next is not None, "which holds the frames"
    assert told[0]() is True


def test_other_threads_can_tell(framework):
    began, goes_on, told = threading.Event(), threading.Event(), []

    def work(over):
        told.append(over)
        began.set()
        goes_on.wait()

    thread = threading.Thread(target=lambda: (framework.invoke(door, work), goes_on.clear(), goes_on.wait()))
    thread.start()
    began.wait()
    assert told[0]() is False
    goes_on.set()
    while goes_on.is_set():
        pass
    assert told[0]() is True, "although the thread lives on"
    goes_on.set()
    thread.join()
    assert told[0]() is True


def test_a_thread_that_has_ended_runs_no_call(framework):
    told = []
    thread = threading.Thread(target=lambda: told.append(framework.invoke(door, nothing)))
    thread.start()
    thread.join()
    assert told[0]() is True


def test_the_outermost_call_counts(framework):
    seen = []

    def call_again(over):
        inner = framework.invoke(door, nothing)
        seen.append((inner(), over()))

    framework.invoke(door, call_again)
    assert seen == [(True, False)]


def test_where_the_stack_cannot_tell_nothing_is_told(framework, monkeypatch):
    assert door() is None, "nobody of the framework has called"
    assert asyncio.run(framework.ainvoke(door)) is None
    assert next(framework.stream(door)) is None
    monkeypatch.setitem(sys.modules, "greenlet", SimpleNamespace(getcurrent=lambda: SimpleNamespace(parent=object())))
    assert framework.generate(door) is None
    monkeypatch.setitem(sys.modules, "greenlet", SimpleNamespace(getcurrent=lambda: SimpleNamespace(parent=None)))
    assert framework.generate(door) is not None
    monkeypatch.setattr(threading, "get_ident", lambda: -1)
    assert framework.generate(door) is None


def test_a_package_is_not_another_one_that_begins_alike(framework):
    framework.__dict__["__name__"] = "frameworks"
    assert framework.generate(door) is None
    framework.__dict__["__name__"] = "framework"
    assert framework.generate(door) is not None


def test_a_turn_ends_when_it_is_said_to_be_over():
    ended, over, landing = [], [False], Landing()
    turn = Turn(end=ended.append, landing=landing)
    turn.end_when(lambda: over[0])
    landing.look()
    assert ended == []
    over[0] = True
    landing.look()
    landing.look()
    assert ended == [False]


def test_a_turn_that_leads_nothing_has_nothing_to_end():
    landing = Landing()
    Turn(landing=landing).end_when(lambda: True)
    assert landing.look is None
