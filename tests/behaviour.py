"""Four servers that must behave alike: fake, embedded, the real Ollama, and its last of old."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from ollameter import OllamaProvider
from ollameter.testing import CapturedTelemetry, FakeOllama
from tests.stack.servers import RealOllama

if TYPE_CHECKING:
    from ollameter.embedded import EmbeddedOllama

SHORT = {"num_predict": 12, "temperature": 0, "seed": 1}


@dataclass(frozen=True)
class Server:
    """Where to call what."""

    kind: str
    base_url: str
    model: str


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedOllama]:
    """The embedded engine, running."""
    from ollameter.embedded import EmbeddedOllama

    with EmbeddedOllama() as server:
        yield server


@pytest.fixture(params=["fake", "embedded", "real", "legacy"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the four servers in turn."""
    if request.param == "fake":
        fake: FakeOllama = request.getfixturevalue("fake")
        return Server("fake", fake.base_url, "llama3.2")
    if request.param == "embedded":
        engine: EmbeddedOllama = request.getfixturevalue("embedded")
        return Server("embedded", engine.base_url, engine.model)
    ollama: RealOllama = request.getfixturevalue(f"{request.param}_ollama")
    return Server(request.param, ollama.base_url, ollama.model)


@pytest.fixture
def llm(server: Server, captured: CapturedTelemetry) -> Iterator[OllamaProvider]:
    """A provider of the server, observed."""
    with OllamaProvider(server.base_url, model=server.model, **captured.providers) as provider:
        yield provider
