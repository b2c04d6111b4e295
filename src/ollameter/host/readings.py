"""What the probes read, as plain frozen data; absent is None, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

import msgspec

T_co = TypeVar("T_co", covariant=True)
ServerKey = tuple[str, int]
"""A server as its clients name it: address and port."""


class Probe(Protocol[T_co]):
    """Reads one thing of the machine; an exception means that it failed, None that it is absent."""

    def read(self, now_s: float) -> T_co | None:
        """Return what there is to see at `now_s`, a time that only grows."""


class CpuUse(msgspec.Struct, frozen=True, kw_only=True):
    """The processors, as shares of all of them: one busy core of two is 0.5.

    `busy` and `core_peak` (the busiest core, of itself) are since the previous reading, `modes`
    over the last second or a little more; None until such a window has passed.
    """

    busy: float | None = None
    core_peak: float | None = None
    modes: Mapping[str, float] | None = None
    load_average_1m: float | None = None
    count: int | None = None


class MemoryUse(msgspec.Struct, frozen=True, kw_only=True):
    """The machine's memory; `used`, `free`, `cached` and `buffers` add up to `total`."""

    total_bytes: int
    used_bytes: int
    free_bytes: int
    available_bytes: int
    cached_bytes: int | None = None
    buffers_bytes: int | None = None


class SwapUse(msgspec.Struct, frozen=True, kw_only=True):
    """The machine's swap space."""

    total_bytes: int
    used_bytes: int


class Pressure(msgspec.Struct, frozen=True, kw_only=True):
    """What work waited for: share of time (0-1) in which some task was stalled, and page faults."""

    cpu: float | None = None
    io: float | None = None
    memory: float | None = None
    major_faults_per_s: float | None = None


class ProcessUse(msgspec.Struct, frozen=True, kw_only=True):
    """What this process uses; CPU as shares of the whole machine over the last second or a little more."""

    cpu_user: float | None = None
    cpu_system: float | None = None
    rss_bytes: int | None = None
    threads: int | None = None


class ServerUse(msgspec.Struct, frozen=True, kw_only=True):
    """One Ollama on this machine, its server and runners summed; shared pages count in each.

    `busy` is since the previous reading, `cpu_utilization` over the last second or a little
    more, both as shares of the whole machine.
    """

    pids: tuple[int, ...]
    rss_bytes: int
    threads: int
    busy: float | None = None
    cpu_utilization: float | None = None


class GpuUse(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU: ratios 0-1, bytes, watts, degrees Celsius, megahertz, joules since the driver's start.

    `energy_rate_w` is the mean power since the previous reading, by the energy counter.
    """

    id: str
    name: str
    utilization: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    power_w: float | None = None
    temperature_c: float | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    throttle_reasons: tuple[str, ...] | None = None
    energy_j: float | None = None
    energy_rate_w: float | None = None


class ModelMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded model takes, as its server reports it: on GPUs and in the host's memory."""

    name: str
    gpu_bytes: int
    host_bytes: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The newest readings of everything, for whoever wants the present and no history."""

    taken_at_s: float
    cpu: CpuUse | None = None
    memory: MemoryUse | None = None
    swap: SwapUse | None = None
    pressure: Pressure | None = None
    process: ProcessUse | None = None
    servers: Mapping[ServerKey, ServerUse] = msgspec.field(default_factory=dict)
    models: Mapping[ServerKey, tuple[ModelMemory, ...]] = msgspec.field(default_factory=dict)
    gpus: tuple[GpuUse, ...] = ()
