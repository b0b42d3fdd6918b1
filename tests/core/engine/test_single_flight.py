"""Equal requests at the same time: one upstream call, whoever asks and however they are interrupted."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from leo_core import LEO, LEOConfig, Route, verify_receipt
from leo_core.engine.flights import Flights
from leo_core.engine.requests import make_request
from leo_core.engine.store_guard import StoreGuard
from leo_core.engine.threads import Threads
from leo_core.errors import ProviderUnavailableError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Message
from leo_core.stages.cache.config import CacheConfig
from tests.contracts.event_loop import never_blocked

QUESTION = "How many days does February have in 2028?"
ROOT = str(Path(__file__).parents[3])


def slow(**settings):
    return ScriptedModel("parrot", **{"replies": "29", "delay_s": 0.3, "cost": 0.002, **settings})


def patient(wait_s=20.0):
    return LEOConfig(cache=CacheConfig(single_flight_wait_s=wait_s))


def ask_at_once(leo, count, ask=None):
    """Answers of so many threads that begin together."""
    start = threading.Barrier(count)

    def one(_):
        start.wait()
        return (ask or (lambda: leo.ask(QUESTION)))()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_two_hundred_threads_make_one_call():
    def reply(request):
        """Not before everyone has looked into the cache in vain."""
        deadline = time.monotonic() + 100
        while leo.counts["cache.miss"] < 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        return "29"

    member = slow(replies=reply, delay_s=0.0)
    with LEO(small=member) as leo:
        answers = ask_at_once(leo, 200)
        assert member.calls == 1
        assert {answer.text for answer in answers} == {"29"}
        assert len({answer.id for answer in answers}) == len({answer.receipt.id for answer in answers}) == 200
        paid = [answer for answer in answers if answer.usage.cost_usd]
        assert len(paid) == 1
        for answer in answers:
            verify_receipt(answer.receipt, public_key=leo.public_key)
            if answer is not paid[0]:
                assert (answer.route, answer.saved.cost_usd) == (Route.CACHE, 0.002)
                assert answer.entry.receipt_id == paid[0].receipt.id
        assert sum("meanwhile" in answer.cache.why for answer in answers) == 199


async def test_two_hundred_tasks_make_one_call_and_never_block_the_loop():
    member = slow()
    leo = LEO(small=member)
    await leo.aask("warm everything up")
    with never_blocked():
        answers = await asyncio.gather(*(leo.aask(QUESTION) for _ in range(200)))
    assert member.calls == 2
    assert {answer.text for answer in answers} == {"29"}
    assert sum(answer.usage.calls for answer in answers) == 1
    await asyncio.to_thread(leo.close)


def test_the_promise_counts_every_request_once():
    member = slow()
    with LEO(small=member) as leo:
        ask_at_once(leo, 20)
        leo.flush()
        assert leo._world.knowledge.recall("default", None).promise.requests == 20


def test_threads_and_event_loops_share_a_call():
    member = slow(delay_s=0.6)
    with LEO(small=member) as leo:

        def loop():
            async def both():
                return await asyncio.gather(leo.aask(QUESTION), leo.aask(QUESTION))

            return asyncio.run(both())

        with ThreadPoolExecutor(4) as pool:
            loops = [pool.submit(loop) for _ in range(2)]
            threads = [pool.submit(leo.ask, QUESTION) for _ in range(2)]
            texts = [answer.text for each in loops for answer in each.result()] + [t.result().text for t in threads]
        assert texts == ["29"] * 6
        assert member.calls == 1


def test_streams_share_a_call_and_get_the_whole_answer():
    member = slow(replies="It has 29 days, since 2028 is a leap year.")
    with LEO(small=member) as leo:

        def stream():
            return "".join(chunk.text for chunk in leo.stream(QUESTION))

        texts = ask_at_once(leo, 8, stream)
        assert set(texts) == {"It has 29 days, since 2028 is a leap year."}
        assert member.calls == 1


async def test_async_streams_share_a_call():
    member = slow()
    leo = LEO(small=member)

    async def stream():
        return "".join([chunk.text async for chunk in leo.astream(QUESTION)])

    assert await asyncio.gather(*(stream() for _ in range(8))) == ["29"] * 8
    assert member.calls == 1
    await asyncio.to_thread(leo.close)


@pytest.mark.parametrize(
    "settings", [{"cache": False}, {"max_cost_usd": 1.0}, {"tenant": "acme"}, {"tenant": "globex"}]
)
def test_what_is_not_equal_is_not_shared(settings):
    member = slow()
    with LEO(small=member) as leo, ThreadPoolExecutor(2) as pool:
        first = pool.submit(leo.ask, QUESTION)
        second = pool.submit(leo.ask, QUESTION, **settings)
        assert {first.result().route, second.result().route} == {Route.SMALL}
        assert member.calls == 2


def test_it_can_be_switched_off():
    member = slow()
    with LEO(small=member, config=patient(0.0)) as leo:
        ask_at_once(leo, 3)
        assert member.calls == 3


def test_a_failed_leader_does_not_poison_its_followers():
    """The first call fails; of those who waited for it one asks, and the others get its answer."""
    member = slow(fail=[ProviderUnavailableError("gone", provider="scripted", model="parrot"), None])
    outcomes = []
    with LEO(small=member) as leo:

        def ask():
            try:
                outcomes.append(leo.ask(QUESTION).text)
            except Exception as error:
                outcomes.append(type(error).__name__)

        ask_at_once(leo, 10, ask)
    assert sorted(outcomes) == ["29"] * 9 + ["ProviderUnavailableError"]
    assert member.calls == 2


def test_an_answer_that_is_not_kept_sends_everyone_their_own_way():
    """What was cut off cannot be served again: nobody waits twice."""
    cut = slow(replies=lambda request: cut_off(), delay_s=0.4)
    with LEO(small=cut) as leo:
        started = time.monotonic()
        ask_at_once(leo, 4)
        assert cut.calls == 4
        assert time.monotonic() - started < 4 * 0.4 + 1.0


def cut_off():
    from leo_core.records import Draft, Usage

    message = Message(role="assistant", content="It has tw")
    return Draft(member="parrot", model="parrot", message=message, usage=Usage(calls=1), finish_reason="length")


async def test_a_waiting_caller_who_gives_up_disturbs_nobody():
    member = slow(delay_s=0.5)
    leo = LEO(small=member)
    leader = asyncio.create_task(leo.aask(QUESTION))
    await until(lambda: member.calls == 1)
    follower, patient_one = asyncio.create_task(leo.aask(QUESTION)), asyncio.create_task(leo.aask(QUESTION))
    await asyncio.sleep(0.1)
    follower.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follower
    assert (await leader).text == (await patient_one).text == "29"
    assert member.calls == 1
    await asyncio.to_thread(leo.close)


async def test_a_cancelled_leader_hands_over():
    member = slow(delay_s=0.5)
    leo = LEO(small=member)
    leader = asyncio.create_task(leo.aask(QUESTION))
    await until(lambda: member.calls == 1)
    followers = [asyncio.create_task(leo.aask(QUESTION)) for _ in range(5)]
    await asyncio.sleep(0.1)
    leader.cancel()
    assert [answer.text for answer in await asyncio.gather(*followers)] == ["29"] * 5
    assert member.calls == 2
    await asyncio.to_thread(leo.close)


async def test_a_stream_left_early_hands_over():
    member = slow(replies="one two three four", delay_s=0.2)
    leo = LEO(small=member)
    chunks = leo.astream(QUESTION)
    async for chunk in chunks:
        assert chunk.text
        break
    follower = asyncio.create_task(leo.aask(QUESTION))
    await asyncio.sleep(0.1)
    await chunks.aclose()
    assert (await follower).text == "one two three four"
    assert member.calls == 2
    await asyncio.to_thread(leo.close)


def test_nobody_waits_longer_than_allowed():
    member = slow(delay_s=1.0)
    with LEO(small=member, config=patient(0.2)) as leo:
        answers = ask_at_once(leo, 2)
        assert [answer.text for answer in answers] == ["29", "29"]
        assert member.calls == 2


def test_a_request_that_asks_itself_again_does_not_wait_for_itself():
    calls = []

    def inner(request):
        calls.append(request)
        return leo.ask(QUESTION).message if len(calls) == 1 else "29"

    member = ScriptedModel("parrot", replies=inner)
    with LEO(small=member, config=patient(60.0)) as leo:
        started = time.monotonic()
        assert leo.ask(QUESTION).text == "29"
        assert time.monotonic() - started < 20.0
    assert member.calls == 2


async def test_a_blocking_call_on_the_event_loop_does_not_wait_for_a_task_of_it():
    member = slow(delay_s=0.3)
    leo = LEO(small=member, config=patient(60.0))
    leader = asyncio.create_task(leo.aask(QUESTION))
    await until(lambda: member.calls == 1)
    started = time.monotonic()
    assert leo.ask(QUESTION).text == "29"  # blocks the loop, so the leader cannot go on
    assert time.monotonic() - started < 20.0
    assert (await leader).text == "29"
    await asyncio.to_thread(leo.close)


async def test_a_full_pool_of_waiting_threads_does_not_starve_the_leader():
    """Blocking calls in the loop's own threads wait for a task that needs such a thread to write its receipt."""
    member = slow(delay_s=0.4)
    leo = LEO(small=member, config=patient(60.0))
    await leo.aask("warm everything up")
    started = time.monotonic()
    leader = asyncio.create_task(leo.aask(QUESTION))
    await until(lambda: member.calls == 2)
    blocking = [asyncio.to_thread(leo.ask, QUESTION) for _ in range(64)]
    answers = await asyncio.gather(leader, *blocking)
    assert {answer.text for answer in answers} == {"29"}
    assert time.monotonic() - started < 30.0
    await asyncio.to_thread(leo.close)


