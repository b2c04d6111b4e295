"""Requests as they came in over a connection: bytes read, nothing sent."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import msgspec

_LONGEST_LINE = 65536


class Headers(Mapping[str, str]):
    """Headers by name in any case, iterated in lower case; repeated ones are joined with a comma."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def add(self, name: str, value: str) -> None:
        """Take note of one header line."""
        name, value = name.strip().lower(), value.strip()
        self._values[name] = f"{self._values[name]}, {value}" if name in self._values else value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


@dataclass
class Sent:
    """How much of an answer is on its way: body bytes, and the pieces (lines) they were sent in."""

    body_bytes: int = 0
    pieces: int = 0


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it arrived.

    `connection` counts from 1 in the order of opening; `received_at` is `time.perf_counter()`
    when the body was complete; `sent` goes on counting while the answer is sent.
    """

    method: str
    path: str
    headers: Headers
    body: bytes
    connection: int
    received_at: float = field(default_factory=time.perf_counter)
    sent: Sent = field(default_factory=Sent, compare=False)

    @property
    def json(self) -> Any:
        """The body as JSON, None without a body; raises `msgspec.DecodeError` when it is none."""
        return msgspec.json.decode(self.body) if self.body else None

    @property
    def is_background(self) -> bool:
        """Whether no call of the program under test asked, but ollameter in the background."""
        return self.headers.get("user-agent", "").endswith("(background)")

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants to go on using its connection."""
        return self.headers.get("connection", "").lower() != "close"


def read_requests(incoming: BinaryIO, connection: int) -> Iterator[ReceivedRequest]:
    """Yield the requests of one connection; raises `ValueError` for what is no HTTP/1.1."""
    while line := incoming.readline(_LONGEST_LINE):
        method, path, _ = line.decode("latin-1").split(None, 2)
        headers = _read_headers(incoming)
        body = None if headers is None else _read_body(incoming, headers)
        if headers is None or body is None:
            return  # the client left before it had said everything
        request = ReceivedRequest(method, path, headers, body, connection)
        yield request
        if not request.keeps_alive:
            return


def _read_headers(incoming: BinaryIO) -> Headers | None:
    """Return all headers, None when they break off."""
    headers = Headers()
    while line := incoming.readline(_LONGEST_LINE).decode("latin-1"):
        if not line.strip():
            return headers
        name, _, value = line.partition(":")
        headers.add(name, value)
    return None


def _read_body(incoming: BinaryIO, headers: Headers) -> bytes | None:
    """Return the whole body, None when it breaks off."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _read_chunks(incoming)
    length = int(headers.get("content-length", 0))
    body = incoming.read(length) if length else b""
    return body if len(body) == length else None


def _read_chunks(incoming: BinaryIO) -> bytes | None:
    parts = []
    while line := incoming.readline(_LONGEST_LINE):
        size = int(line.partition(b";")[0], 16)
        parts.append(incoming.read(size))
        incoming.readline(_LONGEST_LINE)
        if size == 0:
            return b"".join(parts)
    return None
