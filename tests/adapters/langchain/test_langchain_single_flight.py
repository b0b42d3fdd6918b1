"""Equal prompts at the same time: one upstream call, through LEOCache behind LangChain's models and LEOChatModel."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai as openai_sdk
import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.llms import LLM
from langchain_core.outputs import Generation
from pydantic import Field

from leo_core import LEOConfig
from leo_core.stages.cache.config import CacheConfig
from leo_langchain import LEOCache, LEOChatModel, tenant
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.contracts.event_loop import never_blocked
from tests.servers.brain import Asked, Reply
from tests.servers.loopback import WireError
from tests.servers.openai_server import OpenAIServer

QUESTION = "How many days does February have in 2028?"
PATIENCE_S = 120.0
ROOT = str(Path(__file__).parents[3])


class Crowd:
    """A provider that answers when so many have looked into the cache in vain, and may fail first."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.asked = 0
        self.crowd: Callable[[], bool] = lambda: True
        self.lock = threading.Lock()

    def __call__(self, asked: Asked) -> Reply:
        with self.lock:
            self.asked += 1
            number = self.asked
        until(self.crowd)
        if number <= self.failures:
            raise WireError("The server had an error.", status=500)
        return Reply(text="It has 29 days.")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


@pytest.fixture
def server(crowd: Crowd) -> Iterator[OpenAIServer]:
    with OpenAIServer(crowd) as server:
        yield server


@pytest.fixture
def cache() -> Iterator[LEOCache]:
    with LEOCache(single_flight_wait_s=PATIENCE_S) as cache:
        cache.leo.warm_up()
        set_llm_cache(cache)
        yield cache


@pytest.fixture
def model(server: OpenAIServer) -> Iterator[LEOChatModel]:
    config = LEOConfig(cache=CacheConfig(single_flight_wait_s=PATIENCE_S))
    with LEOChatModel(small=chat_openai(server.base_url), config=config) as model:
        model.leo.warm_up()
        yield model


def misses(counts: Callable[[], dict[str, int]], count: int) -> Callable[[], bool]:
    return lambda: counts().get("cache.miss", 0) >= count


def at_once(count: int, do: Callable[[], Any]) -> list[Any]:
    """What so many threads of their own got that began together: a result, or an error."""
    start = threading.Barrier(count)

    def one(_: int) -> Any:
        start.wait()
        try:
            return do()
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


# ----------------------------------------------------------------------------------------------- two hundred at once


