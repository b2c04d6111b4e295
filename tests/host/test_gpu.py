"""GPUs through NVML's own structures and errors, handed in: no GPU, no driver, no patching."""

from __future__ import annotations

from typing import Any

import pynvml
import pytest

from ollameter.host.gpu import GpuProbe, load_nvml
from ollameter.host.readings import GpuUse


class FakeNvml:
    """NVML with the GPUs of a test: it answers with what the real module answers with."""

    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU
    NVML_CLOCK_SM = pynvml.NVML_CLOCK_SM
    NVML_CLOCK_MEM = pynvml.NVML_CLOCK_MEM

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self.energy_mj = 5_000_000
        self.failing: dict[str, int] = {}
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("NVMLError"):
            return getattr(pynvml, name)
        answer = ANSWERS.get(name)
        if answer is None:
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if name in self.failing:
                raise pynvml.NVMLError(self.failing[name])
            return answer(self, *arguments)

        return call


def memory(total: int, used: int) -> Any:
    """Return NVML's structure."""
    return pynvml.c_nvmlMemory_t(total=total, free=total - used, used=used)


ANSWERS: dict[str, Any] = {
    "nvmlInit": lambda nvml: None,
    "nvmlShutdown": lambda nvml: None,
    "nvmlDeviceGetCount": lambda nvml: nvml.count,
    "nvmlDeviceGetHandleByIndex": lambda nvml, index: index,
    "nvmlDeviceGetUUID": lambda nvml, handle: f"GPU-{handle}",
    "nvmlDeviceGetName": lambda nvml, handle: b"NVIDIA L4",  # bytes, from an older binding
    "nvmlDeviceGetUtilizationRates": lambda nvml, handle: pynvml.c_nvmlUtilization_t(gpu=75, memory=40),
    "nvmlDeviceGetMemoryInfo": lambda nvml, handle: memory(24_000, 6_000),
    "nvmlDeviceGetPowerUsage": lambda nvml, handle: 61_500,
    "nvmlDeviceGetTotalEnergyConsumption": lambda nvml, handle: nvml.energy_mj,
    "nvmlDeviceGetTemperatureV": lambda nvml, handle, sensor: 64,
    "nvmlDeviceGetTemperature": lambda nvml, handle, sensor: 65,
    "nvmlDeviceGetClockInfo": lambda nvml, handle, kind: 2_040 if kind == pynvml.NVML_CLOCK_SM else 6_251,
    "nvmlDeviceGetCurrentClocksEventReasons": lambda nvml, handle: (
        pynvml.nvmlClocksEventReasonSwPowerCap | pynvml.nvmlClocksEventReasonHwThermalSlowdown
    ),
    "nvmlDeviceGetCurrentClocksThrottleReasons": lambda nvml, handle: 0,
}
WHOLE = GpuUse(
    id="GPU-0",
    name="NVIDIA L4",
    utilization=0.75,
    memory_used_bytes=6_000,
    memory_total_bytes=24_000,
    power_w=61.5,
    temperature_c=64,
    sm_clock_mhz=2_040,
    memory_clock_mhz=6_251,
    throttle_reasons=("power_cap", "hw_thermal"),
    energy_j=5_000.0,
)


def only(probe: GpuProbe, now_s: float) -> GpuUse:
    """Read the one GPU."""
    uses = probe.read(now_s)
    assert uses is not None
    (use,) = uses
    return use


def test_every_figure_is_read_in_our_units() -> None:
    """Ratios, bytes, watts, degrees, megahertz, joules."""
    assert only(GpuProbe(FakeNvml()), 0.0) == WHOLE


def test_the_energy_counter_gives_the_mean_power_since_the_last_reading() -> None:
    """More exact than any number of power readings."""
    nvml = FakeNvml()
    probe = GpuProbe(nvml)
    rates = [only(probe, 0.0).energy_rate_w]
    for at_s, energy_mj in ((2.0, 5_100_000), (2.0, 5_200_000), (3.0, 7)):
        nvml.energy_mj = energy_mj
        rates.append(only(probe, at_s).energy_rate_w)

    assert rates == [None, 50.0, None, None]  # no time has passed; the driver has started anew


@pytest.mark.parametrize(
    ("call", "fields"),
    [
        ("nvmlDeviceGetUtilizationRates", ["utilization"]),
        ("nvmlDeviceGetMemoryInfo", ["memory_used_bytes", "memory_total_bytes"]),
        ("nvmlDeviceGetPowerUsage", ["power_w"]),
        ("nvmlDeviceGetTotalEnergyConsumption", ["energy_j"]),
        ("nvmlDeviceGetClockInfo", ["sm_clock_mhz", "memory_clock_mhz"]),
    ],
)
def test_what_a_gpu_does_not_support_is_absent_and_not_asked_again(call: str, fields: list[str]) -> None:
    """Laptops have no energy counter, shared memory has no size of its own."""
    nvml = FakeNvml()
    nvml.failing[call] = pynvml.NVML_ERROR_NOT_SUPPORTED
    probe = GpuProbe(nvml)
    probe.read(0.0)
    asked = nvml.calls.count(call)

    use = only(probe, 1.0)

    assert nvml.calls.count(call) == asked
    absent = {name for name in GpuUse.__struct_fields__ if getattr(use, name) is None}
    assert absent - {"energy_rate_w"} == set(fields)


