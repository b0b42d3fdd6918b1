"""An outage of a Chroma server costs the hit and never the answer: killed, hanging, and back again."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

from leo_core import LEO, Route
from leo_core.providers.scripted import ScriptedModel
from leo_core.storage.chroma import ChromaStore
from tests.contracts.event_loop import never_blocked
from tests.servers.chroma_server import ChromaServer

QUESTION = "How many days does February have in 2028?"
SOON_S = 120.0


@pytest.fixture(scope="module")
def server():
    server = ChromaServer()
    yield server
    server.close()


@pytest.fixture
def leo(server):
    server.start()
    store = ChromaStore(server.new_address(timeout_ms=60_000), write_timeout_s=60.0)
    with LEO(small=ScriptedModel("parrot", replies="The answer is 29."), store=store) as leo:
        leo._world.guard._rest_s = 0.2
        yield leo


def make_impatient(leo):
    store = leo._world.store.inner
    store._timeout_s, store._write_timeout_s = 0.25, 0.5


def make_patient(leo):
    store = leo._world.store.inner
    store._timeout_s = store._write_timeout_s = 60.0


def wait_for_a_hit(leo, question=QUESTION):
    deadline = time.monotonic() + SOON_S
    while time.monotonic() < deadline:
        if leo.ask(question).route is Route.CACHE:
            return True
        time.sleep(0.1)
    return False


def test_killed_in_the_middle_of_traffic_and_started_again(server, leo, caplog):
    caplog.set_level(logging.WARNING, logger="leo_core")
    assert leo.ask(QUESTION).route is Route.SMALL
    leo.flush()
    assert leo.ask(QUESTION).route is Route.CACHE
    answers, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            answers.append(leo.ask(QUESTION))

    traffic = [threading.Thread(target=ask) for _ in range(3)]
    for thread in traffic:
        thread.start()
    try:
        server.kill()
        before = len(answers)
        while len(answers) < before + 20:
            time.sleep(0.01)
    finally:
        stop.set()
        for thread in traffic:
            thread.join()
    assert {answer.text for answer in answers} == {"The answer is 29."}
    leo._world.background.flush()  # an answer on its way to the store is served from here
    assert leo.ask(QUESTION).route is Route.SMALL
    leo.ask("What is the capital of Peru?")
    leo._world.background.flush()
    guard = leo._world.guard
    assert leo.counts["store.failed"] == guard.failures >= 3
    assert guard.skipped > 0
    assert guard.outages == 1
    assert len(leo._world.writes) > 0

    server.start()
    assert wait_for_a_hit(leo)
    leo.flush()
    assert wait_for_a_hit(leo, "What is the capital of Peru?")  # written after the outage
    assert len(leo._world.writes) == 0
    assert leo.counts.get("store.recovered", 0) == 1
    assert leo.counts.get("store.dropped", 0) == 0
    told = [record.getMessage() for record in caplog.records if "store" in record.getMessage()]
    assert [text.split(" at ")[0].split(";")[0] for text in told] == ["the store failed", "the store works again"]


async def test_a_server_that_hangs_holds_nobody_and_never_the_loop(server, leo):
    await leo.aask(QUESTION)
    await asyncio.to_thread(leo.flush)
    assert (await leo.aask(QUESTION)).route is Route.CACHE
    make_impatient(leo)
    server.hang()
    try:
        with never_blocked():
            answers = await asyncio.gather(*(leo.aask(QUESTION) for _ in range(12)))
            answers += [await leo.aask(QUESTION) for _ in range(3)]
    finally:
        server.go_on()
    assert {answer.text for answer in answers} == {"The answer is 29."}
    assert leo._world.guard.failures >= 3
    make_patient(leo)
    assert await asyncio.to_thread(wait_for_a_hit, leo)


def test_an_answer_called_wrong_in_an_outage_is_never_served_again(server, leo):
    answer = leo.ask(QUESTION)
    leo.flush()
    kept = leo.ask(QUESTION)
    assert kept.route is Route.CACHE
    server.kill()
    leo.feedback(kept, wrong=True)
    server.start()
    while leo.counts.get("store.recovered", 0) == 0:
        leo.ask("Something else entirely?")
        time.sleep(0.05)
    leo.flush()
    assert [each for each in leo._world.store.inner.entries("default") if each.entry.id == answer.id] == []


def test_a_server_that_is_not_there_at_the_start_is_used_when_it_comes(server):
    server.kill()
    store = ChromaStore(server.new_address(), write_timeout_s=60.0)
    with LEO(small=ScriptedModel("parrot", replies="The answer is 29."), store=store) as leo:
        leo._world.guard._rest_s = 0.2
        assert leo.ask(QUESTION).text == "The answer is 29."
        server.start()
        assert wait_for_a_hit(leo)
