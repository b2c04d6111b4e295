"""The machine's gauges as providers and `configure()` bring them: who starts, shares and lets go."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import pytest

from ollameter import HostMonitor, OllamaProvider
from ollameter.host import monitor as monitor_room
from ollameter.host.gpu import GpuProbe
from ollameter.host.readings import ProcessUse
from ollameter.testing import CapturedTelemetry, FakeOllama
from tests.host.staged import StagedProbe, staged_probes, until
from tests.host.test_gpu import FakeNvml
from tests.telemetry.programs import Sink, printed

HI = [{"role": "user", "content": "hi"}]
# What the programs below share: a reader of all gauges, and a wait for what the monitor saw.
PROGRAM = """
    import gc, logging, os, sys, time, threading, warnings
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    import ollameter
    from ollameter import HostMonitor, OllamaProvider
    logging.basicConfig(level=logging.WARNING)

    def until(condition):
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.005)

    def seen(reader):
        data = reader.get_metrics_data()
        return {
            m.name: len(m.data.data_points)
            for r in (data.resource_metrics if data else ()) for s in r.scope_metrics for m in s.metrics
        }

    readers = [InMemoryMetricReader(), InMemoryMetricReader()]

    def sdk():
        return MeterProvider(readers, shutdown_on_exit=False)
"""


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> HostMonitor:
    """A monitor that stands for the process's own: nobody else holds it."""
    monitor = HostMonitor(interval_s=0.01, probes=lambda servers: staged_probes())
    monkeypatch.setattr(monitor_room, "_shared", {"monitor": monitor})
    return monitor


def provider(fake: FakeOllama, captured: CapturedTelemetry, **settings: Any) -> OllamaProvider:
    """Return a provider that reports into a capture."""
    return OllamaProvider(
        fake.base_url,
        model="llama3.2",
        tracer_provider=captured.tracer_provider,
        meter_provider=captured.meter_provider,
        **settings,
    )


def gauges(captured: CapturedTelemetry) -> set[str]:
    """Return the names of the gauges that have something to show."""
    return {name for name in captured.metrics if name.startswith(("system.", "process.", "hw."))}


def test_by_default_a_provider_starts_the_shared_monitor_and_shows_it(
    fake: FakeOllama, captured: CapturedTelemetry, shared: HostMonitor
) -> None:
    """Before any call; closed, it stops again."""
    with provider(fake, captured) as llm:
        until(shared.latest)
        shown = gauges(captured)
        _, metrics = llm.chat(HI)

    assert shown == {"system.memory.usage", "system.memory.utilization", "process.memory.usage"}
    assert metrics.host is not None
    assert metrics.host.server_is_local is True
    assert not shared.is_running
    assert gauges(captured) == set()


def test_without_a_monitor_nothing_is_sampled_or_shown(
    fake: FakeOllama, captured: CapturedTelemetry, shared: HostMonitor
) -> None:
    """Neither in the metrics, nor in gauges, nor by a thread."""
    with provider(fake, captured, host_monitor=False) as llm:
        _, metrics = llm.chat(HI)

        assert not shared.is_running
        assert metrics.host is None
        assert gauges(captured) == set()


def test_a_monitor_of_ones_own_is_the_one_that_is_used(
    fake: FakeOllama, captured: CapturedTelemetry, shared: HostMonitor
) -> None:
    """For calls and for gauges."""
    probes = staged_probes()
    probes.process = StagedProbe(ProcessUse(rss_bytes=77))
    own = HostMonitor(interval_s=0.01, probes=lambda servers: probes)
    with provider(fake, captured, host_monitor=own) as llm:
        until(own.latest)
        _, metrics = llm.chat(HI)

        assert metrics.host is not None
        assert metrics.host.process_rss_bytes_peak == 77
        assert captured.metrics["process.memory.usage"].points[0].value == 77
    assert not own.is_running
    assert not shared.is_running


def test_several_providers_share_one_thread_and_the_last_one_stops_it(
    fake: FakeOllama, captured: CapturedTelemetry, shared: HostMonitor
) -> None:
    """Closed or dropped, in whatever order."""
    first, second = provider(fake, captured), provider(fake, captured)
    third = provider(fake, captured)
    until(shared.latest)
    names = [thread.name for thread in threading.enumerate()]

    first.close()
    first.close()
    assert shared.is_running
    del second
    gc.collect()
    assert shared.is_running
    assert len(captured.metrics["process.memory.usage"].points) == 1
    third.close()

    assert names.count("ollameter-host") == 1
    assert not shared.is_running


def test_a_provider_that_is_dropped_lets_go(
    fake: FakeOllama, captured: CapturedTelemetry, shared: HostMonitor
) -> None:
    """Without a word; the thread sees that nobody is left."""
    llm = provider(fake, captured)
    until(shared.latest)

    del llm
    gc.collect()

    until(lambda: not shared.is_running)


