"""One object owns one call: its clock and its single ending; it knows no HTTP and no OpenTelemetry."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec

from ollameter.errors import (
    IncompleteResponse,
    InvalidRequest,
    OllameterError,
    error_type_of,
    is_cancellation,
)
from ollameter.messages import Chunk, Final, Message, Reply, Request, ToolCall
from ollameter.metrics import HostLoad, ModelFacts, Outcome, PerformanceMetrics, ServerTimings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JOIN_EVERY = (1 << 11) - 1  # chunks, as a mask
_NO_TIMINGS = ServerTimings()
_TIMING_FIELDS = ServerTimings.__struct_fields__

OPEN: set[Call] = set()
"""Every call of this process that has begun and not ended: what is left at exit ends there."""


class Clock(Protocol):
    """Where a call takes its time from."""

    def seconds(self) -> float:
        """Return a monotonic time in seconds."""

    def unix_ns(self) -> int:
        """Return the wall clock in nanoseconds since 1970 (UTC)."""


class SystemClock:
    """The machine's own clocks."""

    seconds: Callable[[], float] = staticmethod(time.perf_counter)
    unix_ns: Callable[[], int] = staticmethod(time.time_ns)


class CallObserver(Protocol):
    """What watches a call from outside; implemented by `telemetry`. It never raises."""

    recording: bool

    def attached(self) -> AbstractContextManager[Any]:
        """Make the call current while its request is opened; enter and exit in one frame."""

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Add what carries the trace to the server's side."""

    def retried(self, error: OllameterError, delay_s: float) -> None:
        """Take note that a request is sent again, `delay_s` after it was refused with `error`."""

    def end(
        self,
        metrics: PerformanceMetrics | None,
        error: BaseException | None,
        message: Callable[[], Message],
        arrivals: Sequence[float] = (),
    ) -> None:
        """Take note of how the call ended; `message()` builds the answer so far when wanted.

        `arrivals` are when its chunks came, in seconds, when the call was told to take them.
        """


class HostWindow(Protocol):
    """The machine since the call began; implemented by `host`."""

    def load(self) -> HostLoad | None:
        """Return what the machine did until now; None when nothing was sampled."""


class Seen(msgspec.Struct, frozen=True):
    """What is known of a call's model at its end, under the names of `PerformanceMetrics`."""

    model_info: ModelFacts | None = None
    cold_start: bool | None = None
    prompt_truncated: bool | None = None


_NOTHING_SEEN = Seen()


class ModelView(Protocol):
    """The call's model, as the background has seen it; implemented by `providers`. It never raises."""

    def describe(self, final: Final | None) -> Seen:
        """Return what is known now that the call has ended; None: without a whole answer."""

    def note(self, metrics: PerformanceMetrics) -> None:
        """Take note of what the call has cost."""


