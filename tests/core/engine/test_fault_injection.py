"""Faults at three calls in ten, through the real SDKs: every request ends in time, and nothing is charged twice.

Which call fails, and how, follows from its question, its model and which attempt it is, so that it is the same in every
run and in every order. The servers note what they sent to its end; that, and nothing else, is what providers charge.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from leo_core import LEO, LEOConfig, Route, verify_receipt
from leo_core.engine.requests import make_request
from leo_core.errors import (
    CallAbandonedError,
    LEOError,
    ProviderTimeoutError,
    ReceiptError,
    StreamInterruptedError,
)
from leo_core.providers.anthropic import AnthropicModel
from leo_core.providers.openai import OpenAIModel
from leo_core.stages.receipt.document import read_statement
from leo_core.stages.resilience.config import ResilienceConfig
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.brain import Reply
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

REQUESTS = 320
DEADLINE_S = 4.0
HANGS_S = 60.0
SLACK_S = 15.0
"""A request that hangs takes a minute; this much past the deadline is a busy machine's."""
ROUTES = (Route.SMALL, Route.LARGE, Route.CONSENSUS)
FAULTS = (
    Fault(delay_s=HANGS_S),
    Fault(status=429),
    Fault(status=429, retry_after="0.2"),
    Fault(status=429, headers={"retry-after-ms": "150"}),
    Fault(status=500),
    Fault(status=500),
    Fault(reset_after=0),
    Fault(reset_after=1_500),
    Fault(reset_after=60),
    Fault(loris_s=0.02),
    Fault(content_type="text/html", body=b"<html>maintenance</html>"),
    Fault(status=503),
)
MODELS = ("gpt-5-mini", "claude-haiku-4-5")
WARM = "warm up"


def number_from(*parts):
    """A number that follows from the parts alone."""
    return int.from_bytes(hashlib.sha256("\x00".join(map(str, parts)).encode()).digest()[:8], "big")


