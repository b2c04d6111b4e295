"""A call's window: what it says of samples that a test has staged."""

from __future__ import annotations

import msgspec
import pytest

from ollameter.host.readings import CpuUse, GpuUse, Pressure, ProcessUse, ServerUse, SwapUse
from ollameter.host.ring import BLOCK
from ollameter.host.sampling import CAPACITY, Probes, Sampling
from ollameter.host.servers import WatchedServers
from ollameter.host.window import Window
from ollameter.metrics import GpuLoad, HostLoad
from tests.host.staged import Clock, StagedProbe, about, memory_use, staged_probes


class Machine:
    """A machine whose time passes in ticks, with whatever was staged before each."""

    def __init__(self) -> None:
        self.clock = Clock(1000.0)
        self.servers = WatchedServers(self.clock)
        self.servers.watch("127.0.0.1", 11434)
        self.servers.watch("192.0.2.1", 11434)
        self.sampling = Sampling(self.clock, self.servers)
        self.probes: Probes = staged_probes()
        self.sampling.begin(self.probes)

    def tick(self, busy: float = 0.25, used_bytes: int = 3_000, count: int = 1) -> None:
        """Let a quarter of a second pass with this load."""
        for _ in range(count):
            self.clock.now_s += 0.25
            self.probes.cpu.says = CpuUse(busy=busy, core_peak=min(1.0, 2 * busy), load_average_1m=0.7)  # type: ignore[attr-defined]  # staged
            self.probes.memory.says = memory_use(used_bytes)  # type: ignore[attr-defined]  # likewise
            self.sampling.tick()

    def window(self, host: str = "127.0.0.1") -> Window:
        """Open a call's window now."""
        return Window(self.sampling, self.servers, self.clock, host, 11434)


def loaded(window: Window) -> HostLoad:
    """Return what the window says; something it must say."""
    load = window.load()
    assert load is not None
    return load


def test_everything_is_told_of_exactly_the_calls_time() -> None:
    """What was before does not count, in means as in peaks."""
    machine = Machine()
    machine.probes.ollama = StagedProbe({11434: ServerUse(pids=(7,), rss_bytes=70, threads=1, busy=0.125)})
    machine.probes.swap = StagedProbe(SwapUse(total_bytes=90, used_bytes=10))
    machine.sampling.begin(machine.probes)
    machine.tick(busy=1.0, used_bytes=9_000, count=8)
    window = machine.window()
    for busy, used_bytes in ((0.1, 3_000), (0.4, 4_000), (0.1, 5_000)):
        machine.tick(busy, used_bytes)

    load = loaded(window)

    assert load.process_cpu_s is not None
    assert load == HostLoad(
        samples=3,
        interval_s=0.25,
        server_is_local=True,
        cpu_utilization_mean=about(0.2),
        cpu_utilization_peak=0.4,
        cpu_core_peak=0.8,
        load_average_1m=0.7,
        memory_used_bytes_mean=4_000,
        memory_used_bytes_peak=5_000,
        memory_total_bytes=10_000,
        swap_used_bytes=10,
        process_cpu_s=load.process_cpu_s,
        process_rss_bytes_peak=500,
        ollama_cpu_utilization_mean=0.125,
        ollama_cpu_utilization_peak=0.125,
        ollama_rss_bytes_peak=70,
        gpus=(),
    )


def test_a_sample_counts_by_its_part_within_the_call() -> None:
    """The call began a tenth of a second before a tick."""
    machine = Machine()
    machine.tick(busy=0.0)
    machine.clock.now_s += 0.15
    window = machine.window()
    machine.clock.now_s -= 0.15
    machine.tick(busy=1.0)
    machine.tick(busy=0.5)

    load = loaded(window)

    assert load.samples == 2
    assert load.cpu_utilization_mean == pytest.approx((0.1 * 1.0 + 0.25 * 0.5) / 0.35)
    assert load.cpu_utilization_peak == 0.5  # most of the busy quarter was before the call


def test_a_call_shorter_than_an_interval_shows_the_nearest_sample() -> None:
    """And says so: no sample was taken within it."""
    machine = Machine()
    machine.tick(busy=0.5, count=3)
    window = machine.window()
    machine.clock.now_s += 0.1

    load = loaded(window)

    assert load.samples == 0
    assert (load.cpu_utilization_mean, load.cpu_utilization_peak) == (0.5, 0.5)
    assert (load.memory_used_bytes_mean, load.memory_used_bytes_peak) == (3_000, 3_000)


