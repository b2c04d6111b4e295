"""A real HTTP server on loopback that answers like Ollama, or exactly as a test scripts it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec

from ollameter.testing.answers import Answer
from ollameter.testing.default_answers import default_answer

_POLL_S = 0.02
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it arrived; header names are lower-case, `connection` counts from 1."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    received_at: float = field(default_factory=time.monotonic)

    @property
    def json(self) -> Any:
        """The body as JSON; raises `msgspec.DecodeError` when it is none."""
        return msgspec.json.decode(self.body)


class FakeOllama:
    """A small Ollama without models: answers at once, with plausible numbers, or as scripted.

    Use it in `with`; give its `base_url` to the code under test. `script` queues answers for a
    path, one a request; without any left the path answers by itself again.
    """

    def __init__(self, models: Sequence[str] = ("llama3.2",), version: str = "0.33.3") -> None:
        self.models = tuple(models)
        self.version = version
        self.requests: list[ReceivedRequest] = []
        self.connections_opened = 0
        self.closed_early: list[ReceivedRequest] = []
        self._scripts: dict[str, deque[Answer]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._open: dict[int, socket.socket] = {}
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.host, self.port = self._listener.getsockname()
        self._acceptor = threading.Thread(target=self._accept, name="fake-ollama", daemon=True)
        self._acceptor.start()

    @property
    def base_url(self) -> str:
        """The URL to give to a client."""
        return f"http://{self.host}:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections neither side has closed."""
        return len(self._open)

    def script(self, path: str, *answers: Answer) -> None:
        """Queue answers for the next requests of a path."""
        self._scripts[path].extend(answers)

    def wait_for_requests(self, count: int, timeout_s: float = 5.0) -> bool:
        """Wait until so many requests have arrived in all; return whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.requests) >= count, timeout_s)

    def wait_until_closed(self, timeout_s: float = 5.0) -> bool:
        """Wait until no connection is open; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, timeout_s)

    def wait_until_left(self, count: int = 1, timeout_s: float = 5.0) -> bool:
        """Wait until so many clients have left in the middle of an answer; return whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.closed_early) >= count, timeout_s)

    def close(self) -> None:
        """Close every connection and stop listening; calling it again does nothing."""
        self._closing.set()
        self._listener.close()
        with self._changed:
            for connection in self._open.values():
                _shut(connection)
            self._changed.wait_for(lambda: not self._open, 2.0)
        self._acceptor.join(2.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _accept(self) -> None:
        # Polling: closing a listener does not wake an accept() on every platform.
        self._listener.settimeout(_POLL_S)
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                break
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self.connections_opened += 1
                number = self.connections_opened
                self._open[number] = connection
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            with connection, connection.makefile("rb") as incoming:
                for request in _read_requests(incoming, number):
                    with self._changed:
                        self.requests.append(request)
                        self._changed.notify_all()
                    if not self._answer(connection, request):
                        break
        except (OSError, ValueError):
            pass  # the client left, or sent what is no HTTP
        finally:
            with self._changed:
                self._open.pop(number, None)
                self._changed.notify_all()

    def _answer(self, connection: socket.socket, request: ReceivedRequest) -> bool:
        """Send the next answer; return whether the connection lives on."""
        queued = self._scripts[request.path.partition("?")[0]]
        answer = queued.popleft() if queued else default_answer(request, self.models, self.version)
        try:
            return _Sender(connection, answer, self._closing).send()
        except _ClientLeft:
            with self._changed:
                self.closed_early.append(request)
                self._changed.notify_all()
            return False


class _ClientLeft(Exception):
    """The client closed the connection before the answer was through."""


class _Sender:
    """Sends one answer, and notices when nobody reads it any more."""

    def __init__(self, connection: socket.socket, answer: Answer, closing: threading.Event) -> None:
        self._connection = connection
        self._answer = answer
        self._closing = closing

    def send(self) -> bool:
        answer = self._answer
        self._wait(answer.delay_s, answer.hold)
        pieces, cut = self._cut_pieces()
        # The headers travel with the first piece, as Ollama sends them.
        waiting = self._head(answer.pieces())
        for i, piece in enumerate(pieces):
            if i:
                self._wait(answer.gap_s, answer.hold_after.get(i))
            self._write(waiting + self._framed(piece))
            waiting = b""
        if waiting:
            self._write(waiting)
        if len(pieces) in answer.hold_after:
            self._wait(0, answer.hold_after[len(pieces)])
        return self._end(cut)

    def _cut_pieces(self) -> tuple[list[bytes], bool]:
        answer, pieces = self._answer, self._answer.pieces()
        if answer.cut_after_lines is not None:
            return pieces[: answer.cut_after_lines], True
        if answer.cut_after_bytes is None:
            return pieces, False
        kept, left = [], answer.cut_after_bytes
        for piece in pieces:
            kept.append(piece[:left])
            left -= len(kept[-1])
        return [piece for piece in kept if piece], True

    def _end(self, cut: bool) -> bool:
        how, chunked = self._answer.cut, self._answer.framing == "chunked"
        if not cut:
            if chunked:
                self._write(b"0\r\n\r\n")
            return self._answer.framing != "close"
        if how == "hang":
            self._wait(float("inf"), None)
        elif how == "reset":
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        return False

    def _head(self, pieces: list[bytes]) -> bytes:
        answer = self._answer
        headers = {"Content-Type": "application/x-ndjson", **answer.headers}
        if answer.framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        elif answer.framing == "length":
            true = sum(map(len, pieces))
            length = true if answer.content_length is None else answer.content_length
            headers["Content-Length"] = str(length)
        else:
            headers["Connection"] = "close"
        lines = [
            f"HTTP/1.1 {answer.status} Fake",
            *(f"{k}: {v}" for k, v in headers.items()),
            "",
            "",
        ]
        return "\r\n".join(lines).encode("latin-1")

    def _framed(self, piece: bytes) -> bytes:
        chunked = self._answer.framing == "chunked"
        return b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece

    def _write(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise _ClientLeft from error

    def _wait(self, seconds: float, event: threading.Event | None) -> None:
        """Wait for the event, or so long; give up when the client leaves or the server closes."""
        ends_at = time.monotonic() + (float("inf") if event is not None else seconds)
        while True:
            left = min(_POLL_S, ends_at - time.monotonic())
            if left <= 0 or (event is not None and event.is_set()):
                return
            if self._closing.is_set() or _is_gone(self._connection):
                raise _ClientLeft
            if event is not None:
                event.wait(left)
            else:
                self._closing.wait(left)


def _read_requests(incoming: Any, connection: int) -> Iterator[ReceivedRequest]:
    """Yield the requests of one connection; raises `ValueError` for what is no HTTP."""
    while line := incoming.readline(65536):
        method, path, _ = line.decode("latin-1").split(None, 2)
        headers: dict[str, str] = {}
        while (header := incoming.readline(65536).decode("latin-1").strip()) != "":
            name, _, value = header.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = incoming.read(int(headers.get("content-length", 0)))
        yield ReceivedRequest(method, path, headers, body, connection)
        if headers.get("connection", "").lower() == "close":
            return


def _is_gone(connection: socket.socket) -> bool:
    """Whether the client has closed: readable, with nothing to read."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # closed meanwhile
