"""Prompts and answers dropped by the collector, whatever applications send, as its file says how."""

from __future__ import annotations

from pathlib import Path

from ollameter.testing import FakeOllama
from tests.stack.applications import run
from tests.stack.backend import COLLECTOR_FILE, Stack
from tests.stack.servers import Collector
from tests.stack.stored import eventually, traces

TALKS = """
    import sys, ollameter
    with ollameter.configure("discreet"):
        with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
            llm.generate("a secret", system="another secret")
"""


def uncommented(folder: Path) -> Path:
    """Follow the comment in the shipped file."""
    text = COLLECTOR_FILE.read_text()
    assert text.count("#| ") == 6
    told = folder / "collector.yaml"
    told.write_text(
        text.replace("#| ", "").replace(
            "processors: [memory_limiter]", "processors: [memory_limiter, attributes/no_content]"
        )
    )
    return told


def test_content_is_dropped_as_the_comment_says(
    stack: Stack, collector_prefix: Path, fake: FakeOllama, tmp_path: Path
) -> None:
    """The span and the event arrive, without a word of the messages."""
    with Collector(
        collector_prefix,
        [uncommented(tmp_path)],
        jaeger_otlp=stack.jaeger.otlp_address,
        prometheus_otlp=stack.prometheus.otlp_url,
        folder=tmp_path / "collector",
    ) as collector:
        run(
            TALKS, fake.base_url,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.grpc_endpoint,
            OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_AND_EVENT",
        )  # fmt: skip
        ((span,),) = eventually(lambda: traces(stack.jaeger.query_url, "discreet")).values()
        event = eventually(collector.events_file.read_text)

    assert "gen_ai.client.inference.operation.details" in event
    assert span.attributes["gen_ai.operation.name"] == "text_completion"
    assert "secret" not in event + str(span.attributes)