async def until(condition):
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it never happened")


@pytest.mark.parametrize("promised", [True, False])
def test_a_look_up_in_between_ends_only_what_was_not_promised_to_be_ended(promised):
    """A query engine that is cached asks a model that is cached, in the same thread."""
    outer, inner = make_request("What do dogs cost?"), make_request("A prompt of the model inside")
    with LEO(config=patient()) as leo:
        leo.cache.lookup(outer, promised=promised)
        waiting = in_new_context(lambda: leo.cache.lookup(outer))
        time.sleep(0.1)
        leo.cache.lookup(inner)
        leo.cache.update(inner, Message(role="assistant", content="a step on the way"))
        time.sleep(0.1)
        assert waiting.done() is not promised
        leo.cache.update(outer, Message(role="assistant", content="Nothing."))
        assert waiting.result()[0].hit is promised


async def test_a_task_that_breaks_its_promise_keeps_others_waiting_no_longer_than_it_lives():
    request = make_request("What do dogs cost?")
    leo = LEO(config=patient())
    await asyncio.create_task(leo.cache.alookup(request, promised=True))
    started = time.monotonic()
    decision, _ = await leo.cache.alookup(request)
    assert not decision.hit
    assert time.monotonic() - started < 5.0
    await asyncio.to_thread(leo.close)


