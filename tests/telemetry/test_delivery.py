"""What did not arrive is kept and tried again; nobody waits for it; what is refused makes room."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

import pytest
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from ollameter.telemetry import delivery
from ollameter.telemetry.arrival import Arrival
from ollameter.telemetry.delivery import WatchedMetricExporter
from tests.telemetry.collector import Collector, patient, until


def test_what_arrives_at_once_is_not_kept(arrival: Arrival) -> None:
    """The ordinary case: one attempt, success, no thread."""
    collector = Collector()

    assert patient(collector, arrival).export(["a"]) is SpanExportResult.SUCCESS
    assert (collector.got, collector.attempts) == (["a"], 1)


def test_everything_arrives_in_order_once_the_collector_is_back(
    arrival: Arrival, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning when it goes, one line when it is back, silence between."""
    collector = Collector(there=False)
    exporter = patient(collector, arrival)
    with caplog.at_level(logging.INFO, logger="ollameter"):
        results = [exporter.export([i]) for i in range(5)]
        until(lambda: collector.attempts > 3)
        collector.there = True
        until(lambda: len(collector.got) == 5)
        assert exporter.export(["after"]) is SpanExportResult.SUCCESS

    assert results == [SpanExportResult.FAILURE] * 5
    assert collector.got == [0, 1, 2, 3, 4, "after"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "telemetry does not arrive at http://collector (traces)" in caplog.text


def test_nobody_waits_for_an_absent_collector(arrival: Arrival, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is known to be away, `export` keeps and returns, though an attempt is under way."""
    monkeypatch.setattr(delivery, "_PAUSE_S", 0.0)
    collector, entered, go_on = Collector(there=False), threading.Event(), threading.Event()
    exporter = patient(collector, arrival)
    exporter.export(["a"])
    really = collector.export

    def hanging(batch: Any) -> SpanExportResult:
        entered.set()
        go_on.wait(10)
        return really(batch)

    monkeypatch.setattr(collector, "export", hanging)
    assert entered.wait(10)
    exporter.export(["b"])  # returns while the other attempt hangs
    collector.there = True
    go_on.set()

    until(lambda: collector.got == ["a", "b"])


def test_the_oldest_makes_room_when_too_much_is_kept(arrival: Arrival) -> None:
    """The bound counts spans; a single batch is never split."""
    collector = Collector(there=False)
    exporter = patient(collector, arrival, max_kept=4)
    for i in range(5):
        exporter.export([i, i])
    collector.there = True
    until(lambda: exporter.deliver())

    assert collector.got == [3, 3, 4, 4]


def test_what_made_room_during_its_own_attempt_is_not_missed(
    arrival: Arrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It arrived after all; nothing else goes with it."""
    collector = Collector(there=False)
    exporter = patient(collector, arrival, max_kept=2)
    exporter.export(["a"])
    really = collector.export

    def slow(batch: Any) -> SpanExportResult:
        if batch == ["a"]:
            exporter.export(["b", "b"])
            collector.there = True
        return really(batch)

    monkeypatch.setattr(collector, "export", slow)
    until(lambda: collector.got == ["a", "b", "b"])


def test_what_is_refused_makes_room_for_the_rest(
    arrival: Arrival, caplog: pytest.LogCaptureFixture
) -> None:
    """The very same data would be refused again."""
    collector = Collector()
    collector.refuses = {"bad"}
    exporter = patient(collector, arrival)

    exporter.export(["bad"])
    exporter.export(["good"])

    assert (collector.got, collector.attempts) == (["good"], 2)
    assert caplog.text.count("refused: 400") == 1


def test_data_that_cannot_be_sent_makes_room(arrival: Arrival, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter that raises has met something it cannot encode."""
    collector = Collector()
    exporter = patient(collector, arrival)
    really = collector.export

    def picky(batch: Any) -> SpanExportResult:
        if batch == ["bad"]:
            raise ValueError("cannot encode")
        return really(batch)

    monkeypatch.setattr(collector, "export", picky)
    exporter.export(["bad"])
    exporter.export(["good"])

    assert collector.got == ["good"]


def test_a_batch_that_is_always_answered_with_an_error_is_given_up(
    arrival: Arrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others get their turn."""
    monkeypatch.setattr(delivery, "_GIVE_UP_S", 0.0)
    collector = Collector()
    collector.fails_on = {"bad"}
    exporter = patient(collector, arrival)
    exporter.export(["bad"])
    exporter.export(["good"])

    until(lambda: collector.got == ["good"])


def test_an_absent_collector_is_waited_for_however_long(
    arrival: Arrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a batch may be answered with errors: nobody has answered."""
    monkeypatch.setattr(delivery, "_GIVE_UP_S", 0.0)
    collector = Collector(there=False)
    exporter = patient(collector, arrival)
    exporter.export(["a"])
    until(lambda: collector.attempts >= 3)
    collector.there = True

    until(lambda: collector.got == ["a"])


@pytest.mark.filterwarnings(
    "ignore:.*fork:DeprecationWarning"
)  # in a process with threads: that is the point
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_leaves_what_is_kept_to_its_parent(
    arrival: Arrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each span is exported once; the child's own are, too."""
    monkeypatch.setattr(delivery, "_PAUSE_S", 600.0)
    collector = Collector(there=False)
    exporter = patient(collector, arrival)
    exporter.export(["the parent's"])
    child = os.fork()
    if child == 0:
        collector.there = True
        exporter.export(["mine"])
        os._exit(0 if collector.got == ["mine"] else 1)
    _, status = os.waitpid(child, 0)
    collector.there = True
    exporter.force_flush()

    assert (status, collector.got) == (0, ["the parent's"])


def test_every_span_that_fits_the_buffer_arrives_through_the_sdk(arrival: Arrival) -> None:
    """A thousand spans while the collector is away, behind the SDK's own batch processor."""
    collector = Collector(there=False)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(patient(collector, arrival, max_kept=2048), schedule_delay_millis=5)
    )
    tracer = provider.get_tracer("app")
    for i in range(1000):
        tracer.start_span(f"{i}").end()
    begun = time.monotonic()
    provider.force_flush()
    flushed_s = time.monotonic() - begun
    collector.there = True
    until(lambda: len(collector.got) == 1000)
    provider.shutdown()

    assert [span.name for span in collector.got] == [f"{i}" for i in range(1000)]
    assert flushed_s < 5


def test_metrics_are_watched_and_otherwise_left_alone(
    arrival: Arrival, caplog: pytest.LogCaptureFixture
) -> None:
    """Their temporality is what the exporter below prefers; the next export makes up for a lost one."""

    class Metrics(Collector):
        def export(self, batch: Any, *_: Any, **__: Any) -> Any:
            self.attempts += 1
            return MetricExportResult.SUCCESS if self.there else MetricExportResult.FAILURE

    collector = Metrics(there=False)
    collector._preferred_temporality = {Counter: AggregationTemporality.DELTA}
    watched = WatchedMetricExporter(collector, arrival)
    reader = PeriodicExportingMetricReader(watched, export_interval_millis=600_000)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counter = provider.get_meter("app").create_counter("c")
    counter.add(1)
    provider.force_flush()
    missing = arrival.is_missing
    collector.there = True
    counter.add(1)
    provider.force_flush()
    watched.close()
    provider.shutdown()

    assert (missing, arrival.is_missing) == (True, False)
    assert watched._preferred_temporality == {Counter: AggregationTemporality.DELTA}
    assert (collector.attempts, collector.closed) == (2, 2)
    assert "telemetry does not arrive at http://collector (metrics)" in caplog.text
