"""What is known of the machine without the monitor: psutil's counters, this process's own clock.

A machine that others use is never exactly as busy as a test makes it. So figures are compared with
a second reading of the same counters over the same time, which holds however busy it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import psutil

from ollameter.host.monitor import HostMonitor
from ollameter.host.readings import Snapshot
from tests.host.staged import until

T = TypeVar("T")
MIB = 1 << 20
CPUS = psutil.cpu_count() or 1
BURN = "import time; end = time.monotonic() + 60\nwhile time.monotonic() < end: pass"


class Counters(NamedTuple):
    """What has passed, and been used, up to now: in seconds."""

    at_s: float
    own_s: float
    busy_s: float
    total_s: float

    @classmethod
    def now(cls) -> Counters:
        """Read them."""
        times = psutil.cpu_times()
        total_s = sum(times[:8])  # guest time is part of user
        busy_s = total_s - times.idle - getattr(times, "iowait", 0.0)
        return cls(time.perf_counter(), time.process_time(), busy_s, total_s)

    def busy_share(self, before: Counters) -> float:
        """Return how busy all processors have been since."""
        return (self.busy_s - before.busy_s) / (self.total_s - before.total_s)

    def own_share(self, before: Counters) -> float:
        """Return what this process has taken of all processors since."""
        return (self.own_s - before.own_s) / (self.at_s - before.at_s) / CPUS


def used_bytes() -> int:
    """Return by psutil what is neither free nor cache."""
    memory = psutil.virtual_memory()
    return int(memory.total - memory.free - memory.cached - memory.buffers)


def next_sample(monitor: HostMonitor) -> Snapshot:
    """Wait for a sample: what is measured right after it begins or ends where the monitor's does."""
    before = monitor.latest()
    until(lambda: monitor.latest() is not before)
    snapshot = monitor.latest()
    assert snapshot is not None
    return snapshot


class Windows(NamedTuple):
    """The figures of several windows in a row, and the counters at the end of each (first: before)."""

    figures: list[float]
    counters: list[Counters]

    def mean(self) -> float:
        """Return the mean of the figures over all of the time."""
        ends = [each.at_s for each in self.counters]
        parts = zip(self.figures, ends[:-1], ends[1:], strict=True)
        return sum(figure * (end - begin) for figure, begin, end in parts) / (ends[-1] - ends[0])

    def busy_share(self) -> float:
        """Return how busy all processors were in all of the time, by psutil."""
        return self.counters[-1].busy_share(self.counters[0])

    def own_share(self) -> float:
        """Return what this process took of all processors in all of the time, by its own clock."""
        return self.counters[-1].own_share(self.counters[0])


def windows(
    look: Callable[[], float], count: int = 3, *, of: Callable[[], object] | None = None
) -> Windows:
    """Watch a figure, window by window: a new one has begun when it changes, or the object `of` it.

    The mean over several is exact but for the moment that it takes to notice the first and the
    last change, however much the load changes in between.
    """
    figures, counters = [look()], []
    for _ in range(count + 1):
        before = figures[-1] if of is None else of()
        until(lambda: look() != before if of is None else of() is not before)  # noqa: B023  # done with by then
        counters.append(Counters.now())
        figures.append(look())
    return Windows(figures[2:], counters)


def modes_of(monitor: HostMonitor) -> Mapping[str, float] | None:
    """Return the shares by mode of the last window: another object in each window."""
    snapshot = monitor.latest()
    return None if snapshot is None or snapshot.cpu is None else snapshot.cpu.modes


@contextmanager
def burner() -> Iterator[psutil.Process]:
    """Run a process that takes a whole core, if it is given one, for a minute at most."""
    with subprocess.Popen([sys.executable, "-c", BURN]) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def has_gpu() -> bool:
    """Tell whether NVIDIA's driver is here."""
    return os.path.exists("/dev/nvidiactl")
