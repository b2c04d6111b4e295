"""What arrives although the back ends were away and the collector crashed: everything."""

from __future__ import annotations

import json

from ollameter.testing import FakeOllama
from tests.stack.applications import RECORDING, run
from tests.stack.backend import Stack
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
