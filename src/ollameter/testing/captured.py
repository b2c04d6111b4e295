"""What would be exported, as plain records: the SDK's in-memory exporters behind one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from ollameter.testing.records import (
    CapturedExemplar,
    CapturedLink,
    CapturedLog,
    CapturedMetric,
    CapturedPoint,
    CapturedSpan,
)

try:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs import export as log_export
    from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, AlwaysOnExemplarFilter, MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.trace.sampling import Sampler
except ImportError as _error:  # pragma: no cover  # tested in an environment without the SDK
    raise ImportError('CapturedTelemetry needs the SDK: pip install "ollameter[otlp]"') from _error

from ollameter.telemetry.setup import otlp_exporters

__all__ = ["CapturedLog", "CapturedMetric", "CapturedPoint", "CapturedSpan", "CapturedTelemetry"]

# The SDK renamed it; the older name is what its oldest supported version has.
_InMemoryLogs: Any = getattr(log_export, "InMemoryLogRecordExporter", None) or getattr(
    log_export, "InMemoryLogExporter", None
)


class CapturedTelemetry:
    """Collects spans, metrics and logs of whoever is given its three providers.

    - `sampler`: which spans are recorded; the SDK's default without one
    - `exemplars`: whether data points keep exemplars, of spans that are not sampled too
    - `views`: the SDK's own, for other buckets or attributes
    - `export`: send traces and metrics on by OTLP as well, as the `OTEL_*` variables say

    Nothing global is set up. What was captured can still be read after `shutdown`.
    """

    def __init__(
        self,
        *,
        sampler: Sampler | None = None,
        exemplars: bool = True,
        views: Sequence[Any] = (),
        export: bool = False,
    ) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self._logs = _InMemoryLogs()
        self._exemplars: dict[object, tuple[CapturedExemplar, ...]] = {}
        self.tracer_provider: TracerProvider = TracerProvider(sampler=sampler)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        readers: list[Any] = [self._reader]
        if export:
            spans, metrics, _, _ = otlp_exporters()
            self.tracer_provider.add_span_processor(BatchSpanProcessor(spans))
            readers.append(PeriodicExportingMetricReader(metrics))
        kept = AlwaysOnExemplarFilter() if exemplars else AlwaysOffExemplarFilter()
        self.meter_provider: MeterProvider = MeterProvider(readers, exemplar_filter=kept, views=views)
        self.logger_provider: LoggerProvider = LoggerProvider()
        self.logger_provider.add_log_record_processor(log_export.SimpleLogRecordProcessor(self._logs))

    @property
    def providers(self) -> dict[str, Any]:
        """The three providers, as `OllamaProvider(**captured.providers)` takes them."""
        return {
            "tracer_provider": self.tracer_provider,
            "meter_provider": self.meter_provider,
            "logger_provider": self.logger_provider,
        }

    @property
    def spans(self) -> list[CapturedSpan]:
        """Every span that has ended, in that order."""
        return [_span(span) for span in self._spans.get_finished_spans()]

    @property
    def span(self) -> CapturedSpan:
        """The only span; raises `AssertionError` naming what there is otherwise."""
        spans = self.spans
        if len(spans) != 1:
            raise AssertionError(f"expected one span, got {[span.name for span in spans]}")
        return spans[0]

    @property
    def metrics(self) -> dict[str, CapturedMetric]:
        """Every metric recorded so far, by name."""
        data = self._reader.get_metrics_data()
        found = [
            self._with_earlier_exemplars(_metric(metric))
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        return {metric.name: metric for metric in found}

    def _with_earlier_exemplars(self, metric: CapturedMetric) -> CapturedMetric:
        # The SDK hands an exemplar out once; here a metric can be read twice.
        points = []
        for point in metric.points:
            key = metric.name, frozenset(point.attributes.items())
            known = self._exemplars[key] = (*self._exemplars.get(key, ()), *point.exemplars)
            points.append(replace(point, exemplars=known))
        return replace(metric, points=points)

    def metric(self, name: str) -> CapturedMetric:
        """Return one metric; raises `AssertionError` naming what there is otherwise."""
        found = self.metrics
        if name not in found:
            raise AssertionError(f"expected the metric {name}, got {sorted(found)}")
        return found[name]

    def points(self, name: str, **attributes: Any) -> list[CapturedPoint]:
        """Return a metric's points whose attributes include those given (`_` stands for `.`)."""
        metric = self.metrics.get(name)
        return [] if metric is None else [p for p in metric.points if _matches(p, attributes)]

    @property
    def logs(self) -> list[CapturedLog]:
        """Every log record and event, in the order of emitting."""
        return [_log(log.log_record) for log in self._logs.get_finished_logs()]

    @property
    def events(self) -> list[tuple[str | None, dict[str, Any]]]:
        """Every log event, as its name and attributes."""
        return [(log.event_name, log.attributes) for log in self.logs]

    def clear(self) -> None:
        """Forget spans, logs and exemplars; metrics are cumulative and stay."""
        _ = self.metrics  # what the SDK has not handed out yet is from before, too
        self._exemplars.clear()
        self._spans.clear()
        self._logs.clear()

    def shutdown(self) -> None:
        """Stop the three providers."""
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()
        self.logger_provider.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()


def _span(span: ReadableSpan) -> CapturedSpan:
    context: Any = span.get_span_context()
    return CapturedSpan(
        name=span.name,
        kind=span.kind.name,
        attributes=dict(span.attributes or {}),
        status=span.status.status_code.name,
        status_description=span.status.description,
        events=[(event.name, dict(event.attributes or {})) for event in span.events],
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_span_id=None if span.parent is None else f"{span.parent.span_id:016x}",
        links=[_link(link) for link in span.links],
        resource=dict(span.resource.attributes),
    )


def _link(link: Any) -> CapturedLink:
    target = link.context
    return CapturedLink(f"{target.trace_id:032x}", f"{target.span_id:016x}", dict(link.attributes or {}))


def _metric(metric: Any) -> CapturedMetric:
    points = [_point(point) for point in metric.data.data_points]
    kind = type(metric.data).__name__
    return CapturedMetric(metric.name, metric.unit, metric.description, kind, points)


def _point(point: Any) -> CapturedPoint:
    attributes, exemplars = dict(point.attributes), tuple(map(_exemplar, point.exemplars))
    if hasattr(point, "value"):
        return CapturedPoint(attributes, value=point.value, exemplars=exemplars)
    return CapturedPoint(
        attributes,
        count=point.count,
        sum=point.sum,
        buckets=tuple(getattr(point, "bucket_counts", ())),  # an exponential one has none of these
        bounds=tuple(getattr(point, "explicit_bounds", ())),
        exemplars=exemplars,
    )


def _exemplar(exemplar: Any) -> CapturedExemplar:
    return CapturedExemplar(exemplar.value, *_ids(exemplar))


def _log(record: Any) -> CapturedLog:
    attributes, severity = dict(record.attributes or {}), record.severity_text
    name = getattr(record, "event_name", None) or attributes.get("event.name")
    return CapturedLog(name, attributes, record.body, severity, *_ids(record))


def _ids(context: Any) -> tuple[str | None, str | None]:
    """Return trace and span id in hex; what is 0 or None is none."""
    trace_id, span_id = context.trace_id, context.span_id
    return f"{trace_id:032x}" if trace_id else None, f"{span_id:016x}" if span_id else None


def _matches(point: CapturedPoint, wanted: Mapping[str, Any]) -> bool:
    found = {name.replace(".", "_"): value for name, value in point.attributes.items()}
    return all(found.get(name) == value for name, value in wanted.items())
