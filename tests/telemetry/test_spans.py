"""A call's span says exactly what its metrics say, sits below its own parent, and ends once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from ollameter import OllamaProvider, OllameterError
from ollameter.telemetry import names
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, ManualClock, chat_lines
from tests.providers.calls import MESSAGES, both_sides, run

NUMBERS: dict[str, Any] = {
    "total_duration": 5_000_000_000, "load_duration": 1_000_000_000, "prompt_eval_count": 26,
    "prompt_eval_cached_count": 6, "prompt_eval_duration": 500_000_000, "eval_count": 11,
    "eval_duration": 2_000_000_000,
}  # fmt: skip


def provider(fake: FakeOllama, captured: CapturedTelemetry, **settings: Any) -> OllamaProvider:
    """Return a provider of the fake server, observed; the machine is left out of it."""
    settings = {"host_monitor": False, **settings}
    return OllamaProvider(fake.base_url, model="llama3.2", **captured.providers, **settings)


@both_sides
def test_the_span_of_a_stream_carries_the_numbers_of_its_metrics(
    side: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Every attribute, its exact value and type; the clock stands still."""
    fake.script("/api/chat", Answer(lines=chat_lines("Hel", "lo", **NUMBERS)))
    with provider(fake, captured, clock=ManualClock()) as llm:
        ran = run(llm, side, "stream", options={"num_ctx": 2048, "top_k": 4}, keep_alive=-1, think=True)

    span = captured.span
    assert (span.name, span.kind, span.status) == ("chat llama3.2", "CLIENT", "UNSET")
    expected = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": "llama3.2", "server.address": "127.0.0.1", "server.port": fake.port,
        "gen_ai.request.stream": True, "gen_ai.request.top_k": 4.0, "ollama.request.num_ctx": 2048,
        "ollama.request.keep_alive": "-1", "ollama.request.think": "true",
        "gen_ai.response.model": "llama3.2", "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 26, "gen_ai.usage.output_tokens": 11,
        "gen_ai.usage.cache_read.input_tokens": 6, "gen_ai.response.time_to_first_chunk": 0.0,
        "ollama.request.duration": 5.0, "ollama.load.duration": 1.0, "ollama.prompt_eval.duration": 0.5,
        "ollama.eval.duration": 2.0, "ollama.unattributed.duration": 1.5, "ollama.eval.throughput": 5.0,
        "ollama.prompt_eval.throughput": 40.0, "ollama.stream.chunks": 3,
        "ollameter.outcome": "completed",
    }  # fmt: skip
    assert span.attributes == expected
    assert {k: type(v) for k, v in span.attributes.items()} == {k: type(v) for k, v in expected.items()}
    assert ran.metrics is not None
    assert span.end_ns - span.start_ns == round(ran.metrics.duration_s * 1e9)


