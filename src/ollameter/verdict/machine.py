"""Rules about the machine: only when it is the one that ran the model, and was watched for a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ollameter.verdict.call import COLD_LOAD_S
from ollameter.verdict.words import gib, percent

if TYPE_CHECKING:
    from ollameter.metrics import HostLoad, PerformanceMetrics

WATCHED_S = 1.0
SATURATED = 0.9
TAKEN_BY_OTHERS = 0.25
UNSEEN_S = 1.5  # so much of a new runner's CPU time may have passed before it was found
MEMORY_FULL = 0.95
MEMORY_STALLED = 0.1
DISK_STALLED = 0.25
GPU_SATURATED = 0.95
HARMFUL = ("hw_slowdown", "sw_thermal", "hw_thermal", "power_brake")  # a power cap is everyday life
OFF_THE_GPU = 0.99


def processors(m: PerformanceMetrics) -> str | None:
    """Judge who kept the processors busy."""
    host = _watched(m)
    if host is None or host.cpu_utilization_mean is None or host.cpu_utilization_mean < SATURATED:
        return None
    busy, ollama = host.cpu_utilization_mean, host.ollama_cpu_utilization_mean
    meanwhile = (
        "" if m.tokens_per_second is None else f"; decoded at {m.tokens_per_second:.1f} tok/s meanwhile"
    )
    if ollama is None:
        return f"the processors were {percent(busy)} busy; Ollama's part of that is not known{meanwhile}"
    others = max(0.0, busy - ollama)
    shares = f"{percent(busy)} of all processors taken, {_by_whom(m, host, ollama, others)}{meanwhile}"
    if others < TAKEN_BY_OTHERS:
        return f"Ollama itself kept the machine busy: {shares}"
    if others - _unseen(m) < TAKEN_BY_OTHERS:
        return f"the machine was busy: {shares}; a runner that had just begun may not be counted in full"
    return f"busy box: {shares}"


def _by_whom(m: PerformanceMetrics, host: HostLoad, ollama: float, others: float) -> str:
    if host.process_cpu_s is None or not host.cpu_count or m.duration_s <= 0:
        return f"Ollama {percent(ollama)}, others {percent(others)}"
    own = min(others, host.process_cpu_s / m.duration_s / host.cpu_count)
    return f"Ollama {percent(ollama)}, this process {percent(own)}, others {percent(others - own)}"


def _unseen(m: PerformanceMetrics) -> float:
    """Return the share that a runner may have taken before it was found: none when it was there."""
    was_there = m.cold_start is False or (m.load_s is not None and m.load_s < COLD_LOAD_S)
    return 0.0 if was_there else UNSEEN_S / max(m.duration_s, UNSEEN_S)


def memory(m: PerformanceMetrics) -> str | None:
    """Judge how full the memory was, and whether work stood still for want of it."""
    host = _watched(m)
    if host is None:
        return None
    found = []
    used, total = host.memory_used_bytes_peak, host.memory_total_bytes
    if used is not None and total and used >= MEMORY_FULL * total:
        swap = f", and {gib(host.swap_used_bytes)} of swap space" if host.swap_used_bytes else ""
        found.append(f"{gib(used)} of {gib(total)} in use{swap}")
    stalled = host.memory_stalled_mean
    if stalled is not None and stalled >= MEMORY_STALLED:
        found.append(f"work stood still for want of it {percent(stalled)} of the time")
    return f"memory was short: {'; '.join(found)}" if found else None


def disk(m: PerformanceMetrics) -> str | None:
    """Judge whether work stood still for the disks."""
    host = _watched(m)
    if host is None or host.io_stalled_mean is None or host.io_stalled_mean < DISK_STALLED:
        return None
    return f"the disks were slow: work stood still for them {percent(host.io_stalled_mean)} of the time"


def gpus_busy(m: PerformanceMetrics) -> str | None:
    """Judge whether GPUs were at their limit, by whomever."""
    host = _watched(m)
    busy = [
        f"{gpu.name} {percent(gpu.utilization_mean)}"
        for gpu in (host.gpus if host is not None else ())
        if gpu.utilization_mean is not None and gpu.utilization_mean >= GPU_SATURATED
    ]
    return f"the GPU was at its limit: {', '.join(busy)} busy" if busy else None


def gpus_slowed(m: PerformanceMetrics) -> str | None:
    """Judge whether a GPU ran slower than it can, to protect itself or its supply."""
    host = _watched(m)
    slowed = []
    for gpu in host.gpus if host is not None else ():
        reasons = [reason for reason in gpu.throttle_reasons or () if reason in HARMFUL]
        heat = "" if gpu.temperature_c_peak is None else f" at up to {gpu.temperature_c_peak:.0f} °C"
        if reasons:
            slowed.append(f"{gpu.name} ({', '.join(reasons)}){heat}")
    return f"the GPU was slowed down: {'; '.join(slowed)}" if slowed else None


def model_off_the_gpu(m: PerformanceMetrics) -> str | None:
    """Judge whether the model, or part of it, had to run on the processors."""
    share = None if m.model_info is None else m.model_info.vram_share
    if share is None or share >= OFF_THE_GPU:
        return None
    if share > 0:
        return f"only {percent(share)} of the model is in the GPU's memory: the rest runs on the processors"
    host = m.host
    if host is None or host.server_is_local is not True or not host.gpus:
        return None
    return f"the model runs on the processors although there is a GPU: {host.gpus[0].name}"


def _watched(m: PerformanceMetrics) -> HostLoad | None:
    """Return the load of the machine that ran the model, if there are samples enough to judge."""
    host = m.host
    if host is None or host.server_is_local is not True or host.samples * host.interval_s < WATCHED_S:
        return None
    return host
