"""The aiohttp shell: opens one request and hands out its body in pieces, awaiting; no protocol."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, MutableMapping
from functools import partial
from math import inf
from types import SimpleNamespace
from typing import Any

import aiohttp
import urllib3
from aiohttp import http_exceptions
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ollameter.errors import IncompleteResponse, InvalidRequest
from ollameter.providers.deadlines import Guard, Timeouts
from ollameter.providers.http import (
    DRAIN_BYTES,
    DRAIN_S,
    HttpSettings,
    causes,
    load_authorities,
    load_client,
    no_place_taken,
    no_tunnel,
    our_error,
)

_LIBRARY_ERRORS = (aiohttp.ClientError, http_exceptions.HttpProcessingError, OSError)
_OPENING = {
    "dns": aiohttp.ClientConnectorDNSError,
    "tls": (ssl.SSLError, aiohttp.ClientSSLError, ssl.CertificateError),
    "refused": ConnectionRefusedError,
    "reset": (ConnectionResetError, ConnectionAbortedError, BrokenPipeError,
              aiohttp.ServerDisconnectedError),
    "garbage": (aiohttp.ClientResponseError, http_exceptions.HttpProcessingError),
    "cut": aiohttp.ClientPayloadError,
    "odd": (),
}  # fmt: skip
_UNFINISHED = "Not enough data to satisfy"
_READING = _OPENING | {"dns": (), "tls": (), "refused": ()}


class LoopGuard(Guard):
    """A guard whose deadline the event loop enforces: one timer, moved only when it rings early."""

    def __init__(self, timeouts: Timeouts, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(timeouts)
        self.now: Callable[[], float] = loop.time  # the loop's own clock
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def notice(self) -> None:
        """Have the deadline enforced; a timer that rings before it is left as it is."""
        by = self.look_by(self.now())
        if by == inf or (self._timer is not None and self._timer.when() <= by):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(by, self._ring)

    async def pause_async(self, delay_s: float) -> None:
        """Wait before another try; a cut ends the wait."""
        woken = asyncio.Event()
        self.disarm()
        self.hold(woken.set)
        try:
            async with asyncio.timeout(delay_s):
                await woken.wait()
        except TimeoutError:
            pass  # nobody cut the wait short

    def done(self) -> None:
        """Stop enforcing: the call needs no connection any more."""
        self.at: float = inf
        self._cut = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None  # the same guard may wait again

    def cut_from_anywhere(self) -> None:
        """End the wait now, from any thread; a closed loop has nothing that waits."""
        try:
            self._loop.call_soon_threadsafe(self.cut)
        except RuntimeError:
            pass

    def _ring(self) -> None:
        self._timer = None
        if self.at > self.now():
            self.notice()
            return
        self.at = inf
        self.passed = True
        self.cut()


class AiohttpShell:
    """Sends requests through one session an event loop: made at first use, closed with its loop."""

    def __init__(self, settings: HttpSettings, session: aiohttp.ClientSession | None = None) -> None:
        self._settings = settings
        self._own = session is None
        self._given = session
        self._sessions: dict[asyncio.AbstractEventLoop, _LoopSession] = {}
        self._proxy_url = settings.proxy_for_server()
        self._where_to = settings.where(self._proxy_url)
        weakref.finalize(self, _close_everywhere, self._sessions).atexit = False
        self._tls = _tls_context(settings) if settings.address.scheme == "https" else True

    def guard(self, timeouts: Timeouts) -> LoopGuard:
        """Return a guard for one call in the running loop."""
        return LoopGuard(timeouts, asyncio.get_running_loop())

    async def open(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: MutableMapping[str, str],
        guard: Guard,
    ) -> AsyncResponse:
        """Send one request; return its answer once status and headers are there, whatever they say."""
        release = await self._take_place(guard)
        try:
            raw = await self._send(method, path, body, headers, guard)
        except BaseException as error:
            release()
            if isinstance(error, _LIBRARY_ERRORS):
                raise self._ours(error, guard, _OPENING) from error
            raise
        return AsyncResponse(raw, guard, partial(self._ours, guard=guard, names=_READING), release)

    async def close(self) -> None:
        """Close this loop's session at once, and have every other loop close its own."""
        here = self._sessions.pop(asyncio.get_running_loop(), None)
        self.close_soon()
        if here is not None:
            await here.keeper.aclose()

    def close_soon(self) -> None:
        """Have every loop close its session, from any thread; closed loops have closed theirs."""
        _close_everywhere(self._sessions)

    def disown(self) -> None:
        """Leave every session to the parent of this process: its loop polls their sockets."""
        _inherited.extend(self._sessions.values())
        self._sessions.clear()

    async def _send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: MutableMapping[str, str],
        guard: Guard,
    ) -> aiohttp.ClientResponse:
        session = self._given or (await self._kept()).session
        # A caller's own session does not tell when it is connected: its own limit sees to that.
        guard.arm("connect" if self._own else "first_byte")
        connect_s = None if self._own else guard.timeouts.connect
        async with asyncio.timeout(None) as opening:
            guard.hold(partial(_expire, opening))
            return await session.request(
                method,
                self._settings.address.connect_url + path,
                data=body,
                headers={**self._settings.headers, **headers},
                allow_redirects=False,
                # The guard's deadlines are the limits.
                timeout=aiohttp.ClientTimeout(total=None, connect=connect_s),
                **self._proxy(),
                ssl=self._tls,
                trace_request_ctx=guard,
            )

    async def _kept(self) -> _LoopSession:
        loop = asyncio.get_running_loop()
        kept = self._sessions.get(loop)
        if kept is None or kept.session.closed:
            for gone in [other for other in self._sessions if other.is_closed()]:
                self._sessions.pop(gone).forget()
            self._sessions[loop] = kept = _LoopSession(self._settings)
            # Iterated once, so that the loop closes it when it shuts down its async generators.
            await anext(kept.keeper)
        return kept

    def _proxy(self) -> dict[str, Any]:
        """Return the proxy, its password apart: aiohttp's errors quote the URL."""
        if self._proxy_url is None:
            return {}
        if self._proxy_url.startswith("socks"):
            raise InvalidRequest("proxies: the async side cannot use a SOCKS proxy")
        url = URL(self._proxy_url)
        if url.user is None:
            return {"proxy": url}
        auth = urllib3.make_headers(basic_auth=f"{url.user}:{url.password or ''}")
        return {"proxy": url.with_user(None), "proxy_headers": auth}  # sent as Proxy-Authorization

    async def _take_place(self, guard: Guard) -> Callable[[], None]:
        """Wait for one of `max_connections`; the wait counts as one for the first byte."""
        if self._settings.max_connections is None:
            return no_place_taken
        places = (await self._kept()).places
        try:
            async with asyncio.timeout(guard.timeouts.first_byte):
                await places.acquire()
        except TimeoutError as error:
            guard.phase = "first_byte"
            raise guard.error() from error
        return places.release

    def _ours(self, error: BaseException, guard: Guard, names: dict[str, Any]) -> BaseException:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            guard.phase = "connect"
        if guard.passed or isinstance(error, TimeoutError):
            return guard.error()
        if isinstance(error, aiohttp.ClientHttpProxyError):
            error.request_info = error.request_info._replace(headers=CIMultiDictProxy(CIMultiDict()))
            return no_tunnel(self._where_to, error.status, error.message)
        # aiohttp has one class for a body that is garbage, cut off or reset: its words tell.
        words = " ".join(str(cause) for cause in causes(error))
        if _UNFINISHED in words and ConnectionResetError.__name__ not in words:
            return IncompleteResponse("the answer ended before its announced end: it is cut off")
        if _UNFINISHED in words:
            error = ConnectionResetError(words)
        return our_error(error, self._where_to, names)


