"""What would be exported comes back as plain records."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from ollameter.testing import CapturedTelemetry
from ollameter.testing.captured import CapturedLog, CapturedSpan
from ollameter.testing.records import CapturedExemplar, CapturedLink, CapturedMetric, CapturedPoint


def test_a_span_is_a_plain_record(captured: CapturedTelemetry) -> None:
    """Every field of it; ids in hex."""
    tracer = captured.tracer_provider.get_tracer("app")
    earlier = tracer.start_span("earlier", start_time=1)
    link = trace.Link(earlier.get_span_context(), {"why": "retry"})
    parent = trace.set_span_in_context(earlier)
    span = tracer.start_span("call", parent, trace.SpanKind.CLIENT, {"a": 1}, [link], start_time=5)
    span.add_event("seen", {"b": True})
    span.set_status(trace.StatusCode.ERROR, "broken")
    span.end(9)
    resource = dict(captured.tracer_provider.resource.attributes)
    outer = earlier.get_span_context()

    assert captured.span == CapturedSpan(
        name="call",
        kind="CLIENT",
        attributes={"a": 1},
        status="ERROR",
        status_description="broken",
        events=[("seen", {"b": True})],
        start_ns=5,
        end_ns=9,
        trace_id=f"{outer.trace_id:032x}",
        span_id=f"{span.get_span_context().span_id:016x}",
        parent_span_id=f"{outer.span_id:016x}",
        links=[CapturedLink(f"{outer.trace_id:032x}", f"{outer.span_id:016x}", {"why": "retry"})],
        resource=resource,
    )
    assert "service.name" in resource


def test_the_only_span_is_asked_for_or_there_is_an_error(captured: CapturedTelemetry) -> None:
    """Which names the spans there are."""
    with pytest.raises(AssertionError, match=r"expected one span, got \[\]"):
        _ = captured.span
    for name in ("first", "second"):
        captured.tracer_provider.get_tracer("app").start_span(name).end()

    with pytest.raises(AssertionError, match=r"expected one span, got \['first', 'second'\]"):
        _ = captured.span
    assert [(span.name, span.parent_span_id) for span in captured.spans] == [
        ("first", None),
        ("second", None),
    ]


def test_a_histogram_is_a_plain_record_with_exemplars(captured: CapturedTelemetry) -> None:
    """Also of a value recorded outside any span."""
    record(captured)
    context = captured.span

    metric = captured.metric("waited")
    assert metric == CapturedMetric("waited", "s", "How long", "Histogram", metric.points)
    [inside] = captured.points("waited", app_model="a")
    assert inside == CapturedPoint(
        {"app.model": "a"}, count=1, sum=2.0, buckets=(0, 1, 0), bounds=(1.0, 5.0),
        exemplars=(CapturedExemplar(2.0, context.trace_id, context.span_id),),
    )  # fmt: skip
    assert inside.exemplar_span_ids == (context.span_id,)
    [outside] = captured.points("waited", app_model="b")
    assert outside.exemplars == (CapturedExemplar(9.0, None, None),)
    assert outside.exemplar_span_ids == ()


def record(captured: CapturedTelemetry) -> None:
    """Record one value within a span and one outside any."""
    meter = captured.meter_provider.get_meter("app")
    waited = meter.create_histogram("waited", "s", "How long", explicit_bucket_boundaries_advisory=[1, 5])
    with captured.tracer_provider.get_tracer("app").start_as_current_span("call"):
        waited.record(2.0, {"app.model": "a"})
    waited.record(9.0, {"app.model": "b"})


def test_sums_and_gauges_have_a_value(captured: CapturedTelemetry) -> None:
    """They are cumulative; what matches no attribute is not returned."""
    meter = captured.meter_provider.get_meter("app")
    meter.create_counter("calls").add(2, {"ok": True})
    meter.create_counter("calls").add(1, {"ok": False})
    meter.create_gauge("level").set(0.5)

    assert {name: metric.kind for name, metric in captured.metrics.items()} == {
        "calls": "Sum",
        "level": "Gauge",
    }
    assert [point.value for point in captured.points("calls")] == [2, 1]
    assert [point.value for point in captured.points("calls", ok=False)] == [1]
    assert captured.points("calls", other=1) == captured.points("nothing") == []
    assert [point.value for point in captured.metric("level").points] == [0.5]


def test_a_metric_that_is_missing_is_an_error_that_names_the_others(captured: CapturedTelemetry) -> None:
    """Sorted."""
    captured.meter_provider.get_meter("app").create_counter("calls").add(1)

    with pytest.raises(AssertionError, match=r"expected the metric waited, got \['calls'\]"):
        captured.metric("waited")


def test_logs_and_events_are_plain_records(captured: CapturedTelemetry) -> None:
    """An event has a name; both know their span."""
    logger = captured.logger_provider.get_logger("app")
    logger.emit(LogRecord(body="hi", severity_text="INFO", severity_number=SeverityNumber.INFO))
    with captured.tracer_provider.get_tracer("app").start_as_current_span("call"):
        logger.emit(LogRecord(event_name="asked", attributes={"a": 1}, context=None))
    span = captured.span

    assert captured.logs == [
        CapturedLog(None, {}, "hi", "INFO", None, None),
        CapturedLog("asked", {"a": 1}, None, None, span.trace_id, span.span_id),
    ]
    assert captured.events == [(None, {}), ("asked", {"a": 1})]


def test_clearing_forgets_spans_and_logs(captured: CapturedTelemetry) -> None:
    """And exemplars; metrics are cumulative and stay."""
    record(captured)
    captured.logger_provider.get_logger("app").emit(LogRecord(body="hi"))
    captured.clear()

    assert (captured.spans, captured.logs) == ([], [])
    assert [len(point.exemplars) for point in captured.metric("waited").points] == [0, 0]
    assert [point.count for point in captured.metric("waited").points] == [1, 1]


def test_what_was_captured_can_be_read_after_the_end() -> None:
    """When the `with` block is over."""
    with CapturedTelemetry() as captured:
        record(captured)
        captured.logger_provider.get_logger("app").emit(LogRecord(body="hi"))

    assert (captured.span.name, list(captured.metrics), captured.logs[0].body) == ("call", ["waited"], "hi")


def test_a_sampler_decides_about_spans_alone() -> None:
    """Metrics and their exemplars do not depend on it."""
    with CapturedTelemetry(sampler=ALWAYS_OFF) as captured:
        record(captured)

        assert captured.spans == []
        assert [len(point.exemplars) for point in captured.points("waited")] == [1, 1]


def test_exemplars_and_buckets_can_be_chosen() -> None:
    """No exemplars; the SDK's own views."""
    buckets = View(instrument_name="waited", aggregation=ExplicitBucketHistogramAggregation([3]))
    with CapturedTelemetry(exemplars=False, views=[buckets]) as captured:
        record(captured)

        assert [(p.bounds, p.buckets, p.exemplars) for p in captured.metric("waited").points] == [
            ((3.0,), (1, 0), ()),
            ((3.0,), (0, 1), ()),
        ]


def test_the_providers_are_what_a_provider_takes(captured: CapturedTelemetry) -> None:
    """By their keyword names."""
    expected: dict[str, Any] = {
        "tracer_provider": captured.tracer_provider,
        "meter_provider": captured.meter_provider,
        "logger_provider": captured.logger_provider,
    }

    assert captured.providers == expected


def test_without_the_sdk_only_captured_telemetry_is_missing() -> None:
    """And the error says what to install."""
    script = """
        import sys
        sys.modules["opentelemetry.sdk"] = None
        import urllib.request
        from ollameter import testing
        with testing.FakeOllama() as fake:
            print(urllib.request.urlopen(fake.base_url).read().decode())
        try:
            from ollameter.testing import CapturedTelemetry
        except ImportError as error:
            print(error)
    """
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [
        "Ollama is running",
        'CapturedTelemetry needs the SDK: pip install "ollameter[otlp]"',
    ]


def test_the_room_has_no_other_names() -> None:
    """What is asked for lazily is listed; anything else is an error."""
    from ollameter import testing

    assert all(hasattr(testing, name) for name in testing.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = testing.Nothing
