"""The span of a call, from its start to its end, and what is exported with it; never raises."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from ollameter._version import __version__
from ollameter.errors import OllameterError, error_type_of, is_cancellation
from ollameter.host.monitor import HostMonitor
from ollameter.messages import Message, Request
from ollameter.metrics import NS_PER_S, PerformanceMetrics
from ollameter.telemetry import names
from ollameter.telemetry.attributes import (
    Attributes,
    end_attributes,
    server_attributes,
    start_attributes,
    usable,
)
from ollameter.telemetry.content import Content, Redact, capture_mode
from ollameter.telemetry.context import Attached, inject, is_set_up, is_suppressed, without_http
from ollameter.telemetry.gauges import register
from ollameter.telemetry.guard import guarded, run_elsewhere, within_the_sdk
from ollameter.telemetry.instruments import Dimensions, Instruments, instruments_of, is_true
from ollameter.telemetry.phases import draw_phases

_MAX_STATUS_TEXT = 200


class Telemetry:
    """What one provider reports through: the given providers, else the global ones.

    An SDK that is set up later is used from then on; until then a call costs next to nothing.
    """

    def __init__(
        self,
        *,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        logger_provider: Any = None,
        capture_content: bool | str | None = None,
        redact: Redact | None = None,
        phase_spans: bool | None = None,
        suppress_http_spans: bool = False,
    ) -> None:
        self._live = any(p is not None for p in (tracer_provider, meter_provider, logger_provider))
        self.tracer: trace.Tracer = trace.get_tracer(
            names.SCOPE, __version__, tracer_provider, schema_url=names.SCHEMA_URL
        )
        self._meter_provider = meter_provider
        self.instruments: Instruments = instruments_of(meter_provider)
        mode = capture_mode(capture_content)
        self.content: Content | None = Content(mode, redact, logger_provider) if mode.captures else None
        self.phase_spans: bool = is_true("OLLAMETER_PHASE_SPANS") if phase_spans is None else phase_spans
        self.suppresses_http_spans = suppress_http_spans

    def show_machine(self, monitor: HostMonitor) -> None:
        """Show what a monitor sees in gauges, unless the environment says otherwise."""
        guarded("register the host gauges", register, self._meter_provider, monitor)

    def start_call(self, request: Request, address: str, port: int, start_ns: int) -> CallSpan:
        """Start the span of a call below the current one, and count the call as active."""
        parent = otel_context.get_current()
        if not self._may_start(parent):
            return self._unseen(parent, address)
        started = guarded("describe a call", start_attributes, request, address, port)
        started = started or server_attributes(address, port)
        name = f"{request.operation} {request.model}"
        call = CallSpan(self, self._span(name, parent, started, start_ns), parent, start_ns, address)
        call.request, call.started = request, started
        call.of = self.instruments.dimensions(request.operation, request.model, address, port)
        self.instruments.active.add(call)
        return call

    def start_operation(self, name: str, address: str, port: int, start_ns: int) -> CallSpan:
        """Start the span of what is no GenAI operation: a name and the server, no metrics."""
        parent = otel_context.get_current()
        if not self._may_start(parent):
            return self._unseen(parent, address)
        span = self._span(name, parent, server_attributes(address, port), start_ns)
        return CallSpan(self, span, parent, start_ns, address)

    def silent(self) -> CallSpan:
        """Return a span that reports nothing and hides its requests: for polling."""
        hidden = CallSpan(self, None, without_http(otel_context.get_current()), 0, "")
        hidden.carries = False
        return hidden

    def suppressed(self) -> AbstractContextManager[None]:
        """Hide the requests made within `with` from HTTP instrumentation: for polling."""
        return Attached(without_http(otel_context.get_current()))

    def _may_start(self, parent: Context) -> bool:
        self._live = self._live or is_set_up()
        return self._live and not is_suppressed(parent)

    def _unseen(self, parent: Context, address: str) -> CallSpan:
        """Return what reports nothing; a trace that passes through a program without SDK goes on."""
        call = CallSpan(self, None, parent, 0, address)
        call.attaches = False
        call.carries = bool(parent) and not is_suppressed(parent)
        return call

    def _span(self, name: str, parent: Context, started: Attributes, start_ns: int) -> Span | None:
        start = partial(self.tracer.start_span, start_time=start_ns)
        span: Span | None = guarded("start a span", start, name, parent, SpanKind.CLIENT, started)
        return span


class CallSpan:
    """One call seen from outside: current while its request opens, ended once with its metrics."""

    __slots__ = (
        "_address", "_ended", "_span", "_start_ns", "_telemetry", "attaches", "carries", "context", "of",
        "recording", "request", "started",
    )  # fmt: skip

    def __init__(
        self, telemetry: Telemetry, span: Span | None, parent: Context, start_ns: int, address: str
    ) -> None:
        self.recording: bool = span is not None and span.is_recording()
        self.context: Context = parent if span is None else trace.set_span_in_context(span, parent)
        self.attaches: bool = True
        self.carries: bool = True
        self.request: Request | None = None
        self.started: Attributes = {}
        self.of: Dimensions | None = None
        self._telemetry = telemetry
        self._span = span
        self._start_ns = start_ns
        self._address = address
        self._ended = False

    def attached(self) -> AbstractContextManager[None]:
        """Make the call current while its request is opened; enter and exit in one frame."""
        if not self.attaches:
            return Attached(None)
        hides = self._span is not None and self._telemetry.suppresses_http_spans
        return Attached(without_http(self.context) if hides else self.context)

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Add `traceparent` and what goes with it; baggage only for a server on this machine."""
        if self.carries:
            inject(headers, self.context, self._address)

    def retried(self, error: OllameterError, delay_s: float) -> None:
        """Add an event: a request is sent again, `delay_s` after it was refused with `error`."""
        span: Any = self._span
        if self.recording:
            told = {names.ERROR_TYPE: error.error_type, names.RETRY_DELAY: float(delay_s)}
            guarded("tell a retry", span.add_event, names.RETRY_EVENT, told)

    def end(
        self,
        metrics: PerformanceMetrics | None,
        error: BaseException | None,
        message: Callable[[], Message],
        arrivals: Sequence[float] = (),
    ) -> None:
        """Write what is known of the end, record the metrics, and end the span, whatever fails.

        Only the first time. A call without metrics ends now, one with metrics `duration_s` after
        its start.
        """
        if self._ended or (self._span is None and self.of is None):
            return
        self._ended = True
        self._telemetry.instruments.active.discard(self)
        work = partial(guarded, "end a call", self._end, metrics, error, message, arrivals)
        # A finalizer may run anywhere; what it ends was left by its owner.
        left = isinstance(error, GeneratorExit) or (metrics is not None and metrics.outcome == "abandoned")
        if left and within_the_sdk():
            run_elsewhere(work)
        else:
            work()

    def _end(
        self,
        metrics: PerformanceMetrics | None,
        error: BaseException | None,
        message: Callable[[], Message],
        arrivals: Sequence[float],
    ) -> None:
        end_ns = None
        try:
            if metrics is not None:
                metrics = usable(metrics)
                if metrics.duration_s is not None:
                    end_ns = self._start_ns + round(metrics.duration_s * NS_PER_S)
            if metrics is None or self.of is None:
                described = _end_of_operation(metrics, error)
            else:
                described = guarded("describe the end", end_attributes, metrics)
                described = described or _end_of_operation(metrics, error)
                self._telemetry.instruments.ended(metrics, described, self.of, self.context, arrivals)
            if self.recording:
                self._describe(described, error, end_ns)
            if metrics is not None and self.request is not None:
                guarded("export content", self._say_more, metrics, described, message, end_ns)
        finally:
            if self._span is not None:
                guarded("end a span", self._span.end, end_ns)

    def _describe(self, described: Attributes, error: BaseException | None, end_ns: int | None) -> None:
        span: Any = self._span
        guarded("describe the end", span.set_attributes, described)
        failed = described.get(names.ERROR_TYPE)
        if failed is not None:
            status = guarded("tell an error", _status, error, failed)
            guarded("tell an error", span.set_status, status)
            if error is not None:
                guarded("tell an error", partial(span.record_exception, timestamp=end_ns), error)

    def _say_more(
        self,
        metrics: PerformanceMetrics,
        described: Attributes,
        message: Callable[[], Message],
        end_ns: int | None,
    ) -> None:
        """Add what was asked for beyond the span itself: its phases, and what was said."""
        telemetry, request = self._telemetry, self.request
        if telemetry.phase_spans and self.recording and end_ns is not None:
            guarded(
                "draw phases", draw_phases, metrics, telemetry.tracer, self.context, self._start_ns, end_ns
            )
        if telemetry.content is not None and request is not None:
            known = {**self.started, **described}
            telemetry.content.export(request, metrics, message(), self._span, self.context, known)


def _end_of_operation(metrics: PerformanceMetrics | None, error: BaseException | None) -> Attributes:
    """Return what is said of the end of what is no GenAI operation: what went wrong."""
    if metrics is not None:
        return {} if metrics.error_type is None else {names.ERROR_TYPE: metrics.error_type}
    if error is None or isinstance(error, GeneratorExit):
        return {}
    return {names.ERROR_TYPE: "cancelled" if is_cancellation(error) else error_type_of(error)}


def _status(error: BaseException | None, error_type: str) -> Status:
    """Return our own error's text, anybody else's type alone: theirs may quote what was said."""
    text = str(error) if isinstance(error, OllameterError) else error_type
    return Status(StatusCode.ERROR, text.partition("\n")[0][:_MAX_STATUS_TEXT])
