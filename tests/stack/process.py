"""One real server as a child process: started until it is ready, stopped until it is gone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.stack.loopback import HOST, free_port

# Settings of the developer's own servers and SDKs must not leak into ours.
_PRIVATE_PREFIXES = ("OLLAMA_", "OTEL", "JAEGER_", "PROMETHEUS_", "SPAN_METRICS_")
_PORT_TAKEN = "address already in use"
_PORT_TRIES = 5


class ServerError(Exception):
    """A server did not become ready; the text holds the end of its log."""


class Server(ABC):
    """A server with its own folder, ports, log and process group; subclasses say what to run.

    Without `folder` it lives in a temporary one that `close` removes. Ports are chosen when it
    starts for the first time and stay, so that clients find it again after a restart.
    """

    name: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]]
    ready_within_s: ClassVar[float] = 30.0

    def __init__(self, *, folder: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self._is_temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"ollameter-{self.name}-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._env = dict(env or {})
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command line, using `address`."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Ask the running server whether it can be used."""

    def environment(self) -> Mapping[str, str]:
        """Return the variables that this kind of server is set up with."""
        return {}

    def start(self) -> None:
        """Start and wait until ready; a port that was taken meanwhile is replaced."""
        if self.is_running:
            return
        if self._ports:
            self._launch()
            return
        for _ in range(_PORT_TRIES):
            self._ports = {name: free_port() for name in self.port_names}
            try:
                self._launch()
                return
            except ServerError as failure:
                self._ports.clear()
                if _PORT_TAKEN not in str(failure).lower():
                    raise
        raise ServerError(f"{self.name}: ports were taken {_PORT_TRIES} times")

    def stop(self, within_s: float = 10.0) -> None:
        """Ask it to end, and end what is left of its process group when it has not in time."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
        self.kill()

    def kill(self) -> None:
        """End the whole process group at once, without a chance to write anything."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):  # all of it has ended already
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop and start on the same ports and data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop, and remove the folder if it is a temporary one."""
        self.stop()
        if self._is_temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        """Tell whether it was started and has not ended since."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's own process; its children are in the process group of the same number."""
        if self._process is None:
            raise ServerError(f"{self.name} is not running")
        return self._process.pid

    @property
    def log(self) -> Path:
        """Return the file with all that it printed, restarts included."""
        return self.folder / f"{self.name}.log"

    def address(self, port_name: str) -> str:
        """Return `host:port` of one of the ports; known once the server has been started."""
        if port_name not in self._ports:
            raise ServerError(f"{self.name} has not been started")
        return f"{HOST}:{self._ports[port_name]}"

    def _launch(self) -> None:
        begin = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._whole_environment(),
                cwd=self.folder,
                start_new_session=True,
            )
        try:
            self._await_ready(self._process, begin)
        except BaseException:
            self.kill()
            raise

    def _whole_environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_PRIVATE_PREFIXES)}
        return {**inherited, **self.environment(), **self._env}

    def _await_ready(self, process: subprocess.Popen[bytes], begin: int) -> None:
        deadline = time.monotonic() + self.ready_within_s
        while time.monotonic() < deadline:
            try:
                process.wait(0.05)  # the pause between two questions, ended early by its death
            except subprocess.TimeoutExpired:
                if self.is_ready():
                    return
                continue
            raise ServerError(f"{self.name} ended with {process.returncode}\n{self._tail(begin)}")
        raise ServerError(f"{self.name} not ready in {self.ready_within_s} s\n{self._tail(begin)}")

    def _tail(self, begin: int) -> str:
        text = self.log.read_bytes()[begin:].decode(errors="replace")
        return "\n".join(text.splitlines()[-40:])
