"""The clients that are compared: each chats, streams (in `with` or `async with`) and has a `text`."""

from __future__ import annotations

import http.client
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from benchmarks.scenarios import MODEL, QUESTION

_WHOLE = {"model": MODEL, "messages": QUESTION, "stream": False}
_STREAMED = {"model": MODEL, "messages": QUESTION, "stream": True}


def _text_of_dict(chunk: Any) -> str:
    text: str = chunk["message"]["content"]
    return text


def _text_of_ollama(chunk: Any) -> str:
    text: str = chunk.message.content
    return text


def _text_of_ours(chunk: Any) -> str:
    text: str = chunk.text
    return text


class HttpClient:
    """The standard library alone."""

    text = staticmethod(_text_of_dict)

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def chat(self) -> Any:
        """Ask once, and read the whole answer."""
        return json.loads(self._ask(_WHOLE).read())

    @contextmanager
    def stream(self) -> Iterator[Any]:
        """Open a stream of chunks."""
        with self._ask(_STREAMED) as response:
            yield map(json.loads, response)

    def _ask(self, body: dict[str, Any]) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/api/chat", json.dumps(body), headers)
        return self._connection.getresponse()


class Requests:
    """requests, as its documentation shows it."""

    text = staticmethod(_text_of_dict)

    def __init__(self, url: str) -> None:
        import requests

        self._session = requests.Session()
        self._url = url + "/api/chat"

    def chat(self) -> Any:
        """Ask once, and read the whole answer."""
        return self._session.post(self._url, json=_WHOLE).json()

    @contextmanager
    def stream(self) -> Iterator[Any]:
        """Open a stream of chunks."""
        with self._session.post(self._url, json=_STREAMED, stream=True) as response:
            yield map(json.loads, response.iter_lines())


class Aiohttp:
    """aiohttp, as its documentation shows it; asynchronous only."""

    text = staticmethod(_text_of_dict)

    def __init__(self, url: str) -> None:
        self._session: Any = None
        self._url = url + "/api/chat"

    @asynccontextmanager
    async def stream_async(self) -> AsyncIterator[Any]:
        """Open a stream of chunks on the running loop."""
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        async with self._session.post(self._url, json=_STREAMED) as response:
            yield (json.loads(line) async for line in response.content)

    async def aclose(self) -> None:
        """Close the session, if there is one."""
        if self._session is not None:
            await self._session.close()


class Ollama:
    """The ollama package; what instruments it has been switched on before."""

    text = staticmethod(_text_of_ollama)

    def __init__(self, url: str) -> None:
        ollama: Any = import_module("ollama")
        self._client = ollama.Client(host=url)
        self._make_async = partial(ollama.AsyncClient, host=url)
        self._async: Any = None

    def chat(self) -> Any:
        """Ask once, and read the whole answer."""
        return self._client.chat(MODEL, QUESTION)

    @contextmanager
    def stream(self) -> Iterator[Any]:
        """Open a stream of chunks."""
        yield self._client.chat(MODEL, QUESTION, stream=True)

    @asynccontextmanager
    async def stream_async(self) -> AsyncIterator[Any]:
        """Open a stream of chunks on the running loop."""
        if self._async is None:
            limits = import_module("httpx").Limits(max_connections=None)
            self._async = self._make_async(limits=limits)
        yield await self._async.chat(MODEL, QUESTION, stream=True)


class Ours:
    """ollameter, with its defaults."""

    text = staticmethod(_text_of_ours)

    def __init__(self, url: str, *, cut_out: bool = False, takes_times: bool = False) -> None:
        from ollameter import OllamaProvider

        self._provider = OllamaProvider(url, model=MODEL)
        if takes_times:
            instruments = self._provider._telemetry.instruments  # noqa: SLF001  # measured apart
            instruments.times_chunks, instruments._per_chunk = True, None  # noqa: SLF001  # from recording
        if cut_out:
            self._provider._telemetry = _NoTelemetry()  # type: ignore[assignment]  # noqa: SLF001  # measured against
        self.stream = partial(self._provider.stream, QUESTION)
        self.stream_async = partial(self._provider.stream_async, QUESTION)

    def chat(self) -> Any:
        """Ask once, and read the whole answer."""
        return self._provider.chat(QUESTION)


class Least(Ours):
    """The least that an SDK can cost: ours without its telemetry, around it one span and nine records.

    As many attributes as ours has, none of them computed: what ours costs more is its own.
    """

    def __init__(self, url: str) -> None:
        from opentelemetry import metrics, trace

        super().__init__(url, cut_out=True)
        meter, self._tracer = metrics.get_meter(__name__), trace.get_tracer(__name__)
        buckets = [0.01 * 2**n for n in range(14)]
        made = [
            meter.create_histogram(f"h{n}", explicit_bucket_boundaries_advisory=buckets) for n in range(8)
        ]
        self._records = [one.record for one in (*made, made[0])]
        few: Mapping[str, str | int] = {
            "operation": "chat",
            "model": MODEL,
            "address": "127.0.0.1",
            "port": 11434,
        }
        self._of = [few] * 5 + [{**few, "provider": "ollama"}] * 4
        self._told: Mapping[str, str | float] = {
            f"attribute {n}": "text" if n % 4 == 0 else n / 7 for n in range(17)
        }

    def chat(self) -> Any:
        """Ask once, and tell of it what was known before."""
        from opentelemetry import trace

        span = self._tracer.start_span("chat", kind=trace.SpanKind.CLIENT, attributes=self._of[-1])
        with trace.use_span(span):
            answer = super().chat()
            for record, of in zip(self._records, self._of, strict=True):
                record(1.0, of)
        span.set_attributes(self._told)
        span.end()
        return answer


class _NoTelemetry:
    """What the rest of a call costs: nothing is asked, started or told."""

    instruments = SimpleNamespace(times_chunks=False)
    _nothing = nullcontext()
    recording = False

    def start_call(self, *_: Any) -> Any:
        return self

    def attached(self) -> Any:
        return self._nothing

    def inject(self, headers: Any) -> None:
        pass

    def end(self, *_: Any) -> None:
        pass
