"""A call's span says what its metrics say, ends once, and never costs the caller anything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, StatusCode

from ollameter import ConnectionFailed, HostLoad, IncompleteResponse, ModelFacts, ResponseError, Timeout
from tests.telemetry.seen import (
    ALWAYS,
    HOST,
    PORT,
    SERVER,
    START_NS,
    WHOLE,
    Seen,
    answer,
    begin,
    call,
    measured,
)

EVERYTHING = {
    "options": {
        "temperature": 0, "top_p": 0.5, "top_k": 7, "seed": 3, "num_predict": 9, "stop": ["x", "y"],
        "frequency_penalty": 1, "presence_penalty": 2, "num_ctx": 512, "mirostat": 1,
    },
    "format": {"type": "object"}, "keep_alive": -1, "think": True, "stream": True,
}  # fmt: skip
HOST_LOAD = HostLoad(
    samples=4, interval_s=0.25, cpu_utilization_mean=0.5, cpu_utilization_peak=1.0,
    memory_used_bytes_mean=1, memory_used_bytes_peak=2, ollama_cpu_utilization_mean=0.25,
)  # fmt: skip
FACTS = ModelFacts(
    digest="d", quantization="Q4_K_M", parameter_size="3B", family="llama", context_length=74, vram_share=1,
)  # fmt: skip


def typed(attributes: Any) -> dict[str, tuple[type, Any]]:
    """Return values with their types: 4 and 4.0 are equal, but not the same attribute."""
    return {name: (type(value), value) for name, value in dict(attributes).items()}


def test_what_samplers_may_decide_by_is_there_at_the_start() -> None:
    """The whole set, with the conventions' types, before anything is sent."""
    given: list[Any] = []

    class Watching(Sampler):
        def should_sample(self, *args: Any, **_: Any) -> SamplingResult:
            given.extend([args[2], args[3], dict(args[4])])
            return SamplingResult(Decision.RECORD_AND_SAMPLE, args[4])

        def get_description(self) -> str:
            return "watching"

    begin(Seen(Watching()).telemetry(), **EVERYTHING)

    assert given[:2] == ["chat llama3.2", SpanKind.CLIENT]
    assert typed(given[2]) == typed({
        **ALWAYS, "gen_ai.request.stream": True, "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.5, "gen_ai.request.top_k": 7.0, "gen_ai.request.seed": 3,
        "gen_ai.request.max_tokens": 9, "gen_ai.request.stop_sequences": ("x", "y"),
        "gen_ai.request.frequency_penalty": 1.0, "gen_ai.request.presence_penalty": 2.0,
        "gen_ai.output.type": "json", "ollama.request.num_ctx": 512, "ollama.request.keep_alive": "-1",
        "ollama.request.think": "true",
    })  # fmt: skip


def test_everything_that_is_known_is_on_the_span_at_the_end() -> None:
    """Exact names, values and types, of the server, the client, the model and the machine."""
    seen = Seen()
    call(
        seen.telemetry(), **WHOLE, streaming=True, time_to_first_chunk_s=0.25, chunks=12, cold_start=True,
        host=HOST_LOAD, model_info=FACTS, attempts=2,
    )  # fmt: skip

    assert typed(seen.attributes) == typed({
        **ALWAYS, "gen_ai.response.model": "llama3.2:latest", "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 26, "gen_ai.usage.output_tokens": 11,
        "gen_ai.usage.cache_read.input_tokens": 6, "gen_ai.response.time_to_first_chunk": 0.25,
        "ollama.request.duration": 5.0, "ollama.load.duration": 1.0, "ollama.prompt_eval.duration": 0.5,
        "ollama.eval.duration": 2.0, "ollama.unattributed.duration": 1.5, "ollama.eval.throughput": 5.0,
        "ollama.prompt_eval.throughput": 40.0, "ollama.cold_start": True, "ollama.stream.chunks": 12,
        "ollama.context.utilization": 0.5, "ollameter.outcome": "completed",
        "ollama.model.digest": "d", "ollama.model.quantization": "Q4_K_M",
        "ollama.model.parameter_size": "3B", "ollama.model.family": "llama",
        "ollama.model.context_length": 74, "ollama.model.vram_share": 1.0,
        "ollameter.host.cpu.utilization": 0.5, "ollameter.host.cpu.utilization.peak": 1.0,
        "ollameter.host.memory.usage": 1, "ollameter.host.memory.usage.peak": 2,
        "ollameter.host.ollama.cpu.utilization": 0.25, "ollameter.host.samples": 4,
    })  # fmt: skip
    assert seen.span.status.status_code is StatusCode.UNSET
    assert list(seen.span.events) == []


def test_the_length_of_the_span_is_the_duration_exactly() -> None:
    """To the nanosecond, whenever it is ended; so it is for a call that is no GenAI operation."""
    seen = Seen()
    telemetry = seen.telemetry()
    call(telemetry, duration_s=2.123456789)
    loading = telemetry.start_operation("ollama.load_model", HOST, PORT, START_NS)
    loading.end(measured(operation="load", duration_s=0.5), None, answer)

    assert [(s.start_time, s.end_time) for s in seen.spans] == [
        (START_NS, START_NS + 2_123_456_789),
        (START_NS, START_NS + 500_000_000),
    ]


