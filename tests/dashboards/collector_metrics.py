"""What a collector says of itself, staged: the names of a real one with numbers of our choice."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.resources import Resource

from tests.dashboards.backdated import BackdatedMetrics
from tests.dashboards.known import RANGE_S, STEP_S, STEPS

_JAEGER, _PROMETHEUS = {"exporter": "otlp_grpc/jaeger"}, {"exporter": "otlp_http/prometheus"}
_OTLP = {"receiver": "otlp", "transport": "grpc"}
_TRACES, _METRICS = {**_JAEGER, "data_type": "traces"}, {**_PROMETHEUS, "data_type": "metrics"}

LEVELS: dict[str, list[tuple[dict[str, str], int]]] = {
    "otelcol_exporter_queue_size": [(_TRACES, 4_500), (_METRICS, 250)],
    "otelcol_exporter_queue_capacity": [(_TRACES, 5_000), (_METRICS, 1_000)],
}
EACH_STEP: dict[str, tuple[dict[str, str], int]] = {
    "otelcol_receiver_accepted_spans": (_OTLP, 30),
    "otelcol_receiver_accepted_metric_points": (_OTLP, 150),
    "otelcol_receiver_refused_spans": (_OTLP, 3),
    "otelcol_receiver_refused_metric_points": (_OTLP, 6),
    "otelcol_exporter_sent_spans": (_JAEGER, 45),
    "otelcol_exporter_sent_metric_points": (_PROMETHEUS, 60),
    "otelcol_exporter_enqueue_failed_spans": (_JAEGER, 9),
    "otelcol_exporter_enqueue_failed_metric_points": (_PROMETHEUS, 12),
    "otelcol_exporter_send_failed_spans": (_JAEGER, 15),
    "otelcol_exporter_send_failed_metric_points": (_PROMETHEUS, 18),
}


def play(endpoint: str, now_s: int) -> None:
    """Let every counter grow by its step until `now_s`."""
    resource = Resource({"service.name": "otelcol", "service.instance.id": "collector-1"})
    metrics = BackdatedMetrics(endpoint, resource, now_s - RANGE_S)
    meter = metrics.meter_provider.get_meter("staged")
    # Up-down counters: what is scraped from a collector has no `_total` either.
    counters: dict[str, Any] = {name: meter.create_up_down_counter(name) for name in (*LEVELS, *EACH_STEP)}
    for name, levels in LEVELS.items():
        for labels, level in levels:
            counters[name].add(level, labels)
    for step in range(STEPS + 1):
        for name, (labels, amount) in EACH_STEP.items():
            counters[name].add(amount if step else 0, labels)
        metrics.export(now_s - RANGE_S + step * STEP_S)
    metrics.close()
