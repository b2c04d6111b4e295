"""What is kept when the program ends is tried until its time is over, and not a moment longer."""

from __future__ import annotations

import threading
import time

import pytest

from ollameter.telemetry import delivery
from ollameter.telemetry.arrival import Arrival
from tests.telemetry.collector import Collector, patient


def test_shutdown_tries_until_its_time_is_over(arrival: Arrival) -> None:
    """And closes the exporter below it either way."""
    collector = Collector(there=False)
    exporter = patient(collector, arrival)
    exporter.export(["a"])
    begun = time.monotonic()
    exporter.shutdown(50)

    assert time.monotonic() - begun < 5
    assert (collector.got, collector.closed) == ([], 1)


def test_shutdown_delivers_what_a_collector_that_comes_back_takes(arrival: Arrival) -> None:
    """Within its time."""
    collector = Collector(there=False)
    exporter = patient(collector, arrival)
    exporter.export(["a"])
    closing = threading.Thread(target=exporter.shutdown, args=(10_000,))
    closing.start()
    collector.there = True
    closing.join(10)

    assert (collector.got, collector.closed) == (["a"], 1)


def test_shutdown_ends_when_nobody_waits_any_more(arrival: Arrival) -> None:
    """The program's own bound is shorter than the SDK's."""
    collector = Collector(there=False)
    exporter = patient(collector, arrival)
    exporter.export(["a"])
    closing = threading.Thread(target=exporter.shutdown, args=(600_000,))
    closing.start()
    arrival.over.set()
    closing.join(10)

    assert not closing.is_alive()


def test_a_flush_asks_again_at_once(arrival: Arrival, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting for the next turn."""
    monkeypatch.setattr(delivery, "_PAUSE_S", 600.0)
    collector = Collector(there=False)
    exporter = patient(collector, arrival)
    exporter.export(["a"])
    away = exporter.force_flush()
    collector.there = True

    assert (away, exporter.force_flush(), collector.got) == (False, True, ["a"])


def test_at_the_end_of_the_program_no_thread_is_needed(
    arrival: Arrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python starts none any more: the last attempts are those of `shutdown`."""

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    collector = Collector(there=False)
    exporter = patient(collector, arrival)
    monkeypatch.setattr(threading.Thread, "start", refused)
    exporter.export(["a"])
    collector.there = True
    exporter.shutdown(1000)

    assert collector.got == ["a"]
