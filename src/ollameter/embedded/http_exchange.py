"""HTTP/1.1 as Ollama's server speaks it: bodies in, chunked lines out, no idea of models."""

from __future__ import annotations

import ipaddress
import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")


class ConnectionServer(ThreadingHTTPServer):
    """Serves each connection on a daemon thread that `close` waits for."""

    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: Callable[..., Exchange]) -> None:
        super().__init__(address, handler)
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.1,), name="embedded-http", daemon=True
        )
        self._thread.start()

    def server_bind(self) -> None:
        """Bind without the base class's look-up of a domain name, which can take seconds."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the connection's thread; called on the accepting thread alone."""
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="embedded-connection",
            daemon=True,
        )
        alive = {known: sock for known, sock in self._connections.items() if known.is_alive()}
        self._connections = {**alive, thread: request}
        thread.start()

    def close(self) -> None:
        """Stop listening, cut every connection and wait for its thread."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        for sock in self._connections.values():
            cut(sock)
        for thread in self._connections:
            thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that broke: its client knows."""


class Exchange(BaseHTTPRequestHandler):
    """One connection's requests and answers; a subclass says what to answer in `answer`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    error_message_format = "%(code)d %(message)s"
    error_content_type = "text/plain"

    def answer(self, body: bytes, entered_ns: int) -> None:
        """Answer a request; `entered_ns` is the moment before its body was read."""
        raise NotImplementedError

    def _exchange(self) -> None:
        entered_ns = time.perf_counter_ns()
        if not is_local_host(self.headers.get("Host", "")):
            self.close_connection = True
            self.send_body(403, b"")
            return
        try:
            body = self._read_body()
        except ValueError:
            self.send_error(400)  # where the next request begins is unknown: it closes
            return
        self.answer(body, entered_ns)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # how the base class looks for a method's answer
            return self._exchange
        raise AttributeError(name)

    def version_string(self) -> str:
        """Name the server: plainly not Ollama."""
        return "ollameter-embedded"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the application's output is its own."""

    def send_json(self, status: int, value: Any) -> None:
        """Send one JSON object as the whole answer."""
        self.send_body(status, encode(value), "application/json; charset=utf-8")

    def send_body(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
        """Send a whole answer; HEAD gets its headers alone."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def start_lines(self) -> None:
        """Start a streamed answer; HTTP/1.0 knows no chunks and gets lines until the end."""
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        if self.request_version != "HTTP/1.0":
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_line(self, value: Any) -> None:
        """Send one object and its LF as one chunk, at once."""
        self._send_chunk(encode(value) + b"\n")

    def end_lines(self) -> None:
        """End a streamed answer."""
        self._send_chunk(b"")

    def client_is_there(self) -> bool:
        """Tell whether the client still listens; what it sends meanwhile is left unread."""
        try:
            self.connection.setblocking(False)
            return len(self.connection.recv(1, socket.MSG_PEEK)) > 0
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            if self.connection.fileno() >= 0:
                self.connection.setblocking(True)

    def _send_chunk(self, data: bytes) -> None:
        if self.request_version == "HTTP/1.0":
            self.wfile.write(data)
        else:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(iter(self._read_chunk, b""))
        length = int(self.headers.get("Content-Length", 0))
        if length < 0:
            raise ValueError("negative Content-Length")
        return self.rfile.read(length)

    def _read_chunk(self) -> bytes:
        size = int(self.rfile.readline().partition(b";")[0], 16)
        data = self.rfile.read(size)
        while self.rfile.readline().strip():
            pass  # trailers follow the last chunk; any other ends with this line
        return data


def encode(value: Any) -> bytes:
    """Return compact JSON in UTF-8, its text unescaped as Go leaves it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def is_local_host(header: str) -> bool:
    """Tell whether a Host header may reach a loopback server: else a web page rebound its name."""
    host = header.lower().rpartition(":")[0] if header.count(":") == 1 else header.lower()
    host = host.rpartition("]")[0].strip("[") if host.startswith("[") else host
    if host in ("", "localhost", socket.gethostname().lower()):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host.endswith(_LOCAL_SUFFIXES)


def cut(connection: socket.socket) -> None:
    """Wake whoever reads or writes a connection; one that is closed already stays closed."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
