"""One answer going out over one connection, framed, paced and broken off as it is scripted to be."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus

from ollameter.testing.answers import Answer
from ollameter.testing.received import ReceivedRequest

# select() cannot watch descriptors above 1023, which hundreds of connections reach.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)
_FOREVER = float("inf")
_FIRST_STEP_S, _LAST_STEP_S = 0.005, 0.1
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class BrokenOff(Exception):
    """The client left, or the server closes, before the answer was through."""


class Sending:
    """Sends one answer, and notices when nobody reads it any more."""

    def __init__(
        self,
        connection: socket.socket,
        request: ReceivedRequest,
        answer: Answer,
        closing: threading.Event,
    ) -> None:
        self._connection = connection
        self._request = request
        self._answer = answer
        self._closing = closing

    def run(self) -> bool:
        """Send everything; return whether the connection lives on. Raises `BrokenOff`."""
        answer = self._answer
        self._pass(answer.delay_s)
        self._hold(answer.hold)
        pieces = answer.pieces()
        head = _head(answer, sum(map(len, pieces)), self._request.keeps_alive)
        if answer.header_drip_s:
            head = self._drip(head)
        self._send_body(head, () if self._request.method == "HEAD" else pieces)
        self._hold(answer.hold_after.get(self._request.sent.pieces))
        return self._end()

    def _drip(self, head: bytes) -> bytes:
        """Send the headers byte by byte; return what is left of them: nothing."""
        for i in range(len(head)):
            self._write(head[i : i + 1])
            self._pass(self._answer.header_drip_s)
        return b""

    def _send_body(self, head: bytes, pieces: Sequence[bytes]) -> None:
        answer, sent = self._answer, self._request.sent
        for piece in pieces:
            part = answer.part_to_send(piece, sent.body_bytes)
            if not part:
                break
            if sent.pieces:
                self._pass(answer.gap_after(sent.pieces))
                self._hold(answer.hold_after.get(sent.pieces))
            # The headers travel with the first piece, as Ollama sends them.
            self._write(head + self._framed(piece, part))
            head = b""
            sent.body_bytes += len(part)
            sent.pieces += 1
        if head:
            self._write(head)

    def _framed(self, piece: bytes, part: bytes) -> bytes:
        if self._answer.framing != "chunked":
            return part
        if len(part) == len(piece) or self._answer.ending == "missing_last_chunk":
            return b"%x\r\n%b\r\n" % (len(part), part)
        return b"%x\r\n%b" % (len(piece), part)  # broken off in the middle of a chunk

    def _end(self) -> bool:
        if self._answer.ending is None:
            if self._answer.framing == "chunked" and self._request.method != "HEAD":
                self._write(b"0\r\n\r\n")
            return self._answer.framing != "close"
        if self._answer.ending == "hang":
            self._pass(_FOREVER)
        elif self._answer.ending == "reset":
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        return False

    def _write(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise BrokenOff from error

    def _pass(self, seconds: float) -> None:
        """Let so much time pass; raises `BrokenOff` as soon as the client leaves."""
        if seconds <= 0:
            return
        ends_at = time.perf_counter() + seconds
        with _Selector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            while (left := ends_at - time.perf_counter()) > 0:
                if selector.select(None if left == _FOREVER else left):
                    self._stay()
                    # The client's next request is here already: look now and then.
                    self._closing.wait(min(left, _LAST_STEP_S))

    def _hold(self, event: threading.Event | None) -> None:
        """Wait for the event; raises `BrokenOff` when the client leaves meanwhile."""
        if event is None or event.is_set():
            return
        step_s = _FIRST_STEP_S
        with _Selector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            # In steps: nothing waits for an event and a socket at once.
            while not event.wait(step_s):
                if selector.select(0):
                    self._stay()
                step_s = min(step_s * 1.5, _LAST_STEP_S)

    def _stay(self) -> None:
        """Raise `BrokenOff` when what there is to read is the end, or the server closes."""
        try:
            if self._connection.recv(1, socket.MSG_PEEK) and not self._closing.is_set():
                return
        except OSError as error:
            raise BrokenOff from error
        raise BrokenOff


def _head(answer: Answer, body_bytes: int, keeps_alive: bool) -> bytes:
    headers = {"Content-Type": "application/x-ndjson", **answer.headers}
    if answer.gzip:
        headers["Content-Encoding"] = "gzip"
    if answer.framing == "chunked":
        headers["Transfer-Encoding"] = "chunked"
    elif answer.framing == "length":
        length = body_bytes if answer.content_length is None else answer.content_length
        headers["Content-Length"] = str(length)
    if answer.framing == "close" or not keeps_alive:
        headers["Connection"] = "close"
    lines = (f"{name}: {value}" for name, value in headers.items())
    return "\r\n".join((f"HTTP/1.1 {answer.status} {_phrase(answer.status)}", *lines, "", "")).encode(
        "latin-1"
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
