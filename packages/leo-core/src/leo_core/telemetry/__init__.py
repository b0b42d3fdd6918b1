"""Money and what is told: prices of tokens, and listeners that tell traces, metrics and logs of requests.

Prices are data with a date. :class:`~leo_core.telemetry.otel.OpenTelemetryListener`,
:class:`~leo_core.telemetry.prometheus.PrometheusListener` and :class:`~leo_core.telemetry.logs.LogListener` are given
to ``listeners=``; each lives in a module of its own, which loads what it needs.
"""
