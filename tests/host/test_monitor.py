"""The monitor's life: who holds it, when its thread runs, and what survives."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ollameter.host.monitor import HostMonitor
from ollameter.host.readings import GpuUse, ModelMemory
from ollameter.host.sampling import Probes
from ollameter.host.servers import WatchedServers
from tests.host.staged import Clock, Holder, StagedProbe, about, staged_probes, until

TICK_S = 0.01


class Machine:
    """Hands out staged probes; keeps those that were handed out, and what was closed."""

    def __init__(self) -> None:
        self.made: list[Probes] = []
        self.closed = 0

    def __call__(self, servers: WatchedServers) -> Probes:
        """Make probes, as the monitor's thread does."""
        probes = staged_probes()
        probes.close = self._note_closed
        self.made.append(probes)
        return probes

    def _note_closed(self) -> None:
        self.closed += 1


def threads() -> int:
    """Count the sampling threads of this process."""
    return sum(thread.name == "ollameter-host" for thread in threading.enumerate())


@pytest.fixture
def machine() -> Machine:
    """A machine that stands still."""
    return Machine()


@pytest.fixture
def monitor(machine: Machine) -> Iterator[HostMonitor]:
    """A monitor of its own, that samples fast, and leaves no thread behind."""
    monitor = HostMonitor(interval_s=TICK_S, probes=machine)
    yield monitor
    for ref in list(monitor._holders.values()):
        if (holder := ref()) is not None:
            monitor.release(holder)
    until(lambda: threads() == 0)


def test_nothing_runs_until_somebody_holds_it(monitor: HostMonitor, machine: Machine) -> None:
    """Making one costs nothing; a call without holders has no figures."""
    window = monitor.start_window("127.0.0.1", 11434)

    assert not monitor.is_running
    assert (monitor.latest(), window.load(), machine.made) == (None, None, [])


def test_the_first_holder_starts_it_and_the_last_one_ends_it(
    monitor: HostMonitor, machine: Machine
) -> None:
    """One thread, however many holders; its end lets go of the GPUs."""
    first, second = Holder(), Holder()
    monitor.acquire(first)
    monitor.acquire(second)
    until(monitor.latest)
    both = threads()
    monitor.release(first)
    one = monitor.is_running

    monitor.release(second)

    assert (both, one, monitor.is_running) == (1, True, False)
    until(lambda: threads() == 0, within_s=1.0)
    assert (len(machine.made), machine.closed) == (1, 1)
    assert monitor.latest() is None


def test_holding_twice_is_holding_once(monitor: HostMonitor) -> None:
    """And letting go of what is not held does nothing."""
    holder = Holder()
    monitor.acquire(holder)
    monitor.acquire(holder)
    monitor.release(Holder())
    still = monitor.is_running

    monitor.release(holder)
    monitor.release(holder)

    assert still
    assert not monitor.is_running


def test_a_holder_that_is_collected_lets_go(monitor: HostMonitor) -> None:
    """A provider that was never closed does not keep a thread for ever."""
    holder = Holder()
    monitor.acquire(holder)
    until(monitor.latest)

    del holder
    gc.collect()

    until(lambda: not monitor.is_running)
    until(lambda: threads() == 0)


def test_a_new_holder_with_the_number_of_a_dead_one_holds(monitor: HostMonitor) -> None:
    """Python gives the same id again at once."""
    for _ in range(50):
        holder = Holder()
        monitor.acquire(holder)
        del holder
    last = Holder()
    monitor.acquire(last)
    gc.collect()

    assert len(monitor._holders) == 1
    until(monitor.latest)


def test_it_can_be_started_again(monitor: HostMonitor) -> None:
    """With a memory that begins anew."""
    holder = Holder()
    for _ in range(3):
        monitor.acquire(holder)
        until(monitor.latest)
        monitor.release(holder)

        assert monitor.latest() is None


def test_a_call_is_told_what_happened_during_it(monitor: HostMonitor) -> None:
    """From a real thread's samples."""
    holder = Holder()
    monitor.acquire(holder)
    until(monitor.latest)
    window = monitor.start_window("127.0.0.1", 11434)
    until(lambda: (load := window.load()) and load.samples >= 3)

    load = window.load()

    assert load is not None
    assert load.interval_s == TICK_S
    assert load.server_is_local is True
    assert (load.cpu_utilization_mean, load.cpu_core_peak) == (about(0.25), 0.5)
    assert load.memory_used_bytes_peak == 3_000


def test_models_that_were_told_stand_in_the_snapshot(monitor: HostMonitor) -> None:
    """By the server that told them."""
    holder = Holder()
    llama = ModelMemory(name="llama3.2", gpu_bytes=1, host_bytes=2)
    monitor.note_models("far", 80, [llama])
    monitor.acquire(holder)

    until(monitor.latest)
    snapshot = monitor.latest()

    assert snapshot is not None
    assert snapshot.models == {("far", 80): (llama,)}


def test_a_server_is_watched_before_its_first_call(monitor: HostMonitor) -> None:
    """So that the first call already knows where it is."""
    monitor.watch("localhost", 11434)
    monitor.watch("localhost", 11434)

    assert monitor._servers.local_ports() == {11434}


def test_a_snapshot_of_long_ago_is_not_the_present(machine: Machine) -> None:
    """A thread that hangs in a driver leaves gauges empty, not frozen."""
    clock, holder = Clock(), Holder()
    monitor = HostMonitor(interval_s=60.0, probes=machine, clock=clock)
    monitor.acquire(holder)
    until(monitor.latest)

    clock.now_s = 5.1

    assert monitor.latest() is None
    monitor.release(holder)


