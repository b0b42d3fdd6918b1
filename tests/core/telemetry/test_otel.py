"""Spans and metrics of requests, as OpenTelemetry's own SDK gets them."""

from __future__ import annotations

import asyncio
import json

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from leo_core import LEO, LEOConfig, Route
from leo_core.errors import ConfigError, PersonalDataError, ProviderUnavailableError
from leo_core.privacy.personal.redaction_config import PersonalDataConfig
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Usage
from leo_core.stages.resilience.config import ResilienceConfig
from tests.core.telemetry.spans import Told, parent_of

QUESTION = "How many days does February have in 2028?"
REPLY = "It has twenty-nine."
USAGE = Usage(input_tokens=11, output_tokens=5, cached_input_tokens=3, reasoning_tokens=2, calls=1)
REQUEST = "invoke_workflow leo"
CALL = "chat gpt-loopback"


class Seeing:
    """A member that remembers the span in which it was called."""

    def __init__(self):
        self.seen = []

    def __call__(self, _):
        self.seen.append(trace.get_current_span().get_span_context().span_id)
        return REPLY


def member(name="openai:gpt-loopback", replies=REPLY, **settings):
    return ScriptedModel(name, replies=replies, usage=USAGE, cost=0.002, **settings)


def test_a_request_is_a_span_in_the_callers_and_its_call_a_span_in_it():
    told = Told()
    with LEO(small=member(), listeners=[told.listener]) as leo:
        with told.tracers.get_tracer("app").start_as_current_span("app") as app:
            answer = leo.ask(QUESTION, temperature=0.5, max_tokens=64)
        own = trace.get_current_span()
    request, call = told.only(REQUEST), told.only(CALL)
    assert parent_of(request) == app.get_span_context().span_id
    assert parent_of(call) == request.context.span_id
    assert (request.kind, call.kind) == (SpanKind.INTERNAL, SpanKind.CLIENT)
    assert not own.get_span_context().is_valid
    assert dict(call.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-loopback",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.response.model": "openai:gpt-loopback",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "leo.cost_usd": 0.002,
        "leo.member": "openai:gpt-loopback",
    }
    facts = request.attributes
    assert (facts["gen_ai.operation.name"], facts["gen_ai.workflow.name"]) == ("invoke_workflow", "leo")
    assert (facts["leo.route"], facts["leo.cache.hit"], facts["leo.calls"]) == ("small", False, 1)
    assert facts["leo.cost_usd"] == 0.002
    assert facts["leo.receipt"] == answer.receipt.id
    assert facts["leo.risk"] == pytest.approx(answer.risk.value, abs=1e-6)
    assert [event.name for event in request.events] == ["cache.miss", "route.chosen", "receipt.appended"]


def test_a_hit_is_a_request_without_calls_that_says_what_it_saved():
    told = Told()
    with LEO(small=member(), listeners=[told.listener]) as leo:
        leo.ask(QUESTION)
        leo.ask(QUESTION)
    assert len(told.named(CALL)) == 1
    facts = told.named(REQUEST)[1].attributes
    assert (facts["leo.route"], facts["leo.cache.hit"], facts["leo.cache.kind"]) == ("cache", True, "exact")
    assert (facts["leo.cost_usd"], facts["leo.saved_usd"]) == (0.0, 0.002)
    saved = {point.attributes["leo.route"]: point.value for point in told.points("leo.saved")[1]}
    assert saved == {"cache": 0.002}


def test_nothing_that_was_said_and_nobodys_name_is_told():
    told = Told()
    with LEO(small=member(), listeners=[told.listener]) as leo:
        for question in (QUESTION, QUESTION.replace("2028", "2027")):  # the second is told why it is no hit
            leo.ask(question, tenant="acme-corp", session="talk-7", user="jane", tags=["quarterly"])
    for secret in ("February", "2028", "2027", "twenty", "acme-corp", "talk-7", "jane", "quarterly"):
        assert not told.reveals(secret), secret


