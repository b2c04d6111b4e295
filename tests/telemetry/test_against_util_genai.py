"""The same call described through OpenTelemetry's own GenAI helper looks the same, but where said."""

from __future__ import annotations

from typing import Any

from opentelemetry.util.genai.handler import TelemetryHandler

from ollameter import OllamaProvider, PerformanceMetrics
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, chat_lines
from tests.providers.calls import MESSAGES
from tests.telemetry.test_conventions import EVERYTHING

# Where we differ on purpose: attribute or metric, and why.
DIFFERENT_ON_PURPOSE = {
    "gen_ai.request.top_k": "a double by the conventions; the helper passes the int on",
    "gen_ai.client.token.usage": "five attributes at most: no server.port, no response model",
    "gen_ai.client.operation.duration": "five attributes at most: no response model",
}


def described_by_the_helper(captured: CapturedTelemetry, metrics: PerformanceMetrics, port: int) -> None:
    """Describe a call that has ended, from its metrics, through `opentelemetry-util-genai`."""
    handler = TelemetryHandler(**captured.providers)
    call: Any = handler.inference(
        "ollama", request_model="llama3.2", server_address="127.0.0.1", server_port=port
    )
    call.request_stream = True
    call.temperature, call.top_p, call.top_k, call.seed = 0.0, 0.5, 7, 3
    call.max_tokens, call.stop_sequences = 9, ["x"]
    call.frequency_penalty, call.presence_penalty = 1.0, 1.0
    call.output_type = "json"
    call.response_model_name = metrics.response_model
    call.finish_reasons = [metrics.finish_reason]
    call.input_tokens, call.output_tokens = metrics.input_tokens, metrics.output_tokens
    call.cache_read_input_tokens = metrics.prompt_eval_cached_count
    call.ttfc_seconds = metrics.time_to_first_chunk_s
    call.stop()


def described_twice(fake: FakeOllama) -> tuple[CapturedTelemetry, CapturedTelemetry]:
    """Make a call, and describe it again; return our telemetry and the helper's."""
    ours, theirs = CapturedTelemetry(), CapturedTelemetry()
    fake.script("/api/chat", Answer(lines=chat_lines("a", "b")))
    with (
        OllamaProvider(fake.base_url, model="llama3.2", **ours.providers) as llm,
        llm.stream(MESSAGES, options=EVERYTHING, format="json") as stream,
    ):
        list(stream)
    assert stream.metrics is not None
    described_by_the_helper(theirs, stream.metrics, fake.port)
    return ours, theirs


def test_the_genai_attributes_of_the_span_are_the_same(fake: FakeOllama) -> None:
    """Names, values and types of everything that is not Ollama's own."""
    ours, theirs = described_twice(fake)

    def comparable(attributes: dict[str, Any]) -> dict[str, Any]:
        return {
            name: (type(value), value)
            for name, value in attributes.items()
            if not name.startswith(("ollama.", "ollameter.")) and name not in DIFFERENT_ON_PURPOSE
        }

    assert comparable(ours.span.attributes) == comparable(theirs.span.attributes)
    assert (ours.span.name, ours.span.kind) == (theirs.span.name, theirs.span.kind)
    assert ours.span.attributes["gen_ai.request.top_k"] == theirs.span.attributes["gen_ai.request.top_k"]


def test_the_genai_metrics_are_the_same(fake: FakeOllama) -> None:
    """Names, units, instruments and bucket bounds; attributes but for those named above."""
    ours, theirs = described_twice(fake)
    shared = ("gen_ai.client.operation.duration", "gen_ai.client.token.usage")

    for name in shared:
        mine, other = ours.metrics[name], theirs.metrics[name]
        assert (mine.unit, mine.kind) == (other.unit, other.kind)
        assert [p.bounds for p in mine.points] == [p.bounds for p in other.points]
        left_out = {"gen_ai.response.model", "server.port"}
        for a, b in zip(mine.points, other.points, strict=True):
            assert {k: v for k, v in a.attributes.items() if k not in left_out} == {
                k: v for k, v in b.attributes.items() if k not in left_out
            }
    token_sums = [
        sorted((p.sum or 0) for p in t.points("gen_ai.client.token.usage")) for t in (ours, theirs)
    ]
    assert token_sums[0] == token_sums[1]
