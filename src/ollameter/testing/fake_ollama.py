"""A real HTTP server on loopback that answers like Ollama, or exactly as a test scripts it."""

from __future__ import annotations

import socket
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Self
from weakref import WeakSet

from ollameter.testing.answers import Answer
from ollameter.testing.default_answers import DefaultAnswers
from ollameter.testing.received import ReceivedRequest, read_requests
from ollameter.testing.sending import BrokenOff, Sending

_PROMPT_S = 2.0
_RETRY_S = 0.01


class FakeOllama:
    """A small Ollama without models: answers at once, with plausible numbers, or as scripted.

    Use it in `with`, or call `start` and `close`; give its `base_url` to the code under test.
    `script` queues answers for a path, one a request; without any left the path answers by
    itself again. It checks what is asked as Ollama does, but not what a model is capable of.

    - `models`: what it has; `pull` adds to it
    - `requests`: every request in the order of arrival; clear it in a very long run
    - `background_requests`: what a provider asks by itself (`watch_models`), which is apart so that
      a slow test sees the same `requests` as a fast one
    - `closed_early`: those whose client left before the whole answer was sent. A client that shuts
      down its sending side counts as gone, as with Ollama; one that leaves once the rest is in the
      kernel's buffers does not
    """

    def __init__(self, models: Sequence[str] = ("llama3.2",), version: str = "0.33.3") -> None:
        self.models: list[str] = list(models)
        self.version = version
        self.host = "127.0.0.1"
        self.requests: list[ReceivedRequest] = []
        self.background_requests: list[ReceivedRequest] = []
        self.closed_early: list[ReceivedRequest] = []
        self.connections_opened: int = 0
        self._port = 0
        self._defaults = DefaultAnswers(self.models, version)
        self._scripts: dict[str, deque[Answer]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._open: dict[int, socket.socket] = {}
        self._threads: WeakSet[threading.Thread] = WeakSet()
        self._closing = threading.Event()
        self._closing.set()

    @property
    def port(self) -> int:
        """The port it listens on; raises `RuntimeError` before `start`."""
        if not self._port:
            raise RuntimeError("FakeOllama has not been started: use it in `with`, or call start()")
        return self._port

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

    def wait_until_closed(self, connection: int | None = None, timeout_s: float = 5.0) -> bool:
        """Wait until that connection, or every one, is closed; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._open if connection is None else connection not in self._open,
                timeout_s,
            )

    def wait_until_left(self, count: int = 1, timeout_s: float = 5.0) -> bool:
        """Wait until so many clients have left in the middle of an answer; return whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.closed_early) >= count, timeout_s)

    def start(self) -> Self:
        """Listen; after `close` on the same port again. Calling it twice does nothing."""
        if self._closing.is_set():
            listener = socket.create_server((self.host, self._port), backlog=1024)
            self._port = listener.getsockname()[1]
            self._closing = threading.Event()
            self._acceptor = self._run(self._accept, listener, self._closing)
        return self

    def close(self) -> None:
        """Stop listening and cut every connection; calling it again does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        # Closing a listener does not wake an accept() on every platform; a connection does.
        socket.create_connection((self.host, self._port), _PROMPT_S).close()
        self._acceptor.join(_PROMPT_S)
        with self._changed:
            for connection in self._open.values():
                _shut(connection)
        for thread in list(self._threads):
            thread.join(_PROMPT_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _run(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, name="fake-ollama", daemon=True)
        self._threads.add(thread)
        thread.start()
        return thread

    def _accept(self, listener: socket.socket, closing: threading.Event) -> None:
        with listener:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # out of file descriptors, say
                    if closing.wait(_RETRY_S):
                        return
                    continue
                if closing.is_set():
                    connection.close()
                    return
                with self._changed:
                    self.connections_opened += 1
                    number = self.connections_opened
                    self._open[number] = connection
                self._run(self._serve, connection, number, closing)

    def _serve(self, connection: socket.socket, number: int, closing: threading.Event) -> None:
        try:
            with connection, connection.makefile("rb") as incoming:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for request in read_requests(incoming, number):
                    if not self._answer(connection, request, closing):
                        break
        except (OSError, ValueError):
            pass  # the client left, or sent what is no HTTP
        finally:
            with self._changed:
                del self._open[number]
                self._changed.notify_all()

    def _answer(
        self, connection: socket.socket, request: ReceivedRequest, closing: threading.Event
    ) -> bool:
        """Send the next answer; return whether the connection lives on."""
        answer = self._next_scripted(request.path) or self._defaults.answer(request)
        with self._changed:
            (self.background_requests if request.is_background else self.requests).append(request)
            self._changed.notify_all()
        try:
            return Sending(connection, request, answer, closing).run()
        except BrokenOff:
            if not closing.is_set():
                with self._changed:
                    self.closed_early.append(request)
                    self._changed.notify_all()
            return False

    def _next_scripted(self, path: str) -> Answer | None:
        try:
            return self._scripts[path.partition("?")[0]].popleft()
        except IndexError:
            return None


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # closed meanwhile