# ------------------------------------------------------------------------------------------------ between processes

SCRIPT = f"""
import os, sys, threading
sys.path.insert(0, {ROOT!r})
from concurrent.futures import ThreadPoolExecutor
from leo_core import LEO, LEOConfig
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.cache.config import CacheConfig
store, calls = sys.argv[1:3]
delay_s, wait_s, count = map(float, sys.argv[3:6])
def reply(request):
    note = os.open(calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(note, b"call\\n")
    os.close(note)
    return "29" if "2028" in request.question else "warm"
def say(text):
    os.write(1, (text + "\\n").encode())
member = ScriptedModel("parrot", replies=reply, delay_s=delay_s, cost=0.002)
leo = LEO(small=member, store=store, config=LEOConfig(cache=CacheConfig(single_flight_wait_s=wait_s)))
leo.warm_up()
say("ready")
sys.stdin.readline()
with ThreadPoolExecutor(int(count)) as pool:
    for answer in pool.map(lambda _: leo.ask("{QUESTION}"), range(int(count))):
        say(answer.text)
leo.close()
"""


def start(store, calls, *, delay_s=0.0, wait_s=20.0, count=1):
    arguments = [str(each) for each in (store, calls, delay_s, wait_s, count)]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def end(process):
    try:
        out, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    return out.split()


def test_two_processes_of_twenty_threads_make_one_call(tmp_path):
    store, calls = tmp_path / "leo.db", tmp_path / "calls"
    processes = [start(store, calls, delay_s=0.5, count=20) for _ in range(2)]
    for process in processes:
        go(process)
    assert [end(process) for process in processes] == [["29"] * 20] * 2
    assert calls.read_text().split() == ["call"]


def test_a_killed_leader_frees_the_others_when_its_lease_expires(tmp_path):
    store, calls = tmp_path / "leo.db", tmp_path / "calls"
    leader = start(store, calls, delay_s=60.0, wait_s=3.0)
    follower = start(store, calls, wait_s=3.0)
    go(leader)
    deadline = time.monotonic() + 60
    while not calls.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert calls.read_text().split() == ["call"], "it holds its lease and waits for its model"
    leader.send_signal(signal.SIGKILL)
    leader.wait()
    for pipe in (leader.stdin, leader.stdout):
        pipe.close()
    go(follower)
    assert end(follower) == ["29"]
    assert calls.read_text().split() == ["call", "call"]


# ---------------------------------------------------------------------------------------------------- the table


def test_a_lease_that_cannot_be_had_does_not_stop_anyone():
    class Broken:
        def acquire_lease(self, name, owner, *, now, life_s):
            raise OSError("gone")

        def release_lease(self, name, owner):
            raise OSError("gone")

    failures = []
    guard = StoreGuard(lambda operation, error: failures.append(operation))
    flights = Flights(
        wait_s=10.0, guard=guard, submit=lambda job: bool(job()) or True, threads=Threads(), leases=Broken()
    )
    with flights.join("key") as turn:
        assert turn.leads
        assert not turn.waited
    assert failures == ["acquire_lease", "release_lease"]


