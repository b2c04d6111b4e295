"""An exporter whose other end is there or not, and waiting with a bound."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace.export import SpanExportResult

from ollameter.telemetry.arrival import Arrival
from ollameter.telemetry.delivery import PatientExporter

LOGGER = "opentelemetry.exporter.otlp.proto.some.module"


class Collector:
    """An exporter whose other end is there or not, as the test says."""

    _preferred_temporality: Any = None
    _preferred_aggregation: Any = None

    def __init__(self, there: bool = True) -> None:
        self.there = there
        self.refuses: set[Any] = set()
        self.fails_on: set[Any] = set()
        self.got: list[Any] = []
        self.attempts = 0
        self.closed = 0

    def export(self, batch: Any, *_: Any, **__: Any) -> SpanExportResult:
        """Take a batch, or fail as the SDK's exporters do: with a result, and a line in the log."""
        self.attempts += 1
        if any(item in self.refuses for item in batch):
            logging.getLogger(LOGGER).error("refused: %s", 400)
            return SpanExportResult.FAILURE
        if any(item in self.fails_on for item in batch):
            logging.getLogger(LOGGER).error("failed: %s", 500)
            return SpanExportResult.FAILURE
        if self.there:
            self.got.extend(batch)
        return SpanExportResult.SUCCESS if self.there else SpanExportResult.FAILURE

    def force_flush(self, *_: Any) -> bool:
        """Have nothing to flush."""
        return True

    def shutdown(self, *_: Any, **__: Any) -> None:
        """Count."""
        self.closed += 1


def until(true: Callable[[], object]) -> None:
    """Wait for something, at most ten seconds."""
    ends_at = time.monotonic() + 10
    while not true() and time.monotonic() < ends_at:
        threading.Event().wait(0.002)
    assert true()


def patient(collector: Collector, arrival: Arrival, max_kept: int = 100) -> PatientExporter:
    """Return a patient exporter to this collector."""
    return PatientExporter(collector, arrival, "traces", max_kept)
