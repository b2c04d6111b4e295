"""The machine's memory and swap space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ollameter.host.readings import MemoryUse, SwapUse


class MemoryProbe:
    """Reads `psutil.virtual_memory()`.

    Used is what is neither free nor the kernel's cache; where a platform does not tell them
    apart, it is what is not available. psutil's own `used` changed its meaning between versions.
    """

    def __init__(self, virtual_memory: Callable[[], Any]) -> None:
        self._virtual_memory = virtual_memory

    def read(self, now_s: float) -> MemoryUse:
        """Return the memory's use."""
        seen = self._virtual_memory()
        cached, buffers = getattr(seen, "cached", None), getattr(seen, "buffers", None)
        if cached is None or buffers is None:
            used, free = seen.total - seen.available, seen.available
        else:
            used, free = seen.total - seen.free - cached - buffers, seen.free
        return MemoryUse(
            total_bytes=seen.total,
            used_bytes=max(0, used),
            free_bytes=free,
            available_bytes=seen.available,
            cached_bytes=cached,
            buffers_bytes=buffers,
        )


class SwapProbe:
    """Reads `psutil.swap_memory()`; a machine without swap space has no swap use."""

    def __init__(self, swap_memory: Callable[[], Any]) -> None:
        self._swap_memory = swap_memory

    def read(self, now_s: float) -> SwapUse | None:
        """Return the swap space's use; None without any."""
        seen = self._swap_memory()
        return SwapUse(total_bytes=seen.total, used_bytes=seen.used) if seen.total else None