def test_the_histograms_carry_the_numbers_of_the_metrics(
    fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Each is recorded once, with an exemplar that leads to the span."""
    fake.script("/api/chat", Answer(lines=chat_lines("Hel", "lo", **NUMBERS)))
    with provider(fake, captured) as llm, llm.stream(MESSAGES) as stream:
        list(stream)

    metrics, span_id = stream.metrics, captured.span.span_id
    assert metrics is not None
    sums = {
        (name, point.attributes.get("gen_ai.token.type")): point.sum
        for name, metric in captured.metrics.items()
        if metric.kind == "Histogram"
        for point in metric.points
        if point.count == 1 and point.exemplar_span_ids == (span_id,)
    }
    assert sums == {
        ("gen_ai.client.operation.duration", None): metrics.duration_s,
        ("gen_ai.client.operation.time_to_first_chunk", None): metrics.time_to_first_chunk_s,
        ("gen_ai.client.token.usage", "input"): 26,
        ("gen_ai.client.token.usage", "output"): 11,
        ("ollama.request.duration", None): 5.0,
        ("ollama.load.duration", None): 1.0,
        ("ollama.prompt_eval.duration", None): 0.5,
        ("ollama.eval.duration", None): 2.0,
        ("ollama.unattributed.duration", None): 1.5,
        ("ollama.eval.throughput", None): 5.0,
    }


def test_what_the_server_did_not_say_is_neither_attribute_nor_record(
    fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Absent is not zero."""
    unsaid: dict[str, Any] = dict.fromkeys(NUMBERS)
    silent = chat_lines("Hi", done_reason="", **unsaid)
    fake.script("/api/chat", Answer(lines=silent))
    with provider(fake, captured) as llm, llm.stream(MESSAGES) as stream:
        list(stream)

    assert {name for name in captured.span.attributes if name.startswith(("ollama.", "gen_ai.usage"))} == {
        "ollama.stream.chunks"
    }
    assert "gen_ai.response.finish_reasons" not in captured.span.attributes
    assert sorted(captured.metrics) == [
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "ollama.client.active_requests",
    ]


def test_metrics_do_not_depend_on_sampling(fake: FakeOllama) -> None:
    """With the sampler off nothing is traced and everything is counted."""
    captured = CapturedTelemetry(sampler=ALWAYS_OFF)
    with provider(fake, captured) as llm:
        llm.chat(MESSAGES)

    assert captured.spans == []
    assert [p.count for p in captured.points(names.OPERATION_DURATION)] == [1]
    assert [p.count for p in captured.points(names.EVAL_THROUGHPUT)] == [1]


@both_sides
def test_the_trace_goes_on_at_the_server(side: str, fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """The request carries `traceparent` of the call's own span."""
    with provider(fake, captured) as llm:
        run(llm, side, "chat")

    span = captured.span
    assert fake.requests[0].headers["traceparent"].startswith(f"00-{span.trace_id}-{span.span_id}-")


async def test_a_hundred_streams_keep_their_own_parents(
    fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Interleaved in one loop: no call sees another's context, nor is one left behind."""
    tracer = captured.tracer_provider.get_tracer("app")

    async def work(llm: OllamaProvider, i: int) -> None:
        with tracer.start_as_current_span(f"parent {i}") as parent:
            async with llm.stream_async(MESSAGES) as stream:
                async for _ in stream:
                    assert trace.get_current_span() is parent
                    await asyncio.sleep(0)
            assert trace.get_current_span() is parent

    async with provider(fake, captured) as llm:
        await asyncio.gather(*(work(llm, i) for i in range(100)))

    spans = captured.spans
    parents = {span.span_id: span.trace_id for span in spans if span.name.startswith("parent")}
    calls = [span for span in spans if span.name == "chat llama3.2"]
    assert len(calls) == len({call.parent_span_id for call in calls}) == 100
    assert all(parents[call.parent_span_id or ""] == call.trace_id for call in calls)


def test_nothing_is_current_between_chunks(fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """A span that stays current across a `yield` would adopt the caller's own work."""
    before = otel_context.get_current()
    with provider(fake, captured) as llm, llm.stream(MESSAGES) as stream:
        for _ in stream:
            assert otel_context.get_current() == before
    assert otel_context.get_current() == before


@both_sides
def test_http_spans_nest_below_the_call_unless_they_are_not_wanted(
    side: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """The instrumentations of both HTTP libraries; polling is always hidden."""
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    instrumentors: list[Any] = [RequestsInstrumentor(), AioHttpClientInstrumentor()]
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=captured.tracer_provider)
    try:
        with provider(fake, captured) as llm:
            run(llm, side, "chat")
            run(llm, side, "stream")
            llm.is_available()
            asyncio.run(llm.is_available_async())
        with provider(fake, captured, suppress_http_spans=True) as llm:
            run(llm, side, "chat")
    finally:
        for instrumentor in instrumentors:
            instrumentor.uninstrument()

    spans = captured.spans
    calls = [span for span in spans if span.name == "chat llama3.2"]
    below = [span.parent_span_id for span in spans if span.name != "chat llama3.2"]
    assert below == [calls[0].span_id, calls[1].span_id]
    assert len(calls) == 3


def _suppressed_by_key() -> Any:
    return otel_context.set_value("suppress_instrumentation", True)


def _within_another() -> Any:
    return otel_context.set_value(names.GENAI_CONTEXT_KEY, object())


@pytest.mark.parametrize("make", [_suppressed_by_key, _within_another])
def test_nothing_starts_where_instrumentation_is_off(
    make: Any, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """No span, record or header; the metrics are returned all the same."""
    token = otel_context.attach(make())
    try:
        with provider(fake, captured, capture_content=True) as llm:
            _, metrics = llm.chat(MESSAGES)
            llm.list_models()
    finally:
        otel_context.detach(token)

    assert metrics.outcome == "completed"
    assert (captured.spans, captured.metrics, captured.events) == ([], {}, [])
    assert "traceparent" not in fake.requests[0].headers


def test_the_shared_way_to_suppress_is_honoured(fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """The context manager that instrumentations offer."""
    with provider(fake, captured) as llm, suppress_instrumentation():
        llm.chat(MESSAGES)

    assert captured.spans == []


def test_other_questions_have_a_small_span_and_no_metrics(
    fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """`list_models`, `version`: where, and what went wrong."""
    fake.script("/api/version", Answer(status=500, body=b'{"error":"no"}', framing="length"))
    with provider(fake, captured) as llm:
        llm.list_models()
        with pytest.raises(OllameterError):
            llm.version()

    good, bad = captured.spans
    server = {"server.address": "127.0.0.1", "server.port": fake.port}
    assert (good.name, good.kind, good.attributes) == ("ollama.list_models", "CLIENT", server)
    assert (bad.name, bad.status) == ("ollama.get_version", "ERROR")
    assert bad.attributes == {**server, "error.type": "500"}
    assert captured.metrics == {}


def test_phase_spans_lie_within_their_parent(fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """Placed back from the end, in the order in which they happened."""
    with provider(fake, captured, phase_spans=True) as llm:
        llm.chat(MESSAGES)

    *phases, call = captured.spans
    assert [span.name for span in phases] == [
        "ollama.phase.load", "ollama.phase.queue", "ollama.phase.prompt_eval", "ollama.phase.eval",
    ]  # fmt: skip
    edges = [call.start_ns, *(at for p in phases for at in (p.start_ns, p.end_ns)), call.end_ns]
    assert edges == sorted(edges)
    assert all(p.parent_span_id == call.span_id for p in phases)
    assert all(p.attributes == {"ollameter.reconstructed": True} for p in phases)


def test_a_provider_made_before_the_sdk_is_exported_by_it(fake: FakeOllama) -> None:
    """The API's proxies come to life when the application sets its providers."""
    from tests.providers.test_processes import run_script

    script = """
        import sys
        from ollameter import OllamaProvider
        llm = OllamaProvider(sys.argv[1], model="llama3.2", host_monitor=False)
        from opentelemetry import trace, metrics
        from ollameter.testing import CapturedTelemetry
        captured = CapturedTelemetry()
        trace.set_tracer_provider(captured.tracer_provider)
        metrics.set_meter_provider(captured.meter_provider)
        llm.chat([{"role": "user", "content": "x"}])
        print(captured.span.name, len(captured.metrics))
        llm.close()
    """
    done = run_script(script, fake.base_url)

    assert (done.stdout, done.stderr) == ("chat llama3.2 9\n", "")


def test_broken_telemetry_costs_no_answer(
    fake: FakeOllama, captured: CapturedTelemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """A redactor that raises is logged; the call, its span and its metrics are whole."""

    def redact(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        raise RuntimeError("redactor")

    with provider(fake, captured, capture_content=True, redact=redact) as llm:
        text, _ = llm.chat(MESSAGES)

    assert text == "Hello!"
    assert captured.span.attributes["ollameter.outcome"] == "completed"
    assert "gen_ai.input.messages" not in captured.span.attributes
    assert "could not export content" in caplog.text


def test_the_time_between_chunks_is_recorded_when_it_is_asked_for(
    fake: FakeOllama, captured: CapturedTelemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record a gap, by the conventions' name and buckets; off unless the environment says so."""
    monkeypatch.setenv("OLLAMETER_CHUNK_METRICS", "true")
    clock = ManualClock()
    fake.script("/api/chat", Answer(lines=chat_lines("a", "b", "c")))
    with provider(fake, captured, clock=clock) as llm, llm.stream(MESSAGES) as stream:
        for _ in stream:
            clock.advance(0.05)

    metric = captured.metrics["gen_ai.client.operation.time_per_output_chunk"]
    assert (metric.unit, metric.points[0].bounds) == ("s", names.DURATION_BUCKETS)
    assert metric.points[0].count == 3
    assert metric.points[0].sum == pytest.approx(0.15)
