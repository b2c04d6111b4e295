"""A provider without retries, and what the server was asked."""

from __future__ import annotations

from typing import Any

from ollameter import OllamaProvider
from ollameter.testing import CapturedTelemetry, FakeOllama


def paths(fake: FakeOllama) -> list[str]:
    """Return what was asked, in order."""
    return [request.path for request in fake.requests]


def provider(fake: FakeOllama, captured: CapturedTelemetry, **settings: Any) -> OllamaProvider:
    """Return an observed provider without retries."""
    settings = {"model": "llama3.2", "retries": 0, "host_monitor": False, **settings}
    return OllamaProvider(fake.base_url, **settings, **captured.providers)
