"""One run of sampling: which probe is read when, what becomes of one that fails, where readings go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import msgspec

from ollameter.host.columns import fast_row, slow_row
from ollameter.host.readings import (
    CpuUse,
    GpuUse,
    MemoryUse,
    Pressure,
    Probe,
    ProcessUse,
    ServerUse,
    Snapshot,
    SwapUse,
)
from ollameter.host.ring import Ring
from ollameter.host.servers import WatchedServers
from ollameter.metrics import HostLoad

T = TypeVar("T")
_log = logging.getLogger("ollameter.host")
_TRY_AGAIN_S = 60.0

INTERVAL_S = 0.25
CAPACITY = 1 << 14  # 68 minutes
_SLOW_CAPACITY = CAPACITY >> 2


def _nothing_to_close() -> None:
    pass


class Probes(msgspec.Struct, kw_only=True):
    """Everything that is read: the first four at every tick, the others at every fourth."""

    cpu: Probe[CpuUse]
    memory: Probe[MemoryUse]
    process: Probe[ProcessUse]
    ollama: Probe[dict[int, ServerUse]]
    swap: Probe[SwapUse]
    pressure: Probe[Pressure]
    gpu: Probe[tuple[GpuUse, ...]]
    close: Callable[[], None] = _nothing_to_close


class Guarded(Generic[T]):
    """Drops a probe that fails, with one log line, and tries it again a minute later."""

    def __init__(self, name: str, probe: Probe[T], clock: Callable[[], float]) -> None:
        self._name = name
        self._probe = probe
        self._clock = clock
        self._try_at_s = float("-inf")
        self._was_reported = False

    def read(self) -> T | None:
        """Return the reading; None when the thing is absent or its probe has failed."""
        now_s = self._clock()  # as close to the reading as it gets: rates are per elapsed second
        if now_s < self._try_at_s:
            return None
        try:
            return self._probe.read(now_s)
        except Exception as error:  # whatever a driver or a foreign /proc comes up with
            self._try_at_s = now_s + _TRY_AGAIN_S
            self._report(error)
            return None

    def _report(self, error: Exception) -> None:
        if not self._was_reported:
            self._was_reported = True
            _log.warning("no %s figures, tried again every minute: %r", self._name, error)


class Sampling:
    """The rings that calls look back into and the newest snapshot; one thread fills them."""

    def __init__(
        self, clock: Callable[[], float], servers: WatchedServers, interval_s: float = INTERVAL_S
    ) -> None:
        self.interval_s = interval_s
        self.fast: Ring = Ring(CAPACITY)
        self.slow: Ring = Ring(_SLOW_CAPACITY)
        self.latest: Snapshot | None = None
        self.nearest: dict[tuple[int, bool | None, int], tuple[Snapshot, HostLoad]] = {}
        """What calls shorter than an interval are told; made by the first, for the newest snapshot."""
        self._clock = clock
        self._servers = servers
        self._ticks = 0
        self._slow_every = max(1, round(1 / interval_s))
        self._swap: SwapUse | None = None
        self._pressure: Pressure | None = None
        self._gpus: tuple[GpuUse, ...] = ()

    def begin(self, probes: Probes) -> None:
        """Read these from now on."""
        clock = self._clock
        self._read_cpu = Guarded("CPU", probes.cpu, clock).read
        self._read_memory = Guarded("memory", probes.memory, clock).read
        self._read_process = Guarded("process", probes.process, clock).read
        self._read_ollama = Guarded("Ollama process", probes.ollama, clock).read
        self._read_swap = Guarded("swap", probes.swap, clock).read
        self._read_pressure = Guarded("pressure", probes.pressure, clock).read
        self._read_gpus = Guarded("GPU", probes.gpu, clock).read

    def tick(self) -> None:
        """Take a sample, and at every fourth tick a slow one: drivers may need their time."""
        fast = self._take_fast()
        if self._ticks % self._slow_every == 0:
            self._take_slow(fast)
        self._ticks += 1

    def _take_fast(self) -> Snapshot:
        now_s = self._clock()
        cpu, memory, process = self._read_cpu(), self._read_memory(), self._read_process()
        servers = self._read_ollama() or {}
        self.fast.append(now_s, fast_row(cpu, memory, process, servers))
        self.latest = fast = Snapshot(
            taken_at_s=now_s,
            cpu=cpu,
            memory=memory,
            process=process,
            servers=self._by_key(servers),
            models=self._servers.models(),
            swap=self._swap,
            pressure=self._pressure,
            gpus=self._gpus,
        )
        return fast

    def _take_slow(self, fast: Snapshot) -> None:
        now_s = self._clock()
        self._servers.refresh()
        self._swap = self._read_swap()
        self._pressure = self._read_pressure()
        self._gpus = self._read_gpus() or ()
        self.slow.append(now_s, slow_row(self._pressure, self._gpus))
        self.latest = msgspec.structs.replace(
            fast, swap=self._swap, pressure=self._pressure, gpus=self._gpus
        )

    def _by_key(self, by_port: Mapping[int, ServerUse]) -> dict[tuple[str, int], ServerUse]:
        """Return the servers as their clients name them: one server may go by several names."""
        return {key: by_port[key[1]] for key in self._servers.local() if key[1] in by_port}
