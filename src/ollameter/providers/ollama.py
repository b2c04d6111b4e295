"""Ollama's provider: what callers use; each method next to its async twin."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from ollameter._version import __version__
from ollameter.call import Call, Clock, SystemClock, end_open_calls
from ollameter.errors import InvalidRequest, OllameterError
from ollameter.messages import Reply, Request
from ollameter.metrics import PerformanceMetrics
from ollameter.providers.base import LLMProvider, Messages
from ollameter.providers.deadlines import Timeouts
from ollameter.providers.exchange import AsyncExchange, Exchange, Sent
from ollameter.providers.fetch import fetch, fetch_async
from ollameter.providers.http import HttpSettings
from ollameter.providers.http_sync import RequestsShell
from ollameter.providers.streams import AsyncStream, Stream
from ollameter.telemetry import names
from ollameter.telemetry.spans import Telemetry
from ollameter.wire.address import Address, parse_address
from ollameter.wire.fields import ChatFields, GenerateFields
from ollameter.wire.models import Availability, availability, model_names, version_text
from ollameter.wire.ndjson import MAX_LINE_BYTES
from ollameter.wire.request import chat_request, encode, generate_request, model_name

if TYPE_CHECKING:
    import aiohttp
    import requests

    from ollameter.providers.http_async import AiohttpShell

_OLLAMA_COM = Address("https", "ollama.com", 443)


class OllamaProvider(LLMProvider):
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
    - `ensure`: None, the only value so far: a call finds out by itself whether its model is there
    - `host_monitor`: this version does not measure the machine yet; `metrics.host` is None either way
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
        ensure: None = None,
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
        host_monitor: bool = True,
        clock: Clock | None = None,
    ) -> None:
        address = (
            parse_address(os.environ.get("OLLAMA_HOST"))
            if base_url is None
            else parse_address(base_url, "base_url")
        )
        if ensure is not None:
            raise InvalidRequest(f"ensure: only None is supported by this version, got {ensure!r:.80}")
        if not isinstance(host_monitor, bool):
            raise InvalidRequest(f"host_monitor: expected True or False, got {host_monitor!r:.80}")
        self._model = model
        self._settings = HttpSettings(
            address=address,
            timeouts=_checked_timeouts(timeout),
            headers=_headers(address, headers, api_key),
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
        self._telemetry = Telemetry(
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
            capture_content=capture_content,
            redact=redact,
            phase_spans=phase_spans,
            suppress_http_spans=suppress_http_spans,
        )
        self._clock = SystemClock() if clock is None else clock
        self._session = session
        self._async_session = async_session
        self._shell = RequestsShell(self._settings, session)
        self._async_shell: AiohttpShell | None = None
        self._open: weakref.WeakSet[Exchange | AsyncExchange] = weakref.WeakSet()
        self._last: PerformanceMetrics | None = None
        self._closed = False
        self._hooked = False
        _providers.add(self)

    def chat(self, messages: Messages, model: str | None = None, **fields: Unpack[ChatFields]) -> Reply:
        """Answer a conversation with one whole reply, which unpacks as `text, metrics`.

        `messages` are dicts or `Message`; `fields` are Ollama's (see `ChatFields`). Raises
        `InvalidRequest` before anything is sent, else the errors of `ollameter.errors`.
        """
        return self._answer(self._chat_request(messages, model, False, fields))

    async def chat_async(
        self, messages: Messages, model: str | None = None, **fields: Unpack[ChatFields]
    ) -> Reply:
        """Do as `chat` without blocking the event loop."""
        return await self._answer_async(self._chat_request(messages, model, False, fields))

    def stream(self, messages: Messages, model: str | None = None, **fields: Unpack[ChatFields]) -> Stream:
        """Answer a conversation chunk by chunk; the call begins now, the request at `with`."""
        return Stream(self._begin(self._chat_request(messages, model, True, fields)))

    def stream_async(
        self, messages: Messages, model: str | None = None, **fields: Unpack[ChatFields]
    ) -> AsyncStream:
        """Do as `stream` without blocking: not to be awaited, but used with `async with`."""
        return AsyncStream(self._begin_async(self._chat_request(messages, model, True, fields)))

    def generate(self, prompt: str, model: str | None = None, **fields: Unpack[GenerateFields]) -> Reply:
        """Continue a prompt with one whole reply; `fields` are Ollama's (see `GenerateFields`)."""
        return self._answer(self._generate_request(prompt, model, False, fields))

    async def generate_async(
        self, prompt: str, model: str | None = None, **fields: Unpack[GenerateFields]
    ) -> Reply:
        """Do as `generate` without blocking the event loop."""
        return await self._answer_async(self._generate_request(prompt, model, False, fields))

    def stream_generate(
        self, prompt: str, model: str | None = None, **fields: Unpack[GenerateFields]
    ) -> Stream:
        """Continue a prompt chunk by chunk, as `stream` does."""
        return Stream(self._begin(self._generate_request(prompt, model, True, fields)))

    def stream_generate_async(
        self, prompt: str, model: str | None = None, **fields: Unpack[GenerateFields]
    ) -> AsyncStream:
        """Do as `stream_generate` without blocking: used with `async with`."""
        return AsyncStream(self._begin_async(self._generate_request(prompt, model, True, fields)))

    def list_models(self) -> list[str]:
        """Return the names of the server's models, newest first."""
        return model_names(self._ask(names.LIST_MODELS, "/api/tags"))

    async def list_models_async(self) -> list[str]:
        """Do as `list_models` without blocking the event loop."""
        return model_names(await self._ask_async(names.LIST_MODELS, "/api/tags"))

    def version(self) -> str:
        """Return the server's version; a plain source build says 0.0.0."""
        return version_text(self._ask(names.GET_VERSION, "/api/version"))

    async def version_async(self) -> str:
        """Do as `version` without blocking the event loop."""
        return version_text(await self._ask_async(names.GET_VERSION, "/api/version"))

    def is_available(self, model: str | None = None) -> Availability:
        """Say whether the server, and a model on it, can be called; false comes with the reason.

        Asks about the provider's own model when none is given. Never raises for a server that is
        absent, slow or broken, and opens no span.
        """
        model = self._model if model is None else model
        try:
            return availability(model_names(self._ask(None, "/api/tags")), model)
        except OllameterError as error:
            return _unavailable(error, model)

    async def is_available_async(self, model: str | None = None) -> Availability:
        """Do as `is_available` without blocking the event loop."""
        model = self._model if model is None else model
        try:
            return availability(model_names(await self._ask_async(None, "/api/tags")), model)
        except OllameterError as error:
            return _unavailable(error, model)

    def get_performance_metrics(self) -> PerformanceMetrics | None:
        """Return what the call that ended last in this provider has cost, however it ended.

        None before the first. For one's own call use what it returned: others may end meanwhile.
        """
        return self._last

    def close(self) -> None:
        """End what is open and release every connection, of the async side too; any thread may."""
        self._closed = True
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

    def _chat_request(self, messages: Messages, model: str | None, stream: bool, fields: Any) -> Request:
        return chat_request(messages, model_name(model, self._model), stream=stream, **fields)

    def _generate_request(self, prompt: str, model: str | None, stream: bool, fields: Any) -> Request:
        return generate_request(prompt, model_name(model, self._model), stream=stream, **fields)

    def _answer(self, request: Request) -> Reply:
        exchange = self._begin(request)
        try:
            exchange.open()
            for _ in exchange.chunks:
                pass
        finally:
            exchange.close()
        return exchange.call.reply()

    async def _answer_async(self, request: Request) -> Reply:
        exchange = self._begin_async(request)
        try:
            await exchange.open()
            async for _ in exchange.chunks:
                pass
        finally:
            await exchange.close()
        return exchange.call.reply()

    def _begin(self, request: Request) -> Exchange:
        body = encode(request)
        exchange = Exchange(self._start(request), body, self._shell, self._settings)
        self._open.add(exchange)
        return exchange

    def _begin_async(self, request: Request) -> AsyncExchange:
        body = encode(request)
        shell = self._asynchronous()
        exchange = AsyncExchange(self._start(request), body, shell, self._settings)
        self._open.add(exchange)
        return exchange

    def _start(self, request: Request) -> Call:
        """Start the call's clock and span, in the caller's context."""
        self._refuse_when_closed()
        address = self._settings.address
        host, port = address.connect_host, address.port
        call = Call(
            request,
            host,
            port,
            clock=self._clock,
            on_end=self._note,
            time_chunks=self._telemetry.instruments.times_chunks,
        )
        call.observer = self._telemetry.start_call(request, host, port, call.start_ns)
        if call.observer.recording and not self._hooked:
            self._hooked = True
            # Registered only now: exit hooks run backwards, and the SDK has registered its own.
            atexit.unregister(end_open_calls)
            atexit.register(end_open_calls)
        return call

    def _ask(self, operation: str | None, path: str) -> dict[str, Any]:
        self._refuse_when_closed()
        return fetch(self._shell, self._settings, self._observer(operation), Sent("GET", path, None))

    async def _ask_async(self, operation: str | None, path: str) -> dict[str, Any]:
        self._refuse_when_closed()
        shell, observer = self._asynchronous(), self._observer(operation)
        return await fetch_async(shell, self._settings, observer, Sent("GET", path, None))

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
        self._shell.disown()
        self._shell = RequestsShell(self._settings, self._session)
        if self._async_shell is not None:
            self._async_shell.disown()


_providers: weakref.WeakSet[OllamaProvider] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for provider in list(_providers):
        provider._disown()  # noqa: SLF001  # the same module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _unavailable(error: OllameterError, model: str | None) -> Availability:
    return Availability(available=False, reason=str(error), model=model)


def _headers(address: Address, given: Mapping[str, str] | None, api_key: str | None) -> dict[str, str]:
    """Return what every request carries; the environment's key goes to ollama.com alone."""
    if api_key is None and address == _OLLAMA_COM:
        api_key = os.environ.get("OLLAMA_API_KEY")
    ours = {
        "User-Agent": f"ollameter/{__version__}",
        "Accept": "application/x-ndjson, application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
    }
    return {**ours, **({"Authorization": f"Bearer {api_key}"} if api_key else {}), **(given or {})}


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
