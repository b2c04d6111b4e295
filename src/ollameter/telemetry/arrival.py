"""Whether what is exported arrives: one warning when it stops to, silence, one line when it is back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Literal

_log = logging.getLogger("ollameter.telemetry")

Outcome = Literal["arrived", "refused", "away"]

_EXPORTERS = "opentelemetry.exporter."
_NOISY = (
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk._logs._internal.export",
    "opentelemetry.sdk.metrics._internal.export",
    "opentelemetry.sdk.trace.export",
)
# What will not be accepted the next time either. Anything else may be the collector's absence.
_REFUSED_STATUS = frozenset(range(400, 500)) - {408, 429}
_REFUSED_CODES = ("INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED")
_NEVER_SENT = ("Failed to encode", "Dropping ")


class Arrival:
    """What is known of the way to one collector; traces, metrics and logs may fare differently."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._missing: set[str] = set()
        self._lock = threading.Lock()
        self._attempt = threading.local()
        self.over = threading.Event()
        """Set when nobody waits for the rest any more."""

    @property
    def is_missing(self) -> bool:
        """Whether any signal did not arrive when it was tried last."""
        return bool(self._missing)

    def quiet_the_sdk(self) -> None:
        """Keep the exporters' own reports, tracebacks included, out of the user's terminal."""
        known = list(logging.root.manager.loggerDict)
        for name in {*_NOISY, *(name for name in known if name.startswith(_EXPORTERS))}:
            logging.getLogger(name).addFilter(self._hear)

    def attempt(self, signal: str, export: Callable[[], Any]) -> Outcome:
        """Try to export once; never raises."""
        told = self._attempt
        told.signal, told.refused = signal, False
        try:
            if export().name == "SUCCESS":
                self._note_success(signal)
                return "arrived"
            self._note_failure(signal, "it was not accepted")
        except Exception as error:  # the network's faults are results: this is about the data
            told.refused = True
            self._note_failure(signal, f"{type(error).__name__}: {error}")
        finally:
            told.signal = None
        return "refused" if told.refused else "away"

    def _hear(self, record: logging.LogRecord) -> bool:
        """Filter a report of the SDK: within an attempt it says why, otherwise it may be news."""
        told = self._attempt
        signal = getattr(told, "signal", None)
        if signal is not None:
            if record.levelno >= logging.WARNING:
                told.refused = _is_refusal(record)
                self._note_failure(signal, record.getMessage())
            return False
        return not (self._missing or self.over.is_set())

    def _note_success(self, signal: str) -> None:
        with self._lock:
            back = self._missing == {signal}
            self._missing.discard(signal)
        if back:
            _log.info("telemetry arrives at %s again", self._endpoint)

    def _note_failure(self, signal: str, why: str) -> None:
        with self._lock:
            first = not self._missing
            self._missing.add(signal)
        if first:
            reason = (why.splitlines() or [""])[0]
            _log.warning("telemetry does not arrive at %s (%s): %.300s", self._endpoint, signal, reason)


def _is_refusal(record: logging.LogRecord) -> bool:
    """Whether an exporter's report means that the very same data will be refused again."""
    given = record.args if isinstance(record.args, tuple) else ()
    return str(record.msg).startswith(_NEVER_SENT) or any(
        (isinstance(arg, int) and arg in _REFUSED_STATUS) or getattr(arg, "name", None) in _REFUSED_CODES
        for arg in given
    )
