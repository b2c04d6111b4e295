"""Following servers and runners through a process table that a test fills."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ollameter.host.ollama_process import OllamaProcesses
from ollameter.host.readings import ServerUse
from tests.host.staged import StagedTable, at_once, process

PORT = 11434


def followed(*others: tuple[int, str, int]) -> tuple[StagedTable, OllamaProcesses]:
    """Return a table with a server, number 10, and these others, and what follows it."""
    table = StagedTable(process(10), *(process(pid, name, parent) for pid, name, parent in others))
    table.ports[PORT] = 10
    return table, OllamaProcesses(table, lambda: {PORT}, 4, at_once)


def test_a_server_and_its_runners_are_summed() -> None:
    """Grandchildren count, processes of others do not, whatever they are called."""
    _, ollama = followed((9, "llama-server", 10), (8, "helper", 9), (11, "ollama", 1), (12, "bash", 1))

    uses = ollama.read(0.0)

    assert uses == {PORT: ServerUse(pids=(10, 9, 8), rss_bytes=30_000_000, threads=6)}


def test_cpu_is_a_share_of_the_whole_machine() -> None:
    """The server's and the runner's together; a second makes the gauge's window."""
    table, ollama = followed((11, "llama-server", 10))
    ollama.read(0.0)
    seen = []
    for tick in range(1, 5):
        table.put(process(10, cpu_s=tick * 0.05), process(11, "llama-server", 10, cpu_s=tick * 0.25))
        seen.append(ollama.read(tick / 4)[PORT])

    assert [use.busy for use in seen] == [pytest.approx(0.3)] * 4  # 1.2 cores of 4
    assert [use.cpu_utilization for use in seen[:3]] == [None] * 3
    assert seen[3].cpu_utilization == pytest.approx(0.3)


def test_a_runner_that_appears_is_counted_from_then_on() -> None:
    """What it used before it was seen is nobody's peak."""
    table, ollama = followed()
    ollama.read(0.0)
    table.put(process(11, "llama-server", 10, cpu_s=3.0))

    seen = [ollama.read(at_s)[PORT] for at_s in (0.25, 1.0)]
    table.put(process(11, "llama-server", 10, cpu_s=4.0))
    after = ollama.read(1.25)[PORT]

    assert [use.pids for use in seen] == [(10,), (10, 11)]  # looked for once a second
    assert seen[1].busy == 0.0
    assert after.busy == pytest.approx(1.0)


def test_a_runner_that_ends_leaves_the_server() -> None:
    """The model was unloaded."""
    table, ollama = followed((11, "llama-server", 10))
    ollama.read(0.0)
    del table.stats[11]

    assert ollama.read(0.25)[PORT].pids == (10,)


def test_only_new_processes_are_read_between_searches() -> None:
    """A look costs what has changed, not what there is."""
    table, ollama = followed(*[(pid, "bash", 1) for pid in range(100, 300)])
    ollama.read(0.0)
    table.reads = 0
    table.put(process(400, "cc1", 1))

    for tick in range(1, 5):
        ollama.read(tick / 4)

    assert table.reads == 5  # the server at every tick, and the new one once
    assert len(table.searches) == 1


def test_the_whole_table_is_searched_again_after_half_a_minute() -> None:
    """A number may have been given to another process between two looks."""
    table, ollama = followed((11, "bash", 1))
    ollama.read(0.0)
    table.put(process(11, "llama-server", 10, started=99))

    before, after = ollama.read(29.0)[PORT], ollama.read(31.0)[PORT]

    assert (before.pids, after.pids) == ((10,), (10, 11))
    assert len(table.searches) == 1  # whose sockets they are is known


def test_a_killed_and_restarted_server_is_found_again() -> None:
    """Looked for at once, then ever more seldom, and at once when an Ollama appears."""
    table, ollama = followed()
    ollama.read(0.0)
    del table.stats[10], table.ports[PORT]
    missing = [ollama.read(tick / 4) for tick in range(1, 40)]
    searches_while_missing = len(table.searches)

    table.put(process(20))
    table.ports[PORT] = 20
    found = [ollama.read(10.0 + tick / 4) for tick in range(5)]

    assert not any(missing)
    assert searches_while_missing == 1  # there was no process of that name to ask about
    assert found[-1][PORT].pids == (20,)


