"""Observable gauges of the machine: what the host monitor saw last, and nothing that takes time."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

from ollameter.host.monitor import HostMonitor
from ollameter.host.readings import MemoryUse, Snapshot
from ollameter.telemetry import names
from ollameter.telemetry.observables import PerProvider

_log = logging.getLogger("ollameter.telemetry")
_VARIABLE = "OLLAMETER_HOST_METRICS"

Observer = Callable[[Snapshot], Iterator[Observation]]


def register(meter_provider: MeterProvider | None, monitor: HostMonitor) -> None:
    """Show the machine through a meter provider; None is the global one.

    The gauges are made once for each meter provider, by whoever comes first.
    `OLLAMETER_HOST_METRICS=false` makes none, a comma list leaves those names out. Shares of time
    appear once the monitor has seen a whole second.
    """
    if not are_wanted():
        return
    monitors = _registered.of(meter_provider)
    with _registered.lock:
        monitors.add(monitor)


def are_wanted() -> bool:
    """Whether the environment lets any of the gauges be shown."""
    return _left_out() is not None


class _Monitors:
    """The monitors behind one meter provider's gauges, held weakly: nearly always one."""

    def __init__(self) -> None:
        self._refs: tuple[weakref.ref[HostMonitor], ...] = ()

    def add(self, monitor: HostMonitor) -> None:
        """Ask this one as well, after those that are still there."""
        alive = tuple(ref for ref in self._refs if ref() is not None)
        known = any(ref() is monitor for ref in alive)
        self._refs = alive if known else (*alive, weakref.ref(monitor))

    def latest(self) -> Snapshot | None:
        """Return the first snapshot that there is, with the servers of all."""
        refs = (ref for monitors in _registered.sharing(self) for ref in monitors._refs)  # noqa: SLF001  # its own kind
        found = [s for ref in refs if (seen := ref()) is not None and (s := seen.latest()) is not None]
        if len(found) < 2:
            return found[0] if found else None
        servers = {key: use for snapshot in reversed(found) for key, use in snapshot.servers.items()}
        models = {key: held for snapshot in reversed(found) for key, held in snapshot.models.items()}
        return msgspec.structs.replace(found[0], servers=servers, models=models)

    def callback(self, observe: Observer) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """Return what OpenTelemetry calls at each collection: it reads a snapshot and no more."""

        def observations(options: CallbackOptions) -> Iterable[Observation]:
            snapshot = self.latest()
            return () if snapshot is None else tuple(observe(snapshot))

        return observations


def _cpu(snapshot: Snapshot) -> Iterator[Observation]:
    if snapshot.cpu is not None and snapshot.cpu.modes is not None:
        for mode, ratio in snapshot.cpu.modes.items():
            yield Observation(ratio, {names.CPU_MODE: mode})


def _memory_states(memory: MemoryUse | None) -> Iterator[tuple[str, int]]:
    if memory is None:
        return
    states = {
        "used": memory.used_bytes,
        "free": memory.free_bytes,
        "cached": memory.cached_bytes,
        "buffers": memory.buffers_bytes,
    }
    yield from ((state, size) for state, size in states.items() if size is not None)


def _memory_usage(snapshot: Snapshot) -> Iterator[Observation]:
    for state, size in _memory_states(snapshot.memory):
        yield Observation(size, {names.MEMORY_STATE: state})


def _memory_utilization(snapshot: Snapshot) -> Iterator[Observation]:
    total_bytes = snapshot.memory.total_bytes if snapshot.memory is not None else 0
    for state, size in _memory_states(snapshot.memory):
        yield Observation(size / total_bytes, {names.MEMORY_STATE: state})


def _process_cpu(snapshot: Snapshot) -> Iterator[Observation]:
    if snapshot.process is not None:
        yield from _known(snapshot.process.cpu_user, {names.CPU_MODE: "user"})
        yield from _known(snapshot.process.cpu_system, {names.CPU_MODE: "system"})


def _process_memory(snapshot: Snapshot) -> Iterator[Observation]:
    if snapshot.process is not None:
        yield from _known(snapshot.process.rss_bytes, {})


def _server_cpu(snapshot: Snapshot) -> Iterator[Observation]:
    for (address, port), use in snapshot.servers.items():
        yield from _known(use.cpu_utilization, _server(address, port))


def _server_memory(snapshot: Snapshot) -> Iterator[Observation]:
    for (address, port), use in snapshot.servers.items():
        yield Observation(use.rss_bytes, _server(address, port))


