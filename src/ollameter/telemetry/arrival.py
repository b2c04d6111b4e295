"""Whether what is exported arrives: one warning when it stops to, silence, one line when it is back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import Enum
from typing import Any, Literal

from ollameter.telemetry.reasons import reason

_log = logging.getLogger("ollameter.telemetry")

Outcome = Literal["arrived", "refused", "failed", "away"]
"""`refused`: so will the very same data be again. `failed`: answered with an error of its own."""

_EXPORTERS = "opentelemetry.exporter."
_NOISY = (
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk._logs._internal.export",
    "opentelemetry.sdk.metrics._internal.export",
    "opentelemetry.sdk.trace.export",
)
_REFUSED_CODES = {"INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED"}
_AWAY_CODES = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"}
_AWAY_STATUS = {408, 429, 502, 503, 504}
_NEVER_SENT = ("Failed to encode", "Dropping ")


class Arrival:
    """What is known of the way to one collector; traces, metrics and logs may fare differently."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._missing: set[str] = set()
        self._lock = threading.Lock()
        self._attempt = threading.local()
        self.over: threading.Event = threading.Event()
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
        told.signal, told.outcome = signal, "away"
        try:
            if export().name == "SUCCESS":
                self._note_success(signal)
                return "arrived"
            self._note_failure(signal, "it was not accepted")
        except Exception as error:  # the network's faults are results: this is about the data
            told.outcome = "refused"
            self._note_failure(signal, f"{type(error).__name__}: {error}")
        finally:
            told.signal = None
        outcome: Outcome = told.outcome
        return outcome

    def give_up(self, after_s: float) -> None:
        """Say that what is still being tried is left behind, unless a failure was told of already."""
        if not self._missing:
            _log.warning(
                "telemetry did not arrive at %s within %g s, the rest is given up", self._endpoint, after_s
            )

    def _hear(self, record: logging.LogRecord) -> bool:
        """Filter a report of the SDK: within an attempt it says why, otherwise it may be news."""
        told = self._attempt
        signal = getattr(told, "signal", None)
        if signal is not None:
            if record.levelno >= logging.WARNING:
                told.outcome = _outcome(record)
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
            first = not (self._missing or self.over.is_set())
            self._missing.add(signal)
        if first:
            _log.warning("telemetry does not arrive at %s (%s): %s", self._endpoint, signal, reason(why))


def _outcome(record: logging.LogRecord) -> Outcome:
    """Read from an exporter's report what a failed attempt means; without a code nobody answered."""
    if str(record.msg).startswith(_NEVER_SENT):
        return "refused"
    given = record.args if isinstance(record.args, tuple) else ()
    for arg in given:
        if isinstance(arg, int) and 400 <= arg < 600 and arg not in _AWAY_STATUS:
            return "refused" if arg < 500 else "failed"
        if isinstance(arg, Enum) and arg.name not in _AWAY_CODES:  # grpc.StatusCode
            return "refused" if arg.name in _REFUSED_CODES else "failed"
    return "away"
