"""Ollama's own processes on this machine: each server that a client uses, and its runners.

A server is a process named `ollama…` that listens on the port; whatever descends from it is a
runner (`ollama runner`, `llama-server`). Once found, it costs one small read a process. The whole
table is searched every 30 s, and sooner only when a server is missing and something has changed;
in between only processes that are new since the last look are read at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from ollameter.host.process_table import ProcessStat, ProcessTable
from ollameter.host.readings import ServerUse
from ollameter.host.trail import Trail

_LOOK_EVERY_S = 1.0
_SEARCH_EVERY_S = 30.0
_FIRST_PAUSE_S = 1.0  # doubles with each search in vain
_NEW_AT_ONCE = 64  # a machine that compiles starts hundreds of processes a second


class OllamaProcesses:
    """Follows the servers that listen on `ports()`, which are those of this machine only."""

    def __init__(self, table: ProcessTable, ports: Callable[[], Collection[int]], cpus: int) -> None:
        self._table = table
        self._ports = ports
        self._cpus = cpus
        self._servers: dict[int, _Server] = {}
        self._wanted: set[int] = set()
        self._known: set[int] = set()
        self._look_at_s = self._search_at_s = float("-inf")
        self._pause_s = _FIRST_PAUSE_S

    def read(self, now_s: float) -> dict[int, ServerUse]:
        """Return by port what each server uses; a server that is not found is absent."""
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + _LOOK_EVERY_S
            self._look(now_s)
        return self._used(now_s)

    def _used(self, now_s: float) -> dict[int, ServerUse]:
        uses = {port: server.read(now_s, self._table) for port, server in self._servers.items()}
        for port, use in uses.items():
            if use is None:
                del self._servers[port]
                self._search_soon(now_s)
        return {port: use for port, use in uses.items() if use is not None}

    def _search_soon(self, now_s: float) -> None:
        self._look_at_s = self._search_at_s = now_s
        self._pause_s = _FIRST_PAUSE_S

    def _look(self, now_s: float) -> None:
        """Find what is new: wanted ports, runners of servers that are followed, other servers."""
        wanted = set(self._ports())
        for port in self._servers.keys() - wanted:
            del self._servers[port]
        if wanted - self._wanted:
            self._search_soon(now_s)
        self._wanted = wanted
        if not wanted:
            return
        pids = set(self._table.pids())
        self._known &= pids
        if now_s < self._search_at_s and self._has_new_ollama(self._adopt(pids)):
            self._search_soon(now_s)
        if now_s >= self._search_at_s:
            self._search(now_s, pids)

    def _adopt(self, pids: set[int]) -> list[ProcessStat]:
        """Read the processes that are new, give the runners to their servers, return the others."""
        others = []
        for pid in sorted(pids - self._known)[:_NEW_AT_ONCE]:
            self._known.add(pid)
            stat = self._table.stat(pid)
            if stat is not None and not any(s.adopt(stat) for s in self._servers.values()):
                others.append(stat)
        return others

    def _has_new_ollama(self, new: Iterable[ProcessStat]) -> bool:
        is_one_missing = len(self._servers) < len(self._wanted)
        return is_one_missing and any(_is_ollama(stat) for stat in new)

    def _search(self, now_s: float, pids: set[int]) -> None:
        stats = [stat for pid in sorted(pids) if (stat := self._table.stat(pid)) is not None]
        self._known = pids
        missing = self._wanted - self._servers.keys()
        candidates = [stat.pid for stat in stats if _is_ollama(stat)]
        found = self._table.listening(candidates, missing) if missing and candidates else {}
        by_pid = {stat.pid: stat for stat in stats}
        for port, pid in found.items():
            self._servers[port] = _Server(by_pid[pid], self._cpus)
        for server in self._servers.values():
            server.adopt_all(stats)
        self._schedule(now_s, in_vain=len(found) < len(missing))

    def _schedule(self, now_s: float, *, in_vain: bool) -> None:
        self._search_at_s = now_s + (self._pause_s if in_vain else _SEARCH_EVERY_S)
        self._pause_s = min(_SEARCH_EVERY_S, self._pause_s * 2) if in_vain else _FIRST_PAUSE_S


class _Server:
    """One server's processes and the CPU time that they have used while they were watched."""

    def __init__(self, root: ProcessStat, cpus: int) -> None:
        self._root = root
        self._cpus = cpus
        self._members = {root.pid: root}
        self._cpu_s = 0.0
        self._before: tuple[float, float] | None = None
        self._trail = Trail()

    def adopt(self, stat: ProcessStat) -> bool:
        """Take in a process whose parent is one of the server's; tell whether it is."""
        if stat.parent not in self._members:
            return stat.pid in self._members
        self._members.setdefault(stat.pid, stat)
        return True

    def adopt_all(self, stats: list[ProcessStat]) -> None:
        """Take in every descendant, in whatever order the processes come."""
        count = 0
        while count != len(self._members):
            count = len(self._members)
            for stat in stats:
                self.adopt(stat)

    def read(self, now_s: float, table: ProcessTable) -> ServerUse | None:
        """Return what the processes use together; None when the server itself has ended."""
        alive: dict[int, ProcessStat] = {}
        for pid, before in self._members.items():
            stat = table.stat(pid)
            if stat is not None and stat.started == before.started:
                alive[pid] = stat
                self._cpu_s += max(0.0, stat.cpu_s - before.cpu_s)
        self._members = alive
        if self._root.pid not in alive:
            return None
        self._trail.add(now_s, (self._cpu_s,))
        rates = self._trail.rates()
        return ServerUse(
            pids=tuple(alive),
            rss_bytes=sum(stat.rss_bytes for stat in alive.values()),
            threads=sum(stat.threads for stat in alive.values()),
            busy=self._busy(now_s),
            cpu_utilization=None if rates is None else rates[0] / self._cpus,
        )

    def _busy(self, now_s: float) -> float | None:
        before, self._before = self._before, (now_s, self._cpu_s)
        if before is None or now_s <= before[0]:
            return None
        return (self._cpu_s - before[1]) / (now_s - before[0]) / self._cpus


def _is_ollama(stat: ProcessStat) -> bool:
    return stat.name.lower().startswith("ollama")
