"""Following requests: which spans begin and end, whatever a tracer does."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from leo_core import LEO, LEOConfig
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Answer, Draft
from leo_core.stages.cache.config import CacheConfig
from leo_core.telemetry.tracer import Span

QUESTION = "How many days does February have in 2028?"


class Clock:
    """A clock that is set by hand."""

    time = 1_800_000_000.0

    def now(self):
        return self.time

    def monotonic(self):
        return self.time


class Watching:
    """A tracer that writes down how everything ends."""

    def __init__(self):
        self.ends = []

    def notify(self, event):
        pass

    def begin_request(self, request, *, stream):
        return _Kept(self, "request")


class _Kept(Span):
    def __init__(self, home, name):
        self.home, self.name = home, name

    def begin_call(self, model, request, *, stream):
        return _Kept(self.home, model.id)

    def end(self, outcome):
        self.home.ends.append((self.name, outcome))


class Broken(Watching):
    """A tracer whose every step fails, in turn."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def begin_request(self, request, *, stream):
        if self.step == "begin_request":
            raise RuntimeError("tracer bug")
        return _Failing(self.step)


class _Failing(Span):
    def __init__(self, step):
        self.step = step

    def _may_fail(self, step):
        if self.step == step:
            raise RuntimeError("tracer bug")

    @contextlib.contextmanager
    def active(self):
        self._may_fail("enter")
        yield
        self._may_fail("leave")

    def begin_call(self, model, request, *, stream):
        self._may_fail("begin_call")
        return self

    def first_chunk(self):
        self._may_fail("first_chunk")

    def end(self, outcome):
        self._may_fail("end")


@pytest.mark.parametrize("step", ["begin_request", "begin_call", "enter", "leave", "first_chunk", "end"])
async def test_a_tracer_that_fails_disturbs_neither_the_answer_nor_other_tracers(step, caplog):
    watching = Watching()
    with LEO(small=ScriptedModel("small", "29."), listeners=[Broken(step), watching]) as leo:
        assert leo.ask(QUESTION, cache=False).text == "29."
        assert (await leo.aask(QUESTION, cache=False)).text == "29."
        assert "".join(chunk.text for chunk in leo.stream(QUESTION, cache=False)) == "29."
        assert "".join([chunk.text async for chunk in leo.astream(QUESTION, cache=False)]) == "29."
    assert [(name, type(outcome)) for name, outcome in watching.ends] == [("small", Draft), ("request", Answer)] * 4
    assert "the tracer" in caplog.text


async def test_a_cancelled_request_ends_its_spans():
    watching, asked = Watching(), asyncio.Event()
    small = ScriptedModel("small", replies=lambda _: asked.set() or "29.", delay_s=30.0)
    with LEO(small=small, listeners=[watching]) as leo:
        task = asyncio.create_task(leo.aask(QUESTION))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [(name, type(outcome)) for name, outcome in watching.ends] == [
        ("small", asyncio.CancelledError),
        ("request", asyncio.CancelledError),
    ]


def test_a_call_in_the_background_belongs_to_the_request_that_brought_it():
    watching, clock = Watching(), Clock()
    config = LEOConfig(cache=CacheConfig(ttl_s=60.0, stale_s=3600.0))
    with LEO(small=ScriptedModel("small", "29."), config=config, listeners=[watching], clock=clock) as leo:
        leo.ask(QUESTION)
        leo.flush()
        clock.time += 120.0
        assert leo.ask(QUESTION).cache.stale
        leo.flush()
    assert sorted(name for name, _ in watching.ends) == ["request", "request", "small", "small"]


def test_without_a_tracer_a_request_carries_nothing():
    seen = []
    small = ScriptedModel("small", replies=lambda request: str(seen.append(request.trace)))
    with LEO(small=small) as leo:
        leo.ask(QUESTION)
    assert seen == [None]
