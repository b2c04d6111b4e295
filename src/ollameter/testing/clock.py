"""A clock that stands still until a test moves it."""

from __future__ import annotations

import threading

_NS = 1_000_000_000


class ManualClock:
    """Implements `ollameter.call.Clock`; hand it to `OllamaProvider(clock=…)`. Any thread may use it.

    The monotonic clock begins at 0, the wall clock at `unix_ns`; both move together.
    """

    def __init__(self, unix_ns: int = 1_700_000_000 * _NS) -> None:
        self._lock = threading.Lock()
        self._began_ns = unix_ns
        self._passed_ns = 0  # an integer: tenths of a second add up

    def seconds(self) -> float:
        """Return the seconds that `advance` has added up to."""
        return self._passed_ns / _NS

    def unix_ns(self) -> int:
        """Return the wall clock in nanoseconds since 1970."""
        return self._began_ns + self._passed_ns

    def advance(self, seconds: float) -> None:
        """Move on; raises `ValueError` for less than 0: a monotonic clock never goes back."""
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"seconds: expected at least 0 and finite, got {seconds}")
        with self._lock:
            self._passed_ns += round(seconds * _NS)
