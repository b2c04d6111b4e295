"""Ollama's own processes on this machine: each server that a client uses, and its runners.

A server is a process named `ollama…` that listens on the port; whatever descends from it is a
runner (`ollama runner`, `llama-server`). Once found, it costs one small read a process. The whole
table is searched every 30 s, and sooner only when a server is missing and another Ollama is there;
in between only processes that are new since the last look are read at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

import msgspec

from ollameter.host.errand import Errand, Spawn, in_background
from ollameter.host.process_table import ProcessStat, ProcessTable
from ollameter.host.readings import ServerUse
from ollameter.host.trail import Trail

_LOOK_EVERY_S = 1.0
_SEARCH_EVERY_S = 30.0
_FIRST_PAUSE_S = 1.0  # doubles with each search in vain
_NEW_AT_ONCE = 64  # a machine that compiles starts hundreds of processes a second


class Findings(msgspec.Struct, frozen=True):
    """What a look or a search has read, and which processes need not be read again."""

    known: set[int]
    stats: list[ProcessStat]
    listeners: Mapping[int, int] | None = None  # None: nobody was asked


class OllamaProcesses:
    """Follows the servers that listen on `ports()`, which are those of this machine only."""

    def __init__(
        self,
        table: ProcessTable,
        ports: Callable[[], Collection[int]],
        cpus: int,
        spawn: Spawn = in_background,
    ) -> None:
        self._table = table
        self._ports = ports
        self._cpus = cpus
        self._errand: Errand[Findings] = Errand(spawn)
        self._servers: dict[int, _Server] = {}
        self._wanted: set[int] = set()
        self._known: set[int] = set()
        self._newest: object = None
        self._look_at_s = self._search_at_s = float("-inf")
        self._pause_s = _FIRST_PAUSE_S

    def read(self, now_s: float) -> dict[int, ServerUse]:
        """Return by port what each server uses; a server that is not found is absent."""
        if now_s >= self._look_at_s and not self._errand.is_running:
            self._look_at_s = now_s + _LOOK_EVERY_S
            self._look(now_s)
        if (findings := self._errand.take()) is not None:
            self._take_in(now_s, findings)
        return self._used(now_s)

    def _used(self, now_s: float) -> dict[int, ServerUse]:
        uses = {port: server.read(now_s) for port, server in self._servers.items()}
        for port, use in uses.items():
            if use is None:
                del self._servers[port]
                self._search_soon(now_s)
        return {port: use for port, use in uses.items() if use is not None}

    def _search_soon(self, now_s: float) -> None:
        self._look_at_s = self._search_at_s = now_s
        self._pause_s = _FIRST_PAUSE_S

    def _look(self, now_s: float) -> None:
        """Send for what is new: wanted ports, runners of servers that are followed, other servers."""
        wanted = set(self._ports())
        for port in self._servers.keys() - wanted:
            del self._servers[port]
        if wanted - self._wanted:
            self._search_at_s = now_s
        self._wanted = wanted
        newest, self._newest = self._newest, self._table.newest() if wanted else None
        if wanted and now_s >= self._search_at_s:
            missing = wanted - self._servers.keys()
            self._errand.start(partial(_search, self._table, missing))
        elif wanted and (self._newest is None or self._newest != newest):
            self._errand.start(partial(_see_new, self._table, self._known))

    def _take_in(self, now_s: float, findings: Findings) -> None:
        """Take note of what was found: servers first, then the runners of each."""
        self._known = findings.known
        is_one_missing = len(self._servers) < len(self._wanted)
        by_pid = {stat.pid: stat for stat in findings.stats}
        for port, pid in (findings.listeners or {}).items():
            self._servers[port] = _Server(by_pid[pid], self._table, self._cpus)
        for server in self._servers.values():
            server.adopt(findings.stats)
        is_another_there = any(self._is_strange(stat) for stat in findings.stats)
        if findings.listeners is not None:
            is_one_missing = len(self._servers) < len(self._wanted)
            self._schedule(now_s, in_vain=is_one_missing and is_another_there)
        elif is_one_missing and is_another_there:
            self._search_soon(now_s)

    def _is_strange(self, stat: ProcessStat) -> bool:
        """Tell whether a process is an Ollama that belongs to no server that is followed."""
        return _is_ollama(stat) and not any(s.has(stat.pid) for s in self._servers.values())

    def _schedule(self, now_s: float, *, in_vain: bool) -> None:
        self._search_at_s = now_s + (self._pause_s if in_vain else _SEARCH_EVERY_S)
        self._pause_s = min(_SEARCH_EVERY_S, self._pause_s * 2) if in_vain else _FIRST_PAUSE_S


def _search(table: ProcessTable, missing: set[int]) -> Findings:
    """Read every process, and ask who listens on the ports whose server is missing."""
    pids = table.pids()
    stats = [stat for pid in pids if (stat := table.stat(pid)) is not None]
    candidates = [stat.pid for stat in stats if _is_ollama(stat)]
    listeners = table.listening(candidates, missing) if missing and candidates else {}
    return Findings(set(pids), stats, listeners)


def _see_new(table: ProcessTable, known: set[int]) -> Findings:
    """Read the processes that have begun since; of very many, the rest comes next time."""
    pids = set(table.pids())
    new = sorted(pids - known)[:_NEW_AT_ONCE]
    stats = [stat for pid in new if (stat := table.stat(pid)) is not None]
    return Findings(known & pids | set(new), stats)


class _Server:
    """One server's processes and the CPU time that they have used while they were watched."""

    def __init__(self, root: ProcessStat, table: ProcessTable, cpus: int) -> None:
        self._root = root
        self._table = table
        self._cpus = cpus
        self._members: dict[int, ProcessStat] = {}
        self._readers: dict[int, Callable[[], ProcessStat | None]] = {}
        self._follow(root)
        self._cpu_s = 0.0
        self._before: tuple[float, float] | None = None
        self._trail = Trail()

    def has(self, pid: int) -> bool:
        """Tell whether a process is one of the server's."""
        return pid in self._members

    def adopt(self, stats: list[ProcessStat]) -> None:
        """Take in every descendant, in whatever order the processes come."""
        count = 0
        while count != len(self._members):
            count = len(self._members)
            for stat in stats:
                if stat.parent in self._members and stat.pid not in self._members:
                    self._follow(stat)

    def _follow(self, stat: ProcessStat) -> None:
        self._members[stat.pid] = stat
        self._readers[stat.pid] = self._table.reader(stat.pid)

    def read(self, now_s: float) -> ServerUse | None:
        """Return what the processes use together; None when the server itself has ended."""
        alive: dict[int, ProcessStat] = {}
        for pid, before in self._members.items():
            stat = self._readers[pid]()
            if stat is None or stat.started != before.started:
                del self._readers[pid]
                continue
            alive[pid] = stat
            self._cpu_s += max(0.0, stat.cpu_s - before.cpu_s)
        self._members = alive
        if self._root.pid not in alive:
            return None
        if self._trail.is_due(now_s):
            self._trail.add(now_s, (self._cpu_s,))
        rates = self._trail.rates
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
