"""The requests shell: opens one request and hands out its body in pieces, blocking; no protocol."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, MutableMapping
from functools import partial
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ollameter.providers.deadlines import Guard
from ollameter.providers.http import (
    DRAIN_BYTES,
    DRAIN_S,
    PIECE_BYTES,
    HttpSettings,
    no_place_taken,
    our_error,
)

_LIBRARY_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError,
                   http.client.HTTPException)  # fmt: skip
_GARBAGE = (http.client.BadStatusLine, http.client.LineTooLong, urllib3.exceptions.DecodeError,
            urllib3.exceptions.InvalidChunkLength, http.client.UnknownProtocol)  # fmt: skip
_OPENING = {
    "dns": (socket.gaierror, urllib3.exceptions.NameResolutionError),
    "tls": (ssl.SSLError, urllib3.exceptions.SSLError),
    "refused": ConnectionRefusedError,
    "reset": (ConnectionResetError, ConnectionAbortedError, BrokenPipeError),
    "garbage": (*_GARBAGE, requests.exceptions.InvalidHeader),
    "cut": http.client.IncompleteRead,
}
_READING = _OPENING | {
    "dns": (),
    "tls": (),
    "refused": (),
    "cut": (http.client.IncompleteRead, urllib3.exceptions.ProtocolError),
}


class RequestsShell:
    """Sends requests through one session: the caller's own, or one that keeps its sockets at hand."""

    def __init__(self, settings: HttpSettings, session: requests.Session | None = None) -> None:
        self._settings = settings
        self._own = session is None
        self._session = _new_session(settings) if session is None else session
        self._proxies = settings.proxy_for_server()
        self._trusted = settings.trusted_authorities()
        limit = settings.max_connections
        self._places = None if limit is None else threading.BoundedSemaphore(limit)

    def open(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: MutableMapping[str, str],
        guard: Guard,
    ) -> SyncResponse:
        """Send one request; return its answer once status and headers are there, whatever they say."""
        release = self._take_place(guard)
        try:
            raw = self._send(method, path, body, headers, guard)
        except BaseException as error:
            release()
            if isinstance(error, _LIBRARY_ERRORS):
                raise self._ours(error, guard, _OPENING) from error
            raise
        return SyncResponse(raw, guard, partial(self._ours, guard=guard, names=_READING), release)

    def close(self) -> None:
        """Close the session if it is ours; answers that are being read are not touched."""
        if self._own:
            self._session.close()

    def disown(self) -> None:
        """Leave the session to the parent of this process: its sockets are shared, not ours."""
        if self._own:
            _inherited.append(self._session)

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: MutableMapping[str, str],
        guard: Guard,
    ) -> urllib3.BaseHTTPResponse:
        limits = self._settings.timeouts
        request = requests.Request(
            method,
            self._settings.address.connect_url + path,
            data=body,
            headers={**self._settings.headers, **headers},
            # Given so that requests does not look for a password in ~/.netrc.
            auth=None if self._session.auth else _no_auth,
        )
        prepared = self._session.prepare_request(request)
        if self._own:
            guard.arm("connect")
        else:
            guard.phase = "first_byte"  # until the headers are in, only the socket's limits hold
        _sending.guard = guard if self._own else None
        try:
            response = self._session.send(
                prepared,
                stream=True,
                allow_redirects=False,
                # The watchdog bounds reading; only a caller's own session needs the socket's limit.
                timeout=(limits.connect, None if self._own else limits.first_byte),
                **self._where(prepared),
            )
        finally:
            _sending.guard = None
        if not self._own:
            guard.arm("first_byte")
            guard.hold(partial(_quietly, response.raw.shutdown))
        return response.raw

    def _where(self, prepared: requests.PreparedRequest) -> dict[str, Any]:
        if self._own:
            return {"proxies": self._proxies, "verify": self._trusted, "cert": self._settings.cert}
        where = self._session.merge_environment_settings(prepared.url or "", {}, None, None, None)
        return {name: where[name] for name in ("proxies", "verify", "cert")}

    def _take_place(self, guard: Guard) -> Callable[[], None]:
        """Wait for one of `max_connections`; the wait counts as one for the first byte."""
        places = self._places
        if places is None:
            return no_place_taken
        if not places.acquire(timeout=self._settings.timeouts.first_byte):
            guard.phase = "first_byte"
            raise guard.error()
        return places.release

    def _ours(self, error: BaseException, guard: Guard, names: dict[str, Any]) -> BaseException:
        if guard.passed:
            return guard.error()
        if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
            guard.phase = _phase_of(error, guard)
            return guard.error()
        return our_error(error, self._settings.address, names)


