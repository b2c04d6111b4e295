"""The monitor against what is known otherwise: measured CPU time, psutil, memory that was touched."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil
import pytest

from ollameter.host.monitor import HostMonitor
from ollameter.host.readings import Snapshot
from ollameter.metrics import HostLoad
from tests.host.staged import Holder, until

MIB = 1 << 20
CPUS = psutil.cpu_count() or 1
BURN = "while True: pass"


@pytest.fixture(scope="module")
def monitor() -> Iterator[HostMonitor]:
    """A monitor of this machine, with a full window behind it."""
    monitor, holder = HostMonitor(), Holder()
    monitor.acquire(holder)
    until(lambda: (snapshot := monitor.latest()) and snapshot.cpu and snapshot.cpu.modes)
    yield monitor
    monitor.release(holder)


def next_sample(monitor: HostMonitor) -> Snapshot:
    """Wait for a sample: what is measured right after it begins or ends where the monitor's does."""
    before = monitor.latest()
    until(lambda: monitor.latest() is not before)
    snapshot = monitor.latest()
    assert snapshot is not None
    return snapshot


def busy_s() -> tuple[float, float]:
    """Return by psutil how long the processors have been busy, and have been at all."""
    times = psutil.cpu_times()
    total = sum(times[:8])  # guest time is part of user
    return total - times.idle - getattr(times, "iowait", 0.0), total


def used_bytes() -> int:
    """Return by psutil what is neither free nor cache."""
    memory = psutil.virtual_memory()
    return int(memory.total - memory.free - memory.cached - memory.buffers)


def modes_of(monitor: HostMonitor) -> Mapping[str, float]:
    """Return what the gauge shows now."""
    snapshot = monitor.latest()
    assert snapshot is not None
    assert snapshot.cpu is not None
    assert snapshot.cpu.modes is not None
    return snapshot.cpu.modes


def next_window(monitor: HostMonitor) -> tuple[float, float]:
    """Wait for the gauge's next second; return what psutil says at its end."""
    before = modes_of(monitor)
    until(lambda: modes_of(monitor) is not before)
    return busy_s()


@contextmanager
def burner() -> Iterator[psutil.Process]:
    """Run a process that takes a whole core, if it is given one."""
    with subprocess.Popen([sys.executable, "-c", BURN]) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def burn_until(end_s: float) -> None:
    """Take a whole core in this process."""
    while time.perf_counter() < end_s:
        pass


def test_a_burned_core_is_seen_by_a_call_within_5_percent(monitor: HostMonitor) -> None:
    """As much as psutil saw in the same three seconds, and no less than the burner alone took."""
    with burner() as process:
        next_sample(monitor)
        window, (busy, total), own = monitor.start_window("127.0.0.1", 1), busy_s(), process.cpu_times()
        begin_s = time.perf_counter()
        until(lambda: time.perf_counter() - begin_s > 3.0)
        next_sample(monitor)
        load, (busy_end, total_end), own_end = window.load(), busy_s(), process.cpu_times()

    assert load is not None
    assert load.samples >= 11
    truth = (busy_end - busy) / (total_end - total)
    burned = (own_end.user + own_end.system - own.user - own.system) / (total_end - total)
    assert load.cpu_utilization_mean is not None
    assert load.cpu_utilization_peak is not None
    assert load.cpu_utilization_mean == pytest.approx(truth, rel=0.05)
    assert load.cpu_utilization_mean >= burned * 0.95
    assert load.cpu_utilization_mean <= load.cpu_utilization_peak <= 1.0
    assert load.cpu_core_peak is not None
    assert load.cpu_core_peak >= min(1.0, burned * CPUS) * 0.95


def test_a_burned_core_is_seen_by_the_gauge_within_5_percent(monitor: HostMonitor) -> None:
    """All modes but idle and waiting for I/O, over the last second and a little more."""
    seen, truth = [], []
    with burner():
        busy, total = next_window(monitor)
        for _ in range(3):
            busy_end, total_end = next_window(monitor)
            truth.append((busy_end - busy) / (total_end - total))
            busy, total = busy_end, total_end
            modes = modes_of(monitor)
            seen.append(1 - modes["idle"] - modes["iowait"])

    assert seen == pytest.approx(truth, rel=0.05)


