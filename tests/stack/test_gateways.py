"""Agents and gateways: one sampler decides over a whole trace, and the numbers count what it left out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, Tracer, set_span_in_context

from tests.stack.backend import COLLECTOR_FILE, SHIPPED, Stack
from tests.stack.servers import Collector
from tests.stack.stored import Span, eventually, query, traces, value

SERVICE = "two-agents"
OK, ERRORS, SLOW = 100, 3, 3
SPANS = 2 * (OK + ERRORS + SLOW)


@pytest.fixture(scope="module")
def agents(
    collector_prefix: Path, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Collector]]:
    """Two agents in front of two gateways, which write to the back end of all tests."""

    def collector(name: str, file: str, **env: str) -> Collector:
        return running.enter_context(
            Collector(
                collector_prefix,
                [COLLECTOR_FILE, SHIPPED / "gateway" / file],
                jaeger_otlp=stack.jaeger.otlp_address,
                prometheus_otlp=stack.prometheus.otlp_url,
                env=env,
                folder=tmp_path_factory.mktemp(name),
            )
        )

    with ExitStack() as running:
        gateways = [collector("gateway", "gateway.yaml", SAMPLING_WAIT="2s") for _ in range(2)]
        seam = {f"GATEWAY_{n}": gateway.address("grpc") for n, gateway in enumerate(gateways, 1)}
        yield [collector("agent", "agent.yaml", **seam) for _ in range(2)]


@pytest.fixture(scope="module")
def sent(agents: list[Collector]) -> dict[str, str]:
    """Which kind of trace each id stands for: the root went to one agent, its child to the other."""
    providers = [provider(agent) for agent in agents]
    front, back = (each.get_tracer("shop") for each in providers)
    kinds = ["ok"] * OK + ["error"] * ERRORS + ["slow"] * SLOW
    made = {two_spans(front, back, kind): kind for kind in kinds}
    for each in providers:
        each.shutdown()
    return made


@pytest.fixture(scope="module")
def kept(stack: Stack, sent: dict[str, str]) -> dict[str, list[Span]]:
    """What Jaeger has once the samplers have decided: everything that fails or is slow is there."""

    def interesting(found: dict[str, list[Span]]) -> bool:
        return Counter(sent[trace_id] for trace_id in found) >= Counter(error=ERRORS, slow=SLOW)

    eventually(lambda: traces(stack.jaeger.query_url, SERVICE, limit=500), interesting, within_s=30)
    counted = f'sum(traces_span_metrics_calls_total{{service_name="{SERVICE}"}})'
    eventually(lambda: value(stack.prometheus.url, counted), lambda it: it == SPANS)
    return traces(stack.jaeger.query_url, SERVICE, limit=500)


def provider(agent: Collector) -> TracerProvider:
    """Return an application that exports to one agent."""
    made = TracerProvider(resource=Resource({"service.name": SERVICE}), shutdown_on_exit=False)
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(agent.grpc_endpoint, insecure=True)))
    return made


def two_spans(front: Tracer, back: Tracer, kind: str) -> str:
    """Make a trace of two spans in two applications; return its id."""
    now = time.time_ns()
    begun = now - (11_000_000_000 if kind == "slow" else 1_000_000)
    root = front.start_span("ask", kind=SpanKind.SERVER, start_time=begun)
    call = back.start_span("chat m", set_span_in_context(root), kind=SpanKind.CLIENT, start_time=begun)
    if kind == "error":
        call.set_status(StatusCode.ERROR, "refused")
    call.end(now)
    root.end(now)
    return f"{root.get_span_context().trace_id:032x}"


def test_what_fails_or_is_slow_is_kept(kept: dict[str, list[Span]], sent: dict[str, str]) -> None:
    """All of it, and about a tenth of the rest."""
    kinds = Counter(sent[trace_id] for trace_id in kept)

    assert (kinds["error"], kinds["slow"]) == (ERRORS, SLOW)
    assert kinds["ok"] < OK / 2  # more than 50 of 100 at 10 %: less likely than 1 in 10^20


def test_no_trace_is_torn_apart(kept: dict[str, list[Span]]) -> None:
    """Both spans, though they came by different agents: one sampler has seen them both."""
    for spans in kept.values():
        assert sorted(span.name for span in spans) == ["ask", "chat m"]
        root, call = sorted(spans, key=lambda span: span.name)
        assert call.parent_id == root.span_id


def test_span_metrics_count_what_was_sampled_away(stack: Stack, kept: dict[str, list[Span]]) -> None:
    """Every span, once, though Jaeger has a few of them; by both gateways together."""
    counted = f'traces_span_metrics_calls_total{{service_name="{SERVICE}"}}'
    samples = query(stack.prometheus.url, counted)

    assert sum(sample.value for sample in samples) == SPANS
    assert len({sample.labels["collector_instance_id"] for sample in samples}) == 2
    failed = [sample for sample in samples if sample.labels["status_code"] == "STATUS_CODE_ERROR"]
    assert sum(sample.value for sample in failed) == ERRORS