def test_a_server_that_does_not_listen_yet_is_asked_again_soon() -> None:
    """After 1, 2, 4 … seconds, at most every 30."""
    table, ollama = followed()
    del table.ports[PORT]

    for tick in range(4 * 120):
        ollama.read(tick / 4)
    asked = len(table.searches)
    table.ports[PORT] = 10
    for tick in range(4 * 120, 4 * 151):
        ollama.read(tick / 4)

    assert asked == 8  # at 0, 1, 3, 7, 15, 31, 61, 91
    assert ollama.read(152.0)[PORT].pids == (10,)


def test_another_process_with_the_same_number_is_not_the_server() -> None:
    """Its start tells it apart."""
    table, ollama = followed()
    ollama.read(0.0)
    table.put(process(10, "sshd", started=77))

    assert ollama.read(0.25) == {}


def test_nothing_is_read_while_no_server_is_wanted() -> None:
    """Most programs call a server elsewhere."""
    table = StagedTable(process(10))
    ports: set[int] = set()
    ollama = OllamaProcesses(table, lambda: ports, 4, at_once)

    assert [ollama.read(float(tick)) for tick in range(3)] == [{}, {}, {}]
    assert (table.reads, table.searches) == (0, [])


def test_a_port_that_is_wanted_later_is_searched_at_the_next_look() -> None:
    """And one that is no longer wanted is let go."""
    table, _ = followed()
    table.put(process(20))
    table.ports[4711] = 20
    ports = {PORT}
    ollama = OllamaProcesses(table, lambda: ports, 4, at_once)
    ollama.read(0.0)

    ports.add(4711)
    both = ollama.read(1.0)
    ports.remove(PORT)
    one = ollama.read(2.0)

    assert both.keys() == {PORT, 4711}
    assert one.keys() == {4711}
    assert table.searches == [{PORT}, {4711}]


def test_a_burst_of_new_processes_is_read_in_portions() -> None:
    """A build next door starts hundreds a second; the rest has its turn a second later."""
    table, ollama = followed()
    ollama.read(0.0)
    table.put(*[process(pid, "cc1", 1) for pid in range(100, 200)], process(300, "llama-server", 10))
    table.reads = 0

    first, second = ollama.read(1.0)[PORT], ollama.read(2.0)[PORT]

    assert (first.pids, second.pids) == ((10,), (10, 300))
    assert table.reads == 101 + 1 + 2


def test_nothing_is_looked_at_while_no_process_has_begun() -> None:
    """Where the platform can tell; the search every half minute does not rely on it."""
    table, ollama = followed()
    table.last = 7
    ollama.read(0.0)
    table.put(process(11, "llama-server", 10))
    unnoticed = ollama.read(5.0)[PORT]
    table.last = 8

    assert unnoticed.pids == (10,)
    assert ollama.read(6.0)[PORT].pids == (10, 11)
    table.put(process(12, "llama-server", 10))
    assert ollama.read(31.0)[PORT].pids == (10, 11, 12)


def test_sampling_goes_on_while_a_search_takes_its_time() -> None:
    """A program that computes in Python gives a system call its turn every five milliseconds."""
    table, _ = followed()
    waiting: list[Callable[[], None]] = []
    ollama = OllamaProcesses(table, lambda: {PORT}, 4, waiting.append)
    before = [ollama.read(tick / 4) for tick in range(20)]
    (search,) = waiting

    search()

    assert before == [{}] * 20
    assert ollama.read(5.0)[PORT].pids == (10,)


def test_a_search_that_fails_fails_the_probe() -> None:
    """As if it had been read on the spot; the next one may succeed."""
    table, ollama = followed()
    table.listening = None  # type: ignore[assignment, method-assign]  # cannot be called
    with pytest.raises(TypeError):
        ollama.read(0.0)
    del table.listening

    assert ollama.read(60.0)[PORT].pids == (10,)


def test_processes_that_must_not_be_seen_are_not_tried_again_and_again() -> None:
    """Most of those of other users, on some platforms."""
    table, ollama = followed()
    for pid in range(100, 200):
        table.stats[pid] = None  # type: ignore[assignment]  # it is there, and cannot be read
    ollama.read(0.0)
    table.reads = 0

    for second in range(1, 5):
        ollama.read(float(second))

    assert table.reads == 4  # the server


def test_a_runner_that_is_called_ollama_is_no_new_server() -> None:
    """As with `ollama runner`: it is no reason to search for another server that is missing."""
    table, _ = followed()
    ollama = OllamaProcesses(table, lambda: {PORT, 4711}, 4, at_once)
    for second in range(20):  # the pauses grow
        ollama.read(float(second))
    asked = len(table.searches)
    table.put(process(11, "ollama", 10))

    assert ollama.read(20.0)[PORT].pids == (10, 11)
    ollama.read(21.0)
    assert len(table.searches) == asked