def test_old_drivers_are_asked_by_the_old_names() -> None:
    """The new functions are in the binding, but not in the driver."""
    nvml = FakeNvml()
    for name in ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetCurrentClocksEventReasons"):
        nvml.failing[name] = pynvml.NVML_ERROR_FUNCTION_NOT_FOUND

    use = only(GpuProbe(nvml), 0.0)

    assert (use.temperature_c, use.throttle_reasons) == (65, ())


def test_what_neither_name_gives_is_absent() -> None:
    """Some cards have no sensor."""
    nvml = FakeNvml()
    for name in ("nvmlDeviceGetTemperature", "nvmlDeviceGetCurrentClocksThrottleReasons"):
        nvml.failing[name] = nvml.failing[name + "V"] = pynvml.NVML_ERROR_NOT_SUPPORTED
    nvml.failing["nvmlDeviceGetCurrentClocksEventReasons"] = pynvml.NVML_ERROR_NOT_SUPPORTED

    use = only(GpuProbe(nvml), 0.0)

    assert (use.temperature_c, use.throttle_reasons) == (None, None)


def test_an_older_binding_has_fewer_functions() -> None:
    """A function that is not there at all is as good as one that is not supported."""

    class Older(FakeNvml):
        nvmlDeviceGetTemperatureV = None  # noqa: N815  # NVML's name

    assert only(GpuProbe(Older()), 0.0).temperature_c == 65


@pytest.mark.parametrize("error", ["LIBRARY_NOT_FOUND", "DRIVER_NOT_LOADED", "NO_PERMISSION"])
def test_a_machine_without_a_driver_has_no_gpus(error: str) -> None:
    """It is asked once: neither an error nor a zero."""
    nvml = FakeNvml()
    nvml.failing["nvmlInit"] = getattr(pynvml, f"NVML_ERROR_{error}")
    probe = GpuProbe(nvml)

    assert [probe.read(0.0), probe.read(1.0)] == [None, None]
    assert nvml.calls == ["nvmlInit"]


def test_no_binding_and_no_gpus_are_no_reading() -> None:
    """An empty tuple would be a machine with GPUs, of which there are none."""
    assert GpuProbe(None).read(0.0) is None
    assert GpuProbe(FakeNvml(count=0)).read(0.0) is None


def test_a_lost_gpu_does_not_hide_the_others() -> None:
    """It has fallen off the bus; the rest still works."""
    nvml = FakeNvml(count=2)

    class OneLost(FakeNvml):
        def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802  # NVML's name
            if index == 0:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
            return index

    uses, all_uses = GpuProbe(OneLost(count=2)).read(0.0), GpuProbe(nvml).read(0.0)

    assert uses is not None
    assert all_uses is not None
    assert [use.id for use in uses] == ["GPU-1"]
    assert [use.id for use in all_uses] == ["GPU-0", "GPU-1"]


def test_an_error_fails_the_probe_and_the_next_reading_starts_anew() -> None:
    """The driver was replaced while the program ran."""
    nvml = FakeNvml()
    probe = GpuProbe(nvml)
    probe.read(0.0)
    nvml.failing["nvmlDeviceGetPowerUsage"] = pynvml.NVML_ERROR_GPU_IS_LOST
    nvml.failing["nvmlShutdown"] = pynvml.NVML_ERROR_UNINITIALIZED
    with pytest.raises(pynvml.NVMLError):
        probe.read(1.0)
    nvml.failing.clear()

    use = only(probe, 60.0)

    assert use == WHOLE
    assert nvml.calls.count("nvmlInit") == 2
    assert nvml.calls.count("nvmlShutdown") == 1


def test_an_error_while_counting_lets_go_of_nvml() -> None:
    """What was started is shut down."""
    nvml = FakeNvml()
    nvml.failing["nvmlDeviceGetCount"] = pynvml.NVML_ERROR_UNKNOWN
    probe = GpuProbe(nvml)

    with pytest.raises(pynvml.NVMLError):
        probe.read(0.0)

    assert nvml.calls[-1] == "nvmlShutdown"


def test_closing_twice_shuts_nvml_down_once() -> None:
    """And never what was not started."""
    nvml = FakeNvml()
    probe = GpuProbe(nvml)
    probe.close()
    probe.read(0.0)

    probe.close()
    probe.close()

    assert nvml.calls.count("nvmlShutdown") == 1


def test_the_binding_is_loaded_only_where_its_driver_is() -> None:
    """Importing it takes as long as ten calls; a platform without a driver need not."""
    assert load_nvml(platform="darwin") is None
    assert load_nvml(platform="linux", library="libollameter-no-such.so.1") is None
    assert load_nvml(platform="linux", library="libc.so.6") is pynvml  # any library that is there