def test_a_sample_from_long_ago_is_not_near() -> None:
    """The thread is gone, or stuck: nothing is known."""
    machine = Machine()
    machine.tick()
    machine.clock.now_s += 3.0
    window = machine.window()

    assert window.load() is None


def test_nothing_sampled_is_nothing_known() -> None:
    """The monitor does not run, or has only just begun."""
    machine = Machine()

    assert machine.window().load() is None
    assert Window(None, machine.servers, machine.clock, "127.0.0.1", 11434).load() is None


def test_the_first_sample_of_all_has_levels_but_no_rates() -> None:
    """A rate needs two readings."""
    machine = Machine()
    window = machine.window()
    machine.probes.cpu = StagedProbe(CpuUse())
    machine.sampling.begin(machine.probes)
    machine.clock.now_s += 0.2
    machine.sampling.tick()

    load = loaded(window)

    assert load.samples == 1
    assert (load.cpu_utilization_mean, load.cpu_utilization_peak, load.cpu_core_peak) == (None, None, None)
    assert (load.memory_used_bytes_mean, load.process_rss_bytes_peak) == (3_000, 500)


def test_absent_things_are_none() -> None:
    """No probe has anything to say."""
    machine = Machine()
    for name in Probes.__struct_fields__[:-1]:
        setattr(machine.probes, name, StagedProbe(None))
    machine.sampling.begin(machine.probes)
    window = machine.window()
    machine.clock.now_s += 0.25
    machine.sampling.tick()

    load = loaded(window)

    assert load == HostLoad(
        samples=1, interval_s=0.25, server_is_local=True, process_cpu_s=load.process_cpu_s
    )


def test_a_server_elsewhere_has_no_processes_here() -> None:
    """Even when an Ollama of this machine has the same port."""
    machine = Machine()
    machine.probes.ollama = StagedProbe({11434: ServerUse(pids=(7,), rss_bytes=70, threads=1, busy=0.5)})
    machine.sampling.begin(machine.probes)
    far, unknown = machine.window("192.0.2.1"), machine.window("never-heard-of")
    machine.tick()

    loads = loaded(far), loaded(unknown)

    assert [load.server_is_local for load in loads] == [False, None]
    assert [load.ollama_cpu_utilization_mean for load in loads] == [None, None]
    assert [load.ollama_rss_bytes_peak for load in loads] == [None, None]


def test_ratios_end_at_one() -> None:
    """Clock ticks are coarse: a wholly busy interval may seem to have one too many."""
    machine = Machine()
    machine.probes.ollama = StagedProbe({11434: ServerUse(pids=(7,), rss_bytes=70, threads=1, busy=1.04)})
    machine.sampling.begin(machine.probes)
    machine.tick()
    window = machine.window()
    machine.tick(count=4)

    load = loaded(window)

    assert (load.ollama_cpu_utilization_mean, load.ollama_cpu_utilization_peak) == (1.0, 1.0)


def test_a_call_longer_than_the_memory_summarises_what_is_left() -> None:
    """As `samples` shows: there are fewer than the call was long."""
    machine = Machine()
    window = machine.window()
    machine.tick(busy=1.0, used_bytes=9_000)
    machine.tick(busy=0.5, count=CAPACITY + 100)

    load = loaded(window)

    assert load.samples == CAPACITY - BLOCK
    assert (load.cpu_utilization_mean, load.cpu_utilization_peak) == (about(0.5), 0.5)
    assert load.memory_used_bytes_peak == 3_000


def test_a_window_lives_on_when_its_machine_is_sampled_no_more() -> None:
    """The provider was closed during the call."""
    machine = Machine()
    window = machine.window()
    machine.tick(count=4)
    machine.clock.now_s += 100.0

    assert loaded(window).samples == 4


def test_the_cpu_time_of_a_forked_parent_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's own clock began at 0."""
    machine = Machine()
    window = machine.window()
    machine.tick()
    monkeypatch.setattr("time.process_time", lambda: -1.0)

    assert loaded(window).process_cpu_s is None


