"""A request with an idempotency key is answered once, whenever it is asked again and wherever it was cut off."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from leo_core import LEO, LEOConfig, Route, verify_receipt
from leo_core.errors import (
    InProgressError,
    ProviderUnavailableError,
    RequestError,
    StorageError,
    StoreCorruptError,
    StoreFullError,
)
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Message, ToolCall
from leo_core.stages.cache.config import CacheConfig
from leo_core.stages.receipt.config import ReceiptConfig

QUESTION = "How many days does February have in 2028?"
NO_CACHE = LEOConfig(cache=CacheConfig(enabled=False))


def parrot(**settings):
    return ScriptedModel("parrot", **{"replies": lambda request: request.question, "cost": 0.002, **settings})


@pytest.mark.parametrize("store", [":memory:", "leo.db"])
def test_asked_again_it_is_the_same_answer_and_receipt(tmp_path, store):
    member = parrot()
    with LEO(small=member, store=store if store == ":memory:" else tmp_path / store, config=NO_CACHE) as leo:
        first = leo.ask(QUESTION, idempotency_key="order-17")
        again = leo.ask(QUESTION, idempotency_key="order-17")
        other = leo.ask(QUESTION, idempotency_key="order-18")
        assert member.calls == 2
        assert (again.id, again.text, again.route, again.members) == (first.id, first.text, Route.SMALL, first.members)
        assert again.receipt.id == first.receipt.id != other.receipt.id
        assert (first.replayed, again.replayed) == (False, True)
        assert (first.usage.cost_usd, again.usage.calls, again.saved.cost_usd) == (0.002, 0, 0.002)
        verify_receipt(again.receipt, public_key=leo.public_key)
        assert leo.log.audit() == 2
        assert leo.explain(again.id) == leo.explain(first)


def test_another_process_gives_the_same_answer(tmp_path):
    with LEO(small=parrot(), store=tmp_path / "leo.db") as leo:
        first = leo.ask(QUESTION, idempotency_key="order-17", tenant="acme")
    member = parrot()
    with LEO(small=member, store=tmp_path / "leo.db") as leo:
        again = leo.ask(QUESTION, idempotency_key="order-17", tenant="acme")
        assert (member.calls, again.id, again.receipt.id) == (0, first.id, first.receipt.id)
        elsewhere = leo.ask(QUESTION, idempotency_key="order-17", tenant="other")
        assert (member.calls, elsewhere.replayed) == (1, False)


async def test_the_asynchronous_and_the_streaming_twins():
    member = parrot()
    leo = LEO(small=member, config=NO_CACHE)
    first = await leo.aask(QUESTION, idempotency_key="order-17")
    chunks = [chunk async for chunk in leo.astream(QUESTION, idempotency_key="order-17")]
    assert "".join(chunk.text for chunk in chunks) == first.text
    assert chunks[-1].answer.receipt.id == first.receipt.id
    streamed = await asyncio.to_thread(lambda: list(leo.stream(QUESTION, idempotency_key="order-17")))
    assert "".join(chunk.text for chunk in streamed) == first.text
    assert member.calls == 1
    await asyncio.to_thread(leo.close)


def test_at_the_same_time_one_is_answered_and_the_others_wait():
    member = parrot(delay_s=0.3)
    with LEO(small=member, config=NO_CACHE) as leo:
        start = threading.Barrier(20)

        def one(_):
            start.wait()
            return leo.ask(QUESTION, idempotency_key="order-17")

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(one, range(20)))
        assert member.calls == 1
        assert len({answer.receipt.id for answer in answers}) == 1
        assert sum(answer.usage.calls for answer in answers) == 1


def test_still_in_progress_after_the_wait_is_an_error():
    going, go_on = threading.Event(), threading.Event()

    def reply(_):
        going.set()
        go_on.wait(60)
        return "29"

    with LEO(small=parrot(replies=reply)) as leo, ThreadPoolExecutor(1) as pool:
        first = pool.submit(leo.ask, QUESTION, idempotency_key="order-17", max_latency_s=90.0)
        assert going.wait(60)
        try:
            other = LEOConfig(cache=CacheConfig(single_flight_wait_s=0.2))
            leo._world.flights._wait_s = other.cache.single_flight_wait_s
            with pytest.raises(InProgressError, match="still being answered"):
                leo.ask(QUESTION, idempotency_key="order-17", max_latency_s=90.0)
        finally:
            go_on.set()
        assert first.result().text == "29"


@pytest.mark.parametrize(
    "changed", [{"prompt": "And in 2027?"}, {"max_error": 0.5}, {"temperature": 0.5}, {"cache": False}]
)
def test_a_key_of_another_request_is_refused(changed):
    member = parrot()
    with LEO(small=member) as leo:
        leo.ask(QUESTION, idempotency_key="order-17")
        settings = dict(changed)
        with pytest.raises(RequestError, match="another request"):
            leo.ask(settings.pop("prompt", QUESTION), idempotency_key="order-17", **settings)
        assert member.calls == 1


@pytest.mark.parametrize("key", ["", "k" * 256, 17, "\ud800"])
def test_an_unusable_key_is_refused(key):
    with LEO(small=parrot()) as leo, pytest.raises(RequestError, match="idempotency_key"):
        leo.ask(QUESTION, idempotency_key=key)


def test_what_failed_may_be_asked_again():
    fails = iter([True, False])

    def reply(_):
        if next(fails):
            raise ProviderUnavailableError("gone", provider="test", model="parrot")
        return "29"

    member = parrot(replies=reply)
    with LEO(small=member) as leo:
        with pytest.raises(ProviderUnavailableError):
            leo.ask(QUESTION, idempotency_key="order-17")
        answer = leo.ask(QUESTION, idempotency_key="order-17")
        assert (answer.text, answer.replayed, leo.counts.get("journal.cut_off", 0)) == ("29", False, 0)


def test_without_receipts_the_answer_is_kept_too():
    member = parrot()
    config = replace(NO_CACHE, receipts=ReceiptConfig(enabled=False))
    with LEO(small=member, config=config) as leo:
        first, again = (leo.ask(QUESTION, idempotency_key="order-17") for _ in range(2))
        assert (member.calls, again.id, again.receipt) == (1, first.id, None)


def test_tool_calls_come_again_as_they_were():
    call = ToolCall(id="c1", name="add", arguments={"a": [1, {"b": None}]})
    member = parrot(replies=lambda _: Message(role="assistant", tool_calls=(call,)))
    tools = ({"name": "add", "description": "", "parameters": {"type": "object"}},)
    with LEO(small=member) as leo:
        first, again = (leo.ask(QUESTION, tools=tools, idempotency_key="order-17") for _ in range(2))
        assert (member.calls, again.message) == (1, first.message)


def test_a_key_is_forgotten_after_its_time():
    clock = [1_000_000.0]

    class Clock:
        def now(self):
            return clock[0]

        def monotonic(self):
            return clock[0]

    member = parrot()
    with LEO(small=member, config=replace(NO_CACHE, idempotency_ttl_s=3600.0), clock=Clock()) as leo:
        leo.ask(QUESTION, idempotency_key="order-17")
        leo.ask(QUESTION, idempotency_key="order-19")
        clock[0] += 3600.0
        assert leo.ask(QUESTION, idempotency_key="order-17").replayed
        clock[0] += 1.0
        assert leo.ask("Another question?", idempotency_key="order-17").text == "Another question?"
        leo.ask(QUESTION, idempotency_key="order-18")
        assert leo._world.journal.find("default", "order-19") is None, "the old ones go when a new one begins"
        assert member.calls == 4


def test_an_altered_answer_is_not_given(tmp_path):
    with LEO(small=parrot(), store=tmp_path / "leo.db") as leo:
        leo.ask(QUESTION, idempotency_key="order-17")
        known = leo._world.journal.find("default", "order-17")
        leo._world.journal.keep("default", "order-17", known.result.replace("February", "January"))
        with pytest.raises(StoreCorruptError, match="commits to"):
            leo.ask(QUESTION, idempotency_key="order-17")
        assert leo.counts["journal.altered"] == 1
        leo._world.journal.keep("default", "order-17", "{}")
        with pytest.raises(StoreCorruptError, match="cannot be read"):
            leo.ask(QUESTION, idempotency_key="order-17")


def test_a_journal_that_fails_before_the_call_spends_nothing(monkeypatch):
    member = parrot()
    with LEO(small=member) as leo:

        def full(*_):
            raise StoreFullError("no space left")

        monkeypatch.setattr(leo._world.journal, "begin", full)
        with pytest.raises(StorageError, match="no space"):
            leo.ask(QUESTION, idempotency_key="order-17")
        assert member.calls == 0
        assert leo.ask(QUESTION).text == QUESTION


def test_a_journal_that_fails_after_the_call_costs_no_answer(monkeypatch):
    with LEO(small=parrot()) as leo:

        def full(*_):
            raise StoreFullError("no space left")

        monkeypatch.setattr(leo._world.journal, "keep", full)
        answer = leo.ask(QUESTION, idempotency_key="order-17")
        assert answer.text == QUESTION
        assert leo.counts["journal.failed"] == 1
        verify_receipt(answer.receipt, public_key=leo.public_key)


CALLS = {"in the call": 2, "before the result": 2}
"""Where the first call may have been paid and nobody knows its answer; everywhere else one call is made in all."""
GIVEN_AGAIN = ("before the append", "in the checkpoint", "after the append", "after all")


def test_cut_off_anywhere_it_is_answered_once_with_one_receipt(tmp_path):
    harness = Path(__file__).with_name("cutting.py")
    done = subprocess.run([sys.executable, harness, tmp_path], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    lives = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lives) == 8
    for life in lives:
        point = life["point"]
        assert (life["killed"], life["ended"]) == (-9, 0), life
        assert life["calls"] == CALLS.get(point, 1), point
        assert life["texts"] == ["29", "29"]
        assert (life["ids"], life["receipt_ids"], life["receipts"]) == (1, 1, 1), point
        assert life["replayed"] == [point in GIVEN_AGAIN, True], point
        assert life["receipts_at_start"] == (point in GIVEN_AGAIN), point
        assert life["costs"][1] in (0.0, None), point
        assert life["cut_off"] == (point in ("after the intent", "in the call", "before the result")), point
