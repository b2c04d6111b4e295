"""The probes of this machine; psutil and NVML are imported when they are made, if at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from ollameter.host.cpu import CpuProbe
from ollameter.host.gpu import GpuProbe, load_nvml
from ollameter.host.linux_counters import LinuxCounters
from ollameter.host.memory import MemoryProbe, SwapProbe
from ollameter.host.ollama_process import OllamaProcesses
from ollameter.host.pressure import PressureProbe
from ollameter.host.process import ProcessProbe
from ollameter.host.process_table import LinuxProcesses, ProcessTable
from ollameter.host.psutil_table import PsutilProcesses
from ollameter.host.sampling import Probes
from ollameter.host.servers import WatchedServers


class Sources(msgspec.Struct, frozen=True):
    """Where the figures of a platform come from."""

    cpu_times: Callable[[], Sequence[Any]]
    virtual_memory: Callable[[], Any]
    swap_memory: Callable[[], Any]
    table: ProcessTable


def machine_probes(servers: WatchedServers, proc: Path = Path("/proc")) -> Probes:
    """Return what reads this machine; `proc` is the source where it looks like Linux's."""
    sources = linux_sources(proc) if (proc / "self" / "stat").exists() else psutil_sources()
    cpus = len(sources.cpu_times())
    table = sources.table
    gpu = GpuProbe(load_nvml())
    return Probes(
        cpu=CpuProbe(sources.cpu_times, getattr(os, "getloadavg", None)),
        memory=MemoryProbe(sources.virtual_memory),
        process=ProcessProbe(os.times, table.reader(os.getpid()), cpus),
        ollama=OllamaProcesses(table, servers.local_ports, cpus),
        swap=SwapProbe(sources.swap_memory),
        pressure=PressureProbe(proc),
        gpu=gpu,
        close=gpu.close,
    )


def linux_sources(proc: Path) -> Sources:
    """Return Linux's own files."""
    counters = LinuxCounters(proc)
    return Sources(counters.cpu_times, counters.virtual_memory, counters.swap_memory, LinuxProcesses(proc))


def psutil_sources() -> Sources:
    """Return psutil, for every other platform."""
    import psutil

    return Sources(
        partial(psutil.cpu_times, percpu=True),
        psutil.virtual_memory,
        psutil.swap_memory,
        PsutilProcesses(psutil),
    )
