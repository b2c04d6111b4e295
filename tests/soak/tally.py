"""Counts instead of keeping: what telemetry saw begin and end, and what the callers got."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from ollameter import PerformanceMetrics

Ending = tuple[str | None, str | None]
"""An outcome and an `error.type`."""


class Tally:
    """How often something ended in which way; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.endings: Counter[Ending] = Counter()

    def add(self, outcome: Any, error_type: Any) -> None:
        """Count one ending."""
        with self._lock:
            self.endings[outcome, error_type] += 1

    def add_call(self, metrics: PerformanceMetrics | None) -> None:
        """Count a caller's call; one without metrics is counted as such."""
        self.add(*((None, None) if metrics is None else (metrics.outcome, metrics.error_type)))


class CountingTelemetry(SpanProcessor):
    """Providers that record every span and point, and keep only numbers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.started = 0
        self.ended = Tally()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(self)
        self.meter_provider = MeterProvider([self._reader])

    @property
    def providers(self) -> dict[str, Any]:
        """The providers, as `OllamaProvider` takes them."""
        return {"tracer_provider": self.tracer_provider, "meter_provider": self.meter_provider}

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        """Count a span that starts."""
        with self._lock:
            self.started += 1

    def on_end(self, span: ReadableSpan) -> None:
        """Count a span that ends, by what it says of its ending."""
        said = span.attributes or {}
        self.ended.add(said.get("ollameter.outcome"), said.get("error.type"))

    def points(self) -> tuple[Counter[Any], int]:
        """Return the durations recorded by `error.type`, and the calls still counted as active."""
        durations: Counter[Any] = Counter()
        active = 0
        data = self._reader.get_metrics_data()
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
            for point in metric.data.data_points:
                if metric.name == "gen_ai.client.operation.duration":
                    durations[(point.attributes or {}).get("error.type")] += getattr(point, "count", 0)
                elif metric.name == "ollama.client.active_requests":
                    active += getattr(point, "value", 0)
        return durations, active

    def stop(self) -> None:
        """Shut both providers down."""
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()
