"""A job that must not hold up the sampling: run beside it, its outcome fetched when it is there.

In a program whose threads compute, whoever gives the interpreter away for a system call waits for
milliseconds to get it back: what takes hundreds of such calls takes seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
Spawn = Callable[[Callable[[], None]], None]


def in_background(work: Callable[[], None]) -> None:
    """Run in a thread of its own; raises `RuntimeError` when there can be no more threads."""
    threading.Thread(target=work, name="ollameter-host-errand", daemon=True).start()


class Errand(Generic[T]):
    """Runs one job at a time; `start` and `take` are called by one thread only."""

    def __init__(self, spawn: Spawn = in_background) -> None:
        self.is_running: bool = False
        self._spawn = spawn
        self._outcome: list[T] = []
        self._failure: list[BaseException] = []

    def start(self, job: Callable[[], T]) -> None:
        """Have a job done; the one before must have been taken."""

        def run() -> None:
            try:
                self._outcome.append(job())
            except BaseException as failure:  # raised again by `take`, in the thread that asks
                self._failure.append(failure)

        self._spawn(run)
        self.is_running = True

    def take(self) -> T | None:
        """Return what came of the job, once; None while there is nothing. Raises what it raised."""
        if not (self._outcome or self._failure):
            return None
        self.is_running = False
        if self._failure:
            raise self._failure.pop()
        return self._outcome.pop()
