"""The rings' columns: their names, and which reading goes into which."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final

from ollameter.host.readings import (
    CpuUse,
    GpuUse,
    MemoryUse,
    Pressure,
    ProcessUse,
    ServerUse,
)

# At every tick; Ollama's are paired with the server's port.
CPU: Final = "cpu"
CPU_CORE: Final = "cpu.core"
MEMORY_USED: Final = "memory.used"
PROCESS_RSS: Final = "process.rss"
OLLAMA_CPU: Final = "ollama.cpu"
OLLAMA_RSS: Final = "ollama.rss"
# Once a second; a GPU's are paired with its id.
STALLED_CPU: Final = "stalled.cpu"
STALLED_IO: Final = "stalled.io"
STALLED_MEMORY: Final = "stalled.memory"
MAJOR_FAULTS: Final = "faults.major"
GPU_UTILIZATION: Final = "gpu.utilization"
GPU_MEMORY_USED: Final = "gpu.memory.used"
GPU_POWER: Final = "gpu.power"
GPU_TEMPERATURE: Final = "gpu.temperature"
GPU_ENERGY_RATE: Final = "gpu.energy_rate"
GPU_THROTTLED: Final = "gpu.throttled"  # with the reason as well; there since it was first given

Row = dict[Hashable, float | None]


def fast_row(
    cpu: CpuUse | None,
    memory: MemoryUse | None,
    process: ProcessUse | None,
    servers: Mapping[int, ServerUse],
) -> Row:
    """Return what is taken at every tick."""
    row: Row = {}
    if cpu is not None:
        row[CPU], row[CPU_CORE] = cpu.busy, cpu.core_peak
    if memory is not None:
        row[MEMORY_USED] = memory.used_bytes
    if process is not None:
        row[PROCESS_RSS] = process.rss_bytes
    for port, use in servers.items():
        row[OLLAMA_CPU, port], row[OLLAMA_RSS, port] = use.busy, use.rss_bytes
    return row


def slow_row(pressure: Pressure | None, gpus: tuple[GpuUse, ...]) -> Row:
    """Return what is taken once a second."""
    row: Row = {}
    if pressure is not None:
        row[STALLED_CPU], row[STALLED_IO] = pressure.cpu, pressure.io
        row[STALLED_MEMORY], row[MAJOR_FAULTS] = pressure.memory, pressure.major_faults_per_s
    for gpu in gpus:
        row[GPU_UTILIZATION, gpu.id] = gpu.utilization
        row[GPU_MEMORY_USED, gpu.id] = gpu.memory_used_bytes
        row[GPU_POWER, gpu.id] = gpu.power_w
        row[GPU_TEMPERATURE, gpu.id] = gpu.temperature_c
        row[GPU_ENERGY_RATE, gpu.id] = gpu.energy_rate_w
        row.update({(GPU_THROTTLED, gpu.id, reason): 1.0 for reason in gpu.throttle_reasons or ()})
    return row
