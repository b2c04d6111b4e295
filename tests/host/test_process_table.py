"""Processes as Linux tells them: from a folder like /proc, and from real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ollameter.host.process_table import LinuxProcesses, ProcessStat
from ollameter.host.psutil_table import PsutilProcesses
from tests.host.staged import until
from tests.stack.loopback import free_port

STAT = "{pid} ({name}) {state} {parent} 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 {threads} 0 4200 9 {pages} 0 0\n"
SOCKETS = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt  uid timeout inode
   0: 0100007F:2CAA 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  {uid}        0 777 1
"""
LISTENER = """
import socket
with socket.create_server(("127.0.0.1", {port})) as server:
    server.accept()
"""


class FakeProc:
    """Writes a folder that looks like /proc."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "net").mkdir()

    def add(self, pid: int, name: str, *, parent: int = 1, state: str = "S") -> Path:
        """Add a process, with 3 threads and 25 pages."""
        folder = self.path / str(pid)
        (folder / "fd").mkdir(parents=True)
        text = STAT.format(pid=pid, name=name, parent=parent, state=state, threads=3, pages=25)
        (folder / "stat").write_text(text)
        (folder / "cmdline").write_bytes(b"/usr/bin/ollama\0serve\0")
        return folder

    def listen(self, file: str = "tcp", *, state: str = "0A", uid: int | None = None) -> None:
        """Have a socket with inode 777 on port 11434."""
        owner = os.getuid() if uid is None else uid
        (self.path / "net" / file).write_text(SOCKETS.format(state=state, uid=owner))


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    """A /proc of our own."""
    return FakeProc(tmp_path)


@contextmanager
def running_ollama(folder: Path, port: int) -> Iterator[psutil.Popen]:
    """Run a process that is called `ollama` and listens; it is Python in disguise."""
    disguise = folder / "ollama"
    disguise.symlink_to(sys.executable)
    with psutil.Popen([disguise, "-c", LISTENER.format(port=port)], stderr=subprocess.DEVNULL) as child:
        try:
            until(lambda: any(c.laddr.port == port for c in child.net_connections("tcp")))
            yield child
        finally:
            child.kill()


def test_a_line_of_stat_is_read_whatever_the_name(proc: FakeProc) -> None:
    """Names may hold blanks and brackets; times are ticks, memory is pages."""
    proc.add(42, "tmux: (server) 1", parent=7)

    stat = LinuxProcesses(proc.path).stat(42)

    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    assert stat == ProcessStat(42, "tmux: (server) 1", 7, 4200 / ticks, 200 / ticks, 25 * page, 3)


def test_a_process_that_is_not_there_is_none(proc: FakeProc) -> None:
    """A zombie is not there either: its parent has yet to notice."""
    proc.add(5, "ollama", state="Z")
    table = LinuxProcesses(proc.path)

    assert (table.stat(5), table.stat(6)) == (None, None)
    assert table.pids() == [5]


def test_a_new_process_shows_in_what_is_newest(proc: FakeProc) -> None:
    """The last field of `loadavg`; unknown where it is missing."""
    table = LinuxProcesses(proc.path)
    unknown = table.newest()
    (proc.path / "loadavg").write_text("0.1 0.1 0.1 1/80 41\n")
    before, same = table.newest(), table.newest()
    (proc.path / "loadavg").write_text("0.1 0.1 0.1 1/80 42\n")

    assert unknown is None
    assert before == same
    assert before not in {None, table.newest()}


def test_a_reader_keeps_to_its_process(proc: FakeProc) -> None:
    """And says when it has ended."""
    folder = proc.add(42, "ollama", parent=7)
    table = LinuxProcesses(proc.path)
    read = table.reader(42)
    alive = read()
    (folder / "stat").write_text("")

    assert alive is not None
    assert (alive.pid, alive.parent) == (42, 7)
    assert (read(), table.reader(43)()) == (None, None)


@pytest.mark.parametrize("file", ["tcp", "tcp6"])
def test_the_listener_is_who_holds_the_socket(proc: FakeProc, file: str) -> None:
    """Not who is merely called the same."""
    proc.add(5, "ollama")
    (proc.add(6, "ollama") / "fd" / "3").symlink_to("socket:[777]")
    proc.listen(file)

    assert LinuxProcesses(proc.path).listening([5, 6], {11434, 80}) == {11434: 6}


def test_a_process_that_shows_other_sockets_is_not_the_listener(proc: FakeProc) -> None:
    """It hides nothing, so its command line does not count; the port is another container's."""
    (proc.add(6, "ollama") / "fd" / "3").symlink_to("socket:[778]")
    proc.listen()

    assert LinuxProcesses(proc.path).listening([6], {11434}) == {}


def test_a_connection_is_no_listener(proc: FakeProc) -> None:
    """The server's end of a call has the same port."""
    (proc.add(6, "ollama") / "fd" / "3").symlink_to("socket:[777]")
    proc.listen(state="01")

    assert LinuxProcesses(proc.path).listening([6], {11434}) == {}


def test_the_server_of_another_user_is_known_by_its_owner(proc: FakeProc) -> None:
    """As a system service it hides its descriptors, but not its command line."""
    hidden = proc.add(6, "ollama")
    (hidden / "fd").rmdir()
    proc.listen()
    table = LinuxProcesses(proc.path)

    assert table.listening([6], {11434}) == {11434: 6}
    proc.listen(uid=os.getuid() + 1)
    assert table.listening([6], {11434}) == {}
    proc.listen()
    (hidden / "cmdline").write_bytes(b"/usr/bin/ollama\0run\0llama3.2\0")
    assert table.listening([6], {11434}) == {}


def test_two_servers_that_may_be_it_are_none(proc: FakeProc) -> None:
    """Absent is better than wrong."""
    for pid in (5, 6):
        (proc.add(pid, "ollama") / "fd").rmdir()
    proc.listen()

    assert LinuxProcesses(proc.path).listening([5, 6], {11434}) == {}


def test_a_candidate_that_ended_meanwhile_is_no_error(proc: FakeProc) -> None:
    """Between two looks anything may happen."""
    proc.listen()
    (proc.path / "6").mkdir()
    (proc.path / "6" / "cmdline").write_bytes(b"ollama\0serve\0")
    (proc.path / "7").mkdir()

    assert LinuxProcesses(proc.path).listening([5, 7], {11434}) == {}


@pytest.mark.parametrize("source", ["linux", "psutil"])
def test_a_real_process_is_found_and_measured(tmp_path: Path, source: str) -> None:
    """Both sources agree with psutil, and know when it has ended."""
    table = LinuxProcesses(Path("/proc")) if source == "linux" else PsutilProcesses(psutil)
    port = free_port()
    with running_ollama(tmp_path, port) as child:
        stat, read = table.stat(child.pid), table.reader(child.pid)

        assert read() is not None
        assert child.pid in table.pids()
        assert (table.newest() is None) == (source == "psutil")
        assert table.listening([child.pid, os.getpid()], {port}) == {port: child.pid}
        assert table.listening([child.pid], {port + 1}) == {}
        assert stat is not None
        assert stat.name == "ollama"
        assert stat.parent == os.getpid()
        assert stat.rss_bytes == pytest.approx(child.memory_info().rss, rel=0.05)
        assert stat.threads == child.num_threads()
        assert stat.cpu_s == pytest.approx(sum(child.cpu_times()[:2]), abs=0.05)
        child.kill()
        until(lambda: table.stat(child.pid) is None)  # a zombie by now
    assert (read(), table.stat(child.pid), table.reader(child.pid)()) == (None, None, None)
    assert table.listening([child.pid], {port}) == {}
