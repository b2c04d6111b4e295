"""The same call described through OpenTelemetry's own GenAI helper looks the same, but where said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.util.genai import types as helper
from opentelemetry.util.genai.handler import TelemetryHandler

from ollameter import Message, ResponseError, ToolCall
from ollameter.metrics import PerformanceMetrics
from tests.telemetry.seen import HOST, PORT, START_NS, WHOLE, Seen, measured, request

OURS = ("ollama.", "ollameter.")
ASKED: dict[str, Any] = {
    "options": {
        "temperature": 0.5, "top_p": 0.5, "top_k": 7, "seed": 3, "num_predict": 9, "stop": ["x"],
        "frequency_penalty": 1.0, "presence_penalty": 1.0,
    },
    "format": "json", "messages": [{"role": "user", "content": "Hi"}],
}  # fmt: skip
ANSWERED = Message(
    role="assistant", content="So.", thinking="Hm.", tool_calls=[ToolCall("f", {"a": 1}, "c1")]
)

# Where we differ on purpose, and why. Everything else is equal, in name, value and type.
ON_THE_SPAN = {
    "gen_ai.request.top_k": "a double by the conventions; the helper passes the int on",
}
ON_THE_EVENT = {
    **ON_THE_SPAN,
    "gen_ai.provider.name": "the conventions do not list it for the event; the helper adds it",
}
ON_METRICS = {
    "gen_ai.response.model": "five attributes at most: the model asked for is one of them",
    "server.port": "five attributes at most: left out where `gen_ai.token.type` is one of them",
}
IN_MESSAGES = {
    "name": "the helper writes a null for who has no name; we write nothing",
}


def by_us(metrics: PerformanceMetrics, error: BaseException | None = None, **more: Any) -> Seen:
    """Describe a call through our own telemetry."""
    seen = Seen()
    asked = request(operation=metrics.operation, stream=metrics.streaming, **more or ASKED)
    begun = seen.telemetry().start_call(asked, HOST, PORT, START_NS)
    begun.end(metrics, error, lambda: ANSWERED)
    return seen


def by_the_helper(metrics: PerformanceMetrics, error: BaseException | None = None) -> Seen:
    """Describe the same call through `opentelemetry-util-genai`."""
    seen = Seen()
    handler = TelemetryHandler(**seen.providers)
    call: Any = handler.inference("ollama", request_model="llama3.2", server_address=HOST, server_port=PORT)
    call.request_stream = metrics.streaming or None
    options = ASKED["options"]
    call.temperature, call.top_p, call.top_k = options["temperature"], options["top_p"], options["top_k"]
    call.seed, call.max_tokens, call.stop_sequences = 3, options["num_predict"], options["stop"]
    call.frequency_penalty, call.presence_penalty = 1.0, 1.0
    call.output_type, call.response_model_name = "json", metrics.response_model
    call.finish_reasons = None if metrics.finish_reason is None else [metrics.finish_reason]
    call.input_tokens, call.output_tokens = metrics.input_tokens, metrics.output_tokens
    call.cache_read_input_tokens = metrics.prompt_eval_cached_count
    call.ttfc_seconds = metrics.time_to_first_chunk_s
    call.input_messages = [helper.InputMessage(role="user", parts=[helper.Text(content="Hi")])]
    # The helper takes the finish reasons from the messages: none for a call that did not finish.
    call.output_messages = (
        []
        if metrics.finish_reason is None
        else [
            helper.OutputMessage(
                role="assistant",
                parts=[
                    helper.Reasoning(content="Hm."),
                    helper.Text(content="So."),
                    helper.ToolCallRequest(name="f", arguments={"a": 1}, id="c1"),
                ],
                finish_reason=metrics.finish_reason,
            )
        ]
    )
    if error is None:
        call.stop()
    else:
        call.fail(helper.Error(message=str(error), type=metrics.error_type or ""))
    return seen


def theirs(attributes: Any, *differing: dict[str, str]) -> dict[str, Any]:
    """Return the types and values of what is the conventions', without what differs on purpose."""
    left_out = {name for reasons in differing for name in reasons}
    return {
        name: (type(value), value)
        for name, value in dict(attributes).items()
        if not name.startswith(OURS) and name not in left_out
    }


STREAMED = measured(**WHOLE, streaming=True, time_to_first_chunk_s=0.25)
WHOLE_ANSWER = measured(**WHOLE)
BARE = measured()