def test_gauges_recover_when_the_thread_has_died(
    fake: FakeOllama, captured: CapturedTelemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """Collections find nothing meanwhile, and one of them starts it again."""
    probes = staged_probes()
    probes.memory = memory = StagedProbe(probes.memory.read(0.0))
    healthy = memory.says
    own = HostMonitor(interval_s=0.01, probes=lambda servers: probes)
    with provider(fake, captured, host_monitor=own) as llm:
        until(own.latest)
        memory.says = SystemExit("dead")
        until(lambda: not own.is_running)
        without = gauges(captured)
        memory.says = healthy

        until(lambda: "system.memory.usage" in gauges(captured))
        _, metrics = llm.chat(HI)

    assert without == set()
    assert metrics.host is not None
    assert [record.name for record in caplog.records] == ["ollameter.host"]


def test_each_server_is_shown_whoever_watches_it(
    fake: FakeOllama, captured: CapturedTelemetry, shared: HostMonitor
) -> None:
    """Two monitors behind one meter provider: the machine is shown once, the servers of both."""
    from ollameter.host.readings import ModelMemory

    own = HostMonitor(interval_s=0.01, probes=lambda servers: staged_probes())
    with provider(fake, captured), provider(fake, captured, host_monitor=own):
        shared.note_models("127.0.0.1", 1, [ModelMemory(name="a", gpu_bytes=1, host_bytes=2)])
        own.note_models("127.0.0.1", 2, [ModelMemory(name="b", gpu_bytes=3, host_bytes=4)])
        until(lambda: (s := shared.latest()) and s.models and (t := own.latest()) and t.models)
        points = captured.metrics["ollama.model.memory.usage"].points

        assert {point.value for point in points} == {1, 2, 3, 4}
        assert len(captured.metrics["process.memory.usage"].points) == 1


def test_a_gpu_is_told_from_nvml_to_the_export(fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """By NVML's own structures: in the metrics of a call, in gauges, and in words."""
    probes = staged_probes()
    probes.gpu = GpuProbe(FakeNvml())
    own = HostMonitor(interval_s=0.01, probes=lambda servers: probes)
    with provider(fake, captured, host_monitor=own) as llm:
        until(lambda: (snapshot := own.latest()) and snapshot.gpus)
        with llm.stream(HI) as stream:
            begin_s = time.monotonic()
            until(lambda: time.monotonic() - begin_s > 1.5)
            for _ in stream:
                pass
        shown = {name: captured.metrics[name].points[0].value for name in gauges(captured) if "hw" in name}

    assert stream.metrics is not None
    assert stream.metrics.host is not None
    (gpu,) = stream.metrics.host.gpus
    assert (gpu.name, gpu.utilization_mean, gpu.throttle_reasons) == (
        "NVIDIA L4", 0.75, ("power_cap", "hw_thermal"),
    )  # fmt: skip
    assert shown == {
        "hw.gpu.utilization": 0.75, "hw.gpu.memory.usage": 6_000, "hw.gpu.memory.limit": 24_000,
        "hw.gpu.memory.utilization": 0.25, "hw.power": 61.5, "hw.temperature": 64,
    }  # fmt: skip
    assert "the GPU was slowed down: NVIDIA L4 (hw_thermal) at up to 64 °C" in stream.metrics.explain()


def test_ten_thousand_providers_leave_nothing_behind(
    fake: FakeOllama, captured: CapturedTelemetry, shared: HostMonitor
) -> None:
    """Created and closed beside one that stays: no holder, no server, no thread, no callback."""
    from ollameter.telemetry.gauges import _registered

    with provider(fake, captured):
        until(shared.latest)
        for _ in range(10_000):
            provider(fake, captured).close()
        gc.collect()

        assert len(shared._holders) == 1
        assert len(shared._servers.keys) == 1
        assert [t.name for t in threading.enumerate()].count("ollameter-host") == 1
        assert len(_registered.of(captured.meter_provider)._refs) == 1
        assert gauges(captured) >= {"system.memory.usage"}


def test_a_provider_before_the_sdk_and_one_after_show_the_machine_once(fake: FakeOllama) -> None:
    """The first registers with the API's stand-in, the second with the SDK: one of each gauge."""
    script = (
        PROGRAM
        + """
    first = OllamaProvider(sys.argv[1], model="m")
    metrics.set_meter_provider(sdk())
    second = OllamaProvider(sys.argv[1], model="m")
    third = OllamaProvider(sys.argv[1], model="m", meter_provider=metrics.get_meter_provider())
    until(lambda: all("process.cpu.utilization" in seen(reader) for reader in readers))
    print(seen(readers[0]) == seen(readers[1]), seen(readers[0])["process.memory.usage"])
    first.close()
    del first
    print(seen(readers[0])["process.memory.usage"])
    second.close(), third.close()
    print(seen(readers[0]), HostMonitor.shared().is_running)
    """
    )

    assert printed(script, fake) == ["True 1", "1", "{} False"]


def test_a_monitor_that_comes_after_the_sdk_takes_over(fake: FakeOllama) -> None:
    """The gauges were made through the stand-in, for a monitor that is gone by now."""
    script = (
        PROGRAM
        + """
    first = OllamaProvider(sys.argv[1], model="m", host_monitor=HostMonitor())
    metrics.set_meter_provider(sdk())
    second = OllamaProvider(sys.argv[1], model="m", host_monitor=HostMonitor())
    first.close()
    until(lambda: "process.memory.usage" in seen(readers[0]))
    print(seen(readers[0])["process.memory.usage"])
    """
    )

    assert printed(script, fake) == ["1"]


def test_a_monitor_that_came_by_the_stand_in_takes_over(fake: FakeOllama) -> None:
    """The SDK knew another one before it became the global one."""
    script = (
        PROGRAM
        + """
    real = sdk()
    first = OllamaProvider(sys.argv[1], model="m", host_monitor=HostMonitor(), meter_provider=real)
    second = OllamaProvider(sys.argv[1], model="m", host_monitor=HostMonitor())
    metrics.set_meter_provider(real)
    first.close()
    until(lambda: "process.memory.usage" in seen(readers[0]))
    print(seen(readers[0])["process.memory.usage"])
    """
    )

    assert printed(script, fake) == ["1"]


def test_configure_shows_the_machine_without_any_provider(fake: FakeOllama, sink: Sink) -> None:
    """From the start, until its shutdown."""
    script = (
        PROGRAM
        + """
    handle = ollameter.configure(service_name="idle")
    shared = HostMonitor.shared()
    print(shared.is_running)
    until(shared.latest)
    print(handle.force_flush())
    handle.shutdown()
    print(shared.is_running)
    """
    )
    lines = printed(script, fake, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{sink.port}")

    assert lines == ["True", "True", "False"]
    assert sink.metrics >= {"system.memory.usage", "system.memory.utilization", "process.memory.usage"}


@pytest.mark.parametrize(
    "settings",
    [
        {"OLLAMETER_HOST_METRICS": "false"},
        {"OTEL_METRICS_EXPORTER": "none"},
        {"OTEL_SDK_DISABLED": "true"},
    ],
)
def test_configure_starts_no_monitor_that_nobody_wants(
    fake: FakeOllama, sink: Sink, settings: dict[str, str]
) -> None:
    """Nor does shutting down miss it."""
    script = (
        PROGRAM
        + """
    handle = ollameter.configure()
    print(HostMonitor.shared().is_running, [t.name for t in threading.enumerate()].count("ollameter-host"))
    handle.shutdown()
    """
    )
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.port}", **settings}

    assert printed(script, fake, **settings) == ["False 0"]


def test_a_provider_before_configure_is_shown_once(fake: FakeOllama, sink: Sink) -> None:
    """And its calls know the machine after the handle has let go."""
    script = (
        PROGRAM
        + """
    llm = OllamaProvider(sys.argv[1], model="llama3.2")
    with ollameter.configure():
        until(HostMonitor.shared().latest)
    _, metrics = llm.chat([{"role": "user", "content": "hi"}])
    print(HostMonitor.shared().is_running, metrics.host is not None)
    """
    )

    assert printed(script, fake, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{sink.port}") == [
        "True True"
    ]
    assert "process.memory.usage" in sink.metrics


def test_a_forked_child_measures_its_own_calls_and_shows_its_own_gauges(fake: FakeOllama) -> None:
    """Each with a thread of its own; the parent's goes on. A lock that was held at the fork is free."""
    script = (
        PROGRAM
        + """
    warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
    from ollameter.telemetry import gauges
    metrics.set_meter_provider(sdk())
    llm = OllamaProvider(sys.argv[1], model="llama3.2")
    chat = lambda: llm.chat([{"role": "user", "content": "hi"}])[1]
    until(HostMonitor.shared().latest)
    parent = os.getpid()
    gauges._registered.lock.acquire()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert not HostMonitor.shared().is_running
            chat()
            until(lambda: chat().host is not None)
            until(lambda: "process.memory.usage" in seen(readers[0]))
            OllamaProvider(sys.argv[1], model="llama3.2").close()
            llm.close()
            assert not HostMonitor.shared().is_running
            code = 0
        finally:
            os._exit(code)
    gauges._registered.lock.release()
    print(os.waitpid(child, 0)[1], HostMonitor.shared().is_running, chat().host is not None)
    """
    )

    assert printed(script, fake) == ["0 True True"]
