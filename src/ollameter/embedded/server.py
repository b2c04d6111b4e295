"""Ollama's endpoints in front of one engine."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, Self

from ollameter.embedded.body import Refused, read_object
from ollameter.embedded.engine import Engine, EngineFailed
from ollameter.embedded.http_exchange import ConnectionServer, Exchange
from ollameter.embedded.job import Failed, Finished, Job, Piece, ReaderLeft
from ollameter.embedded.model import (
    NAME,
    ModelCard,
    find_model_file,
    is_offered,
    server_version,
)
from ollameter.embedded.replies import content_line, done_line, empty_line
from ollameter.embedded.request import Kind, Request, check_model, read_request

_PATHS = (
    "/",
    "/api/version",
    "/api/tags",
    "/api/ps",
    "/api/show",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
)
_NOT_OFFERED = ("/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete")
_NO_EMBEDDINGS = "This server does not support embeddings. Start it with `--embeddings`"
_ENDED_EARLY = "an error was encountered while running the model: unexpected EOF"

Finish = Callable[[Finished, str], dict[str, Any]]


class EmbeddedOllama:
    """A real llama.cpp engine and a real small model behind Ollama's API, on loopback.

    The model is loaded by the first call that needs it. Port 0 takes a free one. One thread
    (the default) keeps its pace on a busy machine; more are faster on an idle one. `close`, or
    leaving the `with` block, frees the port, the threads and the model.
    """

    model = NAME

    def __init__(self, port: int = 0, *, threads: int = 1, context_length: int = 4096) -> None:
        self._port = port
        self._threads = threads
        self._context_length = context_length
        self._engine: Engine | None = None
        self._http: ConnectionServer | None = None

    @property
    def base_url(self) -> str:
        """The server's URL; raise RuntimeError when it is not running."""
        if self._http is None:
            raise RuntimeError("the embedded server is not running")
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> Self:
        """Begin to listen; raise ImportError when the engine or the model is not installed."""
        if self._http is None:
            card = ModelCard(find_model_file())
            engine = Engine(card.path, context_length=self._context_length, threads=self._threads)
            try:
                exchange = partial(OllamaExchange, card, engine)
                self._http = ConnectionServer(("127.0.0.1", self._port), exchange)
            except OSError:
                engine.close()
                raise
            self._engine = engine
            # Threads inside C++ must not meet an interpreter that is going away.
            atexit.register(self.close)
        return self

    def close(self) -> None:
        """Stop everything and wait for it; safe to call twice and before `start`."""
        atexit.unregister(self.close)
        engine, self._engine = self._engine, None
        http, self._http = self._http, None
        if engine is not None:
            engine.close()
        if http is not None:
            http.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class OllamaExchange(Exchange):
    """One connection's requests, answered by the engine it was given."""

    def __init__(self, card: ModelCard, engine: Engine, *connection: Any) -> None:
        self._card = card
        self._engine = engine
        super().__init__(*connection)  # answers every request before it returns

    def answer(self, body: bytes, entered_ns: int) -> None:
        """Answer one request, or refuse it as Ollama would."""
        try:
            self._route(body, entered_ns)
        except Refused as refused:
            self.send_json(refused.status, {"error": refused.message})
        except EngineFailed as failed:
            self.send_json(500, {"error": str(failed)})
        except ReaderLeft:
            self.close_connection = True

    def _route(self, body: bytes, entered_ns: int) -> None:
        path = self.path.partition("?")[0]
        match "GET" if self.command == "HEAD" else self.command, path:
            case "GET", "/":
                self.send_body(200, b"Ollama is running")
            case "GET", "/api/version":
                self.send_json(200, {"version": server_version()})
            case "GET", "/api/tags":
                self.send_json(200, {"models": [self._card.listed()]})
            case "GET", "/api/ps":
                self.send_json(200, {"models": self._running()})
            case "POST", "/api/show":
                self._show(read_object(body))
            case "POST", "/api/chat":
                self._infer("chat", body, entered_ns)
            case "POST", "/api/generate":
                self._infer("generate", body, entered_ns)
            case "POST", "/api/embed" | "/api/embeddings":
                self._refuse_to_embed(read_object(body))
            case _ if path in _NOT_OFFERED:
                self.send_json(501, {"error": f"the embedded server does not offer {path}"})
            case _ if path in _PATHS:
                self.send_body(405, b"405 method not allowed")
            case _:
                self.send_body(404, b"404 page not found")

    def _running(self) -> list[dict[str, Any]]:
        expires_at = self._engine.expires_at
        if expires_at is None:
            return []
        context_length = self._engine.context_length
        return [self._card.running(expires_at=expires_at, context_length=context_length)]

    def _show(self, fields: dict[str, Any]) -> None:
        check_model(str(fields.get("model") or fields.get("name") or ""), required=True)
        self.send_json(200, self._card.shown(verbose=fields.get("verbose") is True))

    def _refuse_to_embed(self, fields: dict[str, Any]) -> None:
        model = str(fields.get("model") or "")
        if not is_offered(model):
            raise Refused(404, f'model "{model}" not found, try pulling it first')
        raise Refused(501, _NO_EMBEDDINGS)

    def _infer(self, kind: Kind, body: bytes, entered_ns: int) -> None:
        request = read_request(kind, body, context_length=self._engine.context_length)
        if request.is_empty:
            self._load_or_unload(request)
            return
        job = Job(request.engine_request, is_raw=request.is_raw)
        self._engine.submit(job, request.keep_alive_s)
        load_duration = time.perf_counter_ns() - entered_ns
        finish = partial(done_line, request, entered_ns=entered_ns, load_duration=load_duration)
        try:
            if request.stream:
                self._send_stream(request, self._pieces(job), finish)
            else:
                self._send_whole(self._pieces(job), finish)
        finally:
            job.cancel()  # however this ends, nobody reads on

    def _load_or_unload(self, request: Request) -> None:
        if request.is_unload:
            self._engine.unload()
        else:
            self._engine.load(request.keep_alive_s)
        self.send_json(200, empty_line(request, datetime.now(UTC)))

    def _pieces(self, job: Job) -> Iterator[Piece | Finished]:
        for event in job.follow(self.client_is_there):
            if isinstance(event, Failed):
                raise Refused(event.status, event.message)
            yield event
            if isinstance(event, Finished):
                return
        raise Refused(500, _ENDED_EARLY)

    def _send_stream(self, request: Request, pieces: Iterator[Piece | Finished], finish: Finish) -> None:
        has_begun = False
        try:
            for piece in pieces:
                if not has_begun:
                    self.start_lines()
                    has_begun = True
                if isinstance(piece, Finished):
                    self.send_line(finish(piece, piece.text))
                else:
                    self.send_line(content_line(request, piece.text, piece.at))
        except Refused as refused:
            if not has_begun:
                raise  # it can still have a status of its own
            self.send_line({"error": refused.message})
        self.end_lines()

    def _send_whole(self, pieces: Iterator[Piece | Finished], finish: Finish) -> None:
        texts = []
        for piece in pieces:
            texts.append(piece.text)
            if isinstance(piece, Finished):
                self.send_json(200, finish(piece, "".join(texts)))