def test_what_the_process_itself_burns_is_seen_within_5_percent(monitor: HostMonitor) -> None:
    """Against the process's own clock; with a core to itself on a machine of two that is 0.5.

    The samples come although the thread that computes gives nothing away of its own accord.
    """
    window, begin_s, cpu_s = monitor.start_window("127.0.0.1", 1), time.perf_counter(), time.process_time()
    burn_until(begin_s + 3.0)
    snapshot, load, used_s = monitor.latest(), window.load(), time.process_time() - cpu_s
    truth = used_s / (time.perf_counter() - begin_s) / CPUS

    assert snapshot is not None
    assert snapshot.process is not None
    assert snapshot.process.cpu_user is not None
    assert snapshot.process.cpu_system is not None
    assert snapshot.process.cpu_user + snapshot.process.cpu_system == pytest.approx(truth, rel=0.05)
    assert load is not None
    assert load.samples >= 10
    assert load.process_cpu_s == pytest.approx(used_s, rel=0.01)


def test_touched_memory_is_seen_within_2_percent(monitor: HostMonitor) -> None:
    """500 MiB, by the process's own figure and by the machine's as psutil sees it."""
    load, rise, own_rise, seen_rise = touch_500_mib(monitor)
    for _ in range(4):  # others come and go on this machine between two readings
        if abs(seen_rise - rise) <= 10 * MIB:
            break
        load, rise, own_rise, seen_rise = touch_500_mib(monitor)

    assert own_rise == pytest.approx(500 * MIB, rel=0.02)
    assert seen_rise == pytest.approx(rise, abs=10 * MIB)
    assert load.memory_used_bytes_peak is not None
    assert load.memory_used_bytes_mean is not None
    assert load.memory_used_bytes_mean <= load.memory_used_bytes_peak
    assert load.memory_total_bytes == psutil.virtual_memory().total


def touch_500_mib(monitor: HostMonitor) -> tuple[HostLoad, int, int, int]:
    """Return a call's load, and by how much used memory rose: psutil's, the process's, the call's."""
    before = next_sample(monitor)
    used_before, window = used_bytes(), monitor.start_window("127.0.0.1", 1)
    assert before.process is not None
    assert before.memory is not None
    touched = b"\1" * (500 * MIB)
    next_sample(monitor)
    next_sample(monitor)
    used_after, load = used_bytes(), window.load()
    after = monitor.latest()
    assert len(touched) == 500 * MIB
    assert load is not None
    assert after is not None
    assert after.memory is not None
    assert load.process_rss_bytes_peak is not None
    assert before.process.rss_bytes is not None
    return (
        load,
        used_after - used_before,
        load.process_rss_bytes_peak - before.process.rss_bytes,
        after.memory.used_bytes - before.memory.used_bytes,
    )


def test_the_figures_of_the_machine_agree_with_psutil(monitor: HostMonitor) -> None:
    """Load, threads, resident memory."""
    snapshot = next_sample(monitor)

    assert snapshot.cpu is not None
    assert snapshot.process is not None
    assert snapshot.cpu.load_average_1m == pytest.approx(os.getloadavg()[0], abs=0.5)
    assert snapshot.process.threads == psutil.Process().num_threads()
    assert snapshot.process.rss_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.02)


def test_a_machine_without_a_gpu_has_no_gpu_sample(monitor: HostMonitor) -> None:
    """Not one with zeros."""
    if os.path.exists("/dev/nvidiactl"):
        pytest.skip("this machine has a GPU")
    window = monitor.start_window("127.0.0.1", 1)
    next_sample(monitor)
    load, snapshot = window.load(), monitor.latest()

    assert load is not None
    assert snapshot is not None
    assert (load.gpus, snapshot.gpus) == ((), ())
