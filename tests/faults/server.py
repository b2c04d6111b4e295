"""A server on a raw socket that does what a fault tells it, byte by byte; it knows no HTTP library."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Self

from ollameter.call import OPEN
from ollameter.testing import chat_lines, generate_lines, whole_chat, whole_generate
from ollameter.testing.answers import encode_line
from ollameter.testing.received import ReceivedRequest, read_requests

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_PROMPT_S = 2.0


class Asked:
    """One request, and what a server in good health would answer to it."""

    def __init__(self, request: ReceivedRequest) -> None:
        body = request.json
        self.streamed = bool(body["stream"])
        chat = request.path == "/api/chat"
        if self.streamed:
            lines = (chat_lines if chat else generate_lines)("Hel", "lo", "!")
            self.lines = [encode_line(line) for line in lines]
        else:
            self.lines = [(whole_chat if chat else whole_generate)("Hello!").body or b""]

    @property
    def good(self) -> bytes:
        """The whole body."""
        return b"".join(self.lines)

    @property
    def part(self) -> bytes:
        """A body that says "Hello" when it is streamed, and half of one when it is not."""
        return b"".join(self.lines[:2]) if self.streamed else self.good[: len(self.good) // 2]

    @property
    def rest(self) -> bytes:
        """What follows `part`."""
        return self.good[len(self.part) :]


class Connection:
    """One connection as the server has it: what a fault does, it does with this."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.ended = False
        self.answered = 0

    def send(self, data: bytes) -> None:
        """Send all of it; a client that has left is no error here."""
        try:
            self._socket.sendall(data)
        except OSError:
            self.ended = True

    def drip(self, data: bytes, gap_s: float) -> None:
        """Send byte by byte, until the client has left."""
        pause = threading.Event()
        for i in range(len(data)):
            if self.ended:
                return
            self.send(data[i : i + 1])
            pause.wait(gap_s)

    def end(self) -> None:
        """Send no more: the client reads the end of the stream."""
        self.ended = True
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the client was quicker

    def reset(self) -> None:
        """Break the connection: the client reads an error."""
        self.ended = True
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._socket.close()

    def wait_until_read(self, asked: Asked) -> None:
        """Wait until a stream's reader has what `part` says, so that nothing more is on its way."""
        ends_at = time.monotonic() + _PROMPT_S
        while asked.streamed and time.monotonic() < ends_at:
            if any(call.text == "Hello" for call in list(OPEN)):
                return
            threading.Event().wait(0.002)

    def wait_until_left(self) -> None:
        """Read, and say nothing, until the client closes its side."""
        self.ended = True
        try:
            while self._socket.recv(65536):
                pass
        except OSError:
            pass  # a reset: gone as well

    def shut(self) -> None:
        """End both directions, from any thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed meanwhile


Serve = Callable[[Connection, Asked], None]
Greet = Callable[[Connection], None]


def head(
    *headers: bytes, status: bytes = b"200 OK", version: bytes = b"HTTP/1.1", end: bytes = b"\r\n"
) -> bytes:
    """Return a status line and headers."""
    lines = (version + b" " + status, b"Content-Type: application/x-ndjson", *headers)
    return b"".join(line + b"\r\n" for line in lines) + end


def with_length(body: bytes, length: object = None, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """Return an answer that announces its length: the true one, or another."""
    announced = str(len(body) if length is None else length).encode()
    return head(b"Content-Length: " + announced, *headers, status=status) + body


def chunk(data: bytes) -> bytes:
    """Return one HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunked(*parts: bytes, end: bytes = b"0\r\n\r\n", headers: tuple[bytes, ...] = ()) -> bytes:
    """Return an answer in HTTP chunks."""
    return head(b"Transfer-Encoding: chunked", *headers) + b"".join(map(chunk, parts)) + end


def answer_well(connection: Connection, asked: Asked) -> None:
    """Answer as Ollama does: chunked when streamed, else with a length."""
    connection.send(chunked(*asked.lines) if asked.streamed else with_length(asked.good))


