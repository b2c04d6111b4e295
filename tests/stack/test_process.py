"""Starting and stopping a child server, shown on a tiny one that needs no installing."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import psutil
import pytest

from tests.stack import process
from tests.stack.aftermath import left_running
from tests.stack.loopback import HOST, free_port, status_of
from tests.stack.process import Server, ServerError

SERVES = """
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), SimpleHTTPRequestHandler).serve_forever()
"""
HAS_A_CHILD = "import subprocess; subprocess.Popen(['sleep', '60'])" + SERVES
IGNORES_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + SERVES
NEVER_READY = "import signal; print('warming up', flush=True); signal.pause()"
DIES = "raise SystemExit('no such config')"
SHOWS_ENV = "import os; print(sorted(k for k in os.environ if 'SECOND' in k), flush=True)" + SERVES


class Tiny(Server):
    """A Python one-liner in the place of a server."""

    name = "tiny"
    port_names = ("http",)
    ready_within_s = 10.0

    def __init__(self, program: str, *, folder: Path | None = None) -> None:
        super().__init__(folder=folder, env={"OLLAMA_SECOND": "ours"})
        self.program = program

    def command(self) -> list[str]:
        """Pass the port as the only argument."""
        return [sys.executable, "-c", self.program, self.address("http").split(":")[1]]

    def is_ready(self) -> bool:
        """Ask it over HTTP."""
        return status_of(f"http://{self.address('http')}") == 200


def test_a_server_is_ready_when_start_returns_and_gone_after_stop(tmp_path: Path) -> None:
    """Between the two it answers under the pid that it names."""
    with Tiny(SERVES, folder=tmp_path) as server:
        pid = server.pid
        assert server.is_running
        assert server.is_ready()

    assert not server.is_running
    assert left_running([pid]) == []
    assert tmp_path.exists()


def test_stop_ends_the_servers_children_too(tmp_path: Path) -> None:
    """A child that outlives its parent would keep its port and memory."""
    server = Tiny(HAS_A_CHILD, folder=tmp_path)
    server.start()
    tree = [server.pid, *(child.pid for child in psutil.Process(server.pid).children())]
    assert len(tree) == 2

    server.stop()

    assert left_running(tree) == []


def test_a_server_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    """Stopping takes at most the given time."""
    server = Tiny(IGNORES_TERM, folder=tmp_path)
    server.start()
    pid = server.pid

    server.stop(within_s=0.2)

    assert left_running([pid]) == []


def test_a_restart_keeps_the_address_and_the_folder() -> None:
    """Clients that were told the address find the server again."""
    with Tiny(SERVES) as server:
        before = (server.address("http"), server.pid)
        (server.folder / "data").touch()

        server.restart()

        assert server.address("http") == before[0]
        assert server.pid != before[1]
        assert (server.folder / "data").exists()
    assert not server.folder.exists()


def test_a_server_that_dies_at_the_start_shows_why(tmp_path: Path) -> None:
    """The error holds the exit code and the log's end, at once."""
    with pytest.raises(ServerError, match="tiny ended with 1\nno such config"):
        Tiny(DIES, folder=tmp_path).start()


def test_a_server_that_never_gets_ready_is_given_up_and_killed(tmp_path: Path) -> None:
    """Waiting is bounded, and nothing is left behind."""
    server = Tiny(NEVER_READY, folder=tmp_path)
    server.ready_within_s = 0.5  # type: ignore[misc]  # for this one only

    with pytest.raises(ServerError, match=r"tiny not ready in 0.5 s\nwarming up"):
        server.start()

    assert not server.is_running


def test_a_port_that_was_taken_meanwhile_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between choosing a port and listening on it anybody may come first."""
    with socket.socket() as first:
        first.bind((HOST, 0))
        taken = first.getsockname()[1]
        ports = iter([taken, free_port()])
        monkeypatch.setattr(process, "free_port", lambda: next(ports))

        with Tiny(SERVES, folder=tmp_path) as server:
            assert server.is_ready()
            assert server.address("http") != f"{HOST}:{taken}"


def test_the_developers_own_settings_do_not_reach_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set `OLLAMA_…` variable must change no test; one given to the server does."""
    monkeypatch.setenv("OLLAMA_SECOND", "theirs")
    monkeypatch.setenv("OTEL_SECOND", "theirs")

    with Tiny(SHOWS_ENV, folder=tmp_path) as server:
        assert server.log.read_text().startswith("['OLLAMA_SECOND']\n")


def test_what_needs_a_started_server_says_so(tmp_path: Path) -> None:
    """Ports and pids are unknown before the start."""
    server = Tiny(SERVES, folder=tmp_path)

    with pytest.raises(ServerError, match="tiny has not been started"):
        server.address("http")
    with pytest.raises(ServerError, match="tiny is not running"):
        _ = server.pid


def test_free_ports_are_below_the_ephemeral_range() -> None:
    """An outgoing connection of another program must not take them."""
    ports = {free_port() for _ in range(20)}

    assert len(ports) > 1
    assert all(20_000 <= port < 32_000 for port in ports)