@pytest.mark.parametrize(
    ("outcome", "error_type", "error", "status", "text"),
    [
        ("completed", None, None, "UNSET", None),
        ("abandoned", None, GeneratorExit(), "UNSET", None),
        ("error", "404", ResponseError("no such model\nmore", 404), "ERROR", "no such model"),
        ("error", "idle_timeout", Timeout("x" * 300, "idle"), "ERROR", "x" * 200),
        (
            "error",
            "connection_refused",
            ConnectionFailed("refused", "connection_refused"),
            "ERROR",
            "refused",
        ),
        ("truncated", "stream_truncated", IncompleteResponse("cut off"), "ERROR", "cut off"),
        ("cancelled", "cancelled", asyncio.CancelledError(), "ERROR", "cancelled"),
        ("cancelled", "cancelled", KeyboardInterrupt(), "ERROR", "cancelled"),
        ("error", "ZeroDivisionError", ZeroDivisionError("the prompt"), "ERROR", "ZeroDivisionError"),
        ("error", "_OTHER", None, "ERROR", "_OTHER"),
    ],
)
def test_every_ending_has_its_status_and_is_recorded_once(
    outcome: str, error_type: str | None, error: BaseException | None, status: str, text: str | None
) -> None:
    """The same `error.type` on span and histogram; one exception; no text of a stranger's error."""
    seen = Seen()
    begin(seen.telemetry()).end(measured(outcome=outcome, error_type=error_type), error, answer)

    failed = {} if error_type is None else {"error.type": error_type}
    assert seen.attributes == {**ALWAYS, "ollameter.outcome": outcome, **failed}
    assert (seen.span.status.status_code.name, seen.span.status.description) == (status, text)
    recorded = [event.name for event in seen.span.events]
    assert recorded == (["exception"] if status == "ERROR" and error is not None else [])
    (point,) = seen.metrics()["gen_ai.client.operation.duration"].data.data_points
    assert (dict(point.attributes), point.sum, point.count) == ({**ALWAYS, **failed}, 1.0, 1)


def test_a_call_ends_once() -> None:
    """Whatever comes later changes nothing: one span, one record, nobody active."""
    seen = Seen()
    begun = call(seen.telemetry())
    begun.end(measured(outcome="error", error_type="404"), ResponseError("no", 404), answer)

    assert seen.attributes["ollameter.outcome"] == "completed"
    assert seen.numbers() == {
        ("gen_ai.client.operation.duration", None): 1.0,
        ("ollama.client.active_requests", None): 0,
    }


@pytest.mark.parametrize(
    ("metrics", "error", "said", "status"),
    [
        (None, None, {}, "UNSET"),
        (None, ResponseError("no", 500), {"error.type": "500"}, "ERROR"),
        (None, asyncio.CancelledError(), {"error.type": "cancelled"}, "ERROR"),
        (None, KeyboardInterrupt(), {"error.type": "cancelled"}, "ERROR"),
        (None, GeneratorExit(), {}, "UNSET"),
        (measured(operation="load", **WHOLE), None, {}, "UNSET"),
        (
            measured(operation="load", outcome="error", error_type="404"),
            None,
            {"error.type": "404"},
            "ERROR",
        ),
    ],
)
def test_what_is_no_genai_operation_says_where_and_what_went_wrong(
    metrics: Any, error: BaseException | None, said: dict[str, str], status: str
) -> None:
    """`server.*` and `error.type` only, no metrics and no content, even when they are known."""
    seen = Seen()
    telemetry = seen.telemetry(capture_content=True, phase_spans=True)
    telemetry.start_operation("ollama.pull_model", HOST, PORT, START_NS).end(metrics, error, answer)

    assert (seen.span.name, seen.span.kind) == ("ollama.pull_model", SpanKind.CLIENT)
    assert seen.attributes == {**SERVER, **said}
    assert seen.span.status.status_code.name == status
    assert (seen.metrics(), seen.logs) == ({}, [])


def test_metrics_do_not_depend_on_sampling() -> None:
    """Nothing is traced, everything is counted; the trace goes on, unsampled."""
    seen = Seen(ALWAYS_OFF)
    begun = call(seen.telemetry(), **WHOLE)
    headers: dict[str, str] = {}
    begun.inject(headers)

    assert (seen.spans, begun.recording) == ([], False)
    assert seen.numbers()["ollama.eval.throughput", None] == 5.0
    assert int(headers["traceparent"][-2:], 16) & 1 == 0


def test_exemplars_lead_from_every_histogram_to_the_span() -> None:
    """By the context that is handed to each record."""
    seen = Seen()
    telemetry = seen.telemetry()
    with trace.use_span(seen.tracer_provider.get_tracer("app").start_span("other")):
        call(telemetry, **WHOLE, time_to_first_chunk_s=0.1)

    context: Any = seen.span.get_span_context()
    found = {
        name: {e.span_id for point in metric.data.data_points for e in point.exemplars}
        for name, metric in seen.metrics().items()
        if name != "ollama.client.active_requests"  # a count of what is open: no call's own
    }
    assert len(found) == 9
    assert set(map(frozenset, found.values())) == {frozenset({context.span_id})}


def test_the_scope_says_who_and_by_which_conventions() -> None:
    """Name, version and schema URL, on spans and metrics."""
    from ollameter import __version__

    seen = Seen()
    call(seen.telemetry())
    scope: Any = seen.span.instrumentation_scope

    assert (scope.name, scope.version, scope.schema_url) == (
        "ollameter", __version__, "https://opentelemetry.io/schemas/1.41.1",
    )  # fmt: skip