def test_two_hundred_threads_through_the_cache(cache: LEOCache, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.crowd = misses(lambda: cache.counts, 200)
    llm = chat_openai(server.base_url)
    messages = at_once(200, lambda: llm.invoke(QUESTION))
    assert len(server.requests) == 1
    assert {message.text for message in messages} == {"It has 29 days."}
    assert len({message.id for message in messages}) == 200
    spent = [message.usage_metadata["total_tokens"] for message in messages]
    assert sum(tokens > 0 for tokens in spent) == 1, "one paid, and every other says what it saved"
    hits = [message.response_metadata["leo"] for message in messages if hit(message)]
    assert [fact["saved_usage"]["total_tokens"] for fact in hits] == [max(spent)] * 199


def hit(message: Any) -> bool:
    return "leo" in message.response_metadata


async def test_two_hundred_tasks_through_the_cache(cache: LEOCache, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.crowd = misses(lambda: cache.counts, 200)
    llm = chat_openai(server.base_url)
    with never_blocked("leo_core"):
        messages = await asyncio.gather(*(llm.ainvoke(QUESTION) for _ in range(200)))
    assert len(server.requests) == 1
    assert {message.text for message in messages} == {"It has 29 days."}
    assert sum(hit(message) for message in messages) == 199


def test_two_hundred_threads_through_the_model(model: LEOChatModel, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.crowd = misses(lambda: model.leo.counts, 200)
    messages = at_once(200, lambda: model.invoke(QUESTION))
    assert len(server.requests) == 1
    facts = [message.response_metadata["leo"] for message in messages]
    assert len({fact["answer_id"] for fact in facts}) == len({fact["receipt"] for fact in facts}) == 200
    assert sum(fact["route"] == "cache" for fact in facts) == 199
    assert sum(message.usage_metadata["total_tokens"] > 0 for message in messages) == 1


async def test_two_hundred_tasks_through_the_model(model: LEOChatModel, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.crowd = misses(lambda: model.leo.counts, 200)
    messages = await asyncio.gather(*(model.ainvoke(QUESTION) for _ in range(200)))
    assert len(server.requests) == 1
    assert sum(message.response_metadata["leo"]["route"] == "cache" for message in messages) == 199


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_batch_of_equal_prompts(cache: LEOCache, crowd: Crowd, server: OpenAIServer, workers: int) -> None:
    crowd.crowd = misses(lambda: cache.counts, workers)
    messages = chat_openai(server.base_url).batch([QUESTION] * 8, config={"max_concurrency": workers})
    assert [message.text for message in messages] == ["It has 29 days."] * 8
    assert len(server.requests) == 1


async def test_abatch_of_equal_prompts(cache: LEOCache, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.crowd = misses(lambda: cache.counts, 8)
    messages = await chat_openai(server.base_url).abatch([QUESTION] * 8)
    assert [message.text for message in messages] == ["It has 29 days."] * 8
    assert len(server.requests) == 1


def test_streams_of_the_model_share_a_call(model: LEOChatModel, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.crowd = misses(lambda: model.leo.counts, 6)
    texts = at_once(6, lambda: "".join(chunk.text for chunk in model.stream(QUESTION)))
    assert texts == ["It has 29 days."] * 6
    assert len(server.requests) == 1


def test_what_differs_is_not_shared(cache: LEOCache, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.crowd = misses(lambda: cache.counts, 4)
    names = iter(("a", "a", "b", "c"))

    def ask() -> str:
        with tenant(next(names)):
            return str(chat_openai(server.base_url).invoke(QUESTION).text)

    assert at_once(4, ask) == ["It has 29 days."] * 4
    assert len(server.requests) == 3


def test_it_can_be_switched_off(crowd: Crowd, server: OpenAIServer) -> None:
    with LEOCache(single_flight_wait_s=0.0) as cache:
        set_llm_cache(cache)
        crowd.crowd = lambda: crowd.asked >= 3
        assert len(at_once(3, lambda: chat_openai(server.base_url).invoke(QUESTION))) == 3
    assert len(server.requests) == 3


# --------------------------------------------------------------------------------------------------- leaders that fail


def in_time(started: float) -> bool:
    """That nobody waited for the bound: it was noticed."""
    return time.monotonic() - started < PATIENCE_S / 2


async def test_a_failed_call_among_tasks_is_noticed(cache: LEOCache, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.failures, crowd.crowd = 1, misses(lambda: cache.counts, 8)
    started = time.monotonic()
    results = await chat_openai(server.base_url).abatch([QUESTION] * 8, return_exceptions=True)
    assert sum(isinstance(result, openai_sdk.InternalServerError) for result in results) == 1
    assert sum(getattr(result, "text", "") == "It has 29 days." for result in results) == 7
    assert len(server.requests) == 2
    assert in_time(started)


def test_a_failed_call_in_a_thread_that_ends_is_noticed(cache: LEOCache, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.failures, crowd.crowd = 1, misses(lambda: cache.counts, 6)
    started = time.monotonic()
    results: list[Any] = []

    def ask() -> None:
        try:
            results.append(chat_openai(server.base_url).invoke(QUESTION).text)
        except openai_sdk.InternalServerError as error:
            results.append(error.status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["500", *["It has 29 days."] * 5]
    assert len(server.requests) == 2
    assert in_time(started)


class Completing(LLM):
    """A model for plain texts, whose look-up and call are in functions of their own; it fails first."""

    failures: list[int] = Field(default_factory=lambda: [1])

    @property
    def _llm_type(self) -> str:
        return "completing"

    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **_: Any) -> str:
        if self.failures:
            self.failures.pop()
            message = "the model is down"
            raise ConnectionError(message)
        return "It has 29 days."


@pytest.mark.parametrize("kind", ["chat", "text"])
def test_a_failed_call_whose_caller_lives_on_is_noticed(
    cache: LEOCache, crowd: Crowd, server: OpenAIServer, kind: str
) -> None:
    """The caller keeps the error, and asks for nothing else meanwhile."""
    crowd.failures = 1
    llm, started, kept = chat_openai(server.base_url) if kind == "chat" else Completing(), time.monotonic(), []
    try:
        llm.invoke(QUESTION)
    except (openai_sdk.InternalServerError, ConnectionError) as error:
        kept.append(error)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(llm.invoke, QUESTION).result()
    assert getattr(answer, "text", answer) == "It has 29 days."
    assert len(kept) == 1
    assert in_time(started)


def test_those_who_wait_already_when_a_call_fails_notice_it(
    cache: LEOCache, crowd: Crowd, server: OpenAIServer
) -> None:
    crowd.failures, crowd.crowd = 1, misses(lambda: cache.counts, 5)
    llm, started = chat_openai(server.base_url), time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(_after, lambda: crowd.asked >= 1, lambda: llm.invoke(QUESTION)) for _ in range(4)]
        with pytest.raises(openai_sdk.InternalServerError):
            llm.invoke(QUESTION)
        assert [each.result().text for each in waiting] == ["It has 29 days."] * 4
    assert len(server.requests) == 2
    assert in_time(started)


def test_a_call_that_fails_elsewhere_ends_no_other(cache: LEOCache) -> None:
    """While a model answers, another thread's call fails: those who wait for the first one go on waiting."""
    failing, calls = Completing(), []

    class Slow(Completing):
        def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **_: Any) -> str:
            calls.append(prompt)
            until(misses(lambda: cache.counts, 2))
            with ThreadPoolExecutor(1) as pool, pytest.raises(ConnectionError):
                pool.submit(failing.invoke, "Something else?").result()
            return "It has 29 days."

    assert at_once(2, lambda: Slow().invoke(QUESTION)) == ["It has 29 days."] * 2
    assert calls == [QUESTION]


def test_the_watcher_hears_of_failures_alone_and_once(cache: LEOCache) -> None:
    from langchain_core.callbacks import CallbackManager

    LEOCache().close()
    handlers = CallbackManager.configure().handlers
    (watcher,) = [handler for handler in handlers if type(handler).__module__.startswith("leo_langchain")]
    assert not watcher.run_inline  # LangChain passes over all handlers that are not, where one is
    assert watcher.ignore_chain
    assert watcher.ignore_retriever
    assert watcher.ignore_chat_model
    assert not watcher.ignore_llm
    assert CallbackManager.configure().inheritable_handlers == []


async def test_on_an_event_loop_nothing_is_watched(cache: LEOCache) -> None:
    """There a handler would run in another thread, at every token."""
    from langchain_core.callbacks import AsyncCallbackManager

    assert not [each for each in AsyncCallbackManager.configure().handlers if "leo" in type(each).__module__]


async def test_on_an_event_loop_the_end_of_its_task_tells(cache: LEOCache, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.failures = 1
    llm, started = chat_openai(server.base_url), time.monotonic()
    with pytest.raises(openai_sdk.InternalServerError):
        await llm.ainvoke(QUESTION)
    with ThreadPoolExecutor(1) as pool:
        answer = await asyncio.wrap_future(pool.submit(llm.invoke, QUESTION))
    assert answer.text == "It has 29 days."
    assert in_time(started)


def _after(condition: Callable[[], bool], do: Callable[[], Any]) -> Any:
    until(condition)
    return do()


def test_a_retry_of_a_failed_call_leads_again(cache: LEOCache, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.failures = 1
    started = time.monotonic()
    retrying = chat_openai(server.base_url).with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    assert retrying.invoke(QUESTION).text == "It has 29 days."
    assert chat_openai(server.base_url).invoke(QUESTION).response_metadata["leo"]["cache"]["hit"]
    assert in_time(started)


def test_an_error_is_not_cached(cache: LEOCache, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.failures = 1
    llm = chat_openai(server.base_url)
    with pytest.raises(openai_sdk.InternalServerError):
        llm.invoke(QUESTION)
    assert llm.invoke(QUESTION).text == "It has 29 days."
    assert cache.leo.store.count_entries() == 1 or cache.flush()


def test_an_answer_that_cannot_be_kept_frees_the_others(cache: LEOCache) -> None:
    started = time.monotonic()
    assert cache.lookup("p", "m") is None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(cache.lookup, "p", "m")
        until(misses(lambda: cache.counts, 2))
        cache.update("p", "m", [Generation(text="a", generation_info={"client": object()})])
        assert waiting.result() is None
    assert in_time(started)


def test_clear_frees_those_who_wait(cache: LEOCache) -> None:
    started = time.monotonic()
    assert cache.lookup("p", "m") is None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(cache.lookup, "p", "m")
        until(misses(lambda: cache.counts, 2))
        cache.clear()
        assert waiting.result() is None
    assert in_time(started)


async def test_a_cancelled_call_hands_over(cache: LEOCache, crowd: Crowd, server: OpenAIServer) -> None:
    started = time.monotonic()
    crowd.crowd = lambda: crowd.asked >= 2  # the first call hangs until it has been given up
    llm = chat_openai(server.base_url)
    leader = asyncio.create_task(llm.ainvoke(QUESTION))
    await until_async(lambda: crowd.asked == 1)
    followers = [asyncio.create_task(llm.ainvoke(QUESTION)) for _ in range(5)]
    await until_async(misses(lambda: cache.counts, 6))
    leader.cancel()
    messages = await asyncio.gather(*followers)
    assert [message.text for message in messages] == ["It has 29 days."] * 5
    assert len(server.requests) == 2
    assert in_time(started)


async def test_a_follower_who_gives_up_disturbs_nobody(cache: LEOCache, crowd: Crowd, server: OpenAIServer) -> None:
    gone = threading.Event()
    crowd.crowd = gone.is_set
    llm = chat_openai(server.base_url)
    tasks = [asyncio.create_task(llm.ainvoke(QUESTION)) for _ in range(3)]
    await until_async(misses(lambda: cache.counts, 3))
    follower = next(task for task in reversed(tasks))
    follower.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follower
    gone.set()
    assert [(await task).text for task in tasks[:2]] == ["It has 29 days."] * 2
    assert len(server.requests) == 1


async def until_async(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110 - it happens in other threads
        await asyncio.sleep(0.01)


# ---------------------------------------------------------------------------------------------- nobody waits in circles


class Scripted(LLM):
    """A text model, which LangChain asks about several prompts in one call: all are looked up first."""

    calls: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        self.calls.append(prompt)
        return prompt.upper()


def test_two_callers_who_ask_the_same_two_prompts_crosswise(cache: LEOCache) -> None:
    """Each leads one prompt and wants the other's: neither may wait while others wait for it."""
    llm = Scripted()
    started = time.monotonic()
    original, both = cache.lookup, threading.Barrier(2)
    first: set[int] = set()

    def lookup(prompt: str, llm_string: str) -> Any:
        found = original(prompt, llm_string)
        if threading.get_ident() not in first:
            first.add(threading.get_ident())
            both.wait(PATIENCE_S)  # both lead their first prompt before they look for their second
        return found

    cache.lookup = lookup
    orders = iter((["a", "b"], ["b", "a"]))
    results = at_once(2, lambda: [row[0].text for row in llm.generate(next(orders)).generations])
    assert sorted(results) == [["A", "B"], ["B", "A"]]
    assert in_time(started)


async def test_the_same_crosswise_among_tasks(cache: LEOCache) -> None:
    llm = Scripted()
    started = time.monotonic()
    results = await asyncio.gather(*(llm.agenerate(order) for order in (["a", "b"], ["b", "a"]) * 3))
    assert [[row[0].text for row in result.generations] for result in results] == [["A", "B"], ["B", "A"]] * 3
    assert in_time(started)


def test_the_same_prompt_twice_in_one_call(cache: LEOCache) -> None:
    started = time.monotonic()
    assert [row[0].text for row in Scripted().generate(["x", "x"]).generations] == ["X", "X"]
    assert in_time(started)


def test_who_asks_while_it_is_asked_does_not_wait_for_itself(cache: LEOCache) -> None:
    class Nested(Scripted):
        def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
            self.calls.append(prompt)
            return "deep" if len(self.calls) > 1 else str(self.invoke(prompt))

    started = time.monotonic()
    assert Nested().invoke("x") == "deep"
    assert in_time(started)


def test_a_blocking_call_inside_a_running_loop(cache: LEOCache, crowd: Crowd, server: OpenAIServer) -> None:
    """It keeps the loop from going on, so it must not wait for a task of that loop."""
    started = time.monotonic()
    llm = chat_openai(server.base_url)

    async def both() -> list[str]:
        crowd.crowd = lambda: crowd.asked >= 2
        leader = asyncio.create_task(llm.ainvoke(QUESTION))
        await until_async(lambda: crowd.asked >= 1)
        return [str(llm.invoke(QUESTION).text), str((await leader).text)]

    assert asyncio.run(both()) == ["It has 29 days."] * 2
    assert in_time(started)


def test_a_look_up_that_was_left_open_keeps_nobody_from_sharing(
    cache: LEOCache, crowd: Crowd, server: OpenAIServer
) -> None:
    """Threads and tasks start from the context that left it."""
    llm = chat_openai(server.base_url)
    assert cache.lookup("only to see", "m") is None
    crowd.crowd = misses(lambda: cache.counts, 9)
    assert len(llm.batch([QUESTION] * 8, config={"max_concurrency": 8})) == 8
    assert len(server.requests) == 1
    assert cache.lookup("only to see again", "m") is None
    crowd.crowd = misses(lambda: cache.counts, 18)
    assert len(asyncio.run(llm.abatch(["Another one?"] * 8))) == 8
    assert len(server.requests) == 2


def test_a_long_lived_task_keeps_nothing_of_its_look_ups(cache: LEOCache) -> None:
    async def serve() -> int:
        for number in range(50):
            await cache.alookup(f"question {number}", "m")
            await cache.aupdate(f"question {number}", "m", [Generation(text="a")])
        return len(asyncio.current_task()._callbacks or ())

    async def main() -> int:
        return await asyncio.create_task(serve())

    assert asyncio.run(main()) <= 2
    assert len(cache.leo.cache._open) == 0


# -------------------------------------------------------------------------------------------------- between processes

SCRIPT = f"""
import os, sys
sys.path.insert(0, {ROOT!r})
from concurrent.futures import ThreadPoolExecutor
from langchain_core.globals import set_llm_cache
from langchain_openai import ChatOpenAI
from leo_langchain import LEOCache
store, url = sys.argv[1:3]
cache = LEOCache(store, single_flight_wait_s={PATIENCE_S})
cache.leo.warm_up()
set_llm_cache(cache)
llm = ChatOpenAI(base_url=url, model="gpt-loopback", api_key="sk-test", max_retries=0)
os.write(1, b"ready\\n")
sys.stdin.readline()
with ThreadPoolExecutor(20) as pool:
    for message in pool.map(lambda _: llm.invoke({QUESTION!r}), range(20)):
        os.write(1, (message.text + "\\n").encode())
cache.close()
"""


def test_two_processes_of_twenty_threads_make_one_call(tmp_path: Path, crowd: Crowd, server: OpenAIServer) -> None:
    crowd.crowd = lambda: time.sleep(0.5) is None
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path / "leo.db"), server.base_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        assert [process.stdout and process.stdout.readline() for process in processes] == ["ready\n"] * 2
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=200)[0].splitlines() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert outputs == [["It has 29 days."] * 20] * 2
    assert len(server.requests) == 1
