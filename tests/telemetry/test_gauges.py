"""Gauges of the machine: exact names, types, units, attributes and values, and what is absent."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData

from ollameter.host.monitor import HostMonitor
from ollameter.host.readings import CpuUse, GpuUse, ModelMemory, ProcessUse, ServerUse
from ollameter.host.sampling import Probes
from ollameter.telemetry import gauges, names
from ollameter.testing import CapturedTelemetry
from tests.host.staged import Holder, StagedProbe, staged_probes, until

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "semconv-1.41.1.json").read_text())
KINDS = {"updowncounter": "Sum", "gauge": "Gauge"}
MODES = {"user": 0.5, "system": 0.125, "idle": 0.375}
L4 = GpuUse(
    id="GPU-1",
    name="NVIDIA L4",
    utilization=0.75,
    memory_used_bytes=6,
    memory_total_bytes=24,
    power_w=61.5,
    temperature_c=64,
)
SERVER = {"server.address": "127.0.0.1", "server.port": 11434}
GPU = {"hw.id": "GPU-1", "hw.name": "NVIDIA L4"}
LLAMA = {"gen_ai.request.model": "llama3.2", **SERVER}

Exported = tuple[str, str, list[tuple[Any, Any]]]

EVERYTHING: dict[str, Exported] = {
    "system.cpu.utilization": ("Gauge", "1", [({"cpu.mode": mode}, r) for mode, r in MODES.items()]),
    "system.memory.usage": ("Sum", "By", [
        ({"system.memory.state": "used"}, 3_000),
        ({"system.memory.state": "free"}, 6_000),
        ({"system.memory.state": "cached"}, 800),
        ({"system.memory.state": "buffers"}, 200),
    ]),
    "system.memory.utilization": ("Gauge", "1", [
        ({"system.memory.state": "used"}, 0.3),
        ({"system.memory.state": "free"}, 0.6),
        ({"system.memory.state": "cached"}, 0.08),
        ({"system.memory.state": "buffers"}, 0.02),
    ]),
    "process.cpu.utilization": ("Gauge", "1", [
        ({"cpu.mode": "user"}, 0.25),
        ({"cpu.mode": "system"}, 0.0),
    ]),
    "process.memory.usage": ("Sum", "By", [({}, 500)]),
    "ollama.server.process.cpu.utilization": ("Gauge", "1", [(SERVER, 0.4)]),
    "ollama.server.process.memory.usage": ("Sum", "By", [(SERVER, 70)]),
    "ollama.model.memory.usage": ("Sum", "By", [
        ({**LLAMA, "ollama.memory.location": "gpu"}, 5),
        ({**LLAMA, "ollama.memory.location": "host"}, 0),
    ]),
    "hw.gpu.utilization": ("Gauge", "1", [(GPU, 0.75)]),
    "hw.gpu.memory.usage": ("Sum", "By", [(GPU, 6)]),
    "hw.gpu.memory.limit": ("Sum", "By", [(GPU, 24)]),
    "hw.gpu.memory.utilization": ("Gauge", "1", [(GPU, 0.25)]),
    "hw.power": ("Gauge", "W", [({**GPU, "hw.type": "gpu"}, 61.5)]),
    "hw.temperature": ("Gauge", "Cel", [(GPU, 64)]),
}  # fmt: skip


def busy_machine() -> Probes:
    """Return probes of a machine that has everything."""
    probes = staged_probes()
    probes.cpu = StagedProbe(CpuUse(busy=0.625, modes=MODES))
    probes.process = StagedProbe(ProcessUse(cpu_user=0.25, cpu_system=0.0, rss_bytes=500, threads=3))
    probes.ollama = StagedProbe({11434: ServerUse(pids=(7,), rss_bytes=70, threads=1, cpu_utilization=0.4)})
    probes.gpu = StagedProbe((L4,))
    return probes


class Sampled:
    """A monitor that samples a staged machine until it is closed."""

    def __init__(self, probes: Probes) -> None:
        self.probes = probes
        self.holder = Holder()
        self.monitor = HostMonitor(interval_s=0.01, probes=lambda servers: probes)
        self.monitor.watch("127.0.0.1", 11434)
        self.monitor.acquire(self.holder)
        until(self.monitor.latest)

    def close(self) -> None:
        """Stop sampling."""
        self.monitor.release(self.holder)


@pytest.fixture
def sampled() -> Iterator[Callable[[Probes], Sampled]]:
    """Make monitors of staged machines, stopped after the test."""
    made: list[Sampled] = []

    def make(probes: Probes) -> Sampled:
        made.append(Sampled(probes))
        return made[-1]

    yield make
    for each in made:
        each.close()


def exported(captured: CapturedTelemetry) -> dict[str, Exported]:
    """Return kind, unit and points of every metric."""
    return {
        name: (metric.kind, metric.unit, [(point.attributes, point.value) for point in metric.points])
        for name, metric in captured.metrics.items()
    }


def test_everything_the_monitor_saw_is_exported(
    captured: CapturedTelemetry, sampled: Callable[[Probes], Sampled]
) -> None:
    """Whole: every name, kind, unit, attribute and value."""
    monitor = sampled(busy_machine()).monitor
    monitor.note_models("127.0.0.1", 11434, [ModelMemory(name="llama3.2", gpu_bytes=5, host_bytes=0)])
    until(lambda: (snapshot := monitor.latest()) and snapshot.models)
    gauges.register(captured.meter_provider, monitor)

    assert exported(captured) == EVERYTHING


def test_names_kinds_units_and_attributes_are_the_conventions() -> None:
    """Whatever is not ours is defined there, with these; required attributes are present."""
    theirs = {name: fact for name, fact in EVERYTHING.items() if not name.startswith("ollama.")}

    assert len(theirs) == 11
    for name, (kind, unit, points) in theirs.items():
        fact = FACTS["metrics"][name]
        assert (KINDS[fact["instrument"]], fact["unit"]) == (kind, unit), name
        required = {key for key, level in fact["attributes"].items() if level == "required"}
        for attributes, _ in points:
            assert required <= attributes.keys() <= fact["attributes"].keys(), name
            for key, value in attributes.items():
                allowed = FACTS["attributes"][key].get("enum")
                assert allowed is None or value in allowed


def test_what_is_absent_is_not_exported(
    captured: CapturedTelemetry, sampled: Callable[[Probes], Sampled]
) -> None:
    """No GPU, no server, no window of a second yet: no metric, rather than zeros."""
    probes = staged_probes()
    probes.cpu = StagedProbe(CpuUse(busy=0.5))
    probes.memory = StagedProbe(None)
    probes.process = StagedProbe(ProcessUse(rss_bytes=500))
    gauges.register(captured.meter_provider, sampled(probes).monitor)

    assert exported(captured) == {"process.memory.usage": ("Sum", "By", [({}, 500)])}


def test_a_gpu_shows_what_it_supports(
    captured: CapturedTelemetry, sampled: Callable[[Probes], Sampled]
) -> None:
    """One without sensors has its memory still; one without memory of its own has no share of it."""
    probes = staged_probes()
    probes.memory = probes.cpu = StagedProbe(None)  # type: ignore[assignment]  # absent is absent
    probes.process = StagedProbe(None)
    probes.gpu = StagedProbe((GpuUse(id="a", name="b", memory_used_bytes=3),))
    gauges.register(captured.meter_provider, sampled(probes).monitor)

    assert exported(captured) == {
        "hw.gpu.memory.usage": ("Sum", "By", [({"hw.id": "a", "hw.name": "b"}, 3)])
    }


def test_a_monitor_that_does_not_run_has_nothing_to_show(captured: CapturedTelemetry) -> None:
    """Collections go on, and find nothing."""
    monitor = HostMonitor(probes=lambda servers: busy_machine())
    gauges.register(captured.meter_provider, monitor)

    assert exported(captured) == {}


def test_gauges_are_made_once_for_each_meter_provider(
    captured: CapturedTelemetry, sampled: Callable[[Probes], Sampled], caplog: pytest.LogCaptureFixture
) -> None:
    """Ten providers of ours, one application: one of each, and no warning."""
    monitor = sampled(busy_machine()).monitor
    with CapturedTelemetry() as other:
        for _ in range(10):
            gauges.register(captured.meter_provider, monitor)
            gauges.register(other.meter_provider, monitor)

        both = exported(captured), exported(other)

    assert both[0] == both[1]
    assert both[0]["process.memory.usage"] == ("Sum", "By", [({}, 500)])
    assert caplog.records == []


def test_a_second_monitor_takes_over_when_the_first_is_gone(
    captured: CapturedTelemetry, sampled: Callable[[Probes], Sampled]
) -> None:
    """The gauges that were made for the first one stay; another observable would be ignored."""
    first, second = sampled(busy_machine()), sampled(busy_machine())
    second.probes.process.says = ProcessUse(rss_bytes=999)  # type: ignore[attr-defined]  # staged
    gauges.register(captured.meter_provider, first.monitor)
    gauges.register(captured.meter_provider, second.monitor)
    until(lambda: (s := second.monitor.latest()) and s.process and s.process.rss_bytes == 999)
    of_first = exported(captured)["process.memory.usage"]
    first.close()

    assert of_first == ("Sum", "By", [({}, 500)])
    assert exported(captured)["process.memory.usage"] == ("Sum", "By", [({}, 999)])


def test_gauges_keep_no_monitor_alive(captured: CapturedTelemetry) -> None:
    """Nor does a meter provider stay for them."""
    monitor = HostMonitor(probes=lambda servers: busy_machine())
    gauges.register(captured.meter_provider, monitor)
    seen = weakref.ref(monitor)

    del monitor
    gc.collect()

    assert seen() is None
    assert exported(captured) == {}
    another = HostMonitor()
    gauges.register(captured.meter_provider, another)
    assert len(gauges._registered.of(captured.meter_provider)._refs) == 1


def test_a_forked_child_has_a_lock_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's side of a fork, without one: whoever held the old lock is not there."""
    held = threading.Lock()
    held.acquire()
    monkeypatch.setattr(gauges._registered, "lock", held)

    gauges._registered._free_lock()

    assert gauges._registered.lock is not held
    assert not gauges._registered.lock.locked()


