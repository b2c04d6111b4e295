"""requests' connections as the guards need them: sockets that can be cut, and a short way to send."""

from __future__ import annotations

import http.client
import re
import socket
import threading
from collections.abc import Mapping
from functools import partial
from types import FunctionType
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.cookies import extract_cookies_to_jar
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ollameter.providers.deadlines import Guard
from ollameter.providers.http import HttpSettings

# What urllib3 notes of a request for its answer; it has no public name, so it may go.
_note_for_answer: Any = getattr(urllib3.connection, "_ResponseOptions", None)
_NOTED = {"chunked", "preload_content", "decode_content", "enforce_content_length"}
_OF_A_TRACE = ("traceparent", "tracestate", "baggage")
_OF_A_CALL = {*_OF_A_TRACE, "Content-Length"}
_JOINED_BYTES = 1 << 16  # a longer body is not copied to follow its head at once
_BREAK = re.compile(r"[\r\n\0]")
sending: threading.local = threading.local()  # the guard of the call that this thread is opening


class _FinalAnswer(http.client.HTTPResponse):
    """Reads past every informational answer; the standard library does so for 100 alone."""

    def _read_status(self) -> tuple[str, int, str]:
        answer: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # typeshed lacks it
        while 101 < answer[1] < 200:
            http.client.parse_headers(self.fp)
            answer = super()._read_status()  # type: ignore[misc]  # typeshed lacks it
        return answer


class _GuardedConnection:
    """Hands its socket to the guard of the call it serves, and says when the request is written."""

    sock: socket.socket | None
    _twin: socket.socket | None = None
    _body: bytes | None = None

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]  # mixed into urllib3's
        finally:
            if self._twin is not None:
                self._twin.close()
                self._twin = None

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]  # mixed into urllib3's
        guard: Guard | None = getattr(sending, "guard", None)
        if guard is not None:
            # A duplicate: the TLS handshake takes the socket itself away.
            if isinstance(self, HTTPSConnection):
                self._twin = made.dup()
            guard.hold(partial(_shut, self._twin or made))
        return made

    def getresponse(self) -> Any:
        guard: Guard | None = getattr(sending, "guard", None)
        if guard is not None and self.sock is not None:
            # Kept here: for `Connection: close` the connection forgets its socket.
            guard.hold(partial(_shut, self.sock))
            guard.arm("first_byte")
        return super().getresponse()  # type: ignore[misc]  # mixed into urllib3's

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **how: Any) -> None:
        guard: Guard | None = getattr(sending, "guard", None)
        if guard is not None and self.sock is not None:
            guard.hold(partial(_shut, self.sock))
            guard.arm("first_byte")  # connected before: what can take long now is writing
            if isinstance(headers, Rendered) and how.keys() <= _NOTED:
                self._send_rendered(method, url, body, headers, how)
                return
        super().request(method, url, body=body, headers=headers, **how)  # type: ignore[misc]  # mixed into urllib3's

    def _send_rendered(self, method: str, url: str, body: bytes, headers: Rendered, how: Any) -> None:
        """Send as urllib3 does, with headers that were checked and joined before, in one piece."""
        connection: Any = self  # with what urllib3's class adds
        how.pop("chunked", None)
        connection.sock.settimeout(connection.timeout)
        connection._response_options = _note_for_answer(request_method=method, request_url=url, **how)  # noqa: SLF001  # its own
        try:
            connection.putrequest(method, url, skip_accept_encoding=True)
            connection._buffer.append(headers.lines)  # noqa: SLF001  # where putheader puts them
            self._body = body
            connection.endheaders()
        finally:
            self._body = None  # never after the head of another request

    def send(self, data: Any) -> None:
        """Write, and after a rendered head its body at once: one system call, one packet."""
        body, self._body = self._body, None
        connection: Any = super()
        if body is not None and len(body) <= _JOINED_BYTES:
            connection.send(data + body)
            return
        connection.send(data)
        if body:
            connection.send(body)


