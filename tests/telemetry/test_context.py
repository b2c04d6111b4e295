"""A call stands below its own parent, is current for a moment, and tells strangers no baggage."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled, suppress_instrumentation
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from ollameter.telemetry import names
from ollameter.telemetry.context import is_loopback
from ollameter.telemetry.spans import Telemetry
from tests.telemetry.seen import HOST, PORT, START_NS, Seen, answer, begin, measured, request


@pytest.fixture
def attach() -> Any:
    """Attach contexts for the time of a test."""
    tokens: list[Any] = []
    yield lambda context: tokens.append(otel_context.attach(context))
    for token in reversed(tokens):
        otel_context.detach(token)


def headers_of(call: Any) -> dict[str, str]:
    """Return what a call adds to a request."""
    headers: dict[str, str] = {}
    call.inject(headers)
    return headers


def test_the_server_is_told_the_calls_own_span() -> None:
    """`traceparent` leads to the span of the call, `tracestate` goes with it."""
    seen = Seen()
    state = trace.TraceState([("vendor", "1")])
    remote = SpanContext(7, 8, True, TraceFlags(1), state)
    with trace.use_span(NonRecordingSpan(remote)):
        call = begin(seen.telemetry())
    call.end(measured(), None, answer)

    own: Any = seen.span.get_span_context()
    assert headers_of(call) == {
        "traceparent": f"00-{7:032x}-{own.span_id:016x}-{int(own.trace_flags):02x}",
        "tracestate": "vendor=1",
    }
    assert seen.span.parent is not None
    assert seen.span.parent.span_id == 8


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("[::1]", True), ("localhost", True),
        ("LocalHost.", True), ("localhost.example.com", False), ("127.example.com", False),
        ("::1234", False), ("10.0.0.1", False), ("0.0.0.0", False), ("ollama", False), ("", False),
    ],
)  # fmt: skip
def test_baggage_goes_to_this_machine_only(address: str, told: bool, attach: Any) -> None:
    """It may hold what strangers must not see; a name that merely looks local is a stranger's."""
    attach(baggage.set_baggage("user", "ada"))
    call = Seen().telemetry().start_call(request(), address, PORT, START_NS)
    headers = headers_of(call)

    assert is_loopback(address) is told
    assert headers.get("baggage") == ("user=ada" if told else None)
    assert "traceparent" in headers


def test_headers_of_others_are_left_alone(attach: Any) -> None:
    """Baggage that the caller wrote into the headers by hand is the caller's."""
    attach(baggage.set_baggage("user", "ada"))
    headers = {"baggage": "mine=1", "x": "y"}
    Seen().telemetry().start_call(request(), "example.com", PORT, START_NS).inject(headers)

    assert headers.keys() == {"baggage", "x", "traceparent"}
    assert (headers["baggage"], headers["x"]) == ("mine=1", "y")


def test_a_broken_propagator_costs_no_call(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the application's."""

    def broken(*_: Any) -> None:
        raise RuntimeError("propagator")

    monkeypatch.setattr(propagate, "inject", broken)

    assert headers_of(begin(Seen().telemetry())) == {}
    assert "could not inject a trace context" in caplog.text


@pytest.mark.parametrize("hidden", [False, True])
def test_the_span_is_current_only_while_attached(hidden: bool) -> None:
    """Afterwards the context is the very same as before, also when the request failed."""
    before = otel_context.get_current()
    call = begin(Seen().telemetry(suppress_http_spans=hidden))
    assert otel_context.get_current() is before

    with pytest.raises(OSError, match="refused"), call.attached():
        current = trace.get_current_span()
        http = is_http_instrumentation_enabled()
        raise OSError("refused")

    assert current.get_span_context().is_valid
    assert headers_of(call)["traceparent"][36:52] == f"{current.get_span_context().span_id:016x}"
    assert http is not hidden
    assert otel_context.get_current() is before


async def test_a_hundred_interleaved_calls_each_have_their_own_parent() -> None:
    """In one thread and one loop: none sees another's span, none is left behind."""
    seen = Seen()
    telemetry, tracer = seen.telemetry(), seen.tracer_provider.get_tracer("app")

    async def work(i: int) -> None:
        with tracer.start_as_current_span(f"parent {i}") as parent:
            call = begin(telemetry)
            with call.attached():
                await asyncio.sleep(0)
                assert trace.get_current_span() is not parent
            await asyncio.sleep(0)
            assert trace.get_current_span() is parent
            call.end(measured(), None, answer)

    await asyncio.gather(*(work(i) for i in range(100)))

    spans: list[Any] = seen.spans
    parents = {s.context.span_id: s.context.trace_id for s in spans if s.name.startswith("parent")}
    calls = {s.parent.span_id: s.context.trace_id for s in spans if s.name == "chat llama3.2"}
    assert len(calls) == 100
    assert calls == parents


def _by_the_plain_key() -> Any:
    return otel_context.set_value("suppress_instrumentation", True)


def _by_the_shared_key() -> Any:
    with suppress_instrumentation():
        return otel_context.get_current()


def _within_another_genai_call() -> Any:
    return otel_context.set_value(names.GENAI_CONTEXT_KEY, object())


@pytest.mark.parametrize("make", [_by_the_plain_key, _by_the_shared_key, _within_another_genai_call])
def test_where_instrumentation_is_suppressed_everything_is_a_no_op(make: Any, attach: Any) -> None:
    """No span, record, event or header; what is current stays current."""
    seen = Seen()
    telemetry = seen.telemetry(capture_content=True)
    outer = seen.tracer_provider.get_tracer("app").start_span("outer")
    attach(trace.set_span_in_context(outer, make()))
    before = otel_context.get_current()
    for call in (begin(telemetry), telemetry.start_operation("ollama.get_version", HOST, PORT, START_NS)):
        with call.attached():
            assert otel_context.get_current() is before
        assert (headers_of(call), call.recording) == ({}, False)
        call.end(measured(), None, answer)

    assert (seen.spans, seen.metrics(), seen.logs) == ([], {}, [])


def test_the_key_of_other_genai_instrumentations_is_the_one_they_use() -> None:
    """A literal of ours: their helper is no dependency."""
    from opentelemetry.util.genai._inference_invocation import CLIENT_INFERENCE_CONTEXT_KEY

    assert names.GENAI_CONTEXT_KEY == CLIENT_INFERENCE_CONTEXT_KEY


def test_polling_hides_its_requests_and_reports_nothing() -> None:
    """By `with suppressed()`, and by the silent span that a question may be given."""
    seen = Seen()
    telemetry = seen.telemetry()
    before = otel_context.get_current()
    silent = telemetry.silent()
    for hidden in (telemetry.suppressed(), silent.attached()):
        with hidden:
            assert not is_http_instrumentation_enabled()
        assert otel_context.get_current() is before
    silent.end(None, ValueError("x"), answer)

    assert headers_of(silent) == {}
    assert (seen.spans, seen.metrics()) == ([], {})


def test_without_an_sdk_a_trace_passes_through(attach: Any) -> None:
    """The caller's own `traceparent` goes on to the server; nothing else happens."""
    telemetry = Telemetry()
    assert headers_of(begin(telemetry)) == {}
    attach(trace.set_span_in_context(NonRecordingSpan(SpanContext(7, 8, True, TraceFlags(1)))))
    call = begin(telemetry)
    before = otel_context.get_current()
    with call.attached():
        assert otel_context.get_current() is before
    call.end(measured(), None, answer)

    assert headers_of(call) == {"traceparent": f"00-{7:032x}-{8:016x}-01"}
    assert call.recording is False
