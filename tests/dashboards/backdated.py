"""What an SDK has counted so far, sent as if it were another time: an hour of telemetry in a second."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource

_NS = 1_000_000_000


class BackdatedMetrics:
    """A meter provider whose cumulative numbers are exported on demand, with a time of one's choice.

    As in the SDK, a series starts when it is first recorded: here, at the export before.
    """

    def __init__(self, endpoint: str, resource: Resource, began_at_s: int) -> None:
        self._reader = InMemoryMetricReader()
        self._exporter = OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics")
        self._last_ns = began_at_s * _NS
        self._started_ns: dict[tuple[str, frozenset[Any]], int] = {}
        self.meter_provider = MeterProvider([self._reader], resource=resource, shutdown_on_exit=False)

    def export(self, at_s: int) -> None:
        """Send everything that was recorded until now, as of that time (Unix seconds)."""
        data = self._reader.get_metrics_data()
        assert data is not None
        sent = self._exporter.export(self._dated(data, at_s * _NS))
        assert sent is MetricExportResult.SUCCESS
        self._last_ns = at_s * _NS

    def close(self) -> None:
        """Stop."""
        self.meter_provider.shutdown()
        self._exporter.shutdown()

    def _dated(self, data: MetricsData, at_ns: int) -> MetricsData:
        resources = []
        for resource in data.resource_metrics:
            scopes = [
                replace(scope, metrics=[self._metric(metric, at_ns) for metric in scope.metrics])
                for scope in resource.scope_metrics
            ]
            resources.append(replace(resource, scope_metrics=scopes))
        return MetricsData(resource_metrics=resources)

    def _metric(self, metric: Any, at_ns: int) -> Any:
        points = [self._point(metric.name, point, at_ns) for point in metric.data.data_points]
        return replace(metric, data=replace(metric.data, data_points=points))

    def _point(self, metric: str, point: Any, at_ns: int) -> Any:
        series = metric, frozenset(point.attributes.items())
        started_ns = self._started_ns.setdefault(series, self._last_ns)
        exemplars = [replace(exemplar, time_unix_nano=at_ns) for exemplar in point.exemplars]
        return replace(point, start_time_unix_nano=started_ns, time_unix_nano=at_ns, exemplars=exemplars)
