"""One real engine for the whole folder: it takes half a second to load."""

from collections.abc import Iterator

import pytest
import requests

from ollameter.embedded import EmbeddedOllama


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedOllama]:
    """A running server; the tests share its slot and its cache."""
    with EmbeddedOllama() as server:
        yield server


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """A client that keeps its connection between a test's calls."""
    with requests.Session() as session:
        session.trust_env = False
        yield session
