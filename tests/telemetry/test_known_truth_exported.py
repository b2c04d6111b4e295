"""The exported figures of the real machine against what is known otherwise, while it is made busy."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from ollameter import HostMonitor, OllamaProvider
from ollameter.testing import FakeOllama
from tests.host.staged import until
from tests.host.truth import CPUS, MIB, Counters, has_gpu, modes_of, next_sample, used_bytes, windows

HI = [{"role": "user", "content": "hi"}]
Points = dict[tuple[str, str], float]


class Watched:
    """A provider with a monitor of its own at the default rates, and two readers of its gauges."""

    def __init__(self, server: FakeOllama) -> None:
        self.readers = [InMemoryMetricReader(), InMemoryMetricReader()]
        self.meters = MeterProvider(self.readers, shutdown_on_exit=False)
        self.monitor = HostMonitor()
        self.llm = OllamaProvider(
            server.base_url, model="llama3.2", meter_provider=self.meters, host_monitor=self.monitor
        )

    def points(self, reader: int = 0) -> Points:
        """Return every gauge's values by name and mode, state or nothing."""
        data = self.readers[reader].get_metrics_data()
        return {
            (metric.name, str(next(iter((point.attributes or {}).values()), ""))): point.value  # type: ignore[union-attr]  # no histograms
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name.startswith(("system.", "process.", "hw."))
            for point in metric.data.data_points
        }

    def own_share(self, reader: int = 0) -> float:
        """Return what the process takes, by its gauge."""
        points = self.points(reader)
        return points["process.cpu.utilization", "user"] + points["process.cpu.utilization", "system"]

    def busy_share(self) -> float:
        """Return how busy the machine is, by its gauge."""
        points = self.points()
        idle = points["system.cpu.utilization", "idle"]
        return 1 - idle - points.get(("system.cpu.utilization", "iowait"), 0.0)


@pytest.fixture
def watched(fake: FakeOllama) -> Iterator[Watched]:
    """It has been watched for a whole second."""
    each = Watched(fake)
    with each.llm:
        until(lambda: ("process.cpu.utilization", "user") in each.points())
        yield each
    each.meters.shutdown()


@pytest.fixture
def burned_core() -> Iterator[None]:
    """A thread of this process that takes a whole core, if it is given one."""
    done = threading.Event()

    def burn() -> None:
        while not done.is_set():
            pass

    thread = threading.Thread(target=burn)
    thread.start()
    yield
    done.set()
    thread.join(10.0)


@pytest.mark.usefixtures("burned_core")
def test_a_core_that_this_process_burns_is_exported_within_5_percent(watched: Watched) -> None:
    """Of the whole machine: a core to itself on a machine of two is 0.5."""
    seen = windows(watched.own_share)

    assert seen.counters[-1].at_s - seen.counters[0].at_s >= 3.0
    assert seen.mean() == pytest.approx(seen.own_share(), rel=0.05)
    assert 0.1 / CPUS < seen.mean() < 1.2 / CPUS


@pytest.mark.usefixtures("burned_core")
def test_a_core_that_is_burned_is_exported_as_the_machines_within_5_percent(watched: Watched) -> None:
    """What psutil saw in the same three seconds, and no less than the process took of it."""
    seen = windows(watched.busy_share, of=lambda: modes_of(watched.monitor))

    assert seen.counters[-1].at_s - seen.counters[0].at_s >= 3.0
    assert seen.mean() == pytest.approx(seen.busy_share(), rel=0.05)
    assert seen.mean() >= 0.95 * seen.own_share()


@pytest.mark.usefixtures("burned_core")
def test_a_call_meanwhile_carries_the_figures(watched: Watched) -> None:
    """In what it returns: the machine's within 5 %; the process's own no less and no more than it was.

    The thread that burns keeps this one waiting between two lines: the call's own processor time is
    more than was read inside of it, less than was read around it.
    """
    next_sample(watched.monitor)
    begin = Counters.now()
    with watched.llm.stream(HI) as stream:
        opened = Counters.now()
        next(iter(stream))
        until(lambda: Counters.now().at_s - begin.at_s > 3.0)
        next_sample(watched.monitor)
        closing = Counters.now()
        for _ in stream:
            pass
    end = Counters.now()

    assert stream.metrics is not None
    host = stream.metrics.host
    assert host is not None
    assert host.samples >= 11
    assert host.cpu_utilization_mean == pytest.approx(end.busy_share(begin), rel=0.05)
    assert host.process_cpu_s is not None
    assert closing.own_s - opened.own_s <= host.process_cpu_s <= end.own_s - begin.own_s
    assert closing.own_s - opened.own_s > 0.9 * (end.own_s - begin.own_s)
    assert host.server_is_local is True


def test_memory_that_is_touched_is_exported_within_2_percent(watched: Watched) -> None:
    """500 MiB: of this process by its gauge and its call; of the machine as psutil sees it."""
    off_by = []
    for _ in range(5):  # others come and go on this machine between two readings
        next_sample(watched.monitor)
        before, used_before = watched.points(), used_bytes()
        with watched.llm.stream(HI) as stream:
            touched = b"\1" * (500 * MIB)
            next_sample(watched.monitor)
            next_sample(watched.monitor)
            after, used_after = watched.points(), used_bytes()
            list(stream)
        assert len(touched) == 500 * MIB
        del touched
        rise = {key: after[key] - before[key] for key in after}
        assert rise["process.memory.usage", ""] == pytest.approx(500 * MIB, rel=0.02)
        host = stream.metrics.host if stream.metrics is not None else None
        assert host is not None
        assert host.process_rss_bytes_peak is not None
        own_rise = host.process_rss_bytes_peak - before["process.memory.usage", ""]
        assert own_rise == pytest.approx(500 * MIB, rel=0.02)
        off_by.append(abs(rise["system.memory.usage", "used"] - (used_after - used_before)))
        if off_by[-1] <= 10 * MIB:
            break

    assert min(off_by) <= 10 * MIB


@pytest.mark.usefixtures("burned_core")
def test_readers_in_many_threads_see_the_same_windows_and_never_a_bogus_zero(watched: Watched) -> None:
    """Two readers, with `force_flush` from the threads that read and from others."""
    seen: dict[int, list[float]] = {0: [], 1: []}
    done = threading.Event()

    def read(reader: int) -> None:
        while not done.is_set():
            watched.meters.force_flush()
            seen[reader].append(watched.own_share(reader))

    def flush() -> None:
        while not done.wait(0.01):
            watched.meters.force_flush()

    threads = [threading.Thread(target=read, args=(reader,)) for reader in (0, 1, 0, 1)]
    threads.append(threading.Thread(target=flush))
    for thread in threads:
        thread.start()
    until(lambda: min(len(set(values)) for values in seen.values()) >= 5, within_s=60.0)
    done.set()
    for thread in threads:
        thread.join(30.0)

    assert min(seen[0] + seen[1]) > 0.05 / CPUS
    assert len(set(seen[0]) & set(seen[1])) >= 3
    assert len(set(seen[0]) ^ set(seen[1])) <= 2  # the first and the last window may be one's alone


def test_a_machine_without_a_gpu_exports_none(watched: Watched) -> None:
    """No `hw.*` at all, after a whole window with everything else in it."""
    if has_gpu():
        pytest.skip("this machine has a GPU")

    names = {name for name, _ in watched.points()}

    assert names == {
        "system.cpu.utilization", "system.memory.usage", "system.memory.utilization",
        "process.cpu.utilization", "process.memory.usage",
    }  # fmt: skip
