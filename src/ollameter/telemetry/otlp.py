"""What the environment says about OTLP: which signals go where, and in which protocol."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

_log = logging.getLogger("ollameter.telemetry")
_GRPC, _HTTP = "grpc", "http/protobuf"
_PACKAGES = {
    _GRPC: "opentelemetry.exporter.otlp.proto.grpc",
    _HTTP: "opentelemetry.exporter.otlp.proto.http",
}
_PORTS = {_GRPC: 4317, _HTTP: 4318}
_EXPORTERS = {
    "TRACES": ("trace_exporter", "OTLPSpanExporter"),
    "METRICS": ("metric_exporter", "OTLPMetricExporter"),
    "LOGS": ("_log_exporter", "OTLPLogExporter"),
}


def otlp_exporters() -> tuple[Any, Any, Any, str]:
    """Return the exporters of spans, metrics and logs that the environment asks for, and where to."""
    with _silent_grpc():
        made = (_exporter("TRACES"), _exporter("METRICS"), _exporter("LOGS"))
    endpoint = _setting("TRACES", "ENDPOINT") or f"http://localhost:{_PORTS[_protocol('TRACES')]}"
    return *made, endpoint


def is_wanted(signal: str) -> bool:
    """Whether a signal is to be exported: `OTEL_{signal}_EXPORTER` may say `none`."""
    asked = os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() or "otlp"
    if asked not in {"otlp", "none"}:
        _log.warning("OTEL_%s_EXPORTER=%s is not known here: using otlp", signal, asked)
    return asked != "none"


def endpoint_shown(endpoint: str) -> str:
    """Return an endpoint as it may be shown: without a password."""
    parts = urlsplit(endpoint)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


@contextmanager
def _silent_grpc() -> Iterator[None]:
    """Have gRPC report to its callers alone, unless the user wants its own log on standard error.

    It reads the variable once, when the first channel is made.
    """
    if "GRPC_VERBOSITY" in os.environ:
        yield
        return
    os.environ["GRPC_VERBOSITY"] = "ERROR"
    try:
        yield
    finally:
        del os.environ["GRPC_VERBOSITY"]


def _exporter(signal: str) -> Any:
    module, name = _EXPORTERS[signal]
    return getattr(import_module(f"{_PACKAGES[_protocol(signal)]}.{module}"), name)()


def _protocol(signal: str) -> str:
    asked = _setting(signal, "PROTOCOL") or _GRPC
    if asked not in _PACKAGES:
        _log.warning("OTLP protocol %s is not known: using %s", asked, _GRPC)
        return _GRPC
    return asked


def _setting(signal: str, name: str) -> str | None:
    """Return a signal's own setting, else the one for all signals."""
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_{name}", "").strip()
    return own or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip() or None
