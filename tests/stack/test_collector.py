"""The shipped files take what a call exports, in the real servers."""

from __future__ import annotations

import subprocess
import sys

from ollameter.testing import FakeOllama
from tests.stack.applications import environment, run
from tests.stack.backend import Stack
from tests.stack.stored import eventually, traces, value


def test_the_demo_arrives_in_jaeger_and_prometheus(stack: Stack, fake: FakeOllama) -> None:
    """Its span and its metrics, over gRPC."""
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": stack.collector.grpc_endpoint, "OLLAMA_HOST": fake.base_url}
    subprocess.run(
        [sys.executable, "-m", "ollameter.cli.demo"],
        check=True, timeout=60, capture_output=True, env=environment(settings),
    )  # fmt: skip

    found = eventually(lambda: traces(stack.jaeger.query_url, "ollameter-demo"))
    ((span,),) = found.values()
    assert span.name == "chat llama3.2"
    assert span.attributes["ollama.load.duration"] == 0.00001
    calls = 'gen_ai_client_operation_duration_seconds_count{service_name="ollameter-demo"}'
    assert eventually(lambda: value(stack.prometheus.url, calls)) == 1


def test_content_that_an_application_asks_for_is_kept_in_a_file(stack: Stack, fake: FakeOllama) -> None:
    """As an event with the messages; nothing of it goes to Jaeger."""
    script = """
        import sys, ollameter
        with ollameter.configure("talkative"):
            with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
                llm.chat([{"role": "user", "content": "tell me"}])
    """
    run(
        script, fake.base_url,
        OTEL_EXPORTER_OTLP_ENDPOINT=stack.collector.grpc_endpoint,
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="EVENT_ONLY",
    )  # fmt: skip
    events = stack.collector.events_file

    kept = eventually(events.read_text, lambda text: "tell me" in text)
    assert '"gen_ai.client.inference.operation.details"' in kept
    assert '"tell me"' in kept
    ((span,),) = eventually(lambda: traces(stack.jaeger.query_url, "talkative")).values()
    assert "gen_ai.input.messages" not in span.attributes
