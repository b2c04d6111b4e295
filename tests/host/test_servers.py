"""Which servers are watched, and what is known of their models."""

from __future__ import annotations

from ollameter.host.locality import Locality
from ollameter.host.readings import ModelMemory
from ollameter.host.servers import WatchedServers
from tests.host.staged import Clock

LLAMA = ModelMemory(name="llama3.2", gpu_bytes=0, host_bytes=2_000)


def watched() -> tuple[Clock, WatchedServers]:
    """Return servers that are watched from time 0."""
    clock = Clock()
    return clock, WatchedServers(clock, Locality(spawn=lambda work: None))


def test_only_servers_of_this_machine_have_ports_here() -> None:
    """A name that is not looked up yet has not either."""
    _, servers = watched()
    for address, port in (("127.0.0.1", 11434), ("localhost", 11434), ("192.0.2.1", 80), ("far", 81)):
        servers.watch(address, port)

    assert servers.local() == [("127.0.0.1", 11434), ("localhost", 11434)]
    assert servers.local_ports() == {11434}
    assert [servers.is_local(host) for host in ("localhost", "192.0.2.1", "far")] == [True, False, None]


def test_watching_twice_is_watching() -> None:
    """Every call does it."""
    _, servers = watched()
    servers.watch("127.0.0.1", 1)
    servers.watch("127.0.0.1", 1)

    assert list(servers.keys) == [("127.0.0.1", 1)]


def test_the_memory_of_servers_is_bounded() -> None:
    """The oldest make room; an address is forgotten with the last of its ports."""
    _, servers = watched()
    servers.watch("127.0.0.2", 1)
    for port in range(63):
        servers.watch("127.0.0.1", port)
    whole = len(servers.keys)

    servers.watch("127.0.0.1", 63)
    servers.watch("127.0.0.1", 64)

    assert (whole, len(servers.keys)) == (64, 64)
    assert servers.is_local("127.0.0.2") is None
    assert servers.is_local("127.0.0.1") is True


def test_models_count_for_five_minutes() -> None:
    """That is how long Ollama keeps one; after that nobody knows."""
    clock, servers = watched()
    servers.note_models("here", 1, [LLAMA])

    clock.now_s = 300.0
    known = servers.models()
    clock.now_s = 300.1

    assert known == {("here", 1): (LLAMA,)}
    assert servers.models() == {}


def test_no_model_is_an_answer() -> None:
    """It replaces the one before."""
    _, servers = watched()
    servers.note_models("here", 1, [LLAMA])
    servers.note_models("here", 1, [])

    assert servers.models() == {("here", 1): ()}


def test_the_memory_of_models_is_bounded() -> None:
    """As that of servers."""
    _, servers = watched()
    for port in range(100):
        servers.note_models("here", port, [LLAMA])

    assert sorted(port for _, port in servers.models()) == list(range(36, 100))


def test_refreshing_asks_for_the_names_that_are_due() -> None:
    """With the monitor's clock."""
    clock = Clock()
    asked: list[object] = []
    servers = WatchedServers(clock, Locality(spawn=asked.append))
    servers.watch("far", 80)

    servers.refresh()
    clock.now_s = 61.0
    servers.refresh()

    assert len(asked) == 2