def test_a_meter_provider_that_is_gone_is_forgotten() -> None:
    """Tests make hundreds of them."""
    provider, monitor = MeterProvider(shutdown_on_exit=False), HostMonitor()
    gauges.register(provider, monitor)
    seen, count = weakref.ref(provider), len(gauges._registered._made)
    provider.shutdown()

    del provider
    gc.collect()

    assert seen() is None
    assert len(gauges._registered._made) < count


@pytest.mark.parametrize("value", ["false", "False", " FALSE "])
def test_they_can_be_switched_off(
    captured: CapturedTelemetry,
    sampled: Callable[[Probes], Sampled],
    monkeypatch: pytest.MonkeyPatch,
    value: str,
) -> None:
    """As a group."""
    monkeypatch.setenv("OLLAMETER_HOST_METRICS", value)
    gauges.register(captured.meter_provider, sampled(busy_machine()).monitor)

    assert exported(captured) == {}


@pytest.mark.parametrize("value", ["", "true", "TRUE"])
def test_they_are_on_by_default(
    captured: CapturedTelemetry,
    sampled: Callable[[Probes], Sampled],
    monkeypatch: pytest.MonkeyPatch,
    value: str,
) -> None:
    """And when the variable says so."""
    monkeypatch.setenv("OLLAMETER_HOST_METRICS", value)
    gauges.register(captured.meter_provider, sampled(busy_machine()).monitor)

    assert exported(captured).keys() == EVERYTHING.keys() - {"ollama.model.memory.usage"}


