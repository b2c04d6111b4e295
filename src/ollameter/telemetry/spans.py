"""The span of a call, from its start to its end, and what is exported with it; never raises."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import metrics as otel_metrics
from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from ollameter._version import __version__
from ollameter.errors import OllameterError, error_type_of
from ollameter.messages import Message, Request
from ollameter.metrics import NS_PER_S, PerformanceMetrics
from ollameter.telemetry import names
from ollameter.telemetry.attributes import end_attributes, server_attributes, start_attributes
from ollameter.telemetry.content import Content, Redact, capture_mode
from ollameter.telemetry.instruments import Dimensions, Instruments

_log = logging.getLogger("ollameter.telemetry")

_SUPPRESSED = (
    otel_context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001  # the key instrumentations share
    "suppress_instrumentation",
)
_HTTP_SUPPRESSED = otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY  # noqa: SLF001  # likewise
_LOOPBACK = ("localhost", "127.", "::1")
_MAX_STATUS_TEXT = 200


class Telemetry:
    """What one provider reports through: the given providers, else the global ones.

    An SDK that is set up later is used from then on.
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
        self._tracer = trace.get_tracer(
            names.SCOPE, __version__, tracer_provider, schema_url=names.SCHEMA_URL
        )
        self.instruments = Instruments(
            otel_metrics.get_meter(names.SCOPE, __version__, meter_provider, schema_url=names.SCHEMA_URL)
        )
        mode = capture_mode(capture_content)
        self.content = Content(mode, redact, logger_provider) if mode.captures else None
        self.phase_spans = _phase_spans(phase_spans)
        self._suppress_http_spans = suppress_http_spans

    def start_call(self, request: Request, address: str, port: int, start_ns: int) -> CallSpan:
        """Start the span of a call below the current one, and count the call as active."""
        parent = otel_context.get_current()
        if _is_suppressed(parent):
            return CallSpan(self, None, parent, start_ns)
        CallSpan(self, None, parent, start_ns)
        with _guarded("start a call"):
            span = self._tracer.start_span(
                f"{request.operation} {request.model}",
                parent,
                SpanKind.CLIENT,
                start_attributes(request, address, port),
                start_time=start_ns,
            )
            context = trace.set_span_in_context(span, parent)
            dimensions = self.instruments.dimensions(request, address, port)
            self.instruments.started(dimensions, context)
            return CallSpan(
                self,
                span,
                context,
                start_ns,
                request=request,
                dimensions=dimensions,
                address=address,
            )

    def start_operation(self, name: str, address: str, port: int, start_ns: int) -> CallSpan:
        """Start the span of what is no GenAI operation: a name and the server, no metrics."""
        parent = otel_context.get_current()
        started = CallSpan(self, None, parent, start_ns)
        if _is_suppressed(parent):
            return started
        with _guarded("start an operation"):
            span = self._tracer.start_span(
                name, parent, SpanKind.CLIENT, server_attributes(address, port), start_time=start_ns
            )
            context = trace.set_span_in_context(span, parent)
            return CallSpan(self, span, context, start_ns, address=address)

    def silent(self) -> CallSpan:
        """Return a span that reports nothing and hides its requests: for polling."""
        context = otel_context.set_value(_HTTP_SUPPRESSED, True)
        return CallSpan(self, None, context, 0, hides_http=True)

    @property
    def suppresses_http_spans(self) -> bool:
        """Whether HTTP instrumentation is to be silent for our requests."""
        return self._suppress_http_spans

    @property
    def tracer(self) -> trace.Tracer:
        """What starts our spans."""
        return self._tracer


