"""Prometheus: counters and histograms of requests, calls of members, money and events.

Needs ``pip install "leo-core[prometheus]"``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from leo_core.errors import ConfigError, MissingExtraError
from leo_core.records import Answer, Draft, Failure
from leo_core.telemetry.facts import error_type
from leo_core.telemetry.tracer import Span

try:
    from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest
except ImportError as missing:
    extra = "prometheus"
    raise MissingExtraError(extra, "PrometheusListener") from missing

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from leo_core.ports import Model
    from leo_core.records import Event, Request, Usage
    from leo_core.telemetry.tracer import Outcome

__all__ = ["PrometheusListener"]

_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_OWN_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_SHARES: Final = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
_OTHER: Final = "other"


class PrometheusListener:
    """Counts requests for Prometheus. Give it to ``listeners=`` of a LEO, ``LEOChatModel`` or ``LEOLLM``.

    The labels are few: routes, what the cache did, classes of errors, names of events, and ids of members, of which
    those past ``most_members`` are counted together as ``other``. No tenant, user, session or text is a label. One
    listener may serve several LEOs; two listeners need two registries.

    Args:
        registry: Where the metrics are registered; by default prometheus_client's own.
        most_members: How many members have a label of their own, at least 1.

    Raises:
        ConfigError: ``most_members`` is below 1, or the registry holds the metrics of another listener.
    """

    def __init__(self, *, registry: CollectorRegistry | None = None, most_members: int = 64) -> None:
        if most_members < 1:
            message = f"most_members has to be at least 1, not {most_members}"
            raise ConfigError(message)
        self.registry = REGISTRY if registry is None else registry
        try:
            self._metrics = _Metrics(self.registry, most_members)
        except ValueError as error:
            message = "this registry holds the metrics of another PrometheusListener: share that, or give a registry="
            raise ConfigError(message) from error

    def begin_request(self, request: Request, *, stream: bool) -> Span:  # noqa: ARG002 - nothing is told of the request
        """Take the time at which a request begins."""
        return _RequestTime(self._metrics)

    def notify(self, event: Event) -> None:
        """Count an event."""
        self._metrics.events.labels(event.name).inc()

    def write(self) -> str:
        """All metrics of the registry in Prometheus' text format; with ``PROMETHEUS_MULTIPROC_DIR`` this process's."""
        return generate_latest(self.registry).decode()


class _Metrics:
    """The metrics."""

    def __init__(self, registry: CollectorRegistry, most_members: int) -> None:
        self._members: set[str] = set()
        self._most_members = most_members

        def make(kind: Any, name: str, says: str, *labels: str, **settings: Any) -> Any:
            return kind(f"leo_{name}", says, labels, registry=registry, **settings)

        self.requests = make(Counter, "requests", "Requests that have ended.", "route", "cache", "error")
        self.seconds = make(
            Histogram, "request_seconds", "Time from a request to its answer.", "route", buckets=_SECONDS
        )
        self.own_seconds = make(
            Histogram, "request_own_seconds", "LEO's own part of that time.", "route", buckets=_OWN_SECONDS
        )
        self.risk = make(Histogram, "answer_risk", "P(wrong) of answers.", "route", buckets=_SHARES)
        self.saved = make(
            Gauge,
            "saved_usd",
            "US dollars that hits and cheaper routes saved against the large member.",
            "route",
            multiprocess_mode="sum",  # the processes', those that ended too: otherwise each would be a label "pid"
        )
        self.calls = make(Counter, "member_calls", "Calls of members that have ended.", "member", "error")
        self.call_seconds = make(Histogram, "member_seconds", "Time of a call.", "member", buckets=_SECONDS)
        self.tokens = make(Counter, "tokens", "Tokens of calls.", "member", "type")
        self.cost = make(Counter, "cost_usd", "US dollars that calls cost.", "member")
        self.unpriced = make(Counter, "unpriced_calls", "Calls of which the cost is not known.", "member")
        self.events = make(Counter, "events", "Events of the engine.", "event")

    def label_of(self, member: str) -> str:
        """The label of a member: its id, as long as there are few."""
        if member not in self._members:
            if len(self._members) >= self._most_members:
                return _OTHER
            self._members.add(member)
        return member


class _RequestTime(Span):
    """The time of a request."""

    __slots__ = ("_metrics", "_started")

    def __init__(self, metrics: _Metrics) -> None:
        self._metrics, self._started = metrics, time.perf_counter()

    def begin_call(self, model: Model, request: Request, *, stream: bool) -> Span:  # noqa: ARG002 - as above
        return _CallTime(self._metrics, model.id)

    def end(self, outcome: Outcome) -> None:
        metrics, route, cache = self._metrics, "none", "none"
        if isinstance(outcome, Answer):
            route, cache = outcome.route.value, outcome.cache.action
            metrics.own_seconds.labels(route).observe(outcome.own_s)
            metrics.risk.labels(route).observe(outcome.risk.value)
            metrics.saved.labels(route).inc(outcome.saved.cost_usd or 0.0)
        metrics.requests.labels(route, cache, error_type(outcome) or "").inc()
        metrics.seconds.labels(route).observe(time.perf_counter() - self._started)


class _CallTime(Span):
    """The time of a call."""

    __slots__ = ("_member", "_metrics", "_started")

    def __init__(self, metrics: _Metrics, member: str) -> None:
        self._metrics, self._member, self._started = metrics, metrics.label_of(member), time.perf_counter()

    def end(self, outcome: Outcome) -> None:
        metrics, member = self._metrics, self._member
        metrics.calls.labels(member, error_type(outcome) or "").inc()
        metrics.call_seconds.labels(member).observe(time.perf_counter() - self._started)
        if isinstance(outcome, Draft | Failure) and outcome.usage.calls:
            self._count(outcome.usage)

    def _count(self, usage: Usage) -> None:
        metrics, member = self._metrics, self._member
        metrics.tokens.labels(member, "input").inc(usage.input_tokens)
        metrics.tokens.labels(member, "output").inc(usage.output_tokens)
        if usage.cost_usd is None:
            metrics.unpriced.labels(member).inc()
        else:
            metrics.cost.labels(member).inc(usage.cost_usd)