def test_names_can_be_left_out(
    captured: CapturedTelemetry,
    sampled: Callable[[Probes], Sampled],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """For applications that have them from another source; a name that is none is pointed out."""
    monkeypatch.setenv("OLLAMETER_HOST_METRICS", "system.cpu.utilization, hw.power ,,system.cpu")
    gauges.register(captured.meter_provider, sampled(busy_machine()).monitor)
    gauges.register(captured.meter_provider, HostMonitor())

    left = exported(captured).keys()

    assert left == EVERYTHING.keys() - {
        "ollama.model.memory.usage", "system.cpu.utilization", "hw.power",
    }  # fmt: skip
    assert [record.getMessage() for record in caplog.records] == [
        "OLLAMETER_HOST_METRICS: no host metric is called system.cpu"
    ]


def test_a_list_of_known_names_is_no_reason_for_a_warning(
    captured: CapturedTelemetry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is what the variable is for."""
    monkeypatch.setenv("OLLAMETER_HOST_METRICS", ",".join(EVERYTHING))
    gauges.register(captured.meter_provider, HostMonitor())

    assert exported(captured) == {}
    assert caplog.records == []


def test_without_a_meter_provider_the_global_one_is_used(
    sampled: Callable[[Probes], Sampled], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As everywhere in OpenTelemetry."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr("opentelemetry.metrics.get_meter_provider", lambda: provider)
    monkeypatch.setattr(gauges._registered, "_stand_ins", [])  # other tests' providers have met the API's
    gauges.register(None, sampled(busy_machine()).monitor)

    assert values(reader.get_metrics_data())[names.PROCESS_MEMORY_USAGE] == [500]
    provider.shutdown()


def values(data: MetricsData | None) -> dict[str, list[float]]:
    """Return the values of every metric."""
    return {
        metric.name: [point.value for point in metric.data.data_points]  # type: ignore[union-attr]  # no histograms
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_two_readers_in_many_threads_see_the_same(sampled: Callable[[Probes], Sampled]) -> None:
    """Never a bogus 0, whoever asks, how often and from where."""
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    provider = MeterProvider(readers, shutdown_on_exit=False)
    gauges.register(provider, sampled(busy_machine()).monitor)
    seen: list[dict[str, list[float]]] = []

    def look(reader: InMemoryMetricReader) -> None:
        for _ in range(20):
            provider.force_flush()
            seen.append(values(reader.get_metrics_data()))

    threads = [threading.Thread(target=look, args=(reader,)) for reader in readers * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    provider.shutdown()

    assert len(seen) == 120
    assert all(each == seen[0] for each in seen)
    assert seen[0][names.SYSTEM_CPU_UTILIZATION] == list(MODES.values())


def test_the_real_machine_shows_no_share_before_a_second_and_never_a_bogus_zero() -> None:
    """Two readers in other threads than the monitor's, while this process burns a core."""
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    provider = MeterProvider(readers, shutdown_on_exit=False)
    monitor, holder = HostMonitor(), Holder()
    gauges.register(provider, monitor)
    monitor.acquire(holder)
    done = threading.Event()

    def burn() -> None:
        while not done.is_set():
            pass

    burner = threading.Thread(target=burn)
    burner.start()
    try:
        until(monitor.latest)
        early = values(readers[0].get_metrics_data())
        until(lambda: (s := monitor.latest()) and s.process and s.process.cpu_user is not None)
        late = [values(reader.get_metrics_data()) for reader in readers]
    finally:
        done.set()
        burner.join(10.0)
        monitor.release(holder)
        provider.shutdown()

    assert early.keys() == {
        "system.memory.usage", "system.memory.utilization", "process.memory.usage",
    }  # fmt: skip
    for each in late:
        assert each.keys() == early.keys() | {"system.cpu.utilization", "process.cpu.utilization"}
        assert sum(each["system.cpu.utilization"]) == pytest.approx(1.0)
        assert sum(each["process.cpu.utilization"]) > 0.02
        assert sum(each["system.memory.utilization"]) == pytest.approx(1.0, abs=0.05)


def test_a_collection_reads_nothing_of_the_machine(
    captured: CapturedTelemetry, sampled: Callable[[Probes], Sampled]
) -> None:
    """However often it is asked: only the monitor's thread reads."""
    each = sampled(busy_machine())
    gauges.register(captured.meter_provider, each.monitor)
    each.close()
    reads = each.probes.memory.reads  # type: ignore[attr-defined]  # staged

    for _ in range(50):
        exported(captured)

    assert each.probes.memory.reads <= reads + 1  # type: ignore[attr-defined]  # it may have been at it