def make_flights(wait_s=10.0):
    return Flights(wait_s=wait_s, guard=StoreGuard(lambda *_: None), submit=lambda job: True, threads=Threads())


def in_new_context(do):
    """Start it in a thread that knows nothing of the turns of this one."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(contextvars.Context().run, do)
    pool.shutdown(wait=False)
    return future


def test_one_of_many_takes_over_from_a_leader_that_never_ends():
    flights = make_flights(wait_s=2.0)  # long enough for all to be waiting before it is over
    lost = in_new_context(lambda: flights.join("key")).result()
    taken = []

    def follow():
        turn = flights.join("key")
        if turn.leads:
            taken.append(turn)
            time.sleep(0.3)  # meanwhile the others find that somebody leads
            turn.end(landed=True)
        return turn.waited

    assert all(future.result() for future in [in_new_context(follow) for _ in range(6)])
    assert len(taken) == 1
    lost.end(landed=True)
    with flights.join("key") as turn:
        assert turn.leads, "what ended late left nothing behind"


def test_a_late_leader_does_not_end_the_turn_of_the_one_that_took_over():
    flights = make_flights(wait_s=0.2)
    late = in_new_context(lambda: flights.join("key")).result()
    second = in_new_context(lambda: flights.join("key")).result()
    assert second.leads
    late.end(landed=False)
    third = in_new_context(lambda: flights.join("key", wait_s=0.0)).result()
    assert not third.leads
    second.end(landed=True)


def test_after_two_failed_leaders_a_follower_goes_its_own_way():
    flights = make_flights(wait_s=60.0)
    first = in_new_context(lambda: flights.join("key")).result()
    second, third = (in_new_context(lambda: flights.join("key")) for _ in range(2))
    time.sleep(0.2)
    first.end(landed=False)
    waiting = [second, third]
    while not any(future.done() for future in waiting):
        time.sleep(0.01)
    leads = next(future for future in waiting if future.done()).result()
    assert leads.leads
    leads.end(landed=False)
    assert all(future.result().waited for future in waiting)


def test_who_holds_a_turn_waits_for_no_other():
    flights = make_flights(wait_s=60.0)
    other = in_new_context(lambda: flights.join("other")).result()
    started = time.monotonic()
    with flights.join("mine"):
        assert not flights.join("other").leads
        child = contextvars.copy_context()
        with ThreadPoolExecutor(1) as pool:
            assert not pool.submit(child.run, flights.join, "other").result().leads
    assert time.monotonic() - started < 30.0
    other.end(landed=True)


def test_members_of_a_committee_that_ask_the_same_do_not_wait_for_themselves():
    """They run in threads of their own, which know of the turn by their context."""

    def nested(request):
        return leo.ask(QUESTION, route=Route.CONSENSUS).message if len(deep) < 1 and not deep.append(1) else "29"

    deep = []
    jury = [ScriptedModel("a", replies=nested), ScriptedModel("b", replies="29")]
    with LEO(jury=jury, config=patient(60.0)) as leo:
        started = time.monotonic()
        assert leo.ask(QUESTION, route=Route.CONSENSUS).text == "29"
        assert time.monotonic() - started < 30.0


def test_waiting_for_an_equal_request_is_not_counted_as_own_time():
    member = slow(delay_s=1.0)
    with LEO(small=member) as leo:
        answers = ask_at_once(leo, 2)
        (served,) = [answer for answer in answers if answer.route is Route.CACHE]
        assert served.latency_s >= served.waited_s > 0.0
        assert served.own_s == pytest.approx(served.latency_s - served.waited_s)


def test_a_waiter_whose_event_loop_is_gone_disturbs_nobody(caplog):
    flights = make_flights(wait_s=60.0)
    leader = in_new_context(lambda: flights.join("key")).result()

    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flights.ajoin("key"), 0.05)

    asyncio.run(give_up())
    follower = in_new_context(lambda: flights.join("key"))
    time.sleep(0.1)
    leader.end(landed=True)
    assert follower.result().waited
    assert caplog.records == []


def test_flights_that_are_over_are_swept_out():
    flights = make_flights(wait_s=0.001)
    for number in range(3000):
        in_this = contextvars.Context()
        in_this.run(flights.join, f"{number}")
    assert len(flights._flights) < 2500


def test_ending_a_turn_twice_ends_it_once():
    flights = make_flights()
    first = flights.join("key")
    first.end(landed=True)
    second = flights.join("key")
    first.end(landed=False)
    assert second.leads
    second.end(landed=True)


def test_wait_is_checked():
    with pytest.raises(Exception, match="single_flight_wait_s"):
        replace(CacheConfig(), single_flight_wait_s=-1.0)
