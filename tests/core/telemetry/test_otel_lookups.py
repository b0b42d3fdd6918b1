"""Look-ups of frameworks that ask their models themselves are spans, which tell nothing of what was looked up."""

from __future__ import annotations

import threading

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from leo_core import LEO, LEOConfig, Request
from leo_core.engine.landing import Landing
from leo_core.errors import TenantRequiredError
from leo_core.privacy.personal.redaction_config import PersonalDataConfig
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Message, Usage
from tests.core.telemetry.spans import Told, parent_of

QUESTION = "How many days does February have in 2028?"
LOOKUP = "cache_lookup leo"


def request(question=QUESTION, **settings):
    return Request(messages=(Message(role="user", content=question),), **settings)


def bring(leo, asked, text="It has twenty-nine."):
    usage = Usage(input_tokens=11, output_tokens=5, cost_usd=0.002, calls=1)
    leo.cache.update(asked, Message(role="assistant", content=text), model="gpt-loopback", usage=usage)
    leo.flush()


def test_a_miss_and_a_hit_are_spans_in_the_callers():
    told = Told()
    with LEO(listeners=[told.listener]) as leo:
        with told.tracers.get_tracer("app").start_as_current_span("app") as app:
            leo.cache.lookup(request())
            bring(leo, request())
            _, entry = leo.cache.lookup(request())
        assert not trace.get_current_span().get_span_context().is_valid
    miss, hit = told.named(LOOKUP)
    for span in (miss, hit):
        assert parent_of(span) == app.get_span_context().span_id
        assert span.kind is SpanKind.INTERNAL
        assert span.status.status_code is StatusCode.UNSET
    assert dict(miss.attributes) == {
        "gen_ai.operation.name": "cache_lookup",
        "leo.cache.hit": False,
        "leo.cache.action": "miss",
    }
    assert dict(hit.attributes) == {
        "gen_ai.operation.name": "cache_lookup",
        "leo.cache.hit": True,
        "leo.cache.action": "serve",
        "leo.cache.kind": "exact",
        "leo.risk": 0.0,
        "leo.model": "gpt-loopback",
        "leo.saved_usd": 0.002,
        "leo.answer_id": entry.id,
    }
    assert [event.name for event in miss.events] == ["cache.miss"]
    assert [event.name for event in hit.events] == ["cache.hit"]


async def test_so_are_they_on_an_event_loop():
    told = Told()
    with LEO(listeners=[told.listener]) as leo, told.tracers.get_tracer("app").start_as_current_span("app") as app:
        await leo.cache.alookup(request())
        assert trace.get_current_span() is app
    assert parent_of(told.only(LOOKUP)) == app.get_span_context().span_id
    assert told.only(LOOKUP).attributes["leo.cache.action"] == "miss"


def test_metrics_say_how_long_look_ups_took_and_what_hits_saved():
    told = Told()
    with LEO(listeners=[told.listener]) as leo:
        leo.cache.lookup(request())
        bring(leo, request())
        leo.cache.lookup(request())
    metric, points = told.points("leo.cache.lookup.duration")
    assert metric.unit == "s"
    counts = {
        (point.attributes["leo.cache.hit"], point.attributes["leo.cache.action"]): point.count for point in points
    }
    assert counts == {(False, "miss"): 1, (True, "serve"): 1}
    assert [point.value for point in told.points("leo.saved")[1]] == [0.002]


@pytest.mark.parametrize("capture", [False, True])
def test_nothing_that_was_looked_up_and_nobodys_name_is_told(capture):
    told = Told(capture_content=capture)
    with LEO(listeners=[told.listener]) as leo:
        for question in (QUESTION, QUESTION.replace("2028", "2027"), QUESTION):  # the second is told why it is no hit
            asked = request(question, tenant="acme-corp", session="talk-7", user="jane", tags=("quarterly",))
            leo.cache.lookup(asked)
            bring(leo, asked)
    assert [span.attributes["leo.cache.hit"] for span in told.named(LOOKUP)] == [False, False, True]
    for secret in ("February", "2028", "2027", "twenty", "acme-corp", "talk-7", "jane", "quarterly"):
        assert not told.reveals(secret), secret


def test_tenants_are_named_as_they_are_asked_for():
    told = Told(names="plain")
    with LEO(listeners=[told.listener]) as leo:
        leo.cache.lookup(request(tenant="acme-corp"))
    assert told.only(LOOKUP).attributes["leo.tenant"] == "acme-corp"


def test_a_failure_is_told_by_its_class():
    told = Told()
    leo = LEO(listeners=[told.listener], config=LEOConfig(require_tenant=True))
    with leo, pytest.raises(TenantRequiredError):
        leo.cache.lookup(request())
    span = told.only(LOOKUP)
    assert span.attributes["error.type"] == "TenantRequiredError"
    assert span.status.status_code is StatusCode.ERROR
    (point,) = told.points("leo.cache.lookup.duration")[1]
    assert dict(point.attributes) == {"error.type": "TenantRequiredError"}


def test_a_look_up_that_goes_past_the_cache_says_so():
    told = Told()
    config = LEOConfig(personal_data=PersonalDataConfig(mode="redact"))
    with LEO(listeners=[told.listener], config=config) as leo:
        leo.cache.lookup(request("Write to jane.roe@example.org about it."))
    assert told.only(LOOKUP).attributes["leo.cache.action"] == "off"
    assert not told.reveals("jane.roe")


def test_waiting_for_an_equal_one_is_told(monkeypatch):
    told, waits, wait = Told(), threading.Event(), Landing.wait
    monkeypatch.setattr(Landing, "wait", lambda self, timeout_s: (waits.set(), wait(self, timeout_s))[1])
    with LEO(listeners=[told.listener]) as leo:
        leo.cache.lookup(request(), promised=True)
        follower = threading.Thread(target=leo.cache.lookup, args=(request(),))
        follower.start()
        waits.wait()
        bring(leo, request())
        follower.join()
    first, second = told.named(LOOKUP)
    assert "leo.cache.waited_s" not in first.attributes
    assert second.attributes["leo.cache.hit"] is True
    assert second.attributes["leo.cache.waited_s"] > 0.0


def test_a_request_to_members_is_no_look_up():
    told = Told()
    with LEO(small=ScriptedModel("openai:gpt-loopback", replies="Yes."), listeners=[told.listener]) as leo:
        leo.ask(QUESTION)
        leo.cache.decide(request())
    assert told.named(LOOKUP) == []


def test_a_tracer_that_fails_or_knows_no_look_ups_is_no_obstacle():
    class Broken:
        def notify(self, event):
            pass

        def begin_lookup(self, request):
            raise RuntimeError

    class Plain:
        def notify(self, event):
            pass

    with LEO(listeners=[Broken(), Plain()]) as leo:
        assert leo.cache.lookup(request())[0].action == "miss"
