"""Structured logs: one line for each request, and nothing of what was said."""

from __future__ import annotations

import io
import json
import logging

import pytest

from leo_core import LEO, Budget, LEOConfig
from leo_core.errors import ProviderUnavailableError, StoreLockedError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Event
from leo_core.stages.resilience.config import ResilienceConfig
from leo_core.telemetry.logs import JsonFormatter, LogListener

QUESTION = "How many days does February have in 2028?"


@pytest.fixture
def log():
    """A logger of this test alone, and what it wrote."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("leo.test")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, out
    logger.removeHandler(handler)


def lines(out):
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_request_is_one_line_with_its_facts_and_without_its_words(log):
    logger, out = log
    with LEO(small=ScriptedModel("small", replies="29.", cost=0.002), listeners=[LogListener(logger)]) as leo:
        answer = leo.ask(QUESTION, tenant="acme", session="talk", user="jane")
        leo.ask(QUESTION.replace("2028", "2027"), tenant="acme")
    first, second = lines(out)
    assert (first["level"], first["logger"], first["message"]) == ("INFO", "leo.test", "request answered")
    assert (first["leo.route"], first["leo.cost_usd"], first["leo.calls"]) == ("small", 0.002, 1)
    assert (first["leo.receipt"], first["leo.answer_id"]) == (answer.receipt.id, answer.id)
    assert second["leo.cache.hit"] is False
    for secret in ("February", "2027", "29.", "acme", "talk", "jane"):
        assert secret not in out.getvalue().replace(first["time"], "").replace(second["time"], "")


def test_a_failed_request_is_a_warning_with_the_class_of_its_error(log):
    logger, out = log
    down = ProviderUnavailableError("refused: the secret plan", provider="scripted", model="small")
    config = LEOConfig(resilience=ResilienceConfig(max_retries=0))
    with (
        LEO(small=ScriptedModel("small", "29.", fail=down), config=config, listeners=[LogListener(logger)]) as leo,
        pytest.raises(ProviderUnavailableError),
    ):
        leo.ask(QUESTION)
    (line,) = lines(out)
    assert (line["level"], line["error.type"]) == ("WARNING", "ProviderUnavailableError")
    assert "secret" not in out.getvalue()


def test_tenants_are_named_where_that_is_asked_for(log):
    logger, out = log
    with LEO(small=ScriptedModel("small", "29."), listeners=[LogListener(logger, names="plain")]) as leo:
        leo.ask(QUESTION, tenant="acme")
    assert lines(out)[0]["leo.tenant"] == "acme"


def test_alarms_are_logged_and_everyday_events_are_not(log):
    logger, out = log
    listener = LogListener(logger)
    facts = {"operation": "put", "error": "OSError", "tenant": "acme", "why": "said February"}
    listener.notify(Event(name="store.failed", facts=facts, at=0.0))
    listener.notify(Event(name="cache.hit", facts={"kind": "exact"}, at=0.0))
    (line,) = lines(out)
    assert {name: value for name, value in line.items() if name.startswith("leo.")} == {
        "leo.event": "store.failed",
        "leo.operation": "put",
        "leo.error": "OSError",
    }


def test_a_ledger_that_is_out_and_a_member_that_is_left_alone_are_logged(log, tmp_path):
    logger, out = log
    down = ProviderUnavailableError("refused", provider="scripted", model="small")
    config = LEOConfig(budgets=(Budget(limit_usd=1.0),), resilience=ResilienceConfig(max_retries=0))
    small = ScriptedModel("small", "29.", cost=0.01, fail=[None, *[down] * 5])
    with LEO(small=small, store=tmp_path / "leo.db", config=config, listeners=[LogListener(logger)]) as leo:
        leo.ask(QUESTION)
        for number in range(5):
            with pytest.raises(ProviderUnavailableError):
                leo.ask(f"{QUESTION} {number}")
        opened = [line for line in lines(out) if line.get("leo.event") == "circuit.opened"]
        leo._world.budgets.guard.note("reserve", StoreLockedError("held by another process"))
    assert [(line["level"], line["leo.member"]) for line in opened] == [("WARNING", "small")]
    (failed,) = [line for line in lines(out) if line.get("leo.event") == "ledger.failed"]
    assert (failed["level"], failed["leo.error"]) == ("WARNING", "StoreLockedError")


def test_an_exception_is_written_as_its_class_alone(log):
    logger, out = log
    try:
        raise ValueError("said February")
    except ValueError:
        logger.exception("it failed")
    (line,) = lines(out)
    assert (line["message"], line["error.type"]) == ("it failed", "ValueError")
    assert "February" not in out.getvalue()
