"""What arrives although the back ends were away and the collector crashed: everything that fits."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import urlopen

from ollameter.testing import FakeOllama
from tests.stack.applications import RECORDING, run
from tests.stack.backend import COLLECTOR_FILE, Stack
from tests.stack.servers import Collector
from tests.stack.stored import eventually, stored_ids, value

CALLS, SPANS_A_CALL = 200, 5
SOME_CALLS = f"""{RECORDING}
    with ollameter.configure("lossless"):
        record()
        with trace.get_tracer("app").start_as_current_span("all of it") as whole:
            with ollameter.OllamaProvider(sys.argv[1], model="llama3.2", phase_spans=True) as llm:
                for _ in range({CALLS}):
                    llm.chat([{{"role": "user", "content": "x"}}])
    print(json.dumps([f"{{whole.get_span_context().trace_id:032x}}", exported]))
"""


def test_a_thousand_spans_outlive_the_back_ends_and_the_collector(fragile: Stack, fake: FakeOllama) -> None:
    """Both back ends are down, the collector is killed with all of it in its queues."""
    fragile.jaeger.kill()
    fragile.prometheus.kill()
    printed = run(SOME_CALLS, fake.base_url, OTEL_EXPORTER_OTLP_ENDPOINT=fragile.collector.grpc_endpoint)
    fragile.collector.kill()
    fragile.collector.start()
    fragile.prometheus.start()
    fragile.jaeger.start()

    trace_id, sent = json.loads(printed)
    assert len(set(sent)) == CALLS * SPANS_A_CALL + 1
    there = eventually(
        lambda: stored_ids(fragile.jaeger.query_url, trace_id),
        lambda it: it >= set(sent),
        within_s=40,
    )
    assert set(sent) - there == set()
    counted = 'sum(gen_ai_client_operation_duration_seconds_count{service_name="lossless"})'
    assert eventually(lambda: value(fragile.prometheus.url, counted), lambda it: it == CALLS) == CALLS


def test_what_does_not_fit_the_queue_is_counted(
    collector_prefix: Path, fake: FakeOllama, tmp_path: Path
) -> None:
    """With nobody to deliver to and a queue for three batches; alerts are raised by these counters."""
    overlay = tmp_path / "tiny.yaml"
    overlay.write_text("exporters: {otlp_grpc/jaeger: {sending_queue: {queue_size: 3}}}")
    many_batches = """
        import sys, ollameter
        handle = ollameter.configure("crowded")
        with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
            for _ in range(6):
                llm.chat([{"role": "user", "content": "x"}])
                handle.force_flush(0.5)
        handle.shutdown(0.5)
    """
    with Collector(
        collector_prefix,
        [COLLECTOR_FILE, overlay],
        jaeger_otlp="127.0.0.1:9",
        prometheus_otlp="http://127.0.0.1:9",
        folder=tmp_path / "collector",
    ) as collector:
        run(many_batches, fake.base_url, OTEL_EXPORTER_OTLP_ENDPOINT=collector.grpc_endpoint)
        counted = own_metrics(collector)

    queue = 'data_type="traces",exporter="otlp_grpc/jaeger"'
    assert counted[f"otelcol_exporter_queue_capacity{{{queue}}}"] == 3
    assert counted[f"otelcol_exporter_queue_size{{{queue}}}"] == 3
    assert counted['otelcol_exporter_enqueue_failed_spans{exporter="otlp_grpc/jaeger"}'] > 0


def own_metrics(collector: Collector) -> dict[str, float]:
    """Return what a collector tells Prometheus of itself."""
    with urlopen(f"http://{collector.metrics_address}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(number) for name, number in pairs}
