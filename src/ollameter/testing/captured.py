"""What would be exported, as plain records: the SDK's in-memory exporters behind one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

try:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
    from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.trace.sampling import Sampler
except ImportError as error:  # pragma: no cover  # tested in an environment without the SDK
    raise ImportError('CapturedTelemetry needs the SDK: pip install "ollameter[otlp]"') from error

from ollameter.telemetry.setup import otlp_exporters


@dataclass(frozen=True)
class CapturedSpan:
    """One ended span; `parent_span_id` is None for a root, `status` one of UNSET, OK, ERROR."""

    name: str
    kind: str
    attributes: dict[str, Any]
    status: str
    status_description: str | None
    events: list[tuple[str, dict[str, Any]]]
    start_ns: int
    end_ns: int
    trace_id: str
    span_id: str
    parent_span_id: str | None


@dataclass(frozen=True)
class CapturedPoint:
    """One data point: `value` of a sum or gauge; `count`, `sum`, `buckets`, `bounds` of a histogram."""

    attributes: dict[str, Any]
    value: float | None = None
    count: int | None = None
    sum: float | None = None
    buckets: tuple[int, ...] = ()
    bounds: tuple[float, ...] = ()
    exemplar_span_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class CapturedMetric:
    """One metric with its data points; `kind` is Histogram, Sum or Gauge."""

    name: str
    unit: str
    description: str
    kind: str
    points: list[CapturedPoint] = field(default_factory=list)


class CapturedTelemetry:
    """Collects spans, metrics and events of whoever is given its three providers.

    `export=True` sends traces and metrics on by OTLP as well, as the `OTEL_*` variables say.
    """

    def __init__(
        self, *, sampler: Sampler | None = None, views: Sequence[Any] = (), export: bool = False
    ) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self._logs: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the SDK's own
        self.tracer_provider = TracerProvider(sampler=sampler)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        readers: list[Any] = [self._reader]
        if export:
            spans, metrics, _, _ = otlp_exporters()
            self.tracer_provider.add_span_processor(BatchSpanProcessor(spans))
            readers.append(PeriodicExportingMetricReader(metrics))
        self.meter_provider = MeterProvider(readers, exemplar_filter=AlwaysOnExemplarFilter(), views=views)
        self.logger_provider = LoggerProvider()
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))

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
            _metric(metric)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        return {metric.name: metric for metric in found}

    def points(self, name: str, **attributes: Any) -> list[CapturedPoint]:
        """Return a metric's points whose attributes include those given (`_` stands for `.`)."""
        metric = self.metrics.get(name)
        return [] if metric is None else [p for p in metric.points if _matches(p, attributes)]

    @property
    def events(self) -> list[tuple[str | None, dict[str, Any]]]:
        """Every log event, as its name and attributes."""
        records = [log.log_record for log in self._logs.get_finished_logs()]
        return [(record.event_name, dict(record.attributes or {})) for record in records]

    def clear(self) -> None:
        """Forget spans and events; metrics are cumulative and stay."""
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
    )


def _metric(metric: Any) -> CapturedMetric:
    points = [_point(point) for point in metric.data.data_points]
    kind = type(metric.data).__name__
    return CapturedMetric(metric.name, metric.unit, metric.description, kind, points)


def _point(point: Any) -> CapturedPoint:
    attributes = dict(point.attributes)
    exemplars = tuple(f"{e.span_id:016x}" for e in point.exemplars if e.span_id is not None)
    if hasattr(point, "value"):
        return CapturedPoint(attributes, value=point.value, exemplar_span_ids=exemplars)
    return CapturedPoint(
        attributes,
        count=point.count,
        sum=point.sum,
        buckets=tuple(point.bucket_counts),
        bounds=tuple(point.explicit_bounds),
        exemplar_span_ids=exemplars,
    )


def _matches(point: CapturedPoint, wanted: Mapping[str, Any]) -> bool:
    found = {name.replace(".", "_"): value for name, value in point.attributes.items()}
    return all(found.get(name) == value for name, value in wanted.items())