@pytest.mark.parametrize("metrics", [STREAMED, WHOLE_ANSWER, BARE])
def test_the_genai_attributes_of_the_span_are_the_same(metrics: PerformanceMetrics) -> None:
    """Names, values and types of everything that is not Ollama's own; name, kind, status."""
    mine, other = by_us(metrics).span, by_the_helper(metrics).span

    assert theirs(mine.attributes, ON_THE_SPAN) == theirs(other.attributes, ON_THE_SPAN)
    assert (mine.name, mine.kind, mine.status.status_code) == (
        other.name, other.kind, other.status.status_code,
    )  # fmt: skip


def test_every_difference_that_is_listed_is_one() -> None:
    """A reason that no longer holds is to be deleted."""
    mine, other = by_us(STREAMED).attributes, by_the_helper(STREAMED).attributes

    assert {n for n in other if (type(mine.get(n)), mine.get(n)) != (type(other[n]), other[n])} == set(
        ON_THE_SPAN
    )
    duration = "gen_ai.client.operation.duration"
    attributes = [
        {k for p in seen.metrics()[m].data.data_points for k in p.attributes}
        for m in (duration, "gen_ai.client.token.usage")
        for seen in (by_us(STREAMED), by_the_helper(STREAMED))
    ]
    assert (attributes[1] - attributes[0]) | (attributes[3] - attributes[2]) == set(ON_METRICS)


def test_a_failed_call_is_the_same() -> None:
    """`error.type` and the status' text; the exception itself is recorded by us alone."""
    error = ResponseError("model is broken", 500)
    metrics = measured(outcome="error", error_type="500")
    mine, other = by_us(metrics, error), by_the_helper(metrics, error)

    assert theirs(mine.attributes, ON_THE_SPAN) == theirs(other.attributes, ON_THE_SPAN)
    assert mine.attributes["error.type"] == "500"
    assert mine.span.status.status_code is other.span.status.status_code
    assert mine.span.status.description == other.span.status.description == "model is broken"
    assert ([e.name for e in mine.span.events], list(other.span.events)) == (["exception"], [])


@pytest.mark.parametrize("metrics", [STREAMED, measured(outcome="error", error_type="500")])
def test_the_genai_metrics_are_the_same(metrics: PerformanceMetrics) -> None:
    """Names, units, instruments and bucket bounds; attributes but for those named above."""
    error = None if metrics.error_type is None else ResponseError("no", 500)
    mine, other = by_us(metrics, error).metrics(), by_the_helper(metrics, error).metrics()

    assert other.keys() <= mine.keys()
    for name, metric in other.items():
        assert (mine[name].unit, type(mine[name].data)) == (metric.unit, type(metric.data))
        a, b = mine[name].data.data_points, metric.data.data_points
        assert [p.explicit_bounds for p in a] == [p.explicit_bounds for p in b]
        assert [p.count for p in a] == [p.count for p in b]
        assert [theirs(p.attributes, ON_METRICS) for p in a] == [
            theirs(p.attributes, ON_METRICS) for p in b
        ]
    if error is None:
        tokens = [
            [p.sum for p in found["gen_ai.client.token.usage"].data.data_points] for found in (mine, other)
        ]
        assert tokens[0] == tokens[1] == [26, 11]


def test_embeddings_are_the_same() -> None:
    """Their span and their metrics."""
    metrics = measured(operation="embeddings", prompt_eval_count=5, response_model="m")
    mine, other = by_us(metrics, input=["a"]), Seen()
    call: Any = TelemetryHandler(**other.providers).embedding(
        "ollama", request_model="llama3.2", server_address=HOST, server_port=PORT
    )
    call.response_model_name, call.input_tokens = "m", 5
    call.stop()

    assert (mine.span.name, mine.span.kind) == (other.span.name, other.span.kind)
    assert theirs(mine.attributes) == theirs(other.attributes)
    for name, metric in other.metrics().items():
        (a,), (b,) = mine.metrics()[name].data.data_points, metric.data.data_points
        assert theirs(a.attributes, ON_METRICS) == theirs(b.attributes, ON_METRICS)


def _plain(value: Any) -> Any:
    """Return JSON's lists and dicts of structures, without what differs on purpose."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k not in IN_MESSAGES or v is not None}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def test_messages_are_the_same_on_the_span_and_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts, their order and their keys, whichever of the two writes them."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_AND_EVENT")
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    mine, other = by_us(STREAMED), by_the_helper(STREAMED)

    for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
        assert _plain(json.loads(mine.attributes[name])) == _plain(json.loads(other.attributes[name]))
    (our_log,), (their_log,) = mine.logs, other.logs
    assert our_log.event_name == their_log.event_name
    a, b = (theirs(_plain(dict(log.attributes)), ON_THE_EVENT) for log in (our_log, their_log))
    assert a == b