class SyncResponse:
    """One answer while it is read: status, headers, then the body in pieces."""

    def __init__(
        self,
        raw: urllib3.BaseHTTPResponse,
        guard: Guard,
        ours: Callable[[BaseException], BaseException],
        release: Callable[[], None],
    ) -> None:
        self.status = raw.status
        self.headers = raw.headers
        self.progressed = True
        self._closed = False
        self._raw = raw
        self._guard = guard
        self._ours = ours
        self._release = release
        self._pieces: Iterator[bytes] | None = None

    def pieces(self) -> Iterator[bytes]:
        """Yield the decoded body as it arrives; a reader sets `progressed` to earn a new `idle`."""
        guard = self._guard
        self._pieces = pieces = self._read()
        try:
            for data in pieces:
                at = guard.at
                guard.disarm()
                self.progressed = False
                yield data
                if self.progressed:
                    guard.arm("idle")
                else:
                    guard.at = at
        except _LIBRARY_ERRORS as error:
            raise self._ours(error) from error
        if guard.passed:
            raise guard.error()

    def leave(self, *, whole: bool) -> None:
        """Let go of the answer at once: drained when it is whole, else by closing its connection."""
        if whole and not self._closed:
            self._drain()
        self.close()

    def _drain(self) -> None:
        """Read what may follow the last line, briefly, so that the connection can be used again."""
        pieces, left, guard = self._pieces, DRAIN_BYTES, self._guard
        ends_at = guard.now() + DRAIN_S
        guard.at = ends_at
        guard.notice()
        try:
            while pieces is not None and left > 0 and guard.now() < ends_at:
                data = next(pieces, None)
                if data is None:
                    break
                left -= len(data)
        except _LIBRARY_ERRORS:
            pass  # the answer is whole: nothing after it can fail the call

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        if not self._closed:
            self._closed = True
            self._guard.done()
            self._raw.close()
            self._release()

    def _read(self) -> Iterator[bytes]:
        raw: Any = self._raw
        if raw.chunked:
            return iter(raw.stream(PIECE_BYTES, decode_content=True))
        # read1 hands out what has come; stream() would wait until a piece is full.
        return iter(partial(raw.read1, PIECE_BYTES, decode_content=True), b"")


_inherited: list[requests.Session] = []  # of the parent: kept, so that nothing of it is closed
_sending = threading.local()  # the guard of the call that this thread is opening


class _GuardedConnection:
    """Hands its socket to the guard of the call it serves, and says when the request is written."""

    sock: socket.socket | None
    _twin: socket.socket | None = None

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]  # mixed into urllib3's
        finally:
            if self._twin is not None:
                self._twin.close()
                self._twin = None

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]  # mixed into urllib3's
        guard: Guard | None = getattr(_sending, "guard", None)
        if guard is not None:
            # A duplicate: the TLS handshake takes the socket itself away.
            if isinstance(self, HTTPSConnection):
                self._twin = made.dup()
            guard.hold(partial(_shut, self._twin or made))
        return made

    def getresponse(self) -> Any:
        guard: Guard | None = getattr(_sending, "guard", None)
        if guard is not None and self.sock is not None:
            # Kept here: for `Connection: close` the connection forgets its socket.
            guard.hold(partial(_shut, self.sock))
            guard.arm("first_byte")
        return super().getresponse()  # type: ignore[misc]  # mixed into urllib3's

    def request(self, *args: Any, **kwargs: Any) -> None:
        guard: Guard | None = getattr(_sending, "guard", None)
        if guard is not None and self.sock is not None:
            guard.hold(partial(_shut, self.sock))
            guard.arm("first_byte")  # connected before: what can take long now is writing
        super().request(*args, **kwargs)  # type: ignore[misc]  # mixed into urllib3's


class _GuardedHttp(_GuardedConnection, HTTPConnection):
    pass


class _GuardedHttps(_GuardedConnection, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _GuardedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHttps


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class _GuardedAdapter(HTTPAdapter):
    """requests' own adapter, with connections that can be cut from outside."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def close(self) -> None:
        """Close pooled connections now: requests leaves that to garbage collection."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118  # urllib3's container cannot be iterated
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        if not manager.proxy or not manager.proxy.scheme.startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


def _new_session(settings: HttpSettings) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # proxies and bundles are read once; netrc never
    for scheme in ("http://", "https://"):
        session.mount(scheme, _GuardedAdapter(pool_maxsize=settings.max_connections or 512))
    return session


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _shut(sock: socket.socket) -> None:
    """End both directions; a TLS socket's own shutdown would touch its state from this thread."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass  # closed meanwhile


def _quietly(shutdown: Callable[[], None]) -> None:
    try:
        shutdown()
    except (OSError, RuntimeError, ValueError):
        pass  # released or closed meanwhile


def _phase_of(error: BaseException, guard: Guard) -> Any:
    connecting = (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)
    return "connect" if isinstance(error, connecting) else guard.phase
