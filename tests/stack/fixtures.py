"""Real servers as fixtures; `OLLAMETER_REAL_SERVERS` says how badly they are wanted.

`required` builds what is not in the cache and fails if it cannot; `cached`, the default, skips
instead and names the command that builds it; `off` always skips.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.backend import Prefixes, Stack, running_stack
from tests.stack.bench import BuildError
from tests.stack.install import install, installed
from tests.stack.recipes import recipes
from tests.stack.servers import RealOllama

WANTED = "OLLAMETER_REAL_SERVERS"


def prefix_of(name: str) -> Path:
    """Return where the named server is installed, or skip or fail as the environment says."""
    wanted = os.environ.get(WANTED) or "cached"
    if wanted not in ("required", "cached", "off"):
        pytest.fail(f"{WANTED}={wanted}: must be required, cached or off", pytrace=False)
    if wanted == "off":
        pytest.skip(f"{WANTED}=off")
    if wanted == "required":
        return _built(name)
    if prefix := installed(name):
        return prefix
    pytest.skip(f"{name} is not built: run `python tests/stack/install.py {name}`")


def _built(name: str) -> Path:
    try:
        return install(recipes()[name])
    except BuildError as failure:
        pytest.fail(f"{WANTED}=required, but {name} cannot be built: {failure}", pytrace=False)


@pytest.fixture(scope="session")
def ollama_prefix() -> Path:
    """Where Ollama of the current generation is installed."""
    return prefix_of("ollama")


@pytest.fixture(scope="session")
def ollama_legacy_prefix() -> Path:
    """Where the last Ollama with inference inside the Go process is installed."""
    return prefix_of("ollama-legacy")


@pytest.fixture(scope="session")
def collector_prefix() -> Path:
    """Where `otelcol` is installed."""
    return prefix_of("collector")


@pytest.fixture(scope="session")
def jaeger_prefix() -> Path:
    """Where `jaeger` is installed."""
    return prefix_of("jaeger")


@pytest.fixture(scope="session")
def prometheus_prefix() -> Path:
    """Where `prometheus` and `promtool` are installed."""
    return prefix_of("prometheus")


@pytest.fixture(scope="session")
def compose_schema() -> Path:
    """The JSON schema of compose files."""
    return prefix_of("compose-schema") / "compose-spec.json"


@pytest.fixture(scope="session")
def real_ollama(ollama_prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealOllama]:
    """One running Ollama with the small model; leave it running and the model in place."""
    with RealOllama(ollama_prefix, folder=tmp_path_factory.mktemp("ollama")) as server:
        yield server


@pytest.fixture(scope="session")
def back_end_prefixes(collector_prefix: Path, jaeger_prefix: Path, prometheus_prefix: Path) -> Prefixes:
    """Where the three servers of the back end are installed, for tests that start their own."""
    return Prefixes(collector_prefix, jaeger_prefix, prometheus_prefix)


@pytest.fixture(scope="session")
def stack(back_end_prefixes: Prefixes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One running back end for all tests; use a service name of your own, and leave it running."""
    with running_stack(back_end_prefixes, tmp_path_factory.mktemp("stack")) as servers:
        yield servers


@pytest.fixture(scope="session")
def legacy_ollama(
    ollama_legacy_prefix: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealOllama]:
    """One running Ollama with inference inside the Go process; leave its model in place."""
    with RealOllama(ollama_legacy_prefix, folder=tmp_path_factory.mktemp("legacy")) as server:
        yield server


@pytest.fixture(scope="session")
def fragile_servers(
    back_end_prefixes: Prefixes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A second back end, whose Jaeger keeps spans on disk."""
    folder = tmp_path_factory.mktemp("fragile")
    with running_stack(back_end_prefixes, folder, storage="badger") as servers:
        yield servers


@pytest.fixture
def fragile(fragile_servers: Stack) -> Stack:
    """A back end whose servers a test may kill; all of them run when it begins."""
    for server in (fragile_servers.prometheus, fragile_servers.jaeger, fragile_servers.collector):
        server.start()
    return fragile_servers
