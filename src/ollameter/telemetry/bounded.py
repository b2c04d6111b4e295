"""Work that is waited for no longer than it is worth: what is not done in time is left behind."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

_log = logging.getLogger("ollameter.telemetry")


class Parked:
    """Steps that wait in threads of their own for the word to run, all at once.

    They are there from the start: Python 3.12 starts no thread once the interpreter ends.
    """

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = steps
        self.park()

    def park(self) -> None:
        """Let each step wait in a thread of its own (again, in a forked child, which has none)."""
        self._told = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._wait, args=(step, self._told), name="ollameter-export", daemon=True
            )
            for step in self._steps
        ]
        for thread in self._threads:
            thread.start()

    def run(self, timeout_s: float) -> bool:
        """Give the word; return whether every step ended within `timeout_s` seconds."""
        ends_at = time.monotonic() + timeout_s
        self._told.set()
        for thread in self._threads:
            thread.join(max(0.0, ends_at - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @staticmethod
    def _wait(step: Callable[[], object], told: threading.Event) -> None:
        told.wait()
        try:
            step()
        except Exception:  # whatever an exporter raises while the program ends
            _log.debug("a step of the shutdown failed", exc_info=True)
