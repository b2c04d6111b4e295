"""Exporters that keep what did not arrive until it does; for `configure()` only."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ollameter.telemetry.arrival import Arrival

_PAUSE_S = 1.0
_GIVE_UP_S = 600.0  # a batch that is answered with errors for so long makes room for the others


class PatientExporter(SpanExporter):
    """Delivers batches of spans (or log records) in order, however long a collector is away.

    The SDK's own exporters drop a batch after ten seconds. This one keeps up to `max_kept` items,
    the newest, and tries again in a thread of its own. While the collector is away nobody waits:
    neither the application, nor a `force_flush` of its own.
    """

    def __init__(self, inner: Any, arrival: Arrival, signal: str, max_kept: int) -> None:
        self._inner = inner
        self._arrival = arrival
        self._signal = signal
        self._max_kept = max_kept
        self._begin()
        if hasattr(os, "register_at_fork"):
            begin = weakref.WeakMethod(self._begin)

            def after_fork() -> None:
                if (again := begin()) is not None:
                    again()

            os.register_at_fork(after_in_child=after_fork)

    def _begin(self) -> None:
        """Start with nothing kept; so does a forked child: what is kept is its parent's."""
        self._kept: deque[Sequence[Any]] = deque()
        self._count = 0
        self._away = False
        self._tried_since: float | None = None
        self._keeping = threading.Lock()  # over the above, for moments only
        self._sending = threading.Lock()  # one attempt at a time
        self._stopped = threading.Event()

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """Deliver a batch now, or keep it; success only when nothing is kept any more."""
        with self._keeping:
            self._kept.append(spans)
            self._count += len(spans)
            while self._count > self._max_kept and len(self._kept) > 1:
                self._drop_first()
            if self._away:
                return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS if self.deliver() else SpanExportResult.FAILURE

    def deliver(self) -> bool:
        """Try what is kept, oldest first; return whether nothing is kept any more."""
        with self._sending:
            while (batch := self._first()) is not None:
                outcome = self._arrival.attempt(self._signal, partial(self._inner.export, batch))
                if outcome == "away" or (outcome == "failed" and not self._is_hopeless()):
                    self._retry_soon()
                    return False
                with self._keeping:
                    if self._kept and self._kept[0] is batch:
                        self._drop_first()
        return True

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Try what is kept until it has arrived or the time is over, then close the exporter."""
        ends_at = time.monotonic() + timeout_millis / 1000
        self._stopped.set()
        while not self.deliver() and time.monotonic() < ends_at:
            if self._arrival.over.wait(_PAUSE_S):
                break
        self.close()

    def close(self) -> None:
        """Close the exporter below; an attempt that is under way ends."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Try what is kept once."""
        return self.deliver()

    def _first(self) -> Sequence[Any] | None:
        with self._keeping:
            if self._kept:
                return self._kept[0]
            # Under the lock that `export` looks under: whoever sees `_away` is seen by the retry.
            self._away = False
            return None

    def _drop_first(self) -> None:
        self._count -= len(self._kept.popleft())
        self._tried_since = None

    def _is_hopeless(self) -> bool:
        now = time.monotonic()
        if self._tried_since is None:
            self._tried_since = now
        return now - self._tried_since > _GIVE_UP_S

    def _retry_soon(self) -> None:
        with self._keeping:
            already, self._away = self._away, True
        if not already and not self._stopped.is_set():
            try:
                threading.Thread(target=self._retry, name="ollameter-export", daemon=True).start()
            except RuntimeError:
                pass  # the interpreter ends: `shutdown` makes the last attempts

    def _retry(self) -> None:
        while not self._stopped.wait(_PAUSE_S):
            if self.deliver():
                return


class WatchedMetricExporter(MetricExporter):
    """Notes whether metrics arrive; they are cumulative, so the next export makes up for a lost one."""

    def __init__(self, inner: Any, arrival: Arrival) -> None:
        super().__init__(
            preferred_temporality=inner._preferred_temporality,  # noqa: SLF001  # what the reader asks for
            preferred_aggregation=inner._preferred_aggregation,  # noqa: SLF001  # likewise
        )
        self._inner = inner
        self._arrival = arrival

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Export once."""
        outcome = self._arrival.attempt(
            "metrics", lambda: self._inner.export(metrics_data, timeout_millis, **kwargs)
        )
        return MetricExportResult.SUCCESS if outcome == "arrived" else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush the exporter below."""
        return bool(self._inner.force_flush(timeout_millis))

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Close the exporter below."""
        self._inner.shutdown(timeout_millis, **kwargs)

    def close(self) -> None:
        """Close the exporter below; an attempt that is under way ends."""
        self._inner.shutdown()
