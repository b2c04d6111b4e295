"""What work had to wait for: Linux's pressure stall information and page faults.

See the kernel's `Documentation/accounting/psi.rst`. Where the platform has none, it is absent.
"""

from __future__ import annotations

from pathlib import Path

from ollameter.host.proc import KeptFile
from ollameter.host.readings import Pressure
from ollameter.host.trail import Trail

_RESOURCES = ("cpu", "io", "memory")
_US_PER_S = 1e6


class PressureProbe:
    """Reads `pressure/*` and `vmstat` of a /proc folder: counters of stalled time and of faults."""

    def __init__(self, proc: Path) -> None:
        self._stalls = {name: KeptFile(f"{proc}/pressure/{name}") for name in _RESOURCES}
        self._vmstat = KeptFile(f"{proc}/vmstat")
        self._trails = {name: Trail() for name in (*_RESOURCES, "faults")}

    def read(self, now_s: float) -> Pressure | None:
        """Return the stalls since the previous reading; None before the second, or without PSI."""
        stalls = {name: self._grown(now_s, name, self._stalled_s(name)) for name in _RESOURCES}
        faults = self._grown(now_s, "faults", self._major_faults())
        if faults is None and not any(share is not None for share in stalls.values()):
            return None
        return Pressure(**stalls, major_faults_per_s=faults)

    def _grown(self, now_s: float, name: str, counter: float | None) -> float | None:
        if counter is None:
            return None
        trail = self._trails[name]
        trail.add(now_s, (counter,))
        return None if trail.rates is None else trail.rates[0]

    def _stalled_s(self, name: str) -> float | None:
        """Return how long some task has been stalled: the last field of the line `some`."""
        text = self._stalls[name].read()
        return int(text.split(b"\n", 1)[0].rpartition(b"total=")[2]) / _US_PER_S if text else None

    def _major_faults(self) -> float | None:
        _, found, rest = (self._vmstat.read() or b"").partition(b"\npgmajfault ")
        return float(rest.split(b"\n", 1)[0]) if found else None
