"""What every method of a provider goes through: shells, calls, spans, the machine; and their end."""

from __future__ import annotations

import atexit
import os
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ollameter.call import Call, Clock, SystemClock, end_open_calls
from ollameter.errors import InvalidRequest, ModelNotFound
from ollameter.host.monitor import HostMonitor
from ollameter.messages import Request
from ollameter.metrics import PerformanceMetrics
from ollameter.providers.exchange import AsyncExchange, Exchange
from ollameter.providers.fetch import fetch, fetch_async
from ollameter.providers.glance import Glance
from ollameter.providers.http import HttpSettings
from ollameter.providers.http_sync import RequestsShell
from ollameter.providers.model_view import ModelView
from ollameter.providers.model_watch import ModelWatch, show_memory
from ollameter.providers.opening import Sent
from ollameter.providers.presence import Ensure, Presence
from ollameter.providers.pulling import PullCall, for_pulling
from ollameter.telemetry import names
from ollameter.telemetry.spans import Telemetry
from ollameter.wire.request import encode

if TYPE_CHECKING:
    import aiohttp
    import requests

    from ollameter.providers.http_async import AiohttpShell


_SPANS = {"load": names.LOAD_MODEL, "unload": names.UNLOAD_MODEL, "pull": names.PULL_MODEL}
_INFERRING = {"chat", "text_completion", "embeddings", "load"}


