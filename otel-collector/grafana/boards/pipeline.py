"""Whether the telemetry itself arrives: the collector's own metrics, and what it counts in spans."""

from __future__ import annotations

from boards.panel import COUNT, PER_SECOND, SECONDS, SHARE, Board, Panel, Query, ask
from boards.promql import of_service, quantile, total

_EXPORTER, _RECEIVER = "otelcol_exporter", "otelcol_receiver"
_SPANS = "traces_span_metrics"
_SIGNALS = (("spans", "spans"), ("metric_points", "points"))
_NO_COLLECTOR = "collector not scraped"
_QUIET = "nothing failed"


def _each(prefix: str, what: str, of: str) -> tuple[Query, ...]:
    return tuple(
        ask(
            f"sum by ({of}) (rate({prefix}_{what}_{signal}[$__rate_interval]))",
            f"{name} {{{{{of}}}}}",
        )
        for signal, name in _SIGNALS
    )


PIPELINE = Board(
    key="pipeline",
    title="ollameter: pipeline health",
    description="From the application's exporter through the collector to Jaeger and Prometheus.",
    panels=(
        Panel(
            title="Queues",
            description="How full the collector's queues are. They fill while Jaeger or Prometheus is "
            "away, and nothing is lost before they are full.",
            unit=SHARE,
            most=1,
            steps=(0.5, 0.8),
            no_value=_NO_COLLECTOR,
            queries=(
                ask(
                    f"max by (exporter, data_type) ({_EXPORTER}_queue_size / {_EXPORTER}_queue_capacity)",
                    "{{exporter}} {{data_type}}",
                ),
            ),
            width=24,
            height=7,
        ),
        Panel(
            title="Received",
            description="Spans and metric points that the collector took.",
            unit=PER_SECOND,
            no_value=_NO_COLLECTOR,
            queries=_each(_RECEIVER, "accepted", "receiver"),
        ),
        Panel(
            title="Sent",
            description="Spans and metric points that arrived in Jaeger and Prometheus.",
            unit=PER_SECOND,
            no_value=_NO_COLLECTOR,
            queries=_each(_EXPORTER, "sent", "exporter"),
        ),
        Panel(
            title="Refused",
            description="Turned away at the door, with the memory limit reached or a queue full; "
            "senders try again for a while.",
            unit=PER_SECOND,
            no_value=_QUIET,
            queries=_each(_RECEIVER, "refused", "receiver"),
            width=8,
        ),
        Panel(
            title="Lost: queue full",
            description="Could not be queued. The series exists from the first loss on.",
            unit=PER_SECOND,
            no_value=_QUIET,
            queries=_each(_EXPORTER, "enqueue_failed", "exporter"),
            width=8,
        ),
        Panel(
            title="Lost: not deliverable",
            description="Given up after an answer that no retry can change. "
            "The series exists from the first loss on.",
            unit=PER_SECOND,
            no_value=_QUIET,
            queries=_each(_EXPORTER, "send_failed", "exporter"),
            width=8,
        ),
        Panel(
            title="Spans",
            description="Spans that the collector counted in this range, by name and status. "
            "What was sent twice counts twice: rates of calls are on the other dashboards.",
            unit=COUNT,
            kind="table",
            no_value="no spans",
            rows=(("service_name", "Service"), ("span_name", "Span"), ("status_code", "Status")),
            queries=(
                ask(
                    total(
                        f"{_SPANS}_calls_total",
                        "service_name",
                        "span_name",
                        "status_code",
                        where=of_service(),
                    ),
                    "Spans",
                ),
            ),
        ),
        Panel(
            title="p95 by span",
            description="Durations as Jaeger's Monitor tab shows them.",
            unit=SECONDS,
            no_value="no spans",
            queries=(
                ask(
                    quantile(0.95, f"{_SPANS}_duration_seconds", "span_name", where=of_service()),
                    "{{span_name}}",
                ),
            ),
            exemplars=True,
        ),
    ),
)
