"""Fixtures that every folder of tests may use."""

from collections.abc import Iterator

import pytest

from ollameter.testing import CapturedTelemetry, FakeOllama
from tests.behaviour import embedded, llm, server  # noqa: F401  # fixtures, used by their names
from tests.stack.fixtures import (  # noqa: F401  # fixtures, used by their names
    back_end_prefixes,
    collector_prefix,
    compose_schema,
    fragile,
    fragile_servers,
    jaeger_prefix,
    legacy_ollama,
    ollama_legacy_prefix,
    ollama_prefix,
    prometheus_prefix,
    real_ollama,
    stack,
)


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    """A fake server, closed after the test."""
    with FakeOllama() as ollama:
        yield ollama


@pytest.fixture
def captured() -> Iterator[CapturedTelemetry]:
    """What the test's providers would export."""
    with CapturedTelemetry() as telemetry:
        yield telemetry
