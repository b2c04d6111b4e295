"""What this process itself uses: CPU, resident memory, threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ollameter.host.process_table import ProcessStat
from ollameter.host.readings import ProcessUse
from ollameter.host.trail import Trail


class ProcessProbe:
    """Reads `os.times()` and this process's line of the process table."""

    def __init__(self, times: Callable[[], Any], stat: Callable[[], ProcessStat | None], cpus: int) -> None:
        self._times = times
        self._stat = stat
        self._cpus = cpus
        self._trail = Trail()

    def read(self, now_s: float) -> ProcessUse:
        """Return what this process uses."""
        if self._trail.is_due(now_s):
            times = self._times()
            self._trail.add(now_s, (times.user, times.system))
        user, system = self._trail.rates or (None, None)
        stat = self._stat()
        return ProcessUse(
            cpu_user=None if user is None else user / self._cpus,
            cpu_system=None if system is None else system / self._cpus,
            rss_bytes=None if stat is None else stat.rss_bytes,
            threads=None if stat is None else stat.threads,
        )
