"""The monitor against what is known otherwise: measured CPU time, psutil, memory that was touched."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import psutil
import pytest

from ollameter.host.monitor import HostMonitor
from ollameter.metrics import HostLoad
from tests.host.staged import Holder, until
from tests.host.truth import (
    CPUS,
    MIB,
    Counters,
    burner,
    has_gpu,
    modes_of,
    next_sample,
    used_bytes,
    windows,
)


@pytest.fixture(scope="module")
def monitor() -> Iterator[HostMonitor]:
    """A monitor of this machine, with a full window behind it."""
    monitor, holder = HostMonitor(), Holder()
    monitor.acquire(holder)
    until(lambda: (snapshot := monitor.latest()) and snapshot.cpu and snapshot.cpu.modes)
    yield monitor
    monitor.release(holder)


def burn_until(end_s: float) -> None:
    """Take a whole core in this process."""
    while time.perf_counter() < end_s:
        pass


def busy_by_modes(monitor: HostMonitor) -> float:
    """Return what the gauge shows now: all modes but idle and waiting for I/O."""
    modes = modes_of(monitor)
    assert modes is not None
    return 1 - modes["idle"] - modes.get("iowait", 0.0)


def test_a_burned_core_is_seen_by_a_call_within_5_percent(monitor: HostMonitor) -> None:
    """As much as psutil saw in the same three seconds, and no less than the burner alone took."""
    with burner() as process:
        next_sample(monitor)
        window, begin, own = monitor.start_window("127.0.0.1", 1), Counters.now(), process.cpu_times()
        until(lambda: time.perf_counter() - begin.at_s > 3.0)
        next_sample(monitor)
        load, end, own_end = window.load(), Counters.now(), process.cpu_times()

    assert load is not None
    assert load.samples >= 11
    burned = (own_end.user + own_end.system - own.user - own.system) / (end.total_s - begin.total_s)
    assert load.cpu_utilization_mean is not None
    assert load.cpu_utilization_peak is not None
    assert load.cpu_utilization_mean == pytest.approx(end.busy_share(begin), rel=0.05)
    assert load.cpu_utilization_mean >= burned * 0.95
    assert load.cpu_utilization_mean <= load.cpu_utilization_peak <= 1.0
    assert load.cpu_core_peak is not None
    assert load.cpu_core_peak >= min(1.0, burned * CPUS) * 0.95
    assert load.cpu_count == CPUS


def test_a_burned_core_is_seen_by_the_gauge_within_5_percent(monitor: HostMonitor) -> None:
    """All modes but idle and waiting for I/O, over the last second and a little more."""
    with burner():
        seen = windows(lambda: busy_by_modes(monitor), of=lambda: modes_of(monitor))

    assert seen.mean() == pytest.approx(seen.busy_share(), rel=0.05)


def test_what_the_process_itself_burns_is_exact_in_a_call(monitor: HostMonitor) -> None:
    """Against the process's own clock; the samples come although the thread that computes never waits."""
    window, begin = monitor.start_window("127.0.0.1", 1), Counters.now()
    burn_until(begin.at_s + 3.0)
    load, end = window.load(), Counters.now()

    assert load is not None
    assert load.samples >= 10
    assert load.process_cpu_s == pytest.approx(end.own_s - begin.own_s, rel=0.01)


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
    if has_gpu():
        pytest.skip("this machine has a GPU")
    window = monitor.start_window("127.0.0.1", 1)
    next_sample(monitor)
    load, snapshot = window.load(), monitor.latest()

    assert load is not None
    assert snapshot is not None
    assert (load.gpus, snapshot.gpus) == ((), ())
