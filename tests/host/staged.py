"""A machine that stands still until a test moves it: clock, process table and probes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

import pytest

from ollameter.host.process_table import ProcessStat
from ollameter.host.readings import CpuUse, MemoryUse, ProcessUse
from ollameter.host.sampling import Probes

T = TypeVar("T")


def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait for a condition, not longer than a bound."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.005)


def about(value: float) -> Any:
    """Return what equals any number close to it, inside a frozen record as well."""
    return pytest.approx(value)


def at_once(work: Callable[[], None]) -> None:
    """Do in the foreground what is meant for the background."""
    work()


class Holder:
    """Whoever needs a monitor."""


class Clock:
    """Seconds that a test sets."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        """Return the time that was set."""
        return self.now_s


class StagedProbe(Generic[T]):
    """Says what it is told to, or raises it; counts how often it was asked."""

    def __init__(self, says: T | BaseException | None = None) -> None:
        self.says = says
        self.reads = 0

    def read(self, now_s: float) -> T | None:
        """Return or raise what was staged."""
        self.reads += 1
        if isinstance(self.says, BaseException):
            raise self.says
        return self.says


class StagedTable:
    """A process table filled by a test; counts what was looked up."""

    def __init__(self, *stats: ProcessStat) -> None:
        self.stats = {stat.pid: stat for stat in stats}
        self.ports: dict[int, int] = {}
        self.searches: list[set[int]] = []
        self.reads = 0
        self.last: object = None

    def newest(self) -> object:
        """Return what a test has set."""
        return self.last

    def put(self, *stats: ProcessStat) -> None:
        """Add processes, or replace what they use."""
        self.stats.update({stat.pid: stat for stat in stats})

    def pids(self) -> list[int]:
        """Return every process."""
        return list(self.stats)

    def stat(self, pid: int) -> ProcessStat | None:
        """Return one process."""
        self.reads += 1
        return self.stats.get(pid)

    def reader(self, pid: int) -> Callable[[], ProcessStat | None]:
        """Return what reads one process again and again."""
        return lambda: self.stat(pid)

    def listening(self, pids: Collection[int], ports: Collection[int]) -> Mapping[int, int]:
        """Return who listens, of those asked about."""
        self.searches.append(set(ports))
        return {port: pid for port, pid in self.ports.items() if port in ports and pid in pids}


def process(pid: int, name: str = "ollama", parent: int = 1, **more: float) -> ProcessStat:
    """Return a process that began with its number as its time and has 10 MB and 2 threads."""
    facts = {"started": float(pid), "cpu_s": 0.0, "rss_bytes": 10_000_000, "threads": 2, **more}
    return ProcessStat(
        pid=pid,
        name=name,
        parent=parent,
        started=facts["started"],
        cpu_s=facts["cpu_s"],
        rss_bytes=int(facts["rss_bytes"]),
        threads=int(facts["threads"]),
    )


def memory_use(used_bytes: int = 3_000) -> MemoryUse:
    """Return a use of a memory of 10,000 bytes."""
    return MemoryUse(
        total_bytes=10_000,
        used_bytes=used_bytes,
        free_bytes=9_000 - used_bytes,
        available_bytes=9_500 - used_bytes,
        cached_bytes=800,
        buffers_bytes=200,
    )


def staged_probes() -> Probes:
    """Return probes of a machine with a quarter of its CPU busy and nothing special."""
    return Probes(
        cpu=StagedProbe(CpuUse(busy=0.25, core_peak=0.5)),
        memory=StagedProbe(memory_use()),
        process=StagedProbe(ProcessUse(rss_bytes=500, threads=3)),
        ollama=StagedProbe({}),
        swap=StagedProbe(None),
        pressure=StagedProbe(None),
        gpu=StagedProbe(None),
    )