def _model_memory(snapshot: Snapshot) -> Iterator[Observation]:
    for (address, port), models in snapshot.models.items():
        for model in models:
            about = {names.REQUEST_MODEL: model.name, **_server(address, port)}
            yield Observation(model.gpu_bytes, {**about, names.MEMORY_LOCATION: "gpu"})
            yield Observation(model.host_bytes, {**about, names.MEMORY_LOCATION: "host"})


def _gpu(field: str, **more: str) -> Observer:
    """Return what observes one field of every GPU."""

    def observe(snapshot: Snapshot) -> Iterator[Observation]:
        for gpu in snapshot.gpus:
            about = {names.HW_ID: gpu.id, names.HW_NAME: gpu.name, **more}
            yield from _known(getattr(gpu, field), about)

    return observe


def _gpu_memory_utilization(snapshot: Snapshot) -> Iterator[Observation]:
    for gpu in snapshot.gpus:
        if gpu.memory_used_bytes is not None and gpu.memory_total_bytes:
            about = {names.HW_ID: gpu.id, names.HW_NAME: gpu.name}
            yield Observation(gpu.memory_used_bytes / gpu.memory_total_bytes, about)


def _known(value: float | None, attributes: dict[str, Any]) -> Iterator[Observation]:
    """Absent is not zero: what is unknown is not observed."""
    if value is not None:
        yield Observation(value, attributes)


def _server(address: str, port: int) -> dict[str, Any]:
    return {names.SERVER_ADDRESS: address, names.SERVER_PORT: port}


_GAUGE, _SUM = "create_observable_gauge", "create_observable_up_down_counter"
_INSTRUMENTS: dict[str, tuple[str, str, str, Observer]] = {
    names.SYSTEM_CPU_UTILIZATION: (_GAUGE, names.RATIO, "Share of all processors.", _cpu),
    names.SYSTEM_MEMORY_USAGE: (_SUM, names.BYTES, "Memory in use by state.", _memory_usage),
    names.SYSTEM_MEMORY_UTILIZATION: (_GAUGE, names.RATIO, "Share of the memory.", _memory_utilization),
    names.PROCESS_CPU_UTILIZATION: (
        _GAUGE, names.RATIO, "Share of all processors that this process takes.", _process_cpu,
    ),
    names.PROCESS_MEMORY_USAGE: (_SUM, names.BYTES, "Resident memory of this process.", _process_memory),
    names.GPU_UTILIZATION: (_GAUGE, names.RATIO, "Share of time the GPU was busy.", _gpu("utilization")),
    names.GPU_MEMORY_USAGE: (_SUM, names.BYTES, "GPU memory in use.", _gpu("memory_used_bytes")),
    names.GPU_MEMORY_LIMIT: (_SUM, names.BYTES, "Size of the GPU's memory.", _gpu("memory_total_bytes")),
    names.GPU_MEMORY_UTILIZATION: (
        _GAUGE, names.RATIO, "Share of the GPU's memory in use.", _gpu_memory_utilization,
    ),
    names.HW_POWER: (
        _GAUGE, names.WATTS, "Power that the GPU draws.", _gpu("power_w", **{names.HW_TYPE: "gpu"}),
    ),
    names.HW_TEMPERATURE: (_GAUGE, names.CELSIUS, "Temperature of the GPU.", _gpu("temperature_c")),
    names.OLLAMA_PROCESS_CPU: (
        _GAUGE, names.RATIO, "Share of all processors that Ollama takes.", _server_cpu,
    ),
    names.OLLAMA_PROCESS_MEMORY: (_SUM, names.BYTES, "Resident memory of Ollama.", _server_memory),
    names.MODEL_MEMORY_USAGE: (_SUM, names.BYTES, "Memory of loaded models.", _model_memory),
}  # fmt: skip


def _create(meter: Meter, monitors: _Monitors) -> None:
    left_out = _left_out() or frozenset()
    if unknown := sorted(left_out - _INSTRUMENTS.keys()):
        _log.warning("%s: no host metric is called %s", _VARIABLE, ", ".join(unknown))
    for name, (create, unit, description, observe) in _INSTRUMENTS.items():
        if name not in left_out:
            getattr(meter, create)(name, [monitors.callback(observe)], unit, description)


_registered: PerProvider[_Monitors] = PerProvider(_Monitors, _create)


def _left_out() -> frozenset[str] | None:
    """Return the names that the environment leaves out; None for all of them."""
    value = os.environ.get(_VARIABLE, "").strip()
    if value.lower() in {"", "true"}:
        return frozenset()
    if value.lower() == "false":
        return None
    return frozenset(part.strip() for part in value.split(",")) - {""}
