"""Prometheus' counters, read back in its text format."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from leo_core import LEO, LEOConfig
from leo_core.errors import ConfigError, ProviderUnavailableError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Usage
from leo_core.stages.resilience.config import ResilienceConfig
from leo_core.telemetry.prometheus import PrometheusListener

QUESTION = "How many days does February have in 2028?"


def member(name="small", **settings):
    return ScriptedModel(name, replies="29.", usage=Usage(input_tokens=11, output_tokens=5, calls=1), **settings)


def listen(**settings):
    return PrometheusListener(registry=CollectorRegistry(), **settings)


def read(listener):
    """Every sample by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(listener.write())
        for sample in family.samples
    }


def test_requests_calls_tokens_money_and_events_are_counted():
    listener = listen()
    with LEO(small=member(cost=0.002), listeners=[listener]) as leo:
        leo.ask(QUESTION)
        leo.ask(QUESTION)
        list(leo.stream(f"{QUESTION} Why?", cache=False))
    samples = read(listener)
    assert samples["leo_requests_total", ("cache", "miss"), ("error", ""), ("route", "small")] == 1
    assert samples["leo_requests_total", ("cache", "off"), ("error", ""), ("route", "small")] == 1
    assert samples["leo_requests_total", ("cache", "serve"), ("error", ""), ("route", "cache")] == 1
    assert samples["leo_request_seconds_count", ("route", "small")] == 2
    assert samples["leo_request_own_seconds_count", ("route", "cache")] == 1
    assert samples["leo_member_calls_total", ("error", ""), ("member", "small")] == 2
    assert samples["leo_tokens_total", ("member", "small"), ("type", "input")] == 22
    assert samples["leo_tokens_total", ("member", "small"), ("type", "output")] == 10
    assert samples["leo_cost_usd_total", ("member", "small")] == pytest.approx(0.004)
    assert samples["leo_saved_usd", ("route", "cache")] == pytest.approx(0.002)
    assert samples["leo_events_total", ("event", "cache.hit")] == 1


def test_failures_and_unknown_prices_are_counted_apart():
    listener = listen()
    down = ProviderUnavailableError("refused", provider="scripted", model="small")
    config = LEOConfig(resilience=ResilienceConfig(max_retries=0))
    with (
        LEO(small=member(fail=[down], cost=None), config=config, listeners=[listener]) as leo,
        pytest.raises(ProviderUnavailableError),
    ):
        leo.ask(QUESTION)
    with LEO(small=member(cost=None), listeners=[listener]) as leo:  # one listener may hear several
        leo.ask(QUESTION)
    samples = read(listener)
    failed = ("error", "ProviderUnavailableError")
    assert samples["leo_requests_total", ("cache", "none"), failed, ("route", "none")] == 1
    assert samples["leo_member_calls_total", failed, ("member", "small")] == 1
    assert samples["leo_unpriced_calls_total", ("member", "small")] == 1
    assert ("leo_cost_usd_total", ("member", "small")) not in samples


def test_labels_stay_few_and_name_nobody():
    listener = listen(most_members=2)
    for number in range(4):
        with LEO(small=member(f"m{number}"), listeners=[listener]) as leo:
            leo.ask(QUESTION, tenant=f"acme-{number}", session="talk", user="jane")
    calls = {key[2][1]: value for key, value in read(listener).items() if key[0] == "leo_member_calls_total"}
    assert calls == {"m0": 1, "m1": 1, "other": 2}
    for secret in ("acme", "talk", "jane", "February"):
        assert secret not in listener.write()


def test_two_listeners_need_two_registries():
    registry = CollectorRegistry()
    PrometheusListener(registry=registry)
    with pytest.raises(ConfigError, match="share that, or give a registry="):
        PrometheusListener(registry=registry)
    with pytest.raises(ConfigError, match="most_members"):
        listen(most_members=0)


WORKERS = """
import os, sys
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from leo_core import LEO
from leo_core.providers.scripted import ScriptedModel
from leo_core.telemetry.prometheus import PrometheusListener

with LEO(small=ScriptedModel("small", replies="29.", cost=0.002), listeners=[PrometheusListener()]) as leo:
    leo.ask("How many days does February have in 2028?")
    leo.flush()
    for _ in range(2):
        worker = os.fork()
        if worker == 0:
            leo.ask("How many days does February have in 2028?")
            os._exit(0)
        assert os.waitpid(worker, 0)[1] == 0
registry = CollectorRegistry()
MultiProcessCollector(registry)
sys.stdout.write(generate_latest(registry).decode())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_workers_are_counted_together(tmp_path):
    found = subprocess.run(
        [sys.executable, "-c", WORKERS],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "pid=" not in found.stdout
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(found.stdout)
        for sample in family.samples
    }
    assert samples["leo_requests_total", ("cache", "serve"), ("error", ""), ("route", "cache")] == 2
    assert samples["leo_member_calls_total", ("error", ""), ("member", "small")] == 1
    assert samples["leo_saved_usd", ("route", "cache")] == pytest.approx(0.004)
