"""One line says why telemetry does not arrive; what to do about it, where that is known."""

from __future__ import annotations

import pytest

from ollameter.telemetry.reasons import reason

GRPC = (
    "Transient error StatusCode.UNAVAILABLE encountered while exporting traces to h:4317, retrying in 0.81s"
)


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (f"{GRPC}.", "StatusCode.UNAVAILABLE"),
        (
            f"{GRPC}. Error details: last error: h:1: Connection refused",
            "StatusCode.UNAVAILABLE: last error: h:1: Connection refused",
        ),
        (
            f"{GRPC}. Error details: Failed parsing HTTP/2 (Expected SETTINGS frame as the first",
            (
                "StatusCode.UNAVAILABLE: Failed parsing HTTP/2 (Expected SETTINGS frame as the first"
                " (for a port that speaks HTTP set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf)"
            ),
        ),
        (
            (
                "Transient error HTTPConnectionPool(host='h', port=1): refused encountered while exporting"
                " metrics batch, retrying in 1.07s."
            ),
            "HTTPConnectionPool(host='h', port=1): refused",
        ),
        (
            (
                "Transient error ('Connection aborted.', ConnectionResetError(104)) encountered while"
                " exporting logs batch, retrying in 1.07s."
            ),
            (
                "('Connection aborted.', ConnectionResetError(104))"
                " (if the port speaks gRPC set OTEL_EXPORTER_OTLP_PROTOCOL=grpc)"
            ),
        ),
        (
            "Failed to export traces to h, error code: StatusCode.UNIMPLEMENTED, error details: unknown",
            "Failed to export traces to h, error code: StatusCode.UNIMPLEMENTED, error details: unknown",
        ),
        (
            "Failed: [SSL: WRONG_VERSION_NUMBER]",
            "Failed: [SSL: WRONG_VERSION_NUMBER] (for a port without TLS the endpoint begins with http://)",
        ),
        ("first\nsecond", "first"),
        ("", ""),
        ("x" * 1000, "x" * 300),
    ],
)
def test_a_report_becomes_a_reason(report: str, line: str) -> None:
    """The words of the SDK's exporters are gone, the error and its details are left."""
    assert reason(report) == line
