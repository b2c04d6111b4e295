"""The requests shell: opens one request and hands out its body in pieces, blocking; no protocol."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, MutableMapping
from functools import partial
from typing import Any

import requests
import urllib3

from ollameter.providers.chunked import can_read_chunks, read_chunks
from ollameter.providers.connections import ShortWay, is_wrapped, new_session, no_auth, sending
from ollameter.providers.deadlines import Guard
from ollameter.providers.http import (
    DRAIN_BYTES,
    DRAIN_S,
    PIECE_BYTES,
    HttpSettings,
    causes,
    no_place_taken,
    no_tunnel,
    our_error,
)

_LIBRARY_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError,
                   http.client.HTTPException)  # fmt: skip
_NO_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3}) ?(.*)")
_READING_ERRORS = (*_LIBRARY_ERRORS, ValueError)  # for a chunk size below 0
_GARBAGE = (http.client.BadStatusLine, http.client.LineTooLong, urllib3.exceptions.DecodeError,
            urllib3.exceptions.InvalidChunkLength, http.client.UnknownProtocol)  # fmt: skip
_OPENING = {
    "dns": (socket.gaierror, urllib3.exceptions.NameResolutionError),
    "tls": (ssl.SSLError, urllib3.exceptions.SSLError),
    "refused": ConnectionRefusedError,
    "reset": (ConnectionResetError, ConnectionAbortedError, BrokenPipeError),
    "garbage": (*_GARBAGE, requests.exceptions.InvalidHeader, urllib3.exceptions.InvalidHeader),
    "cut": http.client.IncompleteRead,
    "odd": http.client.HTTPException,
}
_READING = _OPENING | {
    "dns": (),
    "tls": (),
    "refused": (),
    "cut": (http.client.IncompleteRead, urllib3.exceptions.ProtocolError),
    "odd": (http.client.HTTPException, ValueError),
}


class RequestsShell:
    """Sends requests through one session: the caller's own, or one that keeps its sockets at hand."""

    def __init__(self, settings: HttpSettings, session: requests.Session | None = None) -> None:
        self._settings = settings
        self._own = session is None
        self._session = new_session(settings) if session is None else session
        proxy = settings.proxy_for_server()
        self._proxies = {} if proxy is None else {settings.address.scheme: proxy}
        self._where_to = settings.where(proxy)
        self._trusted = settings.trusted_authorities()
        self._ways: dict[str, ShortWay] = {}
        self._has_cookies = False
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
        if not self._own:
            guard.phase = "first_byte"  # until the headers are in, only the socket's limits hold
            raw = self._send_by_session(method, path, body, headers, guard)
            guard.arm("first_byte")
            guard.hold(partial(_quietly, raw.shutdown))
            return raw
        guard.arm("connect")
        sending.guard = guard
        try:
            if body is not None and self._may_go_short():
                raw = self._short_way(method, path).send(body, headers)
                if "Set-Cookie" in raw.headers:  # asked here: a jar walks through itself for it
                    self._has_cookies = bool(self._session.cookies)
            else:
                raw = self._send_by_session(method, path, body, headers, guard)
                self._has_cookies = bool(self._session.cookies)
            return raw
        finally:
            sending.guard = None

    def _send_by_session(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: MutableMapping[str, str],
        guard: Guard,
    ) -> urllib3.BaseHTTPResponse:
        """Send as requests does, with whatever the session adds or has been given."""
        limits, session = guard.timeouts, self._session
        request = requests.Request(
            method,
            self._settings.address.connect_url + path,
            data=body,
            headers={**self._settings.headers, **headers},
            # Given so that requests does not look for a password in ~/.netrc.
            auth=None if session.auth else no_auth,
        )
        prepared = session.prepare_request(request)
        response = session.send(
            prepared,
            stream=True,
            allow_redirects=False,
            # The watchdog bounds reading; only a caller's own session needs the socket's limit.
            timeout=(limits.connect, None if self._own else limits.first_byte),
            **self._where(prepared),
        )
        return response.raw

    def _may_go_short(self) -> bool:
        """Whether requests would add nothing: neither proxy, nor cookie, nor what wraps it."""
        return not (self._proxies or self._has_cookies or is_wrapped())

    def _short_way(self, method: str, path: str) -> ShortWay:
        way = self._ways.get(path)
        if way is None:
            way = self._ways[path] = ShortWay(self._session, self._settings, method, path, self._trusted)
        return way

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
        if not places.acquire(timeout=guard.timeouts.first_byte):
            guard.phase = "first_byte"
            raise guard.error()
        return places.release

    def _ours(self, error: BaseException, guard: Guard, names: dict[str, Any]) -> BaseException:
        if guard.passed:
            return guard.error()
        if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
            guard.phase = _phase_of(error, guard)
            return guard.error()
        for cause in causes(error):
            if refused := _NO_TUNNEL.fullmatch(str(cause)):
                return no_tunnel(self._where_to, int(refused[1]), refused[2])
        return our_error(error, self._where_to, names)


