"""A pytest plugin, there as soon as ollameter is installed: a fake server, and what was exported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ollameter.testing.captured import CapturedTelemetry
    from ollameter.testing.fake_ollama import FakeOllama


@pytest.fixture
def fake_ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllama]:
    """Give a running FakeOllama, closed after the test; `OLLAMA_HOST` names it meanwhile."""
    from ollameter.testing.fake_ollama import FakeOllama

    with FakeOllama() as server:
        monkeypatch.setenv("OLLAMA_HOST", server.base_url)
        yield server


@pytest.fixture
def captured_telemetry() -> Iterator[CapturedTelemetry]:
    """Collect what is exported through `captured_telemetry.providers`, and through nothing global.

    Needs `pip install "ollameter[otlp]"`; the test fails, saying so, without.
    """
    from ollameter.testing.captured import CapturedTelemetry

    with CapturedTelemetry() as captured:
        yield captured
