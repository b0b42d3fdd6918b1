"""OpenTelemetry: a span for each request, look-up and call of a member, and metrics, by the GenAI conventions.

Needs ``pip install "leo-core[otel]"``, which brings the API alone; where spans and metrics go is what the application
sets up with the SDK. The names are those of the semantic conventions for generative AI (status: development),
https://opentelemetry.io/docs/specs/semconv/gen-ai/; see decision 35 for the choice among their versions.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from leo_core._version import __version__
from leo_core.errors import MissingExtraError
from leo_core.records import Answer, Draft, Failure
from leo_core.telemetry.content import input_messages, output_messages, system_instructions
from leo_core.telemetry.facts import answer_facts, error_type, event_facts, lookup_facts, provider_name
from leo_core.telemetry.pseudonyms import Pseudonyms
from leo_core.telemetry.tracer import LookedUp, Span

try:
    from opentelemetry import context as contexts
    from opentelemetry import metrics, trace
    from opentelemetry.trace import SpanKind, Status, StatusCode
except ImportError as missing:
    extra = "otel"
    raise MissingExtraError(extra, "OpenTelemetryListener") from missing

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter, MeterProvider
    from opentelemetry.trace import Tracer as OtelTracer
    from opentelemetry.trace import TracerProvider

    from leo_core.ports import Model
    from leo_core.records import Event, Request, Usage
    from leo_core.telemetry.pseudonyms import Naming
    from leo_core.telemetry.tracer import Outcome

__all__ = ["OpenTelemetryListener"]

_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS: Final = tuple(4**power for power in range(14))
"""The bucket boundaries that the conventions recommend."""
_OWN_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_CURRENT: Final = contexts.create_key("leo-span")


class OpenTelemetryListener:
    """Records requests as spans and metrics. Give it to ``listeners=`` of a LEO, ``LEOChatModel`` or ``LEOLLM``.

    A request is a span ``invoke_workflow leo`` in that of whoever asks. Each call of a member is a span
    ``chat {model}`` in it, and is current while the member works, so that what an instrumented SDK or HTTP client
    records hangs below it: in threads, tasks, streams, and in the background too. A look-up in the cache of a framework
    that asks its models itself (``LEOCache``, the middlewares, ``LEOCachedQueryEngine``) is a span
    ``cache_lookup leo``.

    Args:
        tracer_provider: Where spans go; by default to the global provider.
        meter_provider: Where metrics go; by default to the global provider.
        capture_content: Whether the spans hold prompts and answers (``gen_ai.input.messages``,
            ``gen_ai.output.messages``, ``gen_ai.system_instructions``) and the reasons in words, with stand-ins where
            LEO covers personal data.
        names: How tenants (``leo.tenant``) and sessions (``gen_ai.conversation.id``) are named: ``"none"``,
            ``"hashed"`` or ``"plain"``. Metrics never have them.
        names_key: The key of hashed names, 16 to 64 bytes.

    Raises:
        ConfigError: ``names`` is unknown, or the key is too short or too long.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        capture_content: bool = False,
        names: Naming = "none",
        names_key: bytes | None = None,
    ) -> None:
        self._records = _Records(
            trace.get_tracer("leo_core", __version__, tracer_provider),
            metrics.get_meter("leo_core", __version__, meter_provider),
            Pseudonyms(names, names_key),
            capture_content=capture_content,
        )

    def begin_request(self, request: Request, *, stream: bool) -> Span:
        """Begin the span of a request."""
        return _RequestSpan(self._records, request, stream=stream)

    def begin_lookup(self, request: Request) -> Span:
        """Begin the span of a look-up."""
        return _LookupSpan(self._records, request)

    def notify(self, event: Event) -> None:
        """Count an event, and add it to the span in which it happened."""
        self._records.events.add(1, {"leo.event": event.name})
        span = contexts.get_value(_CURRENT)
        if isinstance(span, trace.Span) and span.is_recording():
            facts: Mapping[str, Any] = event_facts(event)
            span.add_event(event.name, {f"leo.{name}": value for name, value in facts.items()})


