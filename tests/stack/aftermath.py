"""What is left of processes that should be gone, for tests of clean endings."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import psutil


def left_running(pids: Iterable[int], within_s: float = 5.0) -> list[int]:
    """Return those that have not ended after at most this long; an ended one may be a zombie."""
    remaining = list(pids)
    deadline = time.monotonic() + within_s
    while remaining := [pid for pid in remaining if _runs(pid)]:
        if time.monotonic() > deadline:
            break
        threading.Event().wait(0.02)
    return remaining


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
