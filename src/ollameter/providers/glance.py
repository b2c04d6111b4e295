"""One short question in the background: hidden from tracing, no connection kept, cut by `close`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ollameter._version import __version__
from ollameter.providers.deadlines import Guard, Timeouts
from ollameter.providers.fetch import fetch
from ollameter.providers.http import HttpSettings
from ollameter.providers.http_sync import RequestsShell
from ollameter.providers.opening import Sent
from ollameter.telemetry.spans import Telemetry
from ollameter.wire.models import RunningModel, running_models

_LIMITS = Timeouts(connect=1, first_byte=2, idle=1)
_MAX_BYTES = 4 << 20
_AGENT = f"ollameter/{__version__} (background)"  # told apart in logs, and by the fake server


class Glance:
    """Asks one server for its loaded models, on connections that no call uses or waits for."""

    def __init__(self, settings: HttpSettings, telemetry: Telemetry) -> None:
        self._settings = msgspec.structs.replace(
            settings,
            timeouts=_LIMITS,
            headers={**settings.headers, "User-Agent": _AGENT, "Connection": "close"},
            retries=0,
            max_connections=None,
            max_line_bytes=_MAX_BYTES,
        )
        self._telemetry = telemetry
        self._shell: RequestsShell | None = None
        self._guard: Guard | None = None
        self._is_closed = False

    def ask(self) -> Sequence[RunningModel]:
        """Return what is in memory; raises the errors of `ollameter.errors`, within seconds."""
        shell = self._shell = self._shell or RequestsShell(self._settings)
        guard = self._guard = Guard(_LIMITS)
        if self._is_closed:  # looked at after the guard can be seen: close() cuts it, or this does
            guard.cut()
        sent = Sent("GET", "/api/ps", None)
        return running_models(fetch(shell, self._settings, self._telemetry.silent(), sent, guard))

    def close(self) -> None:
        """Ask no more, and cut short what is being asked; any thread may."""
        self._is_closed = True
        if self._guard is not None:
            self._guard.cut()

    def disown(self) -> None:
        """Leave what is being asked to the parent of this process."""
        if self._guard is not None:
            self._guard.disown()
        if self._shell is not None:
            self._shell.disown()
        self._guard = self._shell = None