class ServerCalls:
    """One server, called from any thread, task and event loop, until it is closed."""

    def __init__(
        self,
        settings: HttpSettings,
        telemetry: Telemetry,
        *,
        model: str | None = None,
        session: requests.Session | None = None,
        async_session: aiohttp.ClientSession | None = None,
        monitor: HostMonitor | None = None,
        watches_models: bool = True,
        ensure: Ensure | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._model = model
        self._settings = settings
        self._telemetry = telemetry
        self._clock = SystemClock() if clock is None else clock
        self._session = session
        self._async_session = async_session
        self._shell = RequestsShell(settings, session)
        self._async_shell: AiohttpShell | None = None
        self._monitor = monitor
        # Over a session of the caller's own goes what the caller asks for, and nothing else.
        watches_models = watches_models and session is None and async_session is None
        self._models = ModelWatch(
            Glance(settings, telemetry) if watches_models else None,
            None if monitor is None else partial(show_memory, monitor, settings.address),
        )
        self._presence = Presence(settings, telemetry, ensure)
        self._open: weakref.WeakSet[Exchange | AsyncExchange] = weakref.WeakSet()
        self._last: PerformanceMetrics | None = None
        self._closed = False
        self._hooked = False
        if monitor is not None:
            monitor.acquire(self)
            monitor.watch(settings.address.connect_host, settings.address.port)
            telemetry.show_machine(monitor)
        _providers.add(self)

    @property
    def base_url(self) -> str:
        """The URL that requests go to, without a final slash."""
        return self._settings.address.connect_url

    def get_performance_metrics(self) -> PerformanceMetrics | None:
        """Return what the call that ended last in this provider has cost, however it ended.

        None before the first. For one's own call use what it returned: others may end meanwhile.
        """
        return self._last

    def close(self) -> None:
        """End what is open and release every connection, of the async side too; any thread may."""
        self._closed = True
        if self._monitor is not None:
            self._monitor.release(self)
        self._models.close()
        for exchange in list(self._open):
            exchange.close() if isinstance(exchange, Exchange) else exchange.close_soon()
        self._shell.close()
        if self._async_shell is not None:
            self._async_shell.close_soon()

    async def aclose(self) -> None:
        """Do as `close`, and wait until this loop's connections are released."""
        self.close()
        if self._async_shell is not None:
            await self._async_shell.close()

    def _complete(self, request: Request) -> Call:
        """Make a call whose answer is wanted whole; it may have been closed by another thread."""
        exchange = self._begin(request)
        try:
            exchange.open()
            for _ in exchange.chunks:
                pass
        finally:
            exchange.close()
        return exchange.call

    async def _complete_async(self, request: Request) -> Call:
        """Do as `_complete` without blocking the event loop."""
        exchange = self._begin_async(request)
        try:
            await exchange.open()
            async for _ in exchange.chunks:
                pass
        finally:
            await exchange.close()
        return exchange.call

    def _begin(self, request: Request) -> Exchange:
        body = encode(request.body)
        settings = self._settings_for(request)
        exchange = Exchange(self._start(request), body, self._shell, settings, self._presence)
        self._open.add(exchange)
        return exchange

    def _begin_async(self, request: Request) -> AsyncExchange:
        body = encode(request.body)
        settings = self._settings_for(request)
        shell = self._asynchronous()
        exchange = AsyncExchange(self._start(request), body, shell, settings, self._presence)
        self._open.add(exchange)
        return exchange

    def _start(self, request: Request) -> Call:
        """Start the call's clock and span, in the caller's context."""
        self._refuse_when_closed()
        address = self._settings.address
        host, port = address.connect_host, address.port
        kind = PullCall if request.operation == "pull" else Call
        infers = request.operation in _INFERRING
        call = kind(
            request,
            host,
            port,
            clock=self._clock,
            window=None if self._monitor is None else self._monitor.start_window(host, port),
            model_view=ModelView(self._models, request) if infers else None,
            on_end=self._note if infers else None,
            time_chunks=self._telemetry.instruments.times_chunks,
        )
        span = _SPANS.get(request.operation)
        call.observer = (
            self._telemetry.start_call(request, host, port, call.start_ns)
            if span is None
            else self._telemetry.start_operation(span, host, port, call.start_ns)
        )
        if call.observer.recording and not self._hooked:
            self._hooked = True
            # Registered only now: exit hooks run backwards, and the SDK has registered its own.
            atexit.unregister(end_open_calls)
            atexit.register(end_open_calls)
        return call

    def _ask(self, operation: str | None, path: str, question: Any = None) -> dict[str, Any]:
        """Ask with GET, or with POST when there is a question; no operation: neither span nor trace."""
        sent = _sent(path, question)
        self._refuse_when_closed()
        try:
            return fetch(self._shell, self._settings, self._observer(operation), sent)
        except ModelNotFound as error:
            self._presence.explain(self._shell, error, question["model"])
            raise

    async def _ask_async(self, operation: str | None, path: str, question: Any = None) -> dict[str, Any]:
        sent = _sent(path, question)
        self._refuse_when_closed()
        shell, observer = self._asynchronous(), self._observer(operation)
        try:
            return await fetch_async(shell, self._settings, observer, sent)
        except ModelNotFound as error:
            await self._presence.explain_async(shell, error, question["model"])
            raise

    def _settings_for(self, request: Request) -> HttpSettings:
        if request.operation != "pull":
            return self._settings
        timeouts = for_pulling(self._settings.timeouts)
        return msgspec.structs.replace(self._settings, timeouts=timeouts)

    def _observer(self, operation: str | None) -> Any:
        address = self._settings.address
        if operation is None:
            return self._telemetry.silent()
        host, port = address.connect_host, address.port
        return self._telemetry.start_operation(operation, host, port, self._clock.unix_ns())

    def _asynchronous(self) -> AiohttpShell:
        if self._async_shell is None:
            from ollameter.providers.http_async import AiohttpShell

            self._async_shell = AiohttpShell(self._settings, self._async_session)
        return self._async_shell

    def _note(self, metrics: PerformanceMetrics) -> None:
        self._last = metrics

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise InvalidRequest("the provider is closed")

    def _disown(self) -> None:
        """Leave connections and open calls to the parent of this process."""
        for exchange in list(self._open):
            exchange.disown()
        self._open.clear()
        self._models.disown()
        self._shell.disown()
        self._shell = RequestsShell(self._settings, self._session)
        if self._async_shell is not None:
            self._async_shell.disown()


def _sent(path: str, question: Any) -> Sent:
    return Sent("GET", path, None) if question is None else Sent("POST", path, encode(question))


_providers: weakref.WeakSet[ServerCalls] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for provider in list(_providers):
        provider._disown()  # noqa: SLF001  # the same module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