class CallSpan:
    """One call seen from outside: current while its request opens, ended once with its metrics."""

    def __init__(
        self,
        telemetry: Telemetry,
        span: Span | None,
        context: Context,
        start_ns: int,
        *,
        request: Request | None = None,
        dimensions: Dimensions | None = None,
        address: str = "",
        hides_http: bool = False,
    ) -> None:
        self.recording = span is not None and span.is_recording()
        self._telemetry = telemetry
        self._span = span
        self._context = context
        self._start_ns = start_ns
        self._request = request
        self._dimensions = dimensions
        self._address = address
        self._hides_http = hides_http or (span is not None and telemetry.suppresses_http_spans)

    def attached(self) -> AbstractContextManager[Any]:
        """Make the call current while its request is opened; enter and exit in one frame."""
        if self._span is None and not self._hides_http:
            return nullcontext()
        hidden = self._hides_http
        return _attached(
            otel_context.set_value(_HTTP_SUPPRESSED, True, self._context) if hidden else self._context
        )

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Add `traceparent` and what goes with it; baggage only for a server on this machine."""
        if self._span is None:
            return
        with _guarded("inject"):
            propagate.inject(headers, self._context)
            if not self._address.startswith(_LOOPBACK):
                for name in W3CBaggagePropagator().fields:
                    headers.pop(name, None)

    def end(
        self,
        metrics: PerformanceMetrics | None,
        error: BaseException | None,
        message: Callable[[], Message],
        gaps_s: Sequence[float] = (),
    ) -> None:
        """Write what is known of the end, record the metrics, and end the span, whatever fails."""
        span = self._span
        if span is None:
            return
        if metrics is not None and self._dimensions is not None:
            with _guarded("record metrics"):
                self._telemetry.instruments.ended(metrics, self._dimensions, self._context, gaps_s)
        with _guarded("export content"):
            self._export_content(metrics, message)
        end_ns = None
        if metrics is not None:
            end_ns = self._start_ns + round(metrics.duration_s * NS_PER_S)
        with _guarded("describe the end"):
            if self.recording:
                self._describe(span, metrics, error, end_ns)
        with _guarded("end a span"):
            span.end(end_ns)

    def _describe(
        self,
        span: Span,
        metrics: PerformanceMetrics | None,
        error: BaseException | None,
        end_ns: int | None,
    ) -> None:
        if metrics is not None:
            span.set_attributes(end_attributes(metrics))
            failed = metrics.error_type is not None
        else:
            failed = error is not None
            if error is not None:
                span.set_attribute(names.ERROR_TYPE, error_type_of(error))
        if failed and error is not None:
            span.record_exception(error, timestamp=end_ns)
            span.set_status(Status(StatusCode.ERROR, _status_text(error)))
        if metrics is not None and self._telemetry.phase_spans:
            self._draw_phases(metrics, end_ns or 0)

    def _draw_phases(self, metrics: PerformanceMetrics, end_ns: int) -> None:
        """Place the server's phases backwards from the end, within the call's own interval."""
        if metrics.total_duration is None:
            return
        at = max(self._start_ns, end_ns - metrics.total_duration)
        for name, seconds in (
            (names.PHASE_LOAD, metrics.load_s),
            (names.PHASE_QUEUE, metrics.unattributed_s),
            (names.PHASE_PROMPT_EVAL, metrics.prompt_eval_s),
            (names.PHASE_EVAL, metrics.eval_s),
        ):
            if seconds is not None:
                until = min(end_ns, at + round(seconds * NS_PER_S))
                phase = self._telemetry.tracer.start_span(
                    name, self._context, attributes={names.RECONSTRUCTED: True}, start_time=at
                )
                phase.end(until)
                at = until

    def _export_content(self, metrics: PerformanceMetrics | None, message: Callable[[], Message]) -> None:
        content = self._telemetry.content
        if content is None or metrics is None or self._request is None or self._span is None:
            return
        content.export(self._request, metrics, message(), self._span, self._context, self._address)


@contextmanager
def _attached(context: Context) -> Iterator[None]:
    token = otel_context.attach(context)
    try:
        yield
    finally:
        otel_context.detach(token)


@contextmanager
def _guarded(what: str) -> Iterator[None]:
    """Keep telemetry's own faults from the caller; they are logged."""
    try:
        yield
    except Exception:  # whatever an exporter, view or redactor raises
        _log.warning("could not %s", what, exc_info=True)


def _is_suppressed(context: Context) -> bool:
    """Whether instrumentation is switched off here, or another one describes this very call."""
    return any(context.get(key) for key in _SUPPRESSED) or bool(context.get(names.GENAI_CONTEXT_KEY))


def _status_text(error: BaseException) -> str:
    text = str(error) if isinstance(error, OllameterError) else type(error).__name__
    return text[:_MAX_STATUS_TEXT]


def _phase_spans(given: bool | None, environment: Mapping[str, str] = os.environ) -> bool:
    if given is not None:
        return given
    return environment.get("OLLAMETER_PHASE_SPANS", "").strip().lower() == "true"
