"""The standard variables decide which signals go where, and in which protocol."""

from __future__ import annotations

from typing import Any

import pytest

from ollameter.telemetry.otlp import endpoint_shown, is_wanted, otlp_exporters


@pytest.mark.parametrize(
    ("settings", "protocols", "endpoint"),
    [
        ({}, "grpc grpc grpc", "http://localhost:4317"),
        ({"PROTOCOL": "grpc"}, "grpc grpc grpc", "http://localhost:4317"),
        ({"PROTOCOL": " http/protobuf "}, "http http http", "http://localhost:4318"),
        ({"PROTOCOL": "http/json"}, "grpc grpc grpc", "http://localhost:4317"),
        ({"PROTOCOL": "http/protobuf", "LOGS_PROTOCOL": "grpc"}, "http http grpc", "http://localhost:4318"),
        ({"TRACES_PROTOCOL": "http/protobuf"}, "http grpc grpc", "http://localhost:4318"),
        ({"ENDPOINT": "http://c:1"}, "grpc grpc grpc", "http://c:1"),
        ({"ENDPOINT": "http://c:1", "TRACES_ENDPOINT": "http://t:2"}, "grpc grpc grpc", "http://t:2"),
    ],
)
def test_the_exporters_are_those_the_environment_asks_for(
    settings: dict[str, str], protocols: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal's own setting wins over the general one; an unknown protocol is grpc."""
    for name, value in settings.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    *made, where = otlp_exporters()
    exporters: list[Any] = made

    assert " ".join(type(e).__module__.split(".proto.")[1].split(".")[0] for e in exporters) == protocols
    assert [type(e).__name__ for e in exporters] == [
        "OTLPSpanExporter",
        "OTLPMetricExporter",
        "OTLPLogExporter",
    ]
    assert where == endpoint
    for exporter in exporters:
        exporter.shutdown()


def test_an_unknown_protocol_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By its name."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier pigeon")
    *made, _ = otlp_exporters()
    exporters: list[Any] = made
    for exporter in exporters:
        exporter.shutdown()

    assert "carrier pigeon" in caplog.text


@pytest.mark.parametrize(
    ("value", "wanted", "said"),
    [("", True, False), ("otlp", True, False), ("None ", False, False), ("zipkin", True, True)],
)
def test_a_signal_may_be_left_out(
    value: str, wanted: bool, said: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`OTEL_METRICS_EXPORTER=none`; what is not known here is OTLP, and said."""
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", value)

    assert is_wanted("METRICS") is wanted
    assert ("OTEL_METRICS_EXPORTER" in caplog.text) is said


def test_a_password_is_not_shown() -> None:
    """The endpoint stands in a warning."""
    assert endpoint_shown("https://ada:secret@collector:4317/v1") == "https://collector:4317/v1"
    assert endpoint_shown("http://collector:4317") == "http://collector:4317"
    assert endpoint_shown("collector:4317") == "collector:4317"