class AsyncResponse:
    """One answer while it is read: status, headers, then the body in pieces."""

    def __init__(
        self,
        raw: aiohttp.ClientResponse,
        guard: Guard,
        ours: Callable[[BaseException], BaseException],
        release: Callable[[], None],
    ) -> None:
        self.status: int = raw.status
        self.headers: Any = raw.headers
        self.guard = guard
        self._closed = False
        self._raw = raw
        self._ours = ours
        self._release = release
        guard.hold(self.close)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the decoded body as it arrives; a reader tells the guard what it `heard`."""
        guard, read = self.guard, self._raw.content.readany
        try:
            while data := await read():
                yield data
        except _LIBRARY_ERRORS as error:
            if rest := self._rest(error):
                yield rest
            # One object of aiohttp's stands for every connection closed here: it would keep all frames.
            raise self._ours(error) from error.with_traceback(None)
        if guard.passed:
            raise guard.error()

    async def leave(self, *, whole: bool) -> None:
        """Let go of the answer at once: drained when it is whole, else by closing its connection."""
        if whole and not self._closed:
            await self._drain()
        self.close()

    async def _drain(self) -> None:
        """Read what may follow the last line, briefly, so that the connection can be used again."""
        left, guard, content = DRAIN_BYTES, self.guard, self._raw.content
        guard.at = guard.now() + DRAIN_S
        guard.notice()
        try:
            while not content.at_eof() and left > 0:
                left -= len(await content.readany())
        except _LIBRARY_ERRORS as error:
            error.with_traceback(None)  # the answer is whole: nothing after it can fail the call

    def _rest(self, error: BaseException) -> bytes:
        """Return what had come before the error: aiohttp tells the error first."""
        content = self._raw.content
        content.set_exception(None)  # type: ignore[arg-type]  # none, while it is read
        rest = content.read_nowait()
        content.set_exception(error)
        return rest

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        if not self._closed:
            self._closed = True
            self.guard.done()
            self._raw.close()
            self._release()


class _Protocol(ResponseHandler):
    """aiohttp's own, which would leave a body's reader waiting when the framing turns out wrong."""

    def set_exception(self, error: Any, *cause: Any) -> None:
        super().set_exception(error, *cause)
        body = self._payload
        if body is not None and body.exception() is None and not body.is_eof():
            body.set_exception(error)


class _Connector(aiohttp.TCPConnector):
    """aiohttp's own, which would take what came over an idle connection for the next answer."""

    def __init__(self) -> None:
        super().__init__(limit=0)
        self._factory = partial(_Protocol, loop=self._loop)  # type: ignore[assignment]  # a subclass

    async def _get(self, key: Any, traces: Any) -> Any:
        idle = self._conns.get(key)
        while idle and idle[0][0].should_close:
            idle.popleft()[0].close()
        return await super()._get(key, traces)