class _Records:
    """The tracer, the instruments, and what may be told."""

    def __init__(self, tracer: OtelTracer, meter: Meter, names: Pseudonyms, *, capture_content: bool) -> None:
        self.tracer, self.names, self.capture_content = tracer, names, capture_content
        self.duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self.first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="Time to receive the first chunk of a streamed reply.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.request_duration = meter.create_histogram(
            "leo.request.duration",
            unit="s",
            description="Time from a request to its answer.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.own_duration = meter.create_histogram(
            "leo.request.own_duration",
            unit="s",
            description="LEO's own part of the time from a request to its answer.",
            explicit_bucket_boundaries_advisory=_OWN_SECONDS,
        )
        self.lookup_duration = meter.create_histogram(
            "leo.cache.lookup.duration",
            unit="s",
            description="Time of a look-up in a framework's cache.",
            explicit_bucket_boundaries_advisory=_OWN_SECONDS,
        )
        self.cost = meter.create_counter("leo.cost", unit="{USD}", description="What calls of members cost.")
        self.saved = meter.create_up_down_counter(
            "leo.saved", unit="{USD}", description="What hits and cheaper routes saved against the large member."
        )
        self.events = meter.create_counter("leo.events", unit="{event}", description="Events of the engine.")


class _Recorded(Span):
    """A span of OpenTelemetry, current while the work is done."""

    __slots__ = ("_records", "_span", "_started", "context")

    def __init__(self, records: _Records, name: str, parent: Context, kind: SpanKind, facts: dict[str, Any]) -> None:
        self._records = records
        self._started = time.perf_counter()
        self._span = records.tracer.start_span(name, context=parent, kind=kind, attributes=_known(facts))
        self.context = contexts.set_value(_CURRENT, self._span, trace.set_span_in_context(self._span, parent))

    @contextmanager
    def active(self) -> Generator[None]:
        token = contexts.attach(self.context)
        try:
            yield
        finally:
            contexts.detach(token)

    def begin_call(self, model: Model, request: Request, *, stream: bool) -> Span:
        return _CallSpan(self._records, self.context, model, request, stream=stream)

    def _close(self, outcome: Outcome) -> tuple[float, str | None]:
        """End the span; the seconds it took, and the class of what went wrong."""
        error = error_type(outcome)
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
        return time.perf_counter() - self._started, error


class _RequestSpan(_Recorded):
    """The span of a request."""

    __slots__ = ("_request",)

    def __init__(self, records: _Records, request: Request, *, stream: bool) -> None:
        self._request = request
        facts = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": "leo",
            "gen_ai.request.stream": stream or None,
            "gen_ai.conversation.id": records.names.write(request.session),
            "leo.tenant": records.names.write(request.tenant),
        }
        super().__init__(records, "invoke_workflow leo", contexts.get_current(), SpanKind.INTERNAL, facts)

    def end(self, outcome: Outcome) -> None:
        told: dict[str, Any] = {}
        if isinstance(outcome, Answer):
            facts = answer_facts(outcome)
            self._span.set_attributes(facts)
            told = {name: facts[name] for name in ("leo.route", "leo.cache.hit")}
            self._records.own_duration.record(outcome.own_s, told, context=self.context)
            if outcome.saved.cost_usd:
                self._records.saved.add(outcome.saved.cost_usd, told, context=self.context)
        if self._records.capture_content and self._span.is_recording():
            self._span.set_attributes(self._content(outcome))
        seconds, error = self._close(outcome)
        self._records.request_duration.record(seconds, _known({**told, "error.type": error}), context=self.context)

    def _content(self, outcome: Outcome) -> dict[str, Any]:
        told = _content_of(self._request)
        if isinstance(outcome, Answer):
            shown = outcome.covered or outcome.message
            told["gen_ai.output.messages"] = output_messages(shown, outcome.finish_reason)
            told["leo.cache.why"] = outcome.cache.why
            told["leo.route.why"] = outcome.decision.why
        return told


