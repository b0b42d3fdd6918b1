"""What OpenTelemetry was told, kept in memory, for the tests of listeners."""

from __future__ import annotations

import re

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from leo_core.telemetry.otel import OpenTelemetryListener


class Told:
    """The spans and metrics of a listener."""

    def __init__(self, **settings):
        self._spans, self._metrics = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self._meters = TracerProvider(), MeterProvider([self._metrics])
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.listener = OpenTelemetryListener(tracer_provider=self.tracers, meter_provider=self._meters, **settings)

    @property
    def spans(self):
        return self._spans.get_finished_spans()

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def only(self, name):
        (span,) = self.named(name)
        return span

    def points(self, name):
        """The data points of a metric, with what it says of itself."""
        data = self._metrics.get_metrics_data()
        every = [metric for each in data.resource_metrics for scope in each.scope_metrics for metric in scope.metrics]
        (found,) = [metric for metric in every if metric.name == name]
        return found, list(found.data.data_points)

    def everything(self):
        """All that was told, as one text."""
        data = self._metrics.get_metrics_data()
        return "".join(span.to_json() for span in self.spans) + (data.to_json() if data else "")

    def reveals(self, secret):
        """Whether it was told; a number only as a whole one, since random ids and times may hold any digits."""
        told = self.everything()
        return bool(re.search(rf"\b{secret}\b", told)) if secret.isdigit() else secret in told


def parent_of(span):
    return span.parent.span_id if span.parent else None
