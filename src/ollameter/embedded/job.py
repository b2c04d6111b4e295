"""One request to the engine and what became of it: JSON from llama.cpp in, events out."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

_LOOK_AT_READER_S = 0.05
_SCHEMA_ERROR = "JSON schema error"


class Timings(msgspec.Struct, frozen=True):
    """The engine's own measurements of one job: milliseconds with µs resolution."""

    cache_n: int
    prompt_n: int  # evaluated, so without the cached tokens
    prompt_ms: float  # slot start to first token sampled
    predicted_n: int  # every token sampled, the end-of-text token too
    predicted_ms: float  # first to last token sampled, at least 1 µs


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of the answer and the moment it left the engine."""

    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Finished:
    """The engine's last word on a job; `at_ns` is the same moment by `time.perf_counter_ns`."""

    text: str
    reason: str
    timings: Timings
    at: datetime
    at_ns: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no answer, or no more of it."""

    status: int
    message: str


Event = Piece | Finished | Failed


class ReaderLeft(Exception):
    """Nobody reads a job's events any more; the job is cancelled."""


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    finish_reason: str | None = None
    delta: _Delta = _Delta()
    text: str = ""


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []
    timings: Timings | None = None
    error: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class Job:
    """What the engine is asked, and its events on their way to one reader."""

    def __init__(self, request: bytes, *, is_raw: bool) -> None:
        self.request = request
        self.is_raw = is_raw
        self._cancelled = threading.Event()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()

    @property
    def cancelled(self) -> bool:
        """Tell whether anybody still wants the answer."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Have the engine drop this job: at once in the queue, at its next token in the slot."""
        self._cancelled.set()

    def follow(self, is_read: Callable[[], bool]) -> Iterator[Event]:
        """Yield the events until the last; raise `ReaderLeft` soon after `is_read()` is False."""
        while True:
            event: Event | None = None
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=_LOOK_AT_READER_S)
                if event is None:
                    return
            if not is_read():
                self.cancel()
                raise ReaderLeft
            if event is not None:
                yield event

    def take(self, data: bytes) -> bool:
        """Take what the engine says next; True asks it to stop."""
        now, now_ns = datetime.now(UTC), time.perf_counter_ns()
        chunk = _decode(data)
        if chunk.error is not None:
            self.put(_failure(chunk.error))
        for choice in chunk.choices:
            text = choice.delta.content or choice.text
            if choice.finish_reason is not None and chunk.timings is not None:
                self.put(Finished(text, choice.finish_reason, chunk.timings, now, now_ns))
            elif text:
                self.put(Piece(text, now))
        return self.cancelled

    def put(self, event: Event | None) -> None:
        """Hand an event to the reader; None is the last."""
        self._events.put(event)


def refusal(text: str) -> Failed:
    """Return what the engine's complaint about a request is to the caller."""
    before, marker, problem = text.partition(_SCHEMA_ERROR)
    return Failed(500, f"invalid format: {marker}{problem}") if marker else Failed(400, before)


def _failure(error: dict[str, Any]) -> Failed:
    if error.get("type") == "exceed_context_size_error":
        # Ollama passes this one on as JSON inside its own error text.
        return Failed(400, msgspec.json.encode({"error": error}).decode())
    return Failed(int(error.get("code", 500)), str(error.get("message", "unknown error")))
