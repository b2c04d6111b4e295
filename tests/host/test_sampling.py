"""What one tick reads, and where it goes."""

from __future__ import annotations

import logging

import pytest

from ollameter.host.readings import CpuUse, GpuUse, MemoryUse, ModelMemory, Pressure, ServerUse, SwapUse
from ollameter.host.sampling import Probes, Sampling
from ollameter.host.servers import WatchedServers
from tests.host.staged import Clock, StagedProbe, memory_use, staged_probes

SERVER = ServerUse(pids=(7,), rss_bytes=70, threads=1, busy=0.125)
GPU = GpuUse(id="GPU-1", name="L4", utilization=0.5, power_w=60.0)


def sampling_of(probes: Probes) -> tuple[Clock, WatchedServers, Sampling]:
    """Return a run that reads these."""
    clock = Clock(100.0)
    servers = WatchedServers(clock)
    sampling = Sampling(clock, servers)
    sampling.begin(probes)
    return clock, servers, sampling


def ticks(sampling: Sampling, clock: Clock, count: int) -> None:
    """Let time pass."""
    for _ in range(count):
        sampling.tick()
        clock.now_s += 0.25


def test_a_snapshot_holds_every_reading() -> None:
    """A server stands there under each of its names."""
    probes = staged_probes()
    probes.ollama = StagedProbe({11434: SERVER, 99: SERVER})
    probes.swap = StagedProbe(SwapUse(total_bytes=9, used_bytes=1))
    probes.pressure = StagedProbe(Pressure(io=0.5))
    probes.gpu = StagedProbe((GPU,))
    _, servers, sampling = sampling_of(probes)
    for key in (("localhost", 11434), ("127.0.0.1", 11434), ("192.0.2.1", 99)):
        servers.watch(*key)
    model = ModelMemory(name="llama3.2", gpu_bytes=1, host_bytes=2)
    servers.note_models("192.0.2.1", 99, [model])

    sampling.tick()

    snapshot = sampling.latest
    assert snapshot is not None
    assert snapshot.taken_at_s == 100.0
    assert snapshot.cpu == CpuUse(busy=0.25, core_peak=0.5)
    assert snapshot.memory == memory_use()
    assert snapshot.servers == {("localhost", 11434): SERVER, ("127.0.0.1", 11434): SERVER}
    assert snapshot.models == {("192.0.2.1", 99): (model,)}
    assert snapshot.swap == SwapUse(total_bytes=9, used_bytes=1)
    assert snapshot.pressure == Pressure(io=0.5)
    assert snapshot.gpus == (GPU,)


def test_slow_things_are_read_once_a_second_and_shown_until_then() -> None:
    """At the first tick, too: a short script has no second."""
    probes = staged_probes()
    probes.gpu = gpu = StagedProbe((GPU,))
    clock, _, sampling = sampling_of(probes)
    shown = []
    for _ in range(9):
        ticks(sampling, clock, 1)
        shown.append(sampling.latest is not None and sampling.latest.gpus == (GPU,))

    assert gpu.reads == 3
    assert shown == [True] * 9
    assert (sampling.fast.count, sampling.slow.count) == (10, 4)


def test_a_coarser_interval_reads_everything_at_every_tick() -> None:
    """Somebody who samples every two seconds wants the GPU as often."""
    probes = staged_probes()
    sampling = Sampling(Clock(), WatchedServers(Clock()), interval_s=2.0)
    sampling.begin(probes)

    sampling.tick()
    sampling.tick()

    assert sampling.slow.count == 3


def test_every_reading_goes_into_its_column() -> None:
    """Fast ones and slow ones, with the port or the GPU's id."""
    probes = staged_probes()
    probes.ollama = StagedProbe({11434: SERVER})
    probes.pressure = StagedProbe(Pressure(cpu=0.1, io=0.2, memory=0.3, major_faults_per_s=4.0))
    probes.gpu = StagedProbe((GPU,))
    clock, _, sampling = sampling_of(probes)

    ticks(sampling, clock, 2)

    fast, slow = sampling.fast.span(1, 0.0), sampling.slow.span(1, 0.0)
    assert fast is not None
    assert slow is not None
    assert {key: fast.peak(key) for key in sampling.fast.columns} == {
        "cpu": 0.25,
        "cpu.core": 0.5,
        "memory.used": 3000,
        "process.rss": 500,
        ("ollama.cpu", 11434): 0.125,
        ("ollama.rss", 11434): 70,
    }
    assert {key: slow.peak(key) for key in sampling.slow.columns if slow.peak(key) is not None} == {
        "stalled.cpu": 0.1,
        "stalled.io": 0.2,
        "stalled.memory": 0.3,
        "faults.major": 4.0,
        ("gpu.utilization", "GPU-1"): 0.5,
        ("gpu.power", "GPU-1"): 60.0,
    }


def test_a_failing_probe_is_dropped_with_one_line_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """The others go on; an absent figure is absent, not 0."""
    probes = staged_probes()
    probes.memory = memory = StagedProbe[MemoryUse](OSError("no such file"))
    clock, _, sampling = sampling_of(probes)
    with caplog.at_level(logging.INFO, "ollameter.host"):
        ticks(sampling, clock, 4 * 130)
        failed = sampling.latest
        memory.says = memory_use()
        ticks(sampling, clock, 4 * 60)

    assert failed is not None
    assert (failed.memory, failed.cpu) == (None, CpuUse(busy=0.25, core_peak=0.5))
    assert sampling.latest is not None
    assert sampling.latest.memory == memory_use()
    (record,) = caplog.records
    assert record.name == "ollameter.host"
    assert record.getMessage() == ("no memory figures, tried again every minute: OSError('no such file')")


def test_every_probe_may_fail_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """A machine that tells nothing leaves an empty snapshot."""
    probes = staged_probes()
    for name in Probes.__struct_fields__[:-1]:
        setattr(probes, name, StagedProbe[object](RuntimeError(name)))
    clock, _, sampling = sampling_of(probes)

    ticks(sampling, clock, 3)

    assert sampling.latest is not None
    assert (sampling.latest.cpu, sampling.latest.gpus, dict(sampling.latest.servers)) == (None, (), {})
    assert (sampling.fast.columns, sampling.slow.columns) == ({}, {})
    assert len(caplog.records) == 7
