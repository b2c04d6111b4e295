"""NVIDIA's GPUs by NVML; without its driver there is no reading at all."""

from __future__ import annotations

import sys
from typing import Any

from ollameter.host.readings import GpuUse

_DRIVER_LIBRARY = {"linux": "libnvidia-ml.so.1", "win32": "nvml.dll"}
_ABSENT = ("LibraryNotFound", "DriverNotLoaded", "NoPermission")
_UNSUPPORTED = ("NotSupported", "NoPermission", "FunctionNotFound", "InvalidArgument")
_UNREADABLE = ("GpuIsLost", "NoPermission", "NotSupported")
# NVML renamed what it will drop one day: what there is of these is asked, in this order.
_TEMPERATURE = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature")
_REASONS = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
THROTTLE_BITS = {
    0x2: "applications_clocks",
    0x4: "power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal",
    0x40: "hw_thermal",
    0x80: "power_brake",
    0x100: "display_clocks",
}


class GpuProbe:
    """Reads every GPU that NVML shows; `nvml` is the pynvml module, None where there is none.

    What a GPU does not support is not asked for again. Any other error fails the probe, and the
    next reading starts NVML anew: drivers are replaced under running programs.
    """

    def __init__(self, nvml: Any | None) -> None:
        self._nvml = nvml
        self._devices: list[_Device] | None = None

    def read(self, now_s: float) -> tuple[GpuUse, ...] | None:
        """Return all GPUs' use; None without any."""
        if self._nvml is None:
            return None
        try:
            if self._devices is None:
                self._devices = self._open(self._nvml)
            return tuple(device.read(now_s) for device in self._devices) or None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of NVML; the next reading starts it again."""
        devices, self._devices = self._devices, None
        if devices is not None and self._nvml is not None:
            _quietly(self._nvml)

    def _open(self, nvml: Any) -> list[_Device]:
        try:
            nvml.nvmlInit()
        except _errors(nvml, _ABSENT):
            self._nvml = None
            return []
        self._devices = []  # from here on there is something to shut down
        found = (_device(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
        return [device for device in found if device is not None]


class _Device:
    """One GPU: its name, and what it has turned out not to support."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._unsupported: set[tuple[Any, ...]] = set()
        self._unsupported_errors = _errors(nvml, _UNSUPPORTED)
        self._energy: tuple[float, float] | None = None
        self._id = _text(nvml.nvmlDeviceGetUUID(handle))
        self._name = _text(nvml.nvmlDeviceGetName(handle))

    def read(self, now_s: float) -> GpuUse:
        """Return what the GPU does now."""
        nvml, get = self._nvml, self._get
        rates, memory = get("nvmlDeviceGetUtilizationRates"), get("nvmlDeviceGetMemoryInfo")
        power_mw, energy_mj = get("nvmlDeviceGetPowerUsage"), get("nvmlDeviceGetTotalEnergyConsumption")
        energy_j = None if energy_mj is None else energy_mj / 1000
        return GpuUse(
            id=self._id,
            name=self._name,
            utilization=None if rates is None else rates.gpu / 100,
            memory_used_bytes=None if memory is None else memory.used,
            memory_total_bytes=None if memory is None else memory.total,
            power_w=None if power_mw is None else power_mw / 1000,
            temperature_c=self._get_first(_TEMPERATURE, nvml.NVML_TEMPERATURE_GPU),
            sm_clock_mhz=get("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
            memory_clock_mhz=get("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
            throttle_reasons=_reasons(self._get_first(_REASONS)),
            energy_j=energy_j,
            energy_rate_w=self._energy_rate(now_s, energy_j),
        )

    def _get(self, name: str, *arguments: Any) -> Any:
        """Ask one thing; None when this GPU, driver or user cannot have it."""
        ask = getattr(self._nvml, name, None)
        if ask is None or (name, *arguments) in self._unsupported:
            return None
        try:
            return ask(self._handle, *arguments)
        except self._unsupported_errors:
            self._unsupported.add((name, *arguments))
            return None

    def _get_first(self, names: tuple[str, ...], *arguments: Any) -> Any:
        found = (self._get(name, *arguments) for name in names)
        return next((value for value in found if value is not None), None)

    def _energy_rate(self, now_s: float, energy_j: float | None) -> float | None:
        before, self._energy = self._energy, None if energy_j is None else (now_s, energy_j)
        if before is None or energy_j is None or now_s <= before[0] or energy_j < before[1]:
            return None
        return (energy_j - before[1]) / (now_s - before[0])


def load_nvml(platform: str = sys.platform, library: str | None = None) -> Any | None:
    """Return the pynvml module; None without it, or without the driver's library.

    The module is large: importing it for nothing takes as long as ten calls.
    """
    library = library or _DRIVER_LIBRARY.get(platform)
    if library is None:
        return None
    import ctypes

    try:
        ctypes.CDLL(library)
        import pynvml
    except (OSError, ImportError):
        return None
    return pynvml


def _device(nvml: Any, index: int) -> _Device | None:
    try:
        return _Device(nvml, nvml.nvmlDeviceGetHandleByIndex(index))
    except _errors(nvml, _UNREADABLE):  # the other GPUs may still be there
        return None


def _errors(nvml: Any, kinds: tuple[str, ...]) -> tuple[type[Exception], ...]:
    return tuple(getattr(nvml, f"NVMLError_{kind}") for kind in kinds)


def _quietly(nvml: Any) -> None:
    try:
        nvml.nvmlShutdown()
    except nvml.NVMLError:  # lost with its GPU
        pass


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _reasons(bits: int | None) -> tuple[str, ...] | None:
    if bits is None:
        return None
    return tuple(name for bit, name in THROTTLE_BITS.items() if bits & bit)
