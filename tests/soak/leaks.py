"""What a process holds: descriptors, threads, memory, and complaints that nobody was told of."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import psutil

PATIENCE_S = 10.0


class Held(NamedTuple):
    """How much of what is held."""

    descriptors: int
    threads: int


def held() -> Held:
    """Return what this process holds now."""
    return Held(len(os.listdir("/dev/fd")), threading.active_count())


def rss_mib() -> float:
    """Return the resident memory in MiB, after a collection."""
    gc.collect()
    return float(psutil.Process().memory_info().rss / 2**20)


def back_to(before: Held) -> Held:
    """Wait until no more is held than before, and return what is."""
    ends_at = time.monotonic() + PATIENCE_S
    while any(now > then for now, then in zip(held(), before, strict=True)) and time.monotonic() < ends_at:
        gc.collect()
        threading.Event().wait(0.02)
    return held()


class Complaints:
    """Keeps what would only be printed: errors of finalizers and threads, and of the event loop."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        sys.unraisablehook = self._keep(lambda it: f"unraisable: {it.exc_value!r} in {it.object!r}")
        threading.excepthook = self._keep(lambda it: f"thread: {it.exc_value!r}")

    def of_loop(self, _: Any, context: dict[str, Any]) -> None:
        """Keep what an event loop complains of."""
        self.heard.append(f"loop: {context.get('message')}: {context.get('exception')!r}")

    def _keep(self, words: Callable[[Any], str]) -> Callable[[Any], None]:
        return lambda it: self.heard.append(words(it))