class _LoopSession:
    """A session and what belongs to it, for one event loop."""

    def __init__(self, settings: HttpSettings) -> None:
        self.session = aiohttp.ClientSession(
            connector=_Connector(),
            trace_configs=[_tracing()],
            trust_env=False,  # proxies and bundles are read once; netrc never
        )
        self.places = asyncio.Semaphore(settings.max_connections or 1)
        self.keeper = _keep(self.session)

    def forget(self) -> None:
        """Let go of a session whose loop is gone: there is nothing left that could be awaited."""
        connector = self.session.connector
        self.session.detach()
        if connector is not None:
            connector.close()


_inherited: list[_LoopSession] = []  # of the parent: kept, for closing them would stop its polling


async def _keep(session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    """Hold a session until the loop, or we, close this generator."""
    try:
        yield
    finally:
        await session.close()


def _close_everywhere(sessions: dict[asyncio.AbstractEventLoop, _LoopSession]) -> None:
    """Have every loop that runs close its session; nothing awaits in the others."""
    for loop, kept in list(sessions.items()):
        if loop.is_running():
            loop.call_soon_threadsafe(_close_in_loop, kept)
        else:
            kept.forget()
    sessions.clear()


def _close_in_loop(kept: _LoopSession) -> None:
    task = asyncio.ensure_future(kept.keeper.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


_closing: set[asyncio.Future[None]] = set()  # the loop itself holds tasks only weakly


def _tracing() -> aiohttp.TraceConfig:
    """Tell each call's guard when it is connected, and when its request is written."""
    config = aiohttp.TraceConfig()

    async def connected(_: Any, context: SimpleNamespace, __: Any) -> None:
        guard = context.trace_request_ctx
        if isinstance(guard, Guard):
            guard.arm("first_byte")

    config.on_connection_create_end.append(connected)
    config.on_connection_reuseconn.append(connected)
    config.on_request_chunk_sent.append(connected)
    return config


def _expire(opening: asyncio.Timeout) -> None:
    """Cancel what awaits the headers; the timeout's own scope tells it from a real cancellation."""
    try:
        opening.reschedule(0)
    except RuntimeError:
        pass  # left meanwhile


def _tls_context(settings: HttpSettings) -> ssl.SSLContext | bool:
    """Return a context that trusts the same authorities as requests does."""
    from certifi import where

    trusted = settings.trusted_authorities()
    context = ssl.create_default_context(cafile=where() if trusted is True else None)
    if trusted is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif isinstance(trusted, str):
        load_authorities(context, trusted)
    if settings.cert is not None:
        load_client(context, settings.cert)
    return context
