"""Exporters that keep trying while a collector is away, and say so once; for `configure()` only."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_log = logging.getLogger("ollameter.telemetry")
_NOISY = (
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.sdk.metrics._internal.export",
    "opentelemetry.sdk._shared_internal",
)
_PAUSE_S = 1.0
_GIVE_UP_S = 600.0  # a batch that is refused for so long is refused for good


class Road:
    """Whether what is exported arrives: one warning when it stops to, one line when it does again."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._away = False
        self.stopped = threading.Event()

    def quiet_the_sdk(self) -> None:
        """Keep the SDK's own reports, tracebacks included, out of the user's terminal."""
        for name in _NOISY:
            logging.getLogger(name).addFilter(self._heard)

    def arrived(self, success: bool) -> None:
        """Note how an export ended."""
        if success and self._away:
            self._away = False
            _log.info("telemetry arrives at %s again", self._endpoint)
        elif not success:
            self._lost("it was not accepted")

    def _heard(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            self._lost(record.getMessage())
        return False

    def _lost(self, why: str) -> None:
        if not self._away:
            self._away = True
            first_line = why.splitlines()[0] if why else "no reason given"
            _log.warning(
                "telemetry does not arrive at %s and is kept for later: %.300s", self._endpoint, first_line
            )


class PatientSpanExporter(SpanExporter):
    """Tries a batch until it arrives; meanwhile the span processor's queue takes what comes.

    The SDK's exporters drop a batch after their timeout. This one runs in the processor's own
    thread, so waiting costs the application nothing; what does not fit the queue is dropped there.
    """

    def __init__(self, inner: SpanExporter, road: Road) -> None:
        self._inner = inner
        self._road = road

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch; failure only after ten minutes, or when shutting down."""
        ends_at = time.monotonic() + _GIVE_UP_S
        while True:
            result = self._inner.export(spans)
            self._road.arrived(result is SpanExportResult.SUCCESS)
            if result is SpanExportResult.SUCCESS or time.monotonic() > ends_at:
                return result
            if self._road.stopped.wait(_PAUSE_S):
                return result

    def shutdown(self) -> None:
        """Shut the wrapped exporter down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the wrapped exporter."""
        return self._inner.force_flush(timeout_millis)


class WatchedMetricExporter(MetricExporter):
    """Notes whether metrics arrive; they are cumulative, so the next export makes up for a lost one."""

    def __init__(self, inner: Any, road: Road) -> None:
        super().__init__(
            preferred_temporality=inner._preferred_temporality,  # noqa: SLF001  # what the reader asks for
            preferred_aggregation=inner._preferred_aggregation,  # noqa: SLF001  # likewise
        )
        self._inner = inner
        self._road = road

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Export once."""
        result: MetricExportResult = self._inner.export(metrics_data, timeout_millis, **kwargs)
        self._road.arrived(result is MetricExportResult.SUCCESS)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush the wrapped exporter."""
        return bool(self._inner.force_flush(timeout_millis))

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Shut the wrapped exporter down."""
        self._inner.shutdown(timeout_millis, **kwargs)


def within(timeout_s: float, *steps: Callable[[], object]) -> bool:
    """Run each step in a thread of its own, all at once; return whether all ended in time."""
    ends_at = time.monotonic() + timeout_s
    threads = [threading.Thread(target=_quietly, args=(step,), daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends_at - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def _quietly(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception:  # whatever an exporter raises while the program ends
        _log.debug("a step of the shutdown failed", exc_info=True)
