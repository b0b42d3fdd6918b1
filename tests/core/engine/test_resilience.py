"""Members that fail, limit, hang or dawdle, as the whole engine meets them."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from dataclasses import replace

import pytest

from leo_core import LEO, Budget, LEOConfig, Route, verify_receipt
from leo_core.engine import effects as ask
from leo_core.engine.drivers import run
from leo_core.engine.pipeline import answer_request
from leo_core.errors import (
    AuthenticationError,
    CallAbandonedError,
    CircuitOpenError,
    InvalidRequestError,
    LimitReachedError,
    NoAnswerError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
)
from leo_core.providers.anthropic import AnthropicModel
from leo_core.providers.openai import OpenAIModel
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Draft, Failure, Message, Usage
from leo_core.stages.receipt.document import read_statement
from leo_core.stages.resilience.config import RateLimit, ResilienceConfig
from tests.core.engine.test_bad_input import ways
from tests.core.engine.test_pipeline_by_hand import Hand, ask_for, drive, make_plan
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

QUESTION = "What is the capital of France?"
USED = Usage(input_tokens=7, output_tokens=3, calls=1)
WAYS = ("ask", "stream", "aask", "astream")


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self):
        self.time = 1_000.0

    def now(self):
        return 1_700_000_000.0 + self.time

    def monotonic(self):
        return self.time


def model(name="owl", reply="Paris", **settings):
    return ScriptedModel(name, replies=reply, **{"usage": USED, "cost": 0.001, **settings})


def down(kind=ProviderUnavailableError, retry_after_s=None):
    return kind("out", provider="scripted", model="parrot", retry_after_s=retry_after_s)


def with_resilience(**settings):
    return LEOConfig(resilience=ResilienceConfig(**settings))


def fresh(leo, way="ask", **settings):
    """An answer that no cache gives; nothing is loaded in the time that is allowed for it."""
    leo.warm_up()
    return ways(leo)[way](QUESTION, cache=False, **settings)


def kinds(answer):
    return [(failure.member, type(failure.error), failure.outcome) for failure in answer.failures]


def stated(answer, leo):
    verify_receipt(answer.receipt, public_key=leo.public_key)
    return read_statement(answer.receipt)


# ------------------------------------------------------------------------------------------------ the circuit


@pytest.mark.parametrize("way", WAYS)
def test_a_member_that_keeps_failing_is_not_asked_until_it_has_cooled_down(way):
    clock, told = Clock(), []
    listener = type("Ear", (), {"notify": lambda _, event: told.append((event.name, dict(event.facts)))})()
    parrot = model("parrot", fail=[down()] * 3)
    config = with_resilience(failures_in_a_row=3, cool_down_s=10.0)
    with LEO(small=parrot, large=model(), config=config, clock=clock, listeners=[listener]) as leo:
        for _ in range(3):
            assert kinds(fresh(leo, way, route=Route.SMALL)) == [("parrot", ProviderUnavailableError, "failed")]
        skipped = fresh(leo, way, route=Route.SMALL)
        assert parrot.calls == 3
        assert (skipped.model, kinds(skipped)) == ("owl", [("parrot", CircuitOpenError, "skipped")])
        assert skipped.failures[0].error.retry_after_s == 10.0
        (row,) = stated(skipped, leo)["failures"]
        assert (row["member"], row["outcome"], row["error"]) == ("parrot", "skipped", "CircuitOpenError")
        assert "parrot was not asked: CircuitOpenError" in leo.explain(skipped)["words"]
        clock.time += 10.0
        healed = fresh(leo, way, route=Route.SMALL)
        assert (healed.model, healed.failures, parrot.calls) == ("parrot", (), 4)
    circuit = [(name, facts["member"]) for name, facts in told if name.startswith("circuit.")]
    assert circuit == [("circuit.opened", "parrot"), ("circuit.closed", "parrot")]
    assert ("member.skipped", {"member": "parrot", "error": "CircuitOpenError", "attempt": 1}) in told


@pytest.mark.parametrize("way", WAYS)
def test_with_no_other_member_an_open_circuit_is_the_error(way):
    parrot = model("parrot", fail=down())
    with LEO(small=parrot, config=with_resilience(failures_in_a_row=1), clock=Clock()) as leo:
        with pytest.raises(ProviderUnavailableError):
            fresh(leo, way)
        with pytest.raises(CircuitOpenError) as caught:
            fresh(leo, way)
    assert caught.value.retry_after_s == 10.0
    assert parrot.calls == 1


@pytest.mark.parametrize(("kind", "asked"), [(AuthenticationError, 2), (InvalidRequestError, 6)])
def test_refused_keys_open_a_circuit_and_refused_requests_do_not(kind, asked):
    parrot = model("parrot", fail=down(kind))
    with LEO(small=parrot, config=with_resilience(failures_in_a_row=2), clock=Clock()) as leo:
        for _ in range(6):
            with pytest.raises((kind, CircuitOpenError)):
                fresh(leo)
    assert parrot.calls == asked


def test_switched_off_every_call_is_made():
    parrot = model("parrot", fail=down())
    with LEO(small=parrot, config=with_resilience(breaker=False, failures_in_a_row=1)) as leo:
        for _ in range(4):
            with pytest.raises(ProviderUnavailableError):
                fresh(leo)
    assert parrot.calls == 4


def test_a_caller_that_leaves_a_stream_gives_the_try_back():
    clock = Clock()
    parrot = model("parrot", "one two three", fail=[down(), None])
    with LEO(small=parrot, config=with_resilience(failures_in_a_row=1), clock=clock) as leo:
        with pytest.raises(ProviderUnavailableError):
            fresh(leo)
        clock.time += 10.0
        chunks = leo.stream(QUESTION, cache=False)
        assert next(chunks).text
        chunks.close()
        assert fresh(leo).model == "parrot"


# ---------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("way", WAYS)
def test_a_limit_that_is_used_up_sends_the_request_to_another_member(way):
    clock, parrot = Clock(), model("parrot")
    config = with_resilience(limits={"parrot": RateLimit(requests_per_minute=2.0)}, longest_wait_s=0.0)
    with LEO(small=parrot, large=model(), config=config, clock=clock) as leo:
        assert [fresh(leo, way, route=Route.SMALL).model for _ in range(3)] == ["parrot", "parrot", "owl"]
        answer = fresh(leo, way, route=Route.SMALL)
        assert kinds(answer) == [("parrot", LimitReachedError, "skipped")]
        assert answer.failures[0].error.retry_after_s == pytest.approx(30.0)
        assert stated(answer, leo)["failures"][0]["error"] == "LimitReachedError"
        clock.time += 30.0
        assert fresh(leo, way, route=Route.SMALL).model == "parrot"


def test_tokens_count_as_estimated_and_then_as_used():
    """The estimate is 10 tokens; the calls use 4 and 20 of 30 a minute, so that the third has to wait for 4 more."""
    clock = Clock()
    used = [replace(GOOD, usage=Usage(input_tokens=tokens, calls=1)) for tokens in (4, 20)]
    parrot = model("parrot", used)
    config = with_resilience(limits={"parrot": RateLimit(tokens_per_minute=30.0)}, longest_wait_s=0.0)
    with LEO(small=parrot, config=config, clock=clock) as leo:
        fresh(leo)
        fresh(leo)
        with pytest.raises(LimitReachedError) as caught:
            fresh(leo)
        assert caught.value.retry_after_s == pytest.approx(8.0)


def test_what_a_provider_asks_for_is_kept_by_the_requests_that_follow():
    clock = Clock()
    parrot = model("parrot", fail=[down(RateLimitError, 7.0), None])
    with LEO(small=parrot, large=model(), config=with_resilience(longest_wait_s=0.0), clock=clock) as leo:
        assert kinds(fresh(leo, route=Route.SMALL)) == [("parrot", RateLimitError, "failed")]
        clock.time += 6.5
        assert kinds(fresh(leo, route=Route.SMALL)) == [("parrot", LimitReachedError, "skipped")]
        assert parrot.calls == 1
        clock.time += 0.5
        assert fresh(leo, route=Route.SMALL).model == "parrot"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_provider_that_says_that_nothing_is_left_is_left_alone(provider, way):
    server, kind, name, headers = {
        "openai": (
            OpenAIServer,
            OpenAIModel,
            "gpt-5-mini",
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"},
        ),
        "anthropic": (
            AnthropicServer,
            AnthropicModel,
            "claude-haiku-4-5",
            {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "90"},
        ),
    }[provider]
    with server(fault=Fault(headers=headers)) as provided:
        member = kind(name, base_url=provided.base_url, api_key="k")
        with LEO(small=member, clock=Clock()) as leo:
            fresh(leo, way)
            with pytest.raises(LimitReachedError) as caught:
                fresh(leo, way)
        assert caught.value.retry_after_s == 90.0
        assert len(provided.requests) == 1


# --------------------------------------------------------------------------------------------------- retries


class Retried(ScriptedModel):
    """A member that leaves two retries to LEO."""

    max_retries = 2

    def once(self):
        return self


def limit(seconds):
    return Failure(member="parrot", error=down(LimitReachedError, seconds))


def broken(kind=ProviderUnavailableError, **settings):
    return Failure(member="parrot", error=down(kind), **settings)


GOOD = Draft(member="parrot", model="parrot", message=Message(role="assistant", content="Paris"))


def by_hand(*replies, request=None, **settings):
    """The answer and what was asked of the world about the one member, whose replies are given."""
    left = list(replies)
    hand = Hand(CallMember=lambda _: left.pop(0))
    parrot = Retried("parrot", replies="Paris", cost=0.0)
    plan = make_plan(small=parrot, resilience=ResilienceConfig(**settings))
    try:
        answer = drive(answer_request(request or ask_for(), plan), hand)
    except (ProviderUnavailableError, LimitReachedError, StreamInterruptedError) as error:
        answer = error
    names = ("member.failed", "member.skipped", "member.retried", "member.awaited")
    seen = [
        effect.name if isinstance(effect, ask.Notify) else effect.seconds if isinstance(effect, ask.Pause) else "call"
        for effect in hand.asked
        if isinstance(effect, ask.CallMember | ask.Pause) or (isinstance(effect, ask.Notify) and effect.name in names)
    ]
    return answer, seen


def test_a_passing_failure_is_asked_again_after_a_jittered_wait():
    answer, seen = by_hand(broken(), broken(), GOOD)
    assert seen == [
        *("call", "member.failed", "member.retried", 0.25),
        *("call", "member.failed", "member.retried", 0.5),
        "call",
    ]
    assert [(failure.attempt, failure.outcome) for failure in answer.failures] == [(1, "failed"), (2, "failed")]


def test_after_the_last_retry_the_members_own_error_is_raised():
    error, seen = by_hand(broken(), broken(), broken(), GOOD)
    assert seen.count("call") == 3
    assert isinstance(error, ProviderUnavailableError)


def test_the_setting_goes_before_what_the_member_says():
    assert by_hand(broken(), GOOD, max_retries=0)[1] == ["call", "member.failed"]
    assert by_hand(*[broken()] * 4, GOOD, max_retries=4)[1].count("call") == 5


def test_after_the_first_shown_token_nothing_is_asked_again():
    error, seen = by_hand(broken(shown="Par"), GOOD)
    assert seen == ["call", "member.failed"]
    assert (type(error), error.partial) == (StreamInterruptedError, "Par")


def test_a_limit_is_waited_for_within_the_budget_and_is_no_failure_of_the_answer():
    answer, seen = by_hand(limit(3.0), limit(1.5), GOOD)
    assert seen == ["call", "member.awaited", 3.0, "call", "member.awaited", 1.5, "call"]
    assert answer.failures == ()
    error, seen = by_hand(limit(6.0), limit(6.0), GOOD)
    assert seen == ["call", "member.awaited", 6.0, "call", "member.skipped"]
    assert isinstance(error, LimitReachedError)


def test_nothing_is_waited_for_past_the_deadline():
    """The hand's clock goes on by half a second whenever it is read."""
    request = ask_for().with_constraints(max_latency_s=4.0)
    assert by_hand(limit(1.0), GOOD, request=request)[1] == ["call", "member.awaited", 1.0, "call"]
    assert by_hand(limit(3.5), GOOD, request=request)[1] == ["call", "member.skipped"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("deadline", [None, 30.0])
def test_retries_through_an_sdk_are_seen(way, deadline):
    with OpenAIServer(fault=Fault(status=500, times=2)) as server:
        member = OpenAIModel("gpt-5-mini", base_url=server.base_url, api_key="k")
        with LEO(small=member, config=with_resilience(backoff_s=0.01)) as leo:
            answer = fresh(leo, way, max_latency_s=deadline)
            assert len(server.requests) == 3
            assert [failure.attempt for failure in answer.failures] == [1, 2]
            assert [row["attempt"] for row in stated(answer, leo)["failures"]] == [1, 2]
            assert leo.counts["member.retried"] == 2
    assert answer.usage.calls == 1


# ---------------------------------------------------------------------------------------------------- hedges


class Dawdling(ScriptedModel):
    """Its first calls hang until they are let go; the others answer at once. Notes what was cancelled."""

    def __init__(self, name="parrot", *, hanging=1, **settings):
        super().__init__(name, **{"replies": "Paris", "usage": USED, "cost": 0.001, **settings})
        self.hanging, self.cancelled = hanging, 0
        self.go, self.lock = threading.Event(), threading.Lock()

    def _hangs(self):
        with self.lock:
            self.hanging -= 1
            return self.hanging >= 0

    def generate(self, request):
        if self._hangs():
            self.go.wait(60.0)
        return super().generate(request)

    async def agenerate(self, request):
        if self._hangs():
            try:
                await asyncio.sleep(60.0)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return await super().agenerate(request)

    def stream(self, request):
        if self._hangs():
            self.go.wait(60.0)
        yield from super().stream(request)

    async def astream(self, request):
        if self._hangs():
            await asyncio.sleep(60.0)
        async for chunk in super().astream(request):
            yield chunk


@pytest.fixture
def dawdling():
    members = []

    def make(*arguments, **settings):
        members.append(Dawdling(*arguments, **settings))
        return members[-1]

    yield make
    for member in members:
        member.go.set()


@pytest.mark.parametrize("way", ["ask", "aask"])
def test_a_second_copy_answers_for_one_that_hangs_and_both_are_counted(way, dawdling):
    parrot = dawdling()
    with LEO(small=parrot, config=with_resilience(hedge_after_s=0.02)) as leo:
        answer = fresh(leo, way)
        assert answer.text == "Paris"
        assert kinds(answer) == [("parrot", CallAbandonedError, "abandoned")]
        assert (answer.usage.calls, answer.usage.input_tokens) == (2, 14)
        assert answer.usage.cost_usd == pytest.approx(0.002)
        statement = stated(answer, leo)
        (row,) = statement["failures"]
        assert (row["outcome"], row["hedge"], row["usage"]["cost_usd"]) == ("abandoned", False, "0.001000000")
        assert statement["usage"]["cost_usd"] == "0.002000000"
        assert leo.counts["member.hedged"] == 1


async def test_on_an_event_loop_the_copy_that_lost_is_cancelled(dawdling):
    parrot = dawdling()
    with LEO(small=parrot, config=with_resilience(hedge_after_s=0.02)) as leo:
        assert (await leo.aask(QUESTION, cache=False)).text == "Paris"
        assert parrot.cancelled == 1


@pytest.mark.parametrize("way", ["ask", "aask"])
def test_the_cost_of_a_loser_without_a_price_is_unknown_and_not_nothing(way, dawdling):
    with LEO(small=dawdling(cost=None), config=with_resilience(hedge_after_s=0.02)) as leo:
        answer = fresh(leo, way)
        assert answer.usage.cost_usd is None
        assert stated(answer, leo)["failures"][0]["usage"]["cost_usd"] is None


@pytest.mark.parametrize("way", ["ask", "aask"])
def test_the_copy_may_go_to_the_next_member(way, dawdling):
    owl = model("owl", "It is Paris.")
    config = with_resilience(hedge_after_s=0.02, hedge_to="next")
    with LEO(small=dawdling(), large=owl, config=config) as leo:
        answer = fresh(leo, way, route=Route.SMALL)
        assert (answer.model, answer.route, answer.members) == ("owl", Route.LARGE, ("owl",))
        assert kinds(answer) == [("parrot", CallAbandonedError, "abandoned")]
        stated(answer, leo)


@pytest.mark.parametrize("way", ["ask", "aask"])
def test_one_that_answers_in_time_is_not_asked_twice(way):
    parrot = model("parrot")
    with LEO(small=parrot, config=with_resilience(hedge_after_s=30.0)) as leo:
        assert fresh(leo, way).failures == ()
    assert parrot.calls == 1


class BothFail(ScriptedModel):
    """Its first call fails as soon as its second one has failed."""

    def __init__(self):
        super().__init__("parrot", replies="Paris")
        self.second = threading.Event()
        self.asked = 0

    def generate(self, request):
        self.asked += 1
        if self.asked == 1:
            self.second.wait(60.0)
        self.second.set()
        raise down()

    async def agenerate(self, request):
        return await asyncio.to_thread(self.generate, request)


@pytest.mark.parametrize("way", ["ask", "aask"])
def test_two_copies_that_fail_are_two_failures_and_another_member_answers(way):
    with LEO(small=BothFail(), large=model(), config=with_resilience(hedge_after_s=0.02)) as leo:
        answer = fresh(leo, way, route=Route.SMALL)
    assert answer.model == "owl"
    assert {(failure.member, failure.outcome, failure.hedge) for failure in answer.failures} == {
        ("parrot", "failed", False),
        ("parrot", "failed", True),
    }
    assert answer.usage.calls == 1


@pytest.mark.parametrize("way", ["ask", "aask"])
def test_the_observed_95th_percentile_is_known_after_twenty_answers(way, dawdling):
    parrot = dawdling(hanging=0)
    with LEO(small=parrot, config=with_resilience(hedge_after_s="p95")) as leo:
        for _ in range(20):
            fresh(leo, way)
        parrot.hanging = 1
        assert kinds(fresh(leo, way)) == [("parrot", CallAbandonedError, "abandoned")]


@pytest.mark.parametrize("way", ["ask", "aask"])
def test_before_that_no_copy_is_made(way, dawdling):
    with LEO(small=dawdling(), config=with_resilience(hedge_after_s="p95")) as leo:
        with pytest.raises(ProviderTimeoutError):
            fresh(leo, way, max_latency_s=0.2)
        assert "member.hedged" not in leo.counts


@pytest.mark.parametrize(("budget", "hedged"), [(0.0015, False), (0.0025, True)])
def test_what_two_copies_would_cost_has_to_be_left(budget, hedged, dawdling):
    with LEO(small=dawdling(), config=with_resilience(hedge_after_s=0.02)) as leo:
        if hedged:
            assert fresh(leo, max_cost_usd=budget, max_latency_s=5.0).usage.cost_usd <= budget
        else:
            with pytest.raises(ProviderTimeoutError, match="gave no answer"):
                fresh(leo, max_cost_usd=budget, max_latency_s=0.5)
        assert ("member.hedged" in leo.counts) is hedged


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_live_stream_is_not_hedged(way, dawdling):
    with LEO(small=dawdling(), config=with_resilience(hedge_after_s=0.02)) as leo:
        with pytest.raises(ProviderTimeoutError):
            fresh(leo, way, max_latency_s=0.3)
        assert "member.hedged" not in leo.counts


@pytest.mark.parametrize("way", WAYS)
def test_the_members_of_a_jury_are_hedged_each(way, dawdling):
    jury = [dawdling("a"), dawdling("b"), model("c")]
    with LEO(jury=jury, config=with_resilience(hedge_after_s=0.02)) as leo:
        answer = fresh(leo, way)
        assert sorted(answer.members) == ["a", "b", "c"]
        assert {failure.member for failure in answer.failures if failure.outcome == "abandoned"} >= {"a", "b"}
        assert answer.usage.calls == 3 + len(answer.failures)
        stated(answer, leo)


# ------------------------------------------------------------------------------------------------- deadlines


@pytest.mark.parametrize("way", WAYS)
def test_a_member_that_never_answers_keeps_nobody(way, dawdling):
    parrot = dawdling(hanging=9)
    with LEO(small=parrot) as leo, pytest.raises(ProviderTimeoutError):
        fresh(leo, way, max_latency_s=0.3)
    assert parrot.hanging == 8


@pytest.mark.parametrize("way", WAYS)
def test_a_member_that_never_answers_keeps_no_jury(way, dawdling):
    with LEO(jury=[dawdling("a", hanging=9), model("b"), model("c")]) as leo:
        answer = fresh(leo, way, max_latency_s=1.0)
    assert sorted(answer.members) == ["b", "c"]
    assert kinds(answer) == [("a", ProviderTimeoutError, "failed")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [OpenAIModel, AnthropicModel])
def test_a_server_that_drips_keeps_nobody(kind, way):
    server, name = {OpenAIModel: (OpenAIServer, "gpt-5-mini"), AnthropicModel: (AnthropicServer, "claude-haiku-4-5")}[
        kind
    ]
    with server() as dripping:
        member = kind(name, base_url=dripping.base_url, api_key="k")
        with LEO(small=member) as leo:
            fresh(leo, way)
            dripping.fault = Fault(loris_s=0.02)
            with pytest.raises(ProviderTimeoutError):
                fresh(leo, way, max_latency_s=1.0)
    assert len(dripping.requests) == 2


def test_an_attempt_that_took_all_its_time_is_not_made_again_in_the_rest():
    calls = []

    def use_up(effect):
        calls.append(effect)
        hand.time += effect.request.constraints.max_latency_s
        return broken(ProviderTimeoutError)

    hand = Hand(
        CallMember=use_up,
        Now=lambda _: ask.Instant(hand.time, hand.time),
        Draw=lambda effect: (0.1,) * effect.count,
    )
    plan = make_plan(small=Retried("parrot", replies="Paris", cost=0.0))
    with pytest.raises(ProviderTimeoutError):
        drive(answer_request(ask_for().with_constraints(max_latency_s=10.0), plan), hand)
    assert len(calls) == 1


def test_when_the_time_is_over_nobody_is_asked():
    hand = Hand()
    request = ask_for().with_constraints(max_latency_s=0.4)
    with pytest.raises(ProviderTimeoutError, match="before parrot was asked"):
        drive(answer_request(request, make_plan()), hand)
    assert "CallMember" not in hand.order


def test_several_members_fail_each_with_its_last_error():
    first = model("parrot", fail=down())
    with LEO(small=first, large=model(fail=down(InvalidRequestError))) as leo, pytest.raises(NoAnswerError) as caught:
        fresh(leo, route=Route.SMALL)
    assert [type(error) for error in caught.value.failures] == [ProviderUnavailableError, InvalidRequestError]


# --------------------------------------------------------------------------------------------------- budgets


def with_budget(**settings):
    return replace(with_resilience(backoff_s=0.0, **settings), budgets=(Budget(limit_usd=1.0),))


def test_within_a_budget_only_a_call_that_was_free_is_asked_again():
    """Of one that ran out of time nobody knows what it cost, and what is reserved pays for one call."""
    for kind, asked in ((RateLimitError, 2), (ProviderTimeoutError, 1)):
        parrot = Retried("parrot", replies="Paris", usage=USED, cost=0.25, fail=[down(kind), None])
        with LEO(small=parrot, config=with_budget()) as leo:
            if asked == 2:
                assert fresh(leo).usage.cost_usd == 0.25
            else:
                with pytest.raises(ProviderTimeoutError):
                    fresh(leo)
            assert [balance.spent for balance in leo.budgets()] == [250_000_000]
        assert parrot.calls == asked


def test_within_a_budget_nothing_is_hedged(dawdling):
    with LEO(small=dawdling(), config=with_budget(hedge_after_s=0.02)) as leo:
        with pytest.raises(ProviderTimeoutError):
            fresh(leo, max_latency_s=0.5)
        assert "member.hedged" not in leo.counts


# ---------------------------------------------------------------------------------------------------- at once

_NAME: ContextVar[str] = ContextVar("name", default="nobody")


@pytest.mark.parametrize("way", ["ask", "aask"])
@pytest.mark.parametrize("deadline", [None, 30.0])
def test_members_that_are_asked_at_once_see_the_callers_context(way, deadline):
    seen = []

    def reply(_):
        seen.append(_NAME.get())
        return "Paris"

    token = _NAME.set("caller")
    try:
        with LEO(jury=[model(name, reply) for name in "abc"]) as leo:
            assert fresh(leo, way, max_latency_s=deadline).members == ("a", "b", "c")
    finally:
        _NAME.reset(token)
    assert seen == ["caller"] * 3


def test_together_gives_results_in_order_and_raises_what_a_job_raises():
    def job(number):
        yield from ask.Now()
        if number < 0:
            raise ZeroDivisionError
        return number

    def all_of(*numbers):
        return (yield from ask.Together(tuple(lambda number=number: job(number) for number in numbers)))

    with LEO(small=model()) as leo:
        world = leo._world
        assert run(all_of(3, 1, 2), world) == (3, 1, 2)
        assert run(all_of(5), world) == (5,)
        with pytest.raises(ZeroDivisionError):
            run(all_of(1, -1), world)


def test_a_draft_says_for_how_long_its_provider_takes_no_call():
    """And a rest of no time is none."""
    clock = Clock()
    resting = replace(GOOD, rest_s=3.0)
    with LEO(small=model("parrot", [resting, GOOD]), config=with_resilience(longest_wait_s=0.0), clock=clock) as leo:
        fresh(leo)
        with pytest.raises(LimitReachedError):
            fresh(leo)
        clock.time += 3.0
        assert fresh(leo).text == "Paris"
