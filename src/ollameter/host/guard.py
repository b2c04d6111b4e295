"""A probe that may fail without harm to the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from ollameter.host.readings import Probe

T = TypeVar("T")
_log = logging.getLogger("ollameter.host")
_TRY_AGAIN_S = 60.0


class Guarded(Generic[T]):
    """Drops a probe that fails, with one log line, and tries it again a minute later."""

    def __init__(self, name: str, probe: Probe[T], clock: Callable[[], float]) -> None:
        self._name = name
        self._probe = probe
        self._clock = clock
        self._try_at_s = float("-inf")
        self._was_reported = False

    def read(self) -> T | None:
        """Return the reading; None when the thing is absent or its probe has failed."""
        now_s = self._clock()  # as close to the reading as it gets: rates are per elapsed second
        if now_s < self._try_at_s:
            return None
        try:
            return self._probe.read(now_s)
        except Exception as error:  # whatever a driver or a foreign /proc comes up with
            self._try_at_s = now_s + _TRY_AGAIN_S
            self._report(error)
            return None

    def _report(self, error: Exception) -> None:
        if not self._was_reported:
            self._was_reported = True
            _log.warning("no %s figures, tried again every minute: %r", self._name, error)