class Call:
    """One call from its start to exactly one of completed, error, truncated, abandoned, cancelled.

    Later endings do nothing. `metrics` is None until the call has ended and there ever after;
    it is built once, and what is exported is computed from it. Any thread may end a call.
    """

    def __init__(
        self,
        request: Request,
        server_address: str,
        server_port: int,
        *,
        clock: Clock,
        window: HostWindow | None = None,
        model_view: ModelView | None = None,
        on_end: Callable[[PerformanceMetrics], None] | None = None,
        time_chunks: bool = False,
    ) -> None:
        self.request = request
        self.attempts = 1
        self.metrics: PerformanceMetrics | None = None
        self.observer: CallObserver | None = None
        self._server = (server_address, server_port)
        self._window = window
        self._model_view = model_view
        self._on_end = on_end
        self._ending = threading.RLock()  # re-entrant: a finalizer may run in the middle of an end
        self._ended = False
        self._final: Final | None = None
        self._parts: tuple[tuple[str, ...], io.StringIO] = ((), io.StringIO())
        self._write = self._parts[1].write
        self._thinking = io.StringIO()
        self._tool_calls: list[ToolCall] = []
        self._logprobs: list[Any] = []
        self._chunks = 0
        self._arrivals: list[float] = []
        self._note_arrival = self._arrivals.append if time_chunks and request.stream else None
        self._now = clock.seconds
        self._first_at: float | None = None
        self._answer_at: float | None = None
        self.start_ns: int = clock.unix_ns()
        self._started = self._now()
        OPEN.add(self)

    def add(self, chunk: Chunk, final: Final | None) -> None:
        """Take note of a decoded chunk; the one that came with `final` completes the call."""
        self._chunks += 1
        if self._answer_at is None:
            self._note_first(chunk)
        if self._note_arrival is not None:
            self._note_arrival(self._now())
        self._write(chunk.text)
        if not self._chunks & _JOIN_EVERY:
            self._join()
        if chunk.thinking:
            self._thinking.write(chunk.thinking)
        if chunk.tool_calls:
            self._tool_calls.extend(chunk.tool_calls)
        if chunk.logprobs:
            self._logprobs.extend(chunk.logprobs)
        if final is not None:
            self._final = final
            self._end("completed")

    def fail(self, error: BaseException) -> bool:
        """End with what went wrong, told by its type; return False when it had ended before."""
        if not self._end(_outcome_of(error), error):
            return False
        if isinstance(error, OllameterError):
            error.metrics, error.partial_text, error.attempts = (
                self.metrics,
                self.text,
                self.attempts,
            )
        return True

    def abandon(self) -> None:
        """End without a fault: nobody wants the rest of the answer."""
        self._end("abandoned")

    def disown(self) -> None:
        """Forget the call in a forked child: it goes on, and ends, in the parent."""
        with self._ending:
            self._ended = True
        OPEN.discard(self)

    @property
    def ended(self) -> bool:
        """Whether the call has ended, in whatever way."""
        return self._ended

    @property
    def completed(self) -> bool:
        """Whether the `done: true` object has come."""
        return self._final is not None

    @property
    def text(self) -> str:
        """The answer's text so far."""
        joined, rest = self._parts  # at once: another thread may be adding to them
        return "".join([*joined, rest.getvalue()]) if joined else rest.getvalue()

    def message(self) -> Message:
        """Return the assistant's message so far."""
        return Message(
            role="assistant",
            content=self.text,
            thinking=self._thinking.getvalue() or None,
            tool_calls=tuple(self._tool_calls) or None,
        )

    def reply(self) -> Reply:
        """Return the whole answer; raises `InvalidRequest` before the call has completed."""
        metrics, final = self.finished()
        return Reply(
            self.text,
            metrics,
            message=self.message(),
            logprobs=self._logprobs or None,
            finish_reason=final.finish_reason,
            raw=final.raw,
            format_type=self.request.format_type,
        )

    def finished(self) -> tuple[PerformanceMetrics, Final]:
        """Return what came at the end; raises `InvalidRequest` before the call has completed."""
        if self.metrics is None or self._final is None:
            state = "has not ended" if self.metrics is None else f"ended as {self.metrics.outcome}"
            raise InvalidRequest(f"reply: the call {state}; there is no whole answer")
        return self.metrics, self._final

    def _join(self) -> None:
        """Join what has come since the last time: small texts apart take ten times their size.

        Not with what was joined before: that would take the whole text twice.
        """
        joined, rest = self._parts
        self._parts = ((*joined, rest.getvalue()), io.StringIO())
        self._write = self._parts[1].write

    def _note_first(self, chunk: Chunk) -> None:
        now = self._now()
        if self._first_at is None:
            self._first_at = now
        if chunk.text or chunk.tool_calls or not chunk.thinking:
            self._answer_at = now

    def _end(self, outcome: Outcome, error: BaseException | None = None) -> bool:
        with self._ending:
            if self._ended:
                return False
            self._ended = True
            duration_s = self._now() - self._started
            error_type = _error_type(outcome, error)
            self.metrics = metrics = self._measured(duration_s, outcome, error_type)
        OPEN.discard(self)
        if self._model_view is not None:
            self._model_view.note(metrics)
        if self._on_end is not None:
            self._on_end(metrics)
        if self.observer is not None:
            self.observer.end(metrics, error, self.message, self._arrivals)
        return True

    def _measured(self, duration_s: float, outcome: Outcome, error_type: str | None) -> PerformanceMetrics:
        request, final, streaming = self.request, self._final, self.request.stream
        timings = _NO_TIMINGS if final is None else final.timings
        seen = _NOTHING_SEEN if self._model_view is None else self._model_view.describe(final)
        return PerformanceMetrics(
            operation=request.operation,
            model=request.model,
            response_model=None if final is None else final.response_model,
            server_address=self._server[0],
            server_port=self._server[1],
            streaming=streaming,
            started_at=_EPOCH + timedelta(microseconds=self.start_ns // 1000),
            outcome=outcome,
            error_type=error_type,
            finish_reason=None if final is None else final.finish_reason,
            **{name: getattr(timings, name) for name in _TIMING_FIELDS},
            duration_s=duration_s,
            time_to_first_chunk_s=self._since_start(self._first_at) if streaming else None,
            time_to_first_answer_s=self._since_start(self._answer_at) if streaming else None,
            chunks=self._chunks if streaming else None,
            attempts=self.attempts,
            host=None if self._window is None else self._window.load(),
            model_info=seen.model_info,
            cold_start=seen.cold_start,
            prompt_truncated=seen.prompt_truncated,
        )

    def _since_start(self, at: float | None) -> float | None:
        return None if at is None else at - self._started


def end_open_calls() -> None:
    """Abandon whatever is still open: the last chance for its span to be exported."""
    for call in list(OPEN):
        call.abandon()


def _outcome_of(error: BaseException) -> Outcome:
    if isinstance(error, GeneratorExit):
        return "abandoned"
    if is_cancellation(error):
        return "cancelled"
    return "truncated" if isinstance(error, IncompleteResponse) else "error"


def _error_type(outcome: Outcome, error: BaseException | None) -> str | None:
    if outcome == "cancelled":
        return "cancelled"
    return None if error is None or outcome == "abandoned" else error_type_of(error)
