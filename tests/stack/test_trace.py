"""One call of a shipped example, with a real Ollama, seen in Jaeger: its spans and every attribute."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ollameter.telemetry import names
from ollameter.testing import FakeOllama
from tests.stack.applications import EXAMPLES, INSTRUMENTED, run
from tests.stack.backend import Stack
from tests.stack.loopback import fetch_json
from tests.stack.servers import RealOllama
from tests.stack.stored import Span, eventually, traces

SERVICE = "ollameter-example"
MODEL = "brief:latest"
PHASES = [names.PHASE_LOAD, names.PHASE_QUEUE, names.PHASE_PROMPT_EVAL, names.PHASE_EVAL]
# What the call span must have, with the type that the conventions (or docs/telemetry.md) give it.
TYPES = {
    "gen_ai.operation.name": str,
    "gen_ai.provider.name": str,
    "gen_ai.request.model": str,
    "gen_ai.response.model": str,
    "gen_ai.response.finish_reasons": list,
    "gen_ai.usage.input_tokens": int,
    "gen_ai.usage.output_tokens": int,
    "gen_ai.usage.cache_read.input_tokens": int,
    "server.address": str,
    "server.port": int,
    "ollama.request.duration": float,
    "ollama.load.duration": float,
    "ollama.prompt_eval.duration": float,
    "ollama.eval.duration": float,
    "ollama.unattributed.duration": float,
    "ollama.eval.throughput": float,
    "ollama.prompt_eval.throughput": float,
    "ollameter.outcome": str,
}
# Only when it is known: what the machine did, whether the model had to be loaded, and what it is.
SOMETIMES = {
    "ollama.cold_start": bool,
    "ollama.context.utilization": float,
    "ollama.model.context_length": int,
    "ollama.model.digest": str,
    "ollama.model.family": str,
    "ollama.model.parameter_size": str,
    "ollama.model.quantization": str,
    "ollama.model.vram_share": float,
    "ollameter.host.cpu.utilization": float,
    "ollameter.host.cpu.utilization.peak": float,
    "ollameter.host.memory.usage": int,
    "ollameter.host.memory.usage.peak": int,
    "ollameter.host.ollama.cpu.utilization": float,
    "ollameter.host.samples": int,
}


def example(stack: Stack, ollama_url: str, model: str, **settings: str) -> list[Span]:
    """Run `examples/export.py` with HTTP instrumentation and return its one trace."""
    this_run = str(uuid.uuid4())
    run(
        INSTRUMENTED, str(EXAMPLES / "export.py"), model,
        OLLAMA_HOST=ollama_url,
        OTEL_EXPORTER_OTLP_ENDPOINT=stack.collector.grpc_endpoint,
        OTEL_RESOURCE_ATTRIBUTES=f"service.version={this_run}",
        **settings,
    )  # fmt: skip

    def arrived() -> list[list[Span]]:
        all_of_them = traces(stack.jaeger.query_url, SERVICE, limit=100).values()
        return [spans for spans in all_of_them if spans[0].resource["service.version"] == this_run]

    (spans,) = eventually(arrived, lambda found: found and len(found[0]) == 2 + len(PHASES))
    return spans


@pytest.fixture(scope="module")
def spans(stack: Stack, real_ollama: RealOllama) -> Iterator[Mapping[str, Span]]:
    """The spans of one call by their names; there are no two of a name."""
    api = f"{real_ollama.base_url}/api"
    limits = {"num_predict": 8, "temperature": 0}
    brief = {"model": MODEL, "from": real_ollama.model, "parameters": limits, "stream": False}
    fetch_json(f"{api}/create", brief)  # the example sets no limit, and the small model likes to talk
    yield {span.name: span for span in example(stack, real_ollama.base_url, MODEL)}
    fetch_json(f"{api}/delete", {"model": MODEL}, method="DELETE")


@pytest.fixture(scope="module")
def call(spans: Mapping[str, Span]) -> Span:
    """The span of the call itself."""
    return spans[f"chat {MODEL}"]


def test_one_call_is_one_trace(spans: Mapping[str, Span], call: Span) -> None:
    """The call, the HTTP request that it made, and the server's phases; all of one service."""
    assert spans.keys() == {call.name, "POST", *PHASES}
    assert {span.trace_id for span in spans.values()} == {call.trace_id}
    assert {span.status for span in spans.values()} == {"UNSET"}
    assert call.resource["service.name"] == SERVICE
    assert call.scope == "ollameter"


