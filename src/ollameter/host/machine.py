"""The probes of this machine; psutil and NVML are imported when this is called, not before."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from ollameter.host.cpu import CpuProbe
from ollameter.host.gpu import GpuProbe, load_nvml
from ollameter.host.memory import MemoryProbe, SwapProbe
from ollameter.host.ollama_process import OllamaProcesses
from ollameter.host.pressure import PressureProbe
from ollameter.host.process import ProcessProbe
from ollameter.host.process_table import LinuxProcesses, ProcessTable
from ollameter.host.psutil_table import PsutilProcesses
from ollameter.host.sampling import Probes
from ollameter.host.servers import WatchedServers


def machine_probes(servers: WatchedServers, proc: Path = Path("/proc")) -> Probes:
    """Return what reads this machine; `proc` is used where it looks like Linux's."""
    import psutil

    cpus = psutil.cpu_count() or 1
    is_linux = (proc / "self" / "stat").exists()
    table: ProcessTable = LinuxProcesses(proc) if is_linux else PsutilProcesses(psutil)
    gpu = GpuProbe(load_nvml())
    return Probes(
        cpu=CpuProbe(partial(psutil.cpu_times, percpu=True), getattr(os, "getloadavg", None)),
        memory=MemoryProbe(psutil.virtual_memory),
        process=ProcessProbe(os.times, lambda: table.stat(os.getpid()), cpus),
        ollama=OllamaProcesses(table, servers.local_ports, cpus),
        swap=SwapProbe(psutil.swap_memory),
        pressure=PressureProbe(proc),
        gpu=gpu,
        close=gpu.close,
    )
