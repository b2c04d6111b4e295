"""The processors: shares of time by mode, from cumulative counters only.

psutil's own percentages keep state per thread and answer a bogus 0.0 on a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from ollameter.host.readings import CpuUse
from ollameter.host.trail import Trail

# Which counters make up a mode. Guest time is part of user; Windows' interrupt and dpc, of system.
_MODES = {
    "user": ("user",),
    "nice": ("nice",),
    "system": ("system",),
    "idle": ("idle",),
    "iowait": ("iowait",),
    "interrupt": ("irq", "softirq"),
    "steal": ("steal",),
}
_NOT_BUSY = ("idle", "iowait")
_LOAD_EVERY_S = 1.0


class CpuProbe:
    """Reads `psutil.cpu_times(percpu=True)`; busy is all that is neither idle nor waiting for I/O."""

    def __init__(
        self,
        cpu_times: Callable[[], Sequence[Any]],
        load_average: Callable[[], Sequence[float]] | None = None,
    ) -> None:
        self._cpu_times = cpu_times
        self._load_average = load_average
        self._load_1m: float | None = None
        self._load_due_s = float("-inf")
        self._trail = Trail()
        self._modes: dict[str, float] | None = None
        self._fields: dict[str, list[int]] = {}
        self._every: Callable[[Any], tuple[float, ...]] = tuple
        self._idle: list[int] = []
        self._before: list[tuple[float, float]] = []

    def read(self, now_s: float) -> CpuUse:
        """Return the processors' use since the previous reading and over the last second."""
        cores = self._cpu_times()
        if not self._fields:
            self._learn(cores[0])
        if self._trail.is_due(now_s):
            self._trail.add(now_s, self._by_mode(cores))
            self._modes = self._modes_now()
        busy, core_peak = self._since_before(cores)
        return CpuUse(
            busy=busy,
            core_peak=core_peak,
            modes=self._modes,
            load_average_1m=self._load(now_s),
            count=len(cores),
        )

    def _load(self, now_s: float) -> float | None:
        """Return the load average, which moves every five seconds only."""
        if self._load_average is not None and now_s >= self._load_due_s:
            self._load_due_s = now_s + _LOAD_EVERY_S
            self._load_1m = self._load_average()[0]
        return self._load_1m

    def _learn(self, core: Any) -> None:
        """Take note of where each mode's counters stand in psutil's tuples on this platform."""
        names = {name: at for at, name in enumerate(core._fields)}
        found = {m: [names[f] for f in fields if f in names] for m, fields in _MODES.items()}
        self._fields = {mode: places for mode, places in found.items() if places}
        self._every = itemgetter(*(at for places in self._fields.values() for at in places))
        self._idle = [at for mode in _NOT_BUSY for at in self._fields.get(mode, ())]

    def _by_mode(self, cores: Sequence[Any]) -> list[float]:
        sums = [sum(counter) for counter in zip(*cores, strict=True)]
        return [sum(sums[at] for at in places) for places in self._fields.values()]

    def _modes_now(self) -> dict[str, float] | None:
        rates = self._trail.rates
        total = sum(rates) if rates else 0.0
        if rates is None or total <= 0:
            return None
        return {mode: rate / total for mode, rate in zip(self._fields, rates, strict=True)}

    def _since_before(self, cores: Sequence[Any]) -> tuple[float | None, float | None]:
        """Return how busy all cores and the busiest one were; None the first time."""
        every, idle = self._every, self._idle
        now = [(sum(every(core)), sum([core[at] for at in idle])) for core in cores]
        before, self._before = self._before, now
        if len(before) != len(now):  # the first reading, or a processor came or went
            return None, None
        grown = [(t - t0, i - i0) for (t, i), (t0, i0) in zip(now, before, strict=True)]
        shares = [_share(total, idle) for total, idle in grown if total > 0]
        whole = sum(total for total, _ in grown)
        if not shares or whole <= 0:
            return None, None
        return _share(whole, sum(idle for _, idle in grown)), max(shares)


def _share(total: float, idle: float) -> float:
    """Return the share that is not idle; counters of idle time may go back a little."""
    return min(1.0, max(0.0, 1.0 - idle / total))