class _LookupSpan(_Recorded):
    """The span of a look-up, which tells neither what is looked up nor what is found."""

    __slots__ = ()

    def __init__(self, records: _Records, request: Request) -> None:
        facts = {"gen_ai.operation.name": "cache_lookup", "leo.tenant": records.names.write(request.tenant)}
        super().__init__(records, "cache_lookup leo", contexts.get_current(), SpanKind.INTERNAL, facts)

    def end(self, outcome: Outcome) -> None:
        told: dict[str, Any] = {}
        if isinstance(outcome, LookedUp):
            facts = lookup_facts(outcome)
            self._span.set_attributes(facts)
            told = {name: facts[name] for name in ("leo.cache.hit", "leo.cache.action")}
            if outcome.entry is not None and outcome.entry.usage.cost_usd:
                by: dict[str, Any] = {"leo.route": "cache", "leo.cache.hit": True}
                self._records.saved.add(outcome.entry.usage.cost_usd, by, context=self.context)
        seconds, error = self._close(outcome)
        self._records.lookup_duration.record(seconds, _known({**told, "error.type": error}), context=self.context)


class _CallSpan(_Recorded):
    """The span of a call of a member."""

    __slots__ = ("_labels", "_request")

    def __init__(self, records: _Records, parent: Context, model: Model, request: Request, *, stream: bool) -> None:
        self._request = request
        sampling, name = request.sampling, request.model or model.id.partition(":")[2] or model.id
        self._labels: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider_name(model.id),
            "gen_ai.request.model": name,
        }
        facts = {
            **self._labels,
            "gen_ai.request.stream": stream or None,
            "gen_ai.request.temperature": sampling.temperature,
            "gen_ai.request.top_p": sampling.top_p,
            "gen_ai.request.max_tokens": sampling.max_tokens,
            "gen_ai.request.seed": sampling.seed,
            "leo.member": model.id,
        }
        super().__init__(records, f"chat {name}", parent, SpanKind.CLIENT, facts)

    def first_chunk(self) -> None:
        seconds = time.perf_counter() - self._started
        self._span.set_attribute("gen_ai.response.time_to_first_chunk", seconds)
        self._records.first_chunk.record(seconds, self._labels, context=self.context)

    def end(self, outcome: Outcome) -> None:
        usage = outcome.usage if isinstance(outcome, Draft | Failure) else None
        labels = self._labels
        if isinstance(outcome, Draft):
            labels = {**labels, "gen_ai.response.model": outcome.model}
            self._span.set_attribute("gen_ai.response.model", outcome.model)
            self._span.set_attribute("gen_ai.response.finish_reasons", [outcome.finish_reason])
        if usage is not None and usage.calls:
            self._span.set_attributes(_usage_facts(usage))
            self._count(usage, labels)
        if self._records.capture_content and self._span.is_recording():
            told = _content_of(self._request)
            if isinstance(outcome, Draft):
                told["gen_ai.output.messages"] = output_messages(outcome.message, outcome.finish_reason)
            self._span.set_attributes(told)
        seconds, error = self._close(outcome)
        self._records.duration.record(seconds, _known({**labels, "error.type": error}), context=self.context)

    def _count(self, usage: Usage, labels: Mapping[str, Any]) -> None:
        counted = {"input": usage.input_tokens, "output": usage.output_tokens}
        for kind, tokens in counted.items():
            if tokens:
                self._records.tokens.record(tokens, {**labels, "gen_ai.token.type": kind}, context=self.context)
        if usage.cost_usd:
            self._records.cost.add(usage.cost_usd, labels, context=self.context)


def _usage_facts(usage: Usage) -> dict[str, Any]:
    return _known(
        {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens or None,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens or None,
            "leo.cost_usd": usage.cost_usd,
        }
    )


def _content_of(request: Request) -> dict[str, Any]:
    return _known(
        {
            "gen_ai.system_instructions": system_instructions(request.messages),
            "gen_ai.input.messages": input_messages(request.messages),
        }
    )


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}