def test_content_is_told_where_that_is_switched_on_and_names_as_they_are_asked_for():
    told = Told(capture_content=True, names="plain")
    with LEO(small=member(), listeners=[told.listener]) as leo:
        prompt = [{"role": "system", "content": "Be short."}, {"role": "user", "content": QUESTION}]
        leo.ask(prompt, tenant="acme", session="talk-7")
    for span in (told.only(CALL), told.only(REQUEST)):
        assert json.loads(span.attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be short."}]
        assert json.loads(span.attributes["gen_ai.input.messages"]) == [
            {"role": "user", "parts": [{"type": "text", "content": QUESTION}]}
        ]
        assert json.loads(span.attributes["gen_ai.output.messages"]) == [
            {"role": "assistant", "parts": [{"type": "text", "content": REPLY}], "finish_reason": "stop"}
        ]
    facts = told.only(REQUEST).attributes
    assert (facts["leo.tenant"], facts["gen_ai.conversation.id"]) == ("acme", "talk-7")
    assert facts["leo.cache.why"] == "no entry in scope"


def test_hashed_names_agree_under_one_key_and_with_no_other():
    def hashed(**settings):
        told = Told(names="hashed", **settings)
        with LEO(small=member(), listeners=[told.listener]) as leo:
            leo.ask(QUESTION, tenant="acme")
        assert not told.reveals("acme")
        return told.only(REQUEST).attributes["leo.tenant"]

    first, again, other = hashed(names_key=b"k" * 32), hashed(names_key=b"k" * 32), hashed(names_key=b"l" * 32)
    assert first == again != other
    with pytest.raises(ConfigError, match="16 to 64 bytes"):
        Told(names="hashed", names_key=b"short")
    with pytest.raises(ConfigError, match="'none', 'hashed' or 'plain'"):
        Told(names="clear")


def test_captured_content_has_the_stand_ins_that_members_see():
    told = Told(capture_content=True)
    config = LEOConfig(personal_data=PersonalDataConfig(mode="reversible"))
    parrot = member(replies=lambda request: f"You wrote: {request.question}")
    with LEO(small=parrot, config=config, listeners=[told.listener]) as leo:
        assert "ada@example.org" in leo.ask("Write to ada@example.org, please.").text
    assert not told.reveals("ada@example.org")
    assert "You wrote" in told.only(REQUEST).attributes["gen_ai.output.messages"]
    refusing = LEOConfig(personal_data=PersonalDataConfig(mode="block"))
    with LEO(small=parrot, config=refusing, listeners=[told.listener]) as leo, pytest.raises(PersonalDataError):
        leo.ask("Write to ada@example.org, please.")
    assert not told.reveals("ada@example.org")
    assert told.named(REQUEST)[1].attributes["error.type"] == "PersonalDataError"


def committee():
    """Three members that see where they are called, on different threads or tasks."""
    return [Seeing() for _ in range(3)]


def check_committee(told, eyes):
    calls = [told.only(f"chat m{number}") for number in range(3)]
    assert {parent_of(call) for call in calls} == {told.only(REQUEST).context.span_id}
    assert [eye.seen for eye in eyes] == [[call.context.span_id] for call in calls]


@pytest.mark.parametrize("limit", [{}, {"max_latency_s": 60.0}], ids=["threads", "threads left to themselves"])
def test_the_calls_of_a_committee_are_current_in_their_threads(limit):
    told, eyes = Told(), committee()
    jury = [member(f"p:m{number}", eye) for number, eye in enumerate(eyes)]
    with LEO(jury=jury, listeners=[told.listener]) as leo:
        leo.ask(QUESTION, route=Route.CONSENSUS, **limit)
    check_committee(told, eyes)


async def test_the_calls_of_a_committee_are_current_in_their_tasks():
    told, eyes = Told(), committee()
    jury = [member(f"p:m{number}", eye) for number, eye in enumerate(eyes)]
    with LEO(jury=jury, listeners=[told.listener]) as leo:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(leo.aask(QUESTION, route=Route.CONSENSUS))
        assert not trace.get_current_span().get_span_context().is_valid
    check_committee(told, eyes)


def test_streams_that_take_turns_keep_their_spans_apart_and_the_callers_stays_current():
    told, eye = Told(), Seeing()
    with (
        LEO(small=member(replies=eye), listeners=[told.listener]) as leo,
        told.tracers.get_tracer("app").start_as_current_span("app") as app,
    ):
        streams = [leo.stream(f"{QUESTION} ({number})", cache=False) for number in range(2)]
        while streams:
            streams = [stream for stream in streams if next(stream, None) is not None]
            assert trace.get_current_span() is app
    calls, requests = told.named(CALL), told.named(REQUEST)
    assert sorted(map(parent_of, calls)) == sorted(request.context.span_id for request in requests)
    assert sorted(eye.seen) == sorted(call.context.span_id for call in calls)
    assert all(call.attributes["gen_ai.request.stream"] for call in calls)
    assert all(call.attributes["gen_ai.response.time_to_first_chunk"] > 0.0 for call in calls)
    assert told.points("gen_ai.client.operation.time_to_first_chunk")[1][0].count == 2


async def test_an_async_stream_keeps_the_callers_span_current():
    told, eye = Told(), Seeing()
    with (
        LEO(small=member(replies=eye), listeners=[told.listener]) as leo,
        told.tracers.get_tracer("app").start_as_current_span("app") as app,
    ):
        async for _ in leo.astream(QUESTION):
            assert trace.get_current_span() is app
    call = told.only(CALL)
    assert parent_of(call) == told.only(REQUEST).context.span_id
    assert eye.seen == [call.context.span_id]


async def test_a_stream_that_is_left_ends_its_spans_as_abandoned():
    told = Told()
    with LEO(small=member(), listeners=[told.listener]) as leo:
        stream = leo.stream(QUESTION)
        next(stream)
        stream.close()
        chunks = leo.astream(QUESTION)
        await anext(chunks)
        await chunks.aclose()
    assert len(told.spans) == 4
    assert {span.attributes["error.type"] for span in told.spans} == {"abandoned"}


def test_a_failure_is_told_by_its_class_and_never_by_its_words():
    told = Told()
    down = ProviderUnavailableError("refused: the secret plan", provider="openai", model="openai:gpt-loopback")
    config = LEOConfig(resilience=ResilienceConfig(max_retries=0))
    with LEO(small=member(fail=down), config=config, listeners=[told.listener]) as leo:
        with pytest.raises(ProviderUnavailableError):
            leo.ask(QUESTION)
        with pytest.raises(ProviderUnavailableError):
            list(leo.stream(QUESTION))
    for span in told.spans:
        assert span.attributes["error.type"] == "ProviderUnavailableError"
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert len(told.spans) == 4
    assert not told.reveals("secret plan")
    _, points = told.points("gen_ai.client.operation.duration")
    assert [(point.count, point.attributes["error.type"]) for point in points] == [(2, "ProviderUnavailableError")]


def test_metrics_have_the_names_units_and_buckets_of_the_conventions():
    told = Told()
    with LEO(small=member(), listeners=[told.listener]) as leo:
        leo.ask(QUESTION)
        leo.ask(QUESTION)
    labels = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-loopback",
        "gen_ai.response.model": "openai:gpt-loopback",
    }
    metric, (point,) = told.points("gen_ai.client.operation.duration")
    assert (metric.unit, point.count, dict(point.attributes)) == ("s", 1, labels)
    assert point.explicit_bounds[:3] == (0.01, 0.02, 0.04)
    assert point.explicit_bounds[-1] == 81.92
    metric, points = told.points("gen_ai.client.token.usage")
    assert metric.unit == "{token}"
    assert {point.attributes["gen_ai.token.type"]: point.sum for point in points} == {"input": 11, "output": 5}
    assert points[0].explicit_bounds == tuple(4**power for power in range(14))
    _, (cost,) = told.points("leo.cost")
    assert (cost.value, dict(cost.attributes)) == (0.002, labels)
    _, points = told.points("leo.request.duration")
    assert {(point.attributes["leo.route"], point.count) for point in points} == {("small", 1), ("cache", 1)}
    counted = {point.attributes["leo.event"]: point.value for point in told.points("leo.events")[1]}
    assert (counted["cache.miss"], counted["cache.hit"], counted["receipt.appended"]) == (1, 1, 2)
