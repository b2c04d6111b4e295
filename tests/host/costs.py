"""What the monitor costs, in CPU time: `python -m tests.host.costs` prints it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

from ollameter.host.monitor import HostMonitor
from ollameter.host.readings import CpuUse, ServerUse
from ollameter.host.sampling import Sampling
from ollameter.host.servers import WatchedServers
from ollameter.host.window import Window
from tests.host.staged import Clock, Holder, StagedProbe, staged_probes, until
from tests.untraced import untraced

IDLE = """
import time
from ollameter.host.monitor import HostMonitor
class Holder: pass
monitor, holder = HostMonitor(), Holder()
monitor.watch("127.0.0.1", {port})
monitor.acquire(holder)
time.sleep(3.0)
cpu_s, at_s = time.process_time(), time.perf_counter()
time.sleep({seconds})
print((time.process_time() - cpu_s) / (time.perf_counter() - at_s))
"""
LINE = json.dumps(
    {
        "model": "llama3.2",
        "created_at": "2025-01-01T00:00:00.000000Z",
        "message": {"role": "assistant", "content": " the"},
        "done": False,
    }
)


def cpu_us(work: Callable[[], object], times: int = 300, rounds: int = 9) -> float:
    """Return the CPU time of one turn in microseconds: the best round, of which there are some."""
    best = float("inf")
    with untraced():
        for _ in range(rounds):
            before_s = time.thread_time()
            for _ in range(times):
                work()
            best = min(best, time.thread_time() - before_s)
    return best / times * 1e6


def monitor_share(seconds: float, port: int = 11434) -> float:
    """Return the share of a core that a process takes which only monitors."""
    script = IDLE.format(seconds=seconds, port=port)
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=untraced, capture_output=True, text=True, check=True)
    return float(done.stdout)


def start_us() -> float:
    """Return the CPU time of the start of a call."""
    monitor, holder = HostMonitor(probes=lambda servers: staged_probes()), Holder()
    monitor.acquire(holder)
    until(monitor.latest)
    cost = cpu_us(lambda: monitor.start_window("127.0.0.1", 11434), times=2000)
    monitor.release(holder)
    return cost


def summary_us(seconds: float) -> float:
    """Return the CPU time of the end of a call of this length, Ollama's processes included."""
    return cpu_us(window_of(seconds).load)


def window_of(seconds: float) -> Window:
    """Return the window of a call that has run for this long, with every column filled."""
    clock = Clock(1000.0)
    servers = WatchedServers(clock)
    servers.watch("127.0.0.1", 11434)
    probes = staged_probes()
    probes.cpu = cpu = StagedProbe[CpuUse]()
    probes.ollama = StagedProbe({11434: ServerUse(pids=(7,), rss_bytes=70, threads=1, busy=0.125)})
    sampling = Sampling(clock, servers)
    sampling.begin(probes)
    sampling.tick()
    window = Window(sampling, servers, clock, "127.0.0.1", 11434)
    for tick in range(round(seconds * 4)):
        clock.now_s += 0.25
        cpu.says = CpuUse(busy=1 / (2 + tick), core_peak=1 / (1 + tick))  # falling: nothing is short
        sampling.tick()
    return window


class Work(NamedTuple):
    """What something took, in numbers that no other program can disturb."""

    opcodes: int
    cells: int


class CountedCells(array):  # type: ignore[type-arg]  # it cannot be subscripted where it is a base
    """An array that counts the cells that are read."""

    reads = 0

    def __getitem__(self, key: Any) -> Any:
        """Read one cell, or all of a slice."""
        found = super().__getitem__(key)
        CountedCells.reads += len(found) if isinstance(key, slice) else 1
        return found


def summary_work(seconds: float) -> Work:
    """Return what the end of a call of this length takes."""
    window = window_of(seconds)
    assert window._sampling is not None
    for ring in (window._sampling.fast, window._sampling.slow):
        ring._times = CountedCells("d", ring._times)
        for column in ring.columns.values():
            for name in ("_values", "_areas", "_covered"):
                setattr(column, name, CountedCells("d", getattr(column, name)))
            column._maxima = [CountedCells("d", row) for row in column._maxima]
    before = CountedCells.reads
    opcodes = opcodes_of(window.load)
    return Work(opcodes, CountedCells.reads - before)


def opcodes_of(work: Callable[[], object]) -> int:
    """Return how many of Python's instructions are executed, in whatever it calls as well."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def main() -> None:
    """Print every cost beside a calibration."""
    print(f"json.loads of a chunk   {cpu_us(lambda: json.loads(LINE), times=3000):8.2f} us")  # noqa: T201
    print(f"start of a call         {start_us():8.2f} us")  # noqa: T201  # a tool for the terminal
    for seconds in (0.1, 1, 10, 300, 3600, 7200):
        print(f"summary of {seconds:6} s     {summary_us(seconds):8.2f} us")  # noqa: T201  # likewise
    print(f"monitor                 {monitor_share(20.0):8.2%} of a core")  # noqa: T201  # likewise


if __name__ == "__main__":
    main()