class Faulty:
    """Makes three calls in ten fail."""

    def __init__(self):
        self.attempts = Counter()
        self.faults = Counter()
        self.lock = threading.Lock()

    def __call__(self, body):
        asked = (question_of(body), body["model"])
        if asked[0] == WARM:
            return Fault()
        with self.lock:
            attempt = self.attempts[asked]
            self.attempts[asked] += 1
        drawn = number_from(*asked, attempt)
        if drawn % 10 >= 3:
            return Fault()
        fault = FAULTS[drawn // 10 % len(FAULTS)]
        with self.lock:
            self.faults[fault.status or ("hang" if fault.delay_s else "loris" if fault.loris_s else "broken")] += 1
        return fault


def question_of(body):
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


def tokens_of(question, model):
    """What a reply to a question uses; hardly two are alike."""
    drawn = number_from("tokens", question, model)
    return 1_000 + drawn % 9_001, 10 + drawn // 9_001 % 907


def answer(asked):
    used = tokens_of(asked.question, asked.model)
    names = (
        ("prompt_tokens", "completion_tokens") if asked.model.startswith("gpt") else ("input_tokens", "output_tokens")
    )
    text = f"The answer to {asked.question} is 29, " + "as everybody knows, " * 8 + "I think."
    return Reply(text=text, usage=dict(zip(names, used, strict=True)))


def ask_sync(leo, question, settings):
    return leo.ask(question, **settings)


def ask_stream(leo, question, settings):
    return list(leo.stream(question, **settings))[-1].answer


async def ask_async(leo, question, settings):
    return await leo.aask(question, **settings)


async def ask_astream(leo, question, settings):
    return [chunk async for chunk in leo.astream(question, **settings)][-1].answer


class Ends:
    """How each request ended, and how long it took."""

    def __init__(self, leo):
        self.leo = leo
        self.answers, self.errors, self.times = {}, {}, {}

    def note(self, number, started, answer=None, error=None):
        self.times[number] = time.perf_counter() - started
        if error is None:
            self.answers[number] = answer
        else:
            self.errors[number] = error

    def in_thread(self, number):
        started = time.perf_counter()
        try:
            way = (ask_sync, ask_stream)[number // 2 % 2]
            self.note(number, started, answer=way(self.leo, *asked(number)))
        except Exception as error:
            self.note(number, started, error=error)

    async def on_loop(self, number, room):
        async with room:
            started = time.perf_counter()
            try:
                way = (ask_async, ask_astream)[number // 2 % 2]
                self.note(number, started, answer=await way(self.leo, *asked(number)))
            except Exception as error:
                self.note(number, started, error=error)


def asked(number):
    """Question and settings of a request."""
    settings = {
        "route": ROUTES[number % len(ROUTES)],
        "max_latency_s": DEADLINE_S,
        "cache": False,
        "idempotency_key": f"request-{number}",
    }
    return f"question {number}", settings


def run_all(leo):
    """Half of the requests in threads, half on an event loop, at the same time."""
    ends = Ends(leo)

    async def on_loop():
        room = asyncio.Semaphore(16)
        await asyncio.gather(*(ends.on_loop(number, room) for number in range(1, REQUESTS, 2)))

    with ThreadPoolExecutor(17) as pool:
        loop = pool.submit(asyncio.run, on_loop())
        for number in range(0, REQUESTS, 2):
            pool.submit(ends.in_thread, number)
        loop.result()
    return ends


@pytest.fixture(scope="module")
def outcome():
    """What became of all requests, what the servers completed, and the LEO that asked them."""
    faulty = Faulty()
    with ExitStack() as stack:
        one = stack.enter_context(OpenAIServer(answer, fault=faulty))
        two = stack.enter_context(AnthropicServer(answer, fault=faulty))
        small = OpenAIModel("gpt-5-mini", base_url=one.base_url, api_key="k")
        large = AnthropicModel("claude-haiku-4-5", base_url=two.base_url, api_key="k")
        settings = LEOConfig(resilience=ResilienceConfig(backoff_s=0.05, cool_down_s=0.3, longest_cool_down_s=0.6))
        leo = stack.enter_context(LEO(small=small, large=large, jury=[small, large], config=settings))
        leo.warm_up()
        for member in (small, large):  # the SDKs take seconds to load
            member.generate(make_request(WARM))
        ends = run_all(leo)
        yield ends, faulty, [*one.completed, *two.completed], leo, (one, two)


def test_three_calls_in_ten_fail_in_every_way(outcome):
    _, faulty, _, _, _ = outcome
    calls = faulty.attempts.total()
    assert calls > REQUESTS
    assert 0.25 < faulty.faults.total() / calls < 0.35
    assert set(faulty.faults) == {429, 500, 503, "hang", "loris", "broken"}


def test_every_request_ends_in_time_with_an_answer_or_a_documented_error(outcome):
    ends, _, _, _, _ = outcome
    assert len(ends.answers) + len(ends.errors) == REQUESTS
    assert all(isinstance(error, LEOError) for error in ends.errors.values()), ends.errors
    assert max(ends.times.values()) < DEADLINE_S + SLACK_S
    assert len(ends.answers) > REQUESTS / 2
    assert any(isinstance(error, StreamInterruptedError) for error in ends.errors.values())


def left_behind(errors):
    """Models that were left at the deadline; they may go on, and charge for what nobody reads any more."""
    found = Counter()
    for error in errors:
        found.update(left_behind(getattr(error, "failures", ())))
        late = isinstance(error, ProviderTimeoutError | CallAbandonedError | StreamInterruptedError)
        cause = error.__cause__ if isinstance(error, StreamInterruptedError) else error
        if late and getattr(cause, "model", None):
            found[cause.model.rpartition(":")[2]] += 1
    return found


def test_nothing_is_charged_twice(outcome):
    ends, _, completed, _, _ = outcome
    calls = Counter((question_of(each.body), each.body["model"]) for each in completed)
    for number in range(REQUESTS):
        question, given = f"question {number}", ends.answers.get(number)
        errors = [failure.error for failure in given.failures] if given is not None else [ends.errors[number]]
        late = left_behind(errors)
        sent = Counter({model: calls[question, model] for model in MODELS if calls[question, model]})
        used = Counter(model_of(draft.member) for draft in given.drafts) if given is not None else Counter()
        assert not used - sent, "an answer states a call that no server completed"
        assert not sent - used - late, (number, "charged for and not stated", errors)
        assert max(used.values(), default=0) <= 1
        stated = [tokens_of(question, model) for model in used]
        if given is not None:
            assert given.usage.input_tokens == sum(each[0] for each in stated)
            assert given.usage.output_tokens == sum(each[1] for each in stated)
    assert sum(max(each - 1, 0) for each in calls.values()) <= sum(
        left_behind([error]).total() for error in ends.errors.values()
    ) + sum(left_behind([failure.error for failure in given.failures]).total() for given in ends.answers.values())


def model_of(member):
    return member.partition(":")[2]


def test_the_receipts_say_the_same_and_hold_what_failed(outcome):
    ends, _, _, leo, _ = outcome
    failed = 0
    for given in ends.answers.values():
        if given.latency_s > DEADLINE_S:  # on a busy machine; the receipt then says so
            with pytest.raises(ReceiptError, match="latency"):
                verify_receipt(given.receipt, public_key=leo.public_key)
        else:
            verify_receipt(given.receipt, public_key=leo.public_key)
        statement = read_statement(given.receipt)
        assert statement["usage"]["input_tokens"] == given.usage.input_tokens
        assert statement["usage"]["output_tokens"] == given.usage.output_tokens
        listed = [(each["member"], each["outcome"], each["error"], each["attempt"]) for each in statement["failures"]]
        assert listed == [
            (each.member, each.outcome, type(each.error).__name__, each.attempt) for each in given.failures
        ]
        failed += len(listed)
    assert failed > REQUESTS / 20


def test_asked_again_under_its_key_a_request_is_not_charged_again(outcome):
    ends, _, _, leo, servers = outcome
    before = sum(len(server.requests) for server in servers)
    for number, given in ends.answers.items():
        question, settings = asked(number)
        again = leo.ask(question, **settings)
        assert (again.replayed, again.id, again.receipt.id) == (True, given.id, given.receipt.id)
    assert sum(len(server.requests) for server in servers) == before
