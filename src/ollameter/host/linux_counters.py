"""What psutil tells of the processors and the memory, from Linux's own files.

The same fields at a third of the cost: four times a second, psutil alone would take as much as
all of the sampling may. Elsewhere psutil is the source.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ollameter.host.proc import KeptFile

_KIB = 1024


class CpuTimes(NamedTuple):
    """One core's counters, in clock ticks; guest time is part of user."""

    user: int
    nice: int
    system: int
    idle: int
    iowait: int
    irq: int
    softirq: int
    steal: int


class VirtualMemory(NamedTuple):
    """Bytes; cached holds what the kernel can take back of its own structures, as psutil has it."""

    total: int
    available: int
    free: int
    buffers: int
    cached: int


class SwapMemory(NamedTuple):
    """Bytes."""

    total: int
    used: int


class LinuxCounters:
    """Reads `stat` and `meminfo` of a /proc folder; raises `OSError` where they are missing."""

    def __init__(self, proc: Path) -> None:
        self._stat = KeptFile(f"{proc}/stat")
        self._meminfo = KeptFile(f"{proc}/meminfo")

    def cpu_times(self) -> list[CpuTimes]:
        """Return each core's counters, like `psutil.cpu_times(percpu=True)`."""
        lines = _read(self._stat).partition(b"\nintr ")[0].splitlines()
        # The first line sums up the others.
        return [CpuTimes._make(map(int, line.split(None, 9)[1:9])) for line in lines[1:]]

    def virtual_memory(self) -> VirtualMemory:
        """Return the memory's figures, like `psutil.virtual_memory()`."""
        text = _read(self._meminfo)
        free = _bytes_of(b"MemFree:", text)
        return VirtualMemory(
            total=_bytes_of(b"MemTotal:", text),
            available=_bytes_of(b"MemAvailable:", text, free),
            free=free,
            buffers=_bytes_of(b"Buffers:", text, 0),
            cached=_bytes_of(b"\nCached:", text, 0) + _bytes_of(b"SReclaimable:", text, 0),
        )

    def swap_memory(self) -> SwapMemory:
        """Return the swap space's figures, like `psutil.swap_memory()`."""
        text = _read(self._meminfo)
        total = _bytes_of(b"SwapTotal:", text, 0)
        return SwapMemory(total, total - _bytes_of(b"SwapFree:", text, 0))


def _bytes_of(name: bytes, text: bytes, missing: int | None = None) -> int:
    """Return the figure that stands behind a name; raises `KeyError` when it must not be missing."""
    _, found, rest = text.partition(name)
    if found:
        return int(rest[:32].split(None, 1)[0]) * _KIB
    if missing is None:
        raise KeyError(name.decode())
    return missing


def _read(file: KeptFile) -> bytes:
    text = file.read()
    if not text:
        raise FileNotFoundError("/proc cannot be read")
    return text