def test_the_call_is_the_root_and_a_client(call: Span, real_ollama: RealOllama) -> None:
    """Its attributes say which model was asked for what, where."""
    host, _, port = real_ollama.base_url.removeprefix("http://").partition(":")

    assert (call.parent_id, call.kind) == ("", "CLIENT")
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.model": MODEL,
        "gen_ai.response.finish_reasons": ["length"],
        "gen_ai.usage.output_tokens": 8,
        "server.address": host,
        "server.port": int(port),
        "ollameter.outcome": "completed",
    }
    assert {name: call.attributes[name] for name in said} == said


def test_every_attribute_has_its_type(call: Span) -> None:
    """An integer is no double, a list no text, in what Jaeger gives back."""
    seen = {name: type(value) for name, value in call.attributes.items()}

    assert seen.keys() >= TYPES.keys()
    assert {**TYPES, **SOMETIMES, **seen} == {**TYPES, **SOMETIMES}


def test_the_numbers_fit_each_other(call: Span) -> None:
    """The phases add up to the server's total, which fits into the span."""
    said = call.attributes
    parts = ("ollama.load.duration", "ollama.prompt_eval.duration", "ollama.eval.duration")
    total = said["ollama.request.duration"]

    assert sum(said[part] for part in parts) + said["ollama.unattributed.duration"] == pytest.approx(total)
    assert total <= (call.end_ns - call.start_ns) / 1e9
    decoded = (said["gen_ai.usage.output_tokens"] - 1) / said["ollama.eval.duration"]
    assert said["ollama.eval.throughput"] == pytest.approx(decoded)


def test_the_http_request_is_nested_below_the_call(spans: Mapping[str, Span], call: Span) -> None:
    """It belongs to another instrumentation, and lies within the call."""
    request = spans["POST"]

    assert (request.parent_id, request.kind) == (call.span_id, "CLIENT")
    assert request.scope == "opentelemetry.instrumentation.requests"
    assert call.start_ns <= request.start_ns <= request.end_ns <= call.end_ns


def test_the_phases_lie_in_order_inside_the_call(spans: Mapping[str, Span], call: Span) -> None:
    """Each begins where the one before it ended; their lengths are the server's."""
    phases = [spans[name] for name in PHASES]

    assert {phase.parent_id for phase in phases} == {call.span_id}
    assert {phase.attributes["ollameter.reconstructed"] for phase in phases} == {True}
    edges = [
        call.start_ns,
        *(edge for phase in phases for edge in (phase.start_ns, phase.end_ns)),
        call.end_ns,
    ]
    assert edges == sorted(edges)
    lengths = {phase.name: (phase.end_ns - phase.start_ns) / 1e9 for phase in phases}
    assert lengths[names.PHASE_EVAL] == pytest.approx(call.attributes["ollama.eval.duration"], abs=1e-6)
    assert lengths[names.PHASE_LOAD] == pytest.approx(call.attributes["ollama.load.duration"], abs=1e-6)


def test_what_the_genai_view_reads_is_there(stack: Stack, fake: FakeOllama) -> None:
    """Which operation, provider and models, how many tokens, and the messages if they are wanted."""
    found = example(
        stack, fake.base_url, "llama3.2",
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_ONLY",
    )  # fmt: skip
    (call,) = (span for span in found if span.kind == "CLIENT" and span.scope == "ollameter")
    read: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": "llama3.2",
        "gen_ai.response.model": "llama3.2",
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"Say hello."}]}]',
    }

    assert {name: call.attributes[name] for name in read} == read
    assert '"Hello!"' in call.attributes["gen_ai.output.messages"]
