"""Telemetry's own faults end here: logged, never raised into a call, and no lock is waited on twice."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

_log = logging.getLogger("ollameter.telemetry")
_SDK = "opentelemetry.sdk"

_told: set[str] = set()


def note_fault(what: str) -> None:
    """Log the exception being handled: the first of its kind as a warning, the rest for debugging."""
    level = logging.DEBUG if what in _told else logging.WARNING
    _told.add(what)
    _log.log(level, "could not %s", what, exc_info=True)


def guarded(what: str, work: Callable[..., Any], *given: Any) -> Any:
    """Do something and return what it gives; None when it fails."""
    try:
        return work(*given)
    except Exception:  # whatever a sampler, processor, view, redactor or exporter raises
        note_fault(what)
        return None


def within_the_sdk() -> bool:
    """Whether the SDK is at work below us: a finalizer may run in the middle of it.

    Its locks are not re-entrant, so recording from there could wait for itself for ever.
    """
    frame = sys._getframe(1)  # noqa: SLF001  # the documented way to see one's callers
    while frame.f_back is not None:
        frame = frame.f_back
        if str(frame.f_globals.get("__name__", "")).startswith(_SDK):
            return True
    return False


def run_elsewhere(work: Callable[[], None]) -> None:
    """Do something in a thread of its own; while the interpreter ends, not at all."""
    try:
        threading.Thread(target=work, name="ollameter-end", daemon=True).start()
    except RuntimeError:
        note_fault("end an abandoned call")
