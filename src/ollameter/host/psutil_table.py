"""Other processes by psutil, for platforms without /proc."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ollameter.host.process_table import ProcessStat


class PsutilProcesses:
    """Reads through the psutil module that is handed in; what it may not see is absent."""

    def __init__(self, psutil: Any) -> None:
        self._psutil = psutil

    def pids(self) -> list[int]:
        """Return the numbers of all processes."""
        return list(self._psutil.pids())

    def stat(self, pid: int) -> ProcessStat | None:
        """Return what a process uses; a zombie has ended."""
        try:
            process = self._psutil.Process(pid)
            with process.oneshot():
                if process.status() == self._psutil.STATUS_ZOMBIE:
                    return None
                times = process.cpu_times()
                return ProcessStat(
                    pid=pid,
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
