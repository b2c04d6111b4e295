"""The user is told once that telemetry does not arrive, and once that it does again."""

from __future__ import annotations

import logging
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ollameter.telemetry.arrival import Arrival
from tests.telemetry.collector import LOGGER


def succeeding() -> SpanExportResult:
    """Export successfully."""
    return SpanExportResult.SUCCESS


def failing(*report: Any) -> Any:
    """Return an export that fails with this report in the log."""

    def export() -> SpanExportResult:
        if report:
            logging.getLogger(LOGGER).error(*report)
        return SpanExportResult.FAILURE

    return export


@pytest.mark.parametrize(
    ("report", "outcome"),
    [
        ((), "away"),
        (("Failed to export %s to %s, error code: %s", "traces", "h", grpc.StatusCode.UNAVAILABLE), "away"),
        (
            ("Failed to export %s to %s, error code: %s", "traces", "h", grpc.StatusCode.UNIMPLEMENTED),
            "refused",
        ),
        (("Failed to export %s batch code: %s, reason: %s", "spans", 503, "x"), "away"),
        (("Failed to export %s batch code: %s, reason: %s", "spans", 429, "x"), "away"),
        (("Failed to export %s batch code: %s, reason: %s", "spans", 500, "x"), "failed"),
        (("error code: %s, error details: %s", grpc.StatusCode.RESOURCE_EXHAUSTED, "too large"), "failed"),
        (("error code: %s, error details: %s", grpc.StatusCode.DEADLINE_EXCEEDED, "slow"), "away"),
        (("Failed to export %s batch code: %s, reason: %s", "spans", None, "timed out"), "away"),
        (("Failed to export %s batch code: %s, reason: %s", "spans", 401, "x"), "refused"),
        (("Failed to encode span batch: %s", ValueError("x")), "refused"),
        (("Dropping span batch: serialized size %d bytes exceeds %d", 9, 8), "refused"),
        (("as %(name)s", {"name": "mapping"}), "away"),
    ],
)
def test_a_refusal_is_told_from_an_absence(report: Any, outcome: str, arrival: Arrival) -> None:
    """By the code that the exporter reports: the words may change, what OTLP says of codes does not."""
    assert arrival.attempt("traces", failing(*report)) == outcome


def test_a_collector_that_takes_traces_only_is_told_of_once(
    arrival: Arrival, caplog: pytest.LogCaptureFixture
) -> None:
    """The traces that arrive do not make the missing metrics news again and again."""
    with caplog.at_level(logging.INFO, logger="ollameter"):
        for _ in range(5):
            arrival.attempt("metrics", failing("Failed: %s", grpc.StatusCode.UNIMPLEMENTED))
            arrival.attempt("traces", succeeding)
        arrival.attempt("metrics", succeeding)

    assert [record.getMessage() for record in caplog.records] == [
        "telemetry does not arrive at http://collector (metrics): Failed: StatusCode.UNIMPLEMENTED",
        "telemetry arrives at http://collector again",
    ]


def test_the_reason_is_one_line_of_bounded_length(
    arrival: Arrival, caplog: pytest.LogCaptureFixture
) -> None:
    """No traceback; nothing but what the exporter said first."""
    arrival.attempt("traces", failing("first\n%s", "x" * 1000))
    again = Arrival("http://other")
    again.attempt("traces", lambda: 1 / 0)
    third = Arrival("http://third")
    third.attempt("traces", failing())

    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "telemetry does not arrive at http://collector (traces): first",
        "telemetry does not arrive at http://other (traces): ZeroDivisionError: division by zero",
        "telemetry does not arrive at http://third (traces): it was not accepted",
    ]


def test_what_the_sdk_says_outside_an_attempt_is_heard_unless_the_collector_is_away(
    arrival: Arrival, caplog: pytest.LogCaptureFixture
) -> None:
    """A full queue is news, but not while everybody knows why it is full."""
    logger = logging.getLogger(LOGGER)
    logger.warning("Queue full (1)")
    arrival.attempt("traces", failing())
    logger.warning("Queue full (2)")
    arrival.attempt("traces", succeeding)
    logger.warning("Queue full (3)")
    arrival.over.set()
    logger.warning("Exporter already shutdown")

    heard = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert heard == ["Queue full (1)", "Queue full (3)"]


def test_what_an_exporter_says_quietly_is_no_reason(
    arrival: Arrival, caplog: pytest.LogCaptureFixture
) -> None:
    """Only warnings and worse count, and none is printed."""

    def export() -> SpanExportResult:
        logging.getLogger(LOGGER).info("reconnecting")
        return SpanExportResult.SUCCESS

    with caplog.at_level(logging.DEBUG):
        assert arrival.attempt("traces", export) == "arrived"
    assert caplog.text == ""


def test_what_fails_while_the_program_ends_is_told_once(
    arrival: Arrival, caplog: pytest.LogCaptureFixture
) -> None:
    """What is cut off then reports a failure of its own, which is no news."""
    arrival.over.set()
    arrival.give_up(5.0)
    arrival.attempt("metrics", failing("Shutdown in progress, aborting retry."))

    assert [record.getMessage() for record in caplog.records] == [
        "telemetry did not arrive at http://collector within 5 s, the rest is given up"
    ]


def test_what_was_told_of_is_not_told_again_at_the_end(
    arrival: Arrival, caplog: pytest.LogCaptureFixture
) -> None:
    """The user knows already that nothing arrives."""
    arrival.attempt("traces", failing())
    arrival.give_up(5.0)

    assert len(caplog.records) == 1