class _GuardedHttp(_GuardedConnection, HTTPConnection):
    response_class = _FinalAnswer


class _GuardedHttps(_GuardedConnection, HTTPSConnection):
    response_class = _FinalAnswer


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


def new_session(settings: HttpSettings) -> requests.Session:
    """Return a session whose sockets the guards can cut, and that reads nothing by itself."""
    session = requests.Session()
    session.trust_env = False  # proxies and bundles are read once; netrc never
    for scheme in ("http://", "https://"):
        session.mount(scheme, _GuardedAdapter(pool_maxsize=settings.max_connections or 512))
    return session


def _shut(sock: socket.socket) -> None:
    """End both directions; a TLS socket's own shutdown would touch its state from this thread."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass  # closed meanwhile


class Rendered(dict[str, str]):
    """Headers together with the lines they make: what was checked once is not checked again."""

    lines: bytes

    def copy(self) -> Rendered:
        """Return itself: urllib3 copies to add a proxy's headers, of which there are none."""
        return self


class ShortWay:
    """Sends straight through the pool of a session of ours: requests prepares it all only once."""

    def __init__(
        self, session: requests.Session, settings: HttpSettings, method: str, path: str, verify: bool | str
    ) -> None:
        url, headers = settings.address.connect_url + path, dict(settings.headers)
        request = requests.Request(method, url, data=b"", headers=headers, auth=no_auth)
        self._prepared = prepared = session.prepare_request(request)
        self._method, self._target = method, prepared.path_url
        prepared.headers.pop("Content-Length", None)
        self._headers = dict(prepared.headers)
        names = {name.lower() for name in self._headers}
        is_usual = names >= {"accept-encoding", "user-agent"} and not names & {"host", *_OF_A_TRACE}
        is_usual = is_usual and _note_for_answer is not None
        self._lines = _lines(self._headers) if is_usual else None  # None: left to the libraries
        self._cookies = session.cookies
        adapter: Any = session.get_adapter(url)
        self._pool = adapter.get_connection_with_tls_context(prepared, verify, cert=settings.cert)
        adapter.cert_verify(self._pool, url, verify, settings.cert)
        self._retries = adapter.max_retries
        self._timeout = urllib3.Timeout(connect=settings.timeouts.connect, read=None)

    def send(self, body: bytes, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """Send one body, with headers of its own; raises urllib3's errors."""
        response: urllib3.BaseHTTPResponse = self._pool.urlopen(
            self._method,
            self._target,
            body=body,
            headers=self._with({**headers, "Content-Length": str(len(body))}),
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            retries=self._retries,
            timeout=self._timeout,
        )
        if "Set-Cookie" in response.headers:
            keep: Any = extract_cookies_to_jar  # requests has no types for it
            keep(self._cookies, self._prepared, response)
        return response

    def _with(self, own: Mapping[str, str]) -> dict[str, str]:
        """Return all headers, as lines already when those of the call are what is known to be sound."""
        if self._lines is None or not own.keys() <= _OF_A_CALL or _BREAK.search("".join(own.values())):
            return {**self._headers, **own}
        found = Rendered(self._headers)
        found.update(own)
        found.lines = f"{self._lines}\r\n{_lines(own)}".encode("latin-1")
        return found


def _lines(headers: Mapping[str, str]) -> str:
    return "\r\n".join([f"{name}: {value}" for name, value in headers.items()])


def is_wrapped() -> bool:
    """Whether requests is instrumented or mocked: whoever wraps it must see our requests."""
    return not all(
        type(send) is FunctionType and send.__globals__["__name__"] == module
        for send, module in (
            (requests.Session.send, "requests.sessions"),
            (requests.Session.get_adapter, "requests.sessions"),
            (HTTPAdapter.send, "requests.adapters"),
        )
    )


def no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add nothing."""
    return request
