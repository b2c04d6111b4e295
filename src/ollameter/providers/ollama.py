"""`OllamaProvider`, which callers use: its settings, checked; its methods are those of its parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ollameter.call import Clock
from ollameter.errors import InvalidRequest
from ollameter.host.monitor import HostMonitor
from ollameter.providers.answers import Answers
from ollameter.providers.base import LLMProvider
from ollameter.providers.commands import Commands
from ollameter.providers.deadlines import Timeouts
from ollameter.providers.headers import OLLAMA_COM, request_headers
from ollameter.providers.http import HttpSettings
from ollameter.providers.models import Models
from ollameter.providers.presence import Ensure
from ollameter.providers.tools import ToolRuns
from ollameter.telemetry.spans import Telemetry
from ollameter.wire.address import parse_address
from ollameter.wire.ndjson import MAX_LINE_BYTES

if TYPE_CHECKING:
    import aiohttp
    import requests


class OllamaProvider(ToolRuns, Answers, Models, Commands, LLMProvider):
    """Calls models on one Ollama server and says what each call cost.

    `base_url` is read like `OLLAMA_HOST`, which is its default. `model` is what a call uses that
    names none. A provider may be used by any number of threads, tasks and event loops at once.
    Close it, or use it in `with` or `async with`.

    - `timeout`: `Timeouts`, in seconds; deadlines, not limits per read
    - `retries`: how often a refused connection, 503 or 429 is tried again within `first_byte`
    - `headers`, `api_key` (sent to `base_url` as a bearer token), `verify`, `cert`, `proxies`,
      `trust_env`: as in requests, and the same for both sides; netrc is never read
    - `max_connections`: None is no limit; further calls wait for a place
    - `session`, `async_session`: your own, left open by `close()`
    - `tracer_provider`, `meter_provider`, `logger_provider`: None is the global one
    - `ensure`: None finds out by calling whether a model is there; "check" asks before the first
      call of each model and raises `ModelNotFound` without sending the call; "pull" has the server
      fetch one it lacks. What was found is remembered until the server says 404. The time this
      takes is part of the call's `duration_s` (a pull may be most of it) and, for a stream, of
      the time to its first chunk; it has no span of its own
    - `host_monitor`: True measures the machine during each call (`metrics.host`) and shows it in
      gauges, with the monitor that the whole process shares; False does neither; or one of your own
    - `watch_models`: True asks `/api/ps` now and then in the background, for `metrics.model_info`,
      `cold_start` and the gauge of models' memory; False leaves it to `running()`, and so do a
      session of your own and ollama.com
    - `capture_content`, `redact`, `phase_spans`, `suppress_http_spans`: see docs/telemetry.md

    Raises `InvalidRequest` for settings that cannot be used.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        model: str | None = None,
        timeout: Timeouts | None = None,
        retries: int = 2,
        ensure: Ensure | None = None,
        headers: Mapping[str, str] | None = None,
        api_key: str | None = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: Mapping[str, str] | None = None,
        trust_env: bool = True,
        max_connections: int | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
        session: requests.Session | None = None,
        async_session: aiohttp.ClientSession | None = None,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        logger_provider: Any = None,
        capture_content: bool | str | None = None,
        redact: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] | None = None,
        phase_spans: bool | None = None,
        suppress_http_spans: bool = False,
        host_monitor: bool | HostMonitor = True,
        watch_models: bool = True,
        clock: Clock | None = None,
    ) -> None:
        address = (
            parse_address(os.environ.get("OLLAMA_HOST"))
            if base_url is None
            else parse_address(base_url, "base_url")
        )
        if ensure not in (None, "check", "pull"):
            raise InvalidRequest(f'ensure: expected "check", "pull" or None, got {ensure!r:.80}')
        settings = HttpSettings(
            address=address,
            timeouts=_checked_timeouts(timeout),
            headers=request_headers(address, headers, api_key),
            retries=_at_least("retries", retries, 0),
            verify=verify,
            cert=cert,
            proxies=proxies,
            trust_env=trust_env,
            max_connections=None
            if max_connections is None
            else _at_least("max_connections", max_connections, 1),
            max_line_bytes=_at_least("max_line_bytes", max_line_bytes, 1),
        )
        settings.check_files()
        telemetry = Telemetry(
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
            capture_content=capture_content,
            redact=redact,
            phase_spans=phase_spans,
            suppress_http_spans=suppress_http_spans,
        )
        super().__init__(
            settings,
            telemetry,
            model=model,
            session=session,
            async_session=async_session,
            monitor=_monitor(host_monitor),
            watches_models=watch_models and address != OLLAMA_COM,
            ensure=ensure,
            clock=clock,
        )


def _monitor(asked: Any) -> HostMonitor | None:
    if isinstance(asked, HostMonitor):
        return asked
    if not isinstance(asked, bool):
        raise InvalidRequest(f"host_monitor: expected True, False or a HostMonitor, got {asked!r:.80}")
    return HostMonitor.shared() if asked else None


def _checked_timeouts(timeout: Any) -> Timeouts:
    if timeout is None:
        return Timeouts()
    if not isinstance(timeout, Timeouts):
        raise InvalidRequest(f"timeout: expected ollameter.Timeouts, got {type(timeout).__name__}")
    return timeout


def _at_least(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidRequest(f"{name}: expected an integer of at least {least}, got {value!r:.80}")
    return int(value)
