"""Why telemetry does not arrive, as one line that a user can act on."""

from __future__ import annotations

import re

_LONGEST = 300
# What the SDK's exporters say before each retry; the reason stands in the middle, or at the end.
_RETRYING = re.compile(
    r"Transient error (?P<error>.*?) encountered while exporting .*?, retrying in [\d.]+s\.?"
    r"(?: Error details: (?P<details>.*))?",
    re.DOTALL,
)
_HINTS = {
    "Expected SETTINGS frame": "for a port that speaks HTTP set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    "Connection aborted": "if the port speaks gRPC set OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
    "WRONG_VERSION_NUMBER": "for a port without TLS the endpoint begins with http://",
    "Socket closed": "if the port speaks TLS the endpoint begins with https://",
    "No connection adapters": "the endpoint begins with http:// or https://",
}
_USER_INFORMATION = re.compile(r"[^\s/]+@")  # of an endpoint: exporters quote it, password and all


def reason(report: str) -> str:
    """Return what an exporter's report says went wrong, without its boilerplate, perhaps with a hint."""
    said = _RETRYING.fullmatch(report)
    text = report if said is None else ": ".join(filter(None, said.group("error", "details")))
    first = _USER_INFORMATION.sub("", (text.splitlines() or [""])[0])
    hint = next((hint for mark, hint in _HINTS.items() if mark in text), None)
    return first[:_LONGEST] + (f" ({hint})" if hint else "")
