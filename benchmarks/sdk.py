"""A real SDK whose exporters do nothing: what telemetry costs a program, without the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON


class _NoSpans(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class _NoMetrics(MetricExporter):
    def export(
        self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass


class Sdk:
    """Global providers for this process, as an application would set them."""

    def __init__(self, *, sampled: bool = True) -> None:
        self._tracers = TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF)
        self._tracers.add_span_processor(BatchSpanProcessor(_NoSpans()))
        self._meters = MeterProvider([PeriodicExportingMetricReader(_NoMetrics())])
        trace.set_tracer_provider(self._tracers)
        metrics.set_meter_provider(self._meters)
        _logs.set_logger_provider(LoggerProvider())

    def flush(self) -> None:
        """Export what waits, so that its cost falls into the window that is measured."""
        self._tracers.force_flush()
        self._meters.force_flush()


class Seeing:
    """Global providers that keep the last call, to compare what it reports with what was."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._reader = InMemoryMetricReader()
        trace.set_tracer_provider(tracers)
        metrics.set_meter_provider(MeterProvider([self._reader]))
        _logs.set_logger_provider(LoggerProvider())
        self._sums: dict[str, float] = {}

    def flush(self) -> None:
        """Keep nothing back: everything is exported at once."""

    def last_call(self) -> dict[str, float | None]:
        """Return the duration and time to first chunk that were exported since the last look, seconds."""
        spans = [span for span in self._spans.get_finished_spans() if "chat" in span.name.lower()]
        self._spans.clear()
        first = self._first_chunk_metric()
        duration = None
        for span in spans:
            if span.end_time is not None and span.start_time is not None:
                duration = (span.end_time - span.start_time) / 1e9
            first = first or _first_chunk(span)
        return {"duration_s": duration, "first_chunk_s": first}

    def _first_chunk_metric(self) -> float | None:
        found = None
        data = self._reader.get_metrics_data()
        for resource in [] if data is None else data.resource_metrics:
            for metric in [m for scope in resource.scope_metrics for m in scope.metrics]:
                if "time_to_first" in metric.name:
                    points: Any = metric.data.data_points
                    total = sum(point.sum for point in points)
                    found = total - self._sums.get(metric.name, 0.0)
                    self._sums[metric.name] = total
        return found


def _first_chunk(span: ReadableSpan) -> float | None:
    """Find it in a span: an attribute of its own, or an event at its moment."""
    for name, value in (span.attributes or {}).items():
        if "time_to_first" in name and isinstance(value, int | float):
            return float(value)
    for event in span.events:
        if "first" in event.name.lower():
            return (event.timestamp - (span.start_time or 0)) / 1e9
    return None