def test_gpus_are_told_one_by_one() -> None:
    """Energy is the mean power by the counter, times the call's duration."""
    machine = Machine()
    machine.probes.gpu = probe = StagedProbe[tuple[GpuUse, ...]](None)
    machine.sampling.begin(machine.probes)
    other = GpuUse(id="GPU-2", name="T4", memory_used_bytes=5, memory_total_bytes=16)

    def stage(utilization: float, memory: int, power_w: float, temperature_c: float) -> None:
        l4 = GpuUse(
            id="GPU-1",
            name="L4",
            utilization=utilization,
            memory_used_bytes=memory,
            memory_total_bytes=24,
            power_w=power_w,
            temperature_c=temperature_c,
            energy_rate_w=power_w + 1,
        )
        probe.says = (l4, other)

    stage(1.0, 23, 900.0, 99.0)  # before the call
    machine.tick(count=4)
    window = machine.window()
    stage(0.2, 10, 60.0, 50.0)
    machine.tick(count=4)
    stage(0.6, 12, 80.0, 55.0)
    machine.tick(count=4)

    load = loaded(window)

    assert load.gpus == (
        GpuLoad(
            id="GPU-1",
            name="L4",
            utilization_mean=about(0.52),  # a quarter of a second, then one
            utilization_peak=0.6,
            memory_used_bytes_peak=12,
            memory_total_bytes=24,
            power_w_mean=about(76.0),
            temperature_c_peak=55.0,
            energy_j=about(77.0 * 2),
        ),
        GpuLoad(id="GPU-2", name="T4", memory_used_bytes_peak=5, memory_total_bytes=16),
    )


def test_gpus_that_are_known_but_not_sampled_yet_are_left_out() -> None:
    """Between the snapshot and the ring there is nothing, but nothing is promised either."""
    machine = Machine()
    machine.probes.gpu = StagedProbe((GpuUse(id="GPU-1", name="L4"),))
    machine.sampling.begin(machine.probes)
    window = machine.window()
    machine.tick()
    machine.sampling.slow.count = 1

    assert loaded(window).gpus == ()


def test_what_slowed_a_gpu_at_some_time_of_the_call_is_told() -> None:
    """Not what slowed it before; nothing at all is something else than not known."""
    machine = Machine()
    machine.probes.gpu = probe = StagedProbe[tuple[GpuUse, ...]](None)
    machine.sampling.begin(machine.probes)

    def run(*reasons: str) -> None:
        l4 = GpuUse(id="GPU-1", name="L4", throttle_reasons=reasons)
        probe.says = (l4, GpuUse(id="GPU-2", name="T4"))
        machine.tick(count=4)

    run("power_brake")
    first = machine.window()
    run("power_cap", "hw_thermal")
    run()
    of_first, second = loaded(first), machine.window()
    run()

    assert [gpu.throttle_reasons for gpu in of_first.gpus] == [("power_cap", "hw_thermal"), None]
    assert [gpu.throttle_reasons for gpu in loaded(second).gpus] == [(), None]


def test_stalls_and_the_number_of_processors_are_told() -> None:
    """A call without a sample of the stalls says nothing of them: the time before is not its own."""
    machine = Machine()
    machine.probes.pressure = StagedProbe(Pressure(memory=0.25, io=0.5))
    machine.sampling.begin(machine.probes)
    machine.tick()
    short = machine.window()
    machine.tick()
    of_short = loaded(short)
    machine.probes.cpu.says = CpuUse(busy=0.5, count=2)  # type: ignore[attr-defined]  # staged
    long = machine.window()
    machine.clock.now_s += 1.0
    machine.sampling.tick()
    machine.sampling.tick()
    machine.sampling.tick()

    load = loaded(long)

    assert (of_short.memory_stalled_mean, of_short.io_stalled_mean, of_short.cpu_count) == (
        None,
        None,
        None,
    )
    assert (load.memory_stalled_mean, load.io_stalled_mean, load.cpu_count) == (0.25, 0.5, 2)


def test_what_the_process_itself_used_is_exact() -> None:
    """Not sampled: read at both ends."""
    machine = Machine()
    machine.probes.process = StagedProbe(ProcessUse())
    machine.sampling.begin(machine.probes)
    window = machine.window()
    total = sum(range(300_000))
    machine.tick()

    load = loaded(window)

    assert total > 0
    assert load.process_cpu_s is not None
    assert 0.001 < load.process_cpu_s < 5.0
    assert load.process_rss_bytes_peak is None


def test_short_calls_between_two_samples_are_told_the_same_but_for_their_own_cpu() -> None:
    """Until the next sample; each call's own processor time is its own."""
    machine = Machine()
    machine.tick(busy=0.5)
    first, second = loaded(machine.window()), loaded(machine.window())
    machine.tick(busy=0.75)
    third = loaded(machine.window())

    assert [load.samples for load in (first, second, third)] == [0, 0, 0]
    assert [load.cpu_utilization_mean for load in (first, second, third)] == [0.5, 0.5, 0.75]
    assert None not in (first.process_cpu_s, second.process_cpu_s, third.process_cpu_s)
    assert msgspec.structs.replace(second, process_cpu_s=first.process_cpu_s) == first