class SyncResponse:
    """One answer while it is read: status, headers, then the body in pieces."""

    def __init__(
        self,
        raw: urllib3.BaseHTTPResponse,
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
        self._pieces: Iterator[bytes] | None = None

    def pieces(self) -> Iterator[bytes]:
        """Yield the decoded body as it arrives; a reader tells the guard what it `heard`."""
        guard = self.guard
        self._pieces = pieces = self._read()
        try:
            for data in pieces:  # noqa: UP028  # closing this must not close what is still to be drained
                yield data
        except _READING_ERRORS as error:
            if rest := self._rest(error):
                yield rest
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
        if self._raw.closed:
            return  # there is nothing after a body that has been read to its end
        pieces, left, guard = self._pieces, DRAIN_BYTES, self.guard
        ends_at = guard.now() + DRAIN_S
        guard.at = ends_at
        guard.notice()
        try:
            while pieces is not None and left > 0 and guard.now() < ends_at:
                data = next(pieces, None)
                if data is None:
                    break
                left -= len(data)
        except _READING_ERRORS:
            pass  # the answer is whole: nothing after it can fail the call

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        if not self._closed:
            self._closed = True
            self.guard.done()
            self._raw.close()
            self._release()

    def _rest(self, error: BaseException) -> bytes:
        """Return what had come of an HTTP chunk that was cut off: it may hold whole lines."""
        if "Content-Encoding" in self.headers:
            return b""
        for cause in causes(error):
            partial_chunk: object = getattr(cause, "partial", None)  # urllib3's is only a number
            if isinstance(partial_chunk, bytes):
                return partial_chunk
        return b""

    def _read(self) -> Iterator[bytes]:
        raw: Any = self._raw
        if can_read_chunks(raw):
            return read_chunks(raw, PIECE_BYTES)
        if raw.chunked:
            return iter(raw.stream(PIECE_BYTES, decode_content=True))
        # read1 hands out what has come; stream() would wait until a piece is full.
        pieces = iter(partial(raw.read1, PIECE_BYTES, decode_content=True), b"")
        if "Content-Encoding" in self.headers:
            return pieces
        return _until_closed(raw, pieces)


def _until_closed(raw: urllib3.BaseHTTPResponse, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Spare the read that only finds the end: a body of known length is closed with its last byte."""
    for data in pieces:
        yield data
        if raw.closed:
            return


_inherited: list[requests.Session] = []  # of the parent: kept, so that nothing of it is closed


def _quietly(shutdown: Callable[[], None]) -> None:
    try:
        shutdown()
    except (OSError, RuntimeError, ValueError):
        pass  # released or closed meanwhile


def _phase_of(error: BaseException, guard: Guard) -> Any:
    connecting = (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)
    return "connect" if isinstance(error, connecting) else guard.phase
