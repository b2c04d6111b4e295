"""One call's view of the rings: opened when it starts, summarised when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from ollameter.host import columns
from ollameter.host.gpu import THROTTLE_BITS
from ollameter.host.readings import GpuUse, Snapshot
from ollameter.host.ring import Span
from ollameter.host.sampling import Sampling
from ollameter.host.servers import WatchedServers
from ollameter.metrics import GpuLoad, HostLoad

_NEAR_S = 2.0  # an older sample says nothing about a call shorter than an interval


class Window:
    """The machine since the window was opened; implements `ollameter.call.HostWindow`.

    A call that is longer than the rings summarises the last hour or so of it, as `samples` shows.
    """

    __slots__ = (
        "_clock",
        "_fast_from",
        "_host",
        "_port",
        "_process_s",
        "_sampling",
        "_servers",
        "_slow_from",
        "_started_s",
    )

    def __init__(
        self,
        sampling: Sampling | None,
        servers: WatchedServers,
        clock: Callable[[], float],
        host: str,
        port: int,
    ) -> None:
        self._sampling = sampling
        self._servers = servers
        self._clock = clock
        self._host = host
        self._port = port
        if sampling is not None:
            self._fast_from = sampling.fast.count
            self._slow_from = sampling.slow.count
            self._process_s = time.process_time()
            self._started_s = clock()

    def load(self) -> HostLoad | None:
        """Return what the machine did until now; None when nothing was sampled."""
        sampling = self._sampling
        if sampling is None or (latest := sampling.latest) is None:
            return None
        ended_s = self._clock()
        process_s = time.process_time() - self._process_s
        # A forked child's clock starts at 0: what the parent used is not known here.
        process_cpu_s = process_s if process_s >= 0 else None
        fast, is_between = sampling.fast, sampling.slow.count == self._slow_from and not latest.gpus
        key = (id(latest), self._servers.is_local(self._host), self._port)
        # Between two samples all calls look at the same one: it is summarised once for all.
        near = sampling.nearest.get(key) if is_between and fast.count == self._fast_from else None
        if near is not None:
            is_near = ended_s - fast.time(fast.count - 1) <= _NEAR_S
            return msgspec.structs.replace(near[1], process_cpu_s=process_cpu_s) if is_near else None
        span = fast.span(self._fast_from, self._started_s)
        if span is None or (not span.samples and ended_s - span.newest_s > _NEAR_S):
            return None
        load = self._summary(sampling, latest, span, process_cpu_s, ended_s - self._started_s)
        if is_between and not span.samples:
            sampling.nearest = {key: (latest, load)}  # with the snapshot, so that no other gets its id
        return load

    def _summary(
        self,
        sampling: Sampling,
        latest: Snapshot,
        span: Span,
        process_cpu_s: float | None,
        duration_s: float,
    ) -> HostLoad:
        slow = sampling.slow.span(self._slow_from, self._started_s)
        stalls = slow if slow is not None and slow.samples else None  # the time before tells nothing
        memory, swap, cpu = latest.memory, latest.swap, latest.cpu
        is_local = self._servers.is_local(self._host)
        ollama_cpu = (columns.OLLAMA_CPU, self._port) if is_local else None
        ollama_rss = (columns.OLLAMA_RSS, self._port) if is_local else None
        return HostLoad(
            samples=span.samples,
            interval_s=sampling.interval_s,
            server_is_local=is_local,
            cpu_utilization_mean=_ratio(span.mean(columns.CPU)),
            cpu_utilization_peak=_ratio(span.peak_rate(columns.CPU)),
            cpu_core_peak=_ratio(span.peak_rate(columns.CPU_CORE)),
            load_average_1m=None if cpu is None else cpu.load_average_1m,
            memory_used_bytes_mean=_whole(span.mean(columns.MEMORY_USED)),
            memory_used_bytes_peak=_whole(span.peak(columns.MEMORY_USED)),
            memory_total_bytes=None if memory is None else memory.total_bytes,
            swap_used_bytes=None if swap is None else swap.used_bytes,
            process_cpu_s=process_cpu_s,
            process_rss_bytes_peak=_whole(span.peak(columns.PROCESS_RSS)),
            ollama_cpu_utilization_mean=_ratio(span.mean(ollama_cpu)),
            ollama_cpu_utilization_peak=_ratio(span.peak_rate(ollama_cpu)),
            ollama_rss_bytes_peak=_whole(span.peak(ollama_rss)),
            gpus=_gpu_loads(latest.gpus, slow, duration_s),
            cpu_count=None if cpu is None else cpu.count,
            memory_stalled_mean=None if stalls is None else _ratio(stalls.mean(columns.STALLED_MEMORY)),
            io_stalled_mean=None if stalls is None else _ratio(stalls.mean(columns.STALLED_IO)),
        )


def _gpu_loads(gpus: tuple[GpuUse, ...], span: Span | None, duration_s: float) -> tuple[GpuLoad, ...]:
    return () if span is None else tuple(_gpu_load(gpu, span, duration_s) for gpu in gpus)


def _gpu_load(gpu: GpuUse, span: Span, duration_s: float) -> GpuLoad:
    energy_rate_w = span.mean((columns.GPU_ENERGY_RATE, gpu.id))
    return GpuLoad(
        id=gpu.id,
        name=gpu.name,
        utilization_mean=_ratio(span.mean((columns.GPU_UTILIZATION, gpu.id))),
        utilization_peak=_ratio(span.peak_rate((columns.GPU_UTILIZATION, gpu.id))),
        memory_used_bytes_peak=_whole(span.peak((columns.GPU_MEMORY_USED, gpu.id))),
        memory_total_bytes=gpu.memory_total_bytes,
        power_w_mean=span.mean((columns.GPU_POWER, gpu.id)),
        temperature_c_peak=span.peak((columns.GPU_TEMPERATURE, gpu.id)),
        energy_j=None if energy_rate_w is None else energy_rate_w * duration_s,
        throttle_reasons=None if gpu.throttle_reasons is None else _throttled(gpu, span),
    )


def _throttled(gpu: GpuUse, span: Span) -> tuple[str, ...]:
    """Return every reason that was given in the window."""
    reasons = THROTTLE_BITS.values()
    return tuple(r for r in reasons if span.peak((columns.GPU_THROTTLED, gpu.id, r)) is not None)


def _ratio(value: float | None) -> float | None:
    """Bound a ratio: clock ticks are coarse, a busy second may seem to have 1.01."""
    return value if value is None or value <= 1.0 else 1.0


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
