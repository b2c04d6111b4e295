"""One call described to `Telemetry` without any HTTP, and what the SDK's own exporters saw of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from ollameter.messages import Message, Request
from ollameter.metrics import PerformanceMetrics
from ollameter.telemetry.spans import CallSpan, Telemetry

START_NS = 1_700_000_000_000_000_000
HOST, PORT = "127.0.0.1", 11434
SERVER = {"server.address": HOST, "server.port": PORT}
ALWAYS = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "ollama", "gen_ai.request.model": "llama3.2",
    **SERVER,
}  # fmt: skip
OLLAMA_DIMENSIONS = {name: value for name, value in ALWAYS.items() if name != "gen_ai.provider.name"}
WHOLE: dict[str, Any] = {
    "total_duration": 5_000_000_000, "load_duration": 1_000_000_000, "prompt_eval_count": 26,
    "prompt_eval_cached_count": 6, "prompt_eval_duration": 500_000_000, "eval_count": 11,
    "eval_duration": 2_000_000_000, "response_model": "llama3.2:latest", "finish_reason": "stop",
}  # fmt: skip


class Seen:
    """The three providers of an application, and what came of them."""

    def __init__(self, sampler: Sampler | None = None, **meter: Any) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self._logs: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the SDK's own
        self.tracer_provider = TracerProvider(sampler=sampler)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meter_provider = MeterProvider([self._reader], **meter)
        logger_provider = LoggerProvider()
        logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.providers: dict[str, Any] = {
            "tracer_provider": self.tracer_provider,
            "meter_provider": self.meter_provider,
            "logger_provider": logger_provider,
        }

    def telemetry(self, **settings: Any) -> Telemetry:
        """Return a provider's telemetry that reports here."""
        return Telemetry(**self.providers, **settings)

    @property
    def spans(self) -> list[ReadableSpan]:
        """Every span that has ended, in that order."""
        return list(self._spans.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        """The only span."""
        (span,) = self.spans
        return span

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the only span."""
        return dict(self.span.attributes or {})

    @property
    def logs(self) -> list[Any]:
        """Every log record, as the API has it."""
        return [log.log_record for log in self._logs.get_finished_logs()]

    def metrics(self) -> dict[str, Any]:
        """Return every metric so far, by its name, as the SDK has it."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def numbers(self) -> dict[tuple[str, str | None], Any]:
        """Return the sum of every point by metric and token type (or error type)."""
        return {
            (name, _kind(point.attributes)): getattr(point, "sum", getattr(point, "value", None))
            for name, metric in self.metrics().items()
            for point in metric.data.data_points
        }


def _kind(attributes: Any) -> str | None:
    found = attributes.get("gen_ai.token.type") or attributes.get("error.type")
    return None if found is None else str(found)


def request(**fields: Any) -> Request:
    """Return a chat with this body; `operation`, `model`, `stream` as given."""
    known: dict[str, Any] = {"operation": "chat", "model": "llama3.2", "stream": False}
    known |= {name: fields.pop(name) for name in known if name in fields}
    return Request(path="/api/chat", body=fields, **known)


def measured(**numbers: Any) -> PerformanceMetrics:
    """Return what a completed call of one second cost, with these numbers."""
    known: dict[str, Any] = {
        "operation": "chat", "model": "llama3.2", "started_at": datetime.now(UTC), "duration_s": 1.0,
        "outcome": "completed", "server_address": HOST, "server_port": PORT,
    }  # fmt: skip
    return PerformanceMetrics(**{**known, **numbers})


def answer() -> Message:
    """Return what the model answered."""
    return Message(role="assistant", content="Hello!")


def begin(telemetry: Telemetry, **body: Any) -> CallSpan:
    """Start a call with this body."""
    return telemetry.start_call(request(**body), HOST, PORT, START_NS)


def call(telemetry: Telemetry, **numbers: Any) -> CallSpan:
    """Make a call that costs these numbers; `body=` is what was asked."""
    begun = begin(telemetry, **numbers.pop("body", {}))
    begun.end(measured(**numbers), numbers.pop("error", None), answer)
    return begun