@pytest.mark.parametrize("revive", ["acquire", "start_window", "latest"])
def test_a_thread_that_died_is_started_again(
    monitor: HostMonitor, machine: Machine, caplog: pytest.LogCaptureFixture, revive: str
) -> None:
    """By whoever comes next, a second later at the earliest; one line tells of it."""
    holder, other = Holder(), Holder()
    monitor.acquire(holder)
    until(monitor.latest)
    looks: dict[str, Callable[[], object]] = {
        "acquire": lambda: monitor.acquire(other),
        "start_window": lambda: monitor.start_window("127.0.0.1", 11434),
        "latest": monitor.latest,
    }
    look = looks[revive]
    for _ in range(2):
        machine.made[-1].memory.says = SystemExit("a bug")  # type: ignore[attr-defined]  # staged
        until(lambda: not monitor.is_running)
        assert monitor._run is not None
        until(lambda: (look(), monitor.is_running)[1], within_s=5.0)
        until(monitor.latest)

    assert threads() == 1
    assert [record.getMessage() for record in caplog.records] == [
        "sampling the machine stopped; it is started again: SystemExit('a bug')"
    ]
    assert machine.closed == 2


def test_a_machine_that_cannot_be_read_at_all_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """The import of psutil fails, say: calls go on without figures."""

    def broken(servers: WatchedServers) -> Probes:
        raise ImportError("no psutil")

    monitor, holder = HostMonitor(probes=broken), Holder()
    monitor.acquire(holder)
    until(lambda: not monitor.is_running)

    window = monitor.start_window("127.0.0.1", 11434)

    assert (window.load(), monitor.latest()) == (None, None)
    assert "no psutil" in caplog.text
    monitor.release(holder)


def test_without_another_thread_there_are_no_figures(
    monitor: HostMonitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the end of the interpreter's life, or at the system's limit."""

    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    holder = Holder()
    monitor.acquire(holder)

    assert not monitor.is_running
    assert monitor.start_window("127.0.0.1", 1).load() is None
    assert "can't start new thread" in caplog.text


def test_nobody_waits_for_somebody_else_who_starts_it(monitor: HostMonitor) -> None:
    """A collection of metrics, least of all."""
    holder = Holder()
    monitor.acquire(holder)
    until(monitor.latest)
    assert monitor._run is not None
    monitor._run.alive = False
    monitor._start_again_at_s = 0.0
    locked, done = threading.Event(), threading.Event()

    def keep_the_lock() -> None:
        with monitor._lock:
            locked.set()
            done.wait(10.0)

    busy = threading.Thread(target=keep_the_lock)
    busy.start()
    locked.wait(10.0)
    before_s = time.monotonic()

    assert monitor.latest() is None
    assert monitor.start_window("127.0.0.1", 1) is not None
    assert time.monotonic() - before_s < 5.0
    monitor._run.alive = True
    done.set()
    busy.join()


def test_somebody_else_may_have_started_it_meanwhile(monitor: HostMonitor) -> None:
    """Two callers find it dead; one thread comes of it."""
    holder = Holder()
    monitor.acquire(holder)
    monitor._start_again_at_s = 0.0

    monitor._revive()

    assert threads() == 1


def test_ten_thousand_holders_leave_nothing_behind() -> None:
    """Neither threads nor memory, whether they let go or are collected."""
    monitor = HostMonitor()
    monitor.watch("127.0.0.1", 11434)

    def hold(count: int) -> None:
        for _ in range(count):
            holder = Holder()
            monitor.acquire(holder)
            monitor.release(holder)

    hold(500)
    gc.collect()
    until(lambda: threads() == 0)
    before_objects, before_files = own_objects(), open_files()
    hold(10_000)
    until(lambda: threads() == 0)
    gc.collect()

    assert own_objects() <= before_objects
    assert open_files() <= before_files
    assert monitor._holders == {}


def own_objects() -> int:
    """Count what is ours, and threads with what they wait on."""
    modules = (str(type(found).__module__) for found in gc.get_objects())
    return sum(module.startswith(("ollameter.", "threading")) for module in modules)


def open_files() -> int:
    """Count this process's open descriptors; 0 where the platform does not tell."""
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


def test_everybody_shares_one() -> None:
    """Unless they make their own."""
    assert HostMonitor.shared() is HostMonitor.shared()
    assert HostMonitor() is not HostMonitor.shared()


def test_many_threads_share_it_without_a_quarrel(monitor: HostMonitor) -> None:
    """Holders come and go, calls start and end, all at once."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(200):
                holder = Holder()
                monitor.acquire(holder)
                window = monitor.start_window("127.0.0.1", 11434)
                monitor.latest()
                window.load()
                monitor.release(holder)
        except BaseException as error:  # whatever it is, the test wants to see it
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60.0)

    assert failures == []
    assert monitor._holders == {}


def test_missed_ticks_are_not_made_up_for() -> None:
    """A slow driver delays the samples after it; it does not bunch them."""
    never = threading.Event()

    class Slow(StagedProbe[tuple[GpuUse, ...]]):
        def read(self, now_s: float) -> None:
            if self.reads == 0:
                never.wait(0.3)
            self.reads += 1

    probes = staged_probes()
    probes.gpu = Slow()
    monitor, holder = HostMonitor(interval_s=0.05, probes=lambda servers: probes), Holder()
    before_s = time.perf_counter()
    monitor.acquire(holder)
    until(lambda: monitor._run is not None and monitor._run.sampling.fast.count > 4)
    elapsed_s = time.perf_counter() - before_s
    monitor.release(holder)

    assert elapsed_s > 0.3 + 2 * 0.05  # after the slow one, the second at once, two at their time