class RawServer:
    """Listens on loopback; treats each request as told, or well; says which connections live."""

    def __init__(self) -> None:
        self.serve: Serve = answer_well
        self.greet: Greet | None = None
        self.port = 0
        self.served: dict[int, int] = {}  # connection -> requests answered over it
        self._served_until_now: dict[int, int] = {}
        self._open: dict[int, Connection] = {}
        self._fillers: list[socket.socket] = []
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._stopping.set()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def recover(self) -> None:
        """Treat everybody well from now on, and listen again if need be."""
        self.serve, self.greet = answer_well, None
        with self._changed:
            self._served_until_now = dict(self.served)
        if self._stopping.is_set():
            self.start()

    def fates(self) -> str:
        """Say what became of the connections from before `recover`: each is closed, or used again."""
        with self._changed:
            found = {self._settled(number) for number in self._served_until_now}
        return ", ".join(sorted(found)) or "none"

    def _settled(self, number: int) -> str:
        def fate() -> str | None:
            if self.served[number] > self._served_until_now[number]:
                return "used again"
            return None if number in self._open else "closed"

        self._changed.wait_for(lambda: fate() is not None, _PROMPT_S)
        return fate() or "left open"

    def start(self) -> Self:
        """Listen; after `stop` on the same port again."""
        while self._fillers:
            self._fillers.pop().close()
        self._stopping = threading.Event()
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = listener.getsockname()[1]
        self._run(self._accept, listener, self._stopping)
        return self

    def stop(self) -> None:
        """Stop listening and cut every connection."""
        while self._fillers:
            self._fillers.pop().close()
        if self._stopping.is_set():
            return
        self._stopping.set()
        try:
            socket.create_connection(("127.0.0.1", self.port), _PROMPT_S).close()
        except OSError:
            pass  # it does not listen
        for connection in list(self._open.values()):
            connection.shut()
        for thread in self._threads:
            thread.join(_PROMPT_S)
        self._threads.clear()

    def fill_up(self) -> None:
        """Stop, and let the port's queue be full: nobody gets an answer to a handshake."""
        self.stop()
        full = socket.socket()
        full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        full.bind(("127.0.0.1", self.port))
        full.listen(0)
        self._fillers.append(full)
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            self._fillers.append(filler)

    def cut_idle(self) -> None:
        """Close every open connection, as a server does that has been idle for long."""
        for connection in list(self._open.values()):
            connection.end()

    def say(self, data: bytes) -> None:
        """Send what nobody asked for over every open connection."""
        for connection in list(self._open.values()):
            connection.send(data)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="raw-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket, stopping: threading.Event) -> None:
        with listener:
            while True:
                accepted, _ = listener.accept()
                if stopping.is_set():
                    accepted.close()
                    return
                with self._changed:
                    number = len(self.served) + 1
                    self.served[number] = 0
                    self._open[number] = connection = Connection(accepted)
                self._run(self._talk, connection, number, accepted)

    def _talk(self, connection: Connection, number: int, sock: socket.socket) -> None:
        try:
            with sock:
                if self.greet is not None:
                    self.greet(connection)
                if not connection.ended:
                    self._answer_requests(connection, number, sock)
                connection.wait_until_left()
        finally:
            with self._changed:
                del self._open[number]
                self._changed.notify_all()

    def _answer_requests(self, connection: Connection, number: int, sock: socket.socket) -> None:
        with sock.makefile("rb") as incoming:
            try:
                for request in read_requests(incoming, number):
                    if request.method == "GET":  # which models there are, after one was not found
                        connection.send(with_length(b'{"models":[]}'))
                        continue
                    with self._changed:
                        self.served[number] += 1
                        self._changed.notify_all()
                    self.serve(connection, Asked(request))
                    if connection.ended:
                        return
            except (OSError, ValueError):
                return  # the client left in the middle
