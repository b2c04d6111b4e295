"""A clock that stands still until a test moves it."""

from __future__ import annotations

import threading


class ManualClock:
    """Implements `ollameter.call.Clock`; hand it to `OllamaProvider(clock=…)`."""

    def __init__(self, unix_ns: int = 1_700_000_000_000_000_000) -> None:
        self._lock = threading.Lock()
        self._seconds = 0.0
        self._unix_ns = unix_ns

    def seconds(self) -> float:
        """Return the seconds that `advance` has added up to."""
        return self._seconds

    def unix_ns(self) -> int:
        """Return the wall clock in nanoseconds since 1970."""
        return self._unix_ns + round(self._seconds * 1e9)

    def advance(self, seconds: float) -> None:
        """Move on; raises `ValueError` for less than 0: a monotonic clock never goes back."""
        if seconds < 0:
            raise ValueError(f"seconds: expected at least 0, got {seconds}")
        with self._lock:
            self._seconds += seconds
