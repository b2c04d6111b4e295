"""Other processes by psutil, for platforms without /proc."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from ollameter.host.process_table import ProcessStat


class PsutilProcesses:
    """Reads through the psutil module that is handed in; what it may not see is absent."""

    def __init__(self, psutil: Any) -> None:
        self._psutil = psutil

    def newest(self) -> object:
        """Return None: psutil does not know."""
        return None

    def pids(self) -> list[int]:
        """Return the numbers of all processes."""
        return list(self._psutil.pids())

    def stat(self, pid: int) -> ProcessStat | None:
        """Return what a process uses; a zombie has ended."""
        return self.reader(pid)()

    def reader(self, pid: int) -> Callable[[], ProcessStat | None]:
        """Keep psutil's object, which knows what never changes."""
        try:
            return partial(self._read, self._psutil.Process(pid))
        except self._psutil.Error:
            return lambda: None

    def _read(self, process: Any) -> ProcessStat | None:
        try:
            with process.oneshot():
                if process.status() == self._psutil.STATUS_ZOMBIE:
                    return None
                times = process.cpu_times()
                return ProcessStat(
                    pid=process.pid,
                    name=process.name(),
                    parent=process.ppid(),
                    started=process.create_time(),
                    cpu_s=times.user + times.system,
                    rss_bytes=process.memory_info().rss,
                    threads=process.num_threads(),
                )
        except self._psutil.Error:
            return None

    def listening(self, pids: Collection[int], ports: Collection[int]) -> Mapping[int, int]:
        """Ask each process for its connections."""
        found: dict[int, int] = {}
        for pid in pids:
            for connection in self._connections(pid):
                if connection.status == self._psutil.CONN_LISTEN and connection.laddr.port in ports:
                    found[connection.laddr.port] = pid
        return found

    def _connections(self, pid: int) -> list[Any]:
        try:
            return list(self._psutil.Process(pid).net_connections("tcp"))
        except self._psutil.Error:
            return []
