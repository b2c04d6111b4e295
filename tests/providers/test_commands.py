"""Loading and unloading: an order, what it cost, a span of its own, and no metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import ollameter
from ollameter import InvalidRequest, OllamaProvider, Timeouts
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, error_answer
from tests.providers.calls import ask, both_sides


@pytest.fixture
def llm(fake: FakeOllama, captured: CapturedTelemetry) -> Iterator[OllamaProvider]:
    """A provider of the fake server, observed."""
    with OllamaProvider(
        fake.base_url, model="llama3.2", host_monitor=False, retries=0, **captured.providers
    ) as provider:
        yield provider


@both_sides
@pytest.mark.parametrize("order", ["load", "unload"])
def test_an_order_is_one_request_and_one_span_without_metrics(
    side: str, order: str, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """What it cost is returned: the client's clock, for Ollama sends no numbers."""
    metrics = ask(llm, side, order)

    told = {"keep_alive": 0} if order == "unload" else {}
    assert [(request.path, request.json) for request in fake.requests] == [
        ("/api/generate", {"model": "llama3.2", "stream": False, **told})
    ]
    assert (metrics.operation, metrics.outcome, metrics.finish_reason) == (order, "completed", order)
    assert (metrics.model, metrics.duration_s > 0, metrics.total_s) == ("llama3.2", True, None)
    assert (captured.span.name, captured.span.kind) == (f"ollama.{order}_model", "CLIENT")
    assert captured.span.attributes == {"server.address": "127.0.0.1", "server.port": fake.port}
    assert captured.span.end_ns - captured.span.start_ns == round(metrics.duration_s * 1e9)
    assert captured.metrics == {}


@both_sides
def test_a_load_is_the_last_call_and_an_unload_is_none(side: str, llm: OllamaProvider) -> None:
    """What counts as a call is chat, generate, embed and load."""
    loaded = ask(llm, side, "load")
    ask(llm, side, "unload")

    assert ollameter.PerformanceMetrics.from_dict(loaded.to_dict()) == loaded
    assert llm.get_performance_metrics() is loaded


@both_sides
def test_a_model_is_running_between_load_and_unload(side: str, llm: OllamaProvider) -> None:
    """As the server lists it."""
    before = ask(llm, side, "running")
    ask(llm, side, "load", "llama3.2", "10m", options={"num_ctx": 512})
    during = ask(llm, side, "running")
    ask(llm, side, "unload", "llama3.2")

    assert (before, [model.name for model in during], ask(llm, side, "running")) == ([], ["llama3.2"], [])


@both_sides
def test_how_and_how_long_is_sent(side: str, llm: OllamaProvider, fake: FakeOllama) -> None:
    """The options that later calls will have, lest they load the model again."""
    ask(llm, side, "load", keep_alive=-1, options={"num_ctx": 512, "num_gpu": None})

    assert fake.requests[0].json == {
        "model": "llama3.2", "stream": False, "keep_alive": -1, "options": {"num_ctx": 512},
    }  # fmt: skip


@both_sides
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"keep_alive": 0}, "keep_alive: 0 unloads at once; for that use unload"),
        ({"keep_alive": "0s"}, "keep_alive: '0s' unloads at once"),
        ({"keep_alive": "5"}, "keep_alive: '5' is no duration"),
        ({"options": {"num_ctxt": 1}}, "'num_ctxt' is unknown to this library; did you mean 'num_ctx'"),
        ({"model": ""}, "model: empty"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    side: str, given: Any, words: str, llm: OllamaProvider, fake: FakeOllama
) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidRequest, match=words):
        ask(llm, side, "load", **given)

    assert fake.requests == []


@both_sides
@pytest.mark.parametrize("order", ["load", "unload"])
@pytest.mark.parametrize(
    ("answer", "error", "error_type"),
    [
        (error_answer(404, "model 'llama3.2' not found"), ollameter.ModelNotFound, "404"),
        (error_answer(500, "model requires more system memory"), ollameter.ResponseError, "500"),
        (Answer(delay_s=60), ollameter.Timeout, "read_timeout"),
        (Answer(body=b""), ollameter.IncompleteResponse, "stream_truncated"),
    ],
)
def test_a_failed_order_is_named_in_its_span(
    side: str,
    order: str,
    answer: Answer,
    error: type,
    error_type: str,
    fake: FakeOllama,
    captured: CapturedTelemetry,
) -> None:
    """With what was measured until then on the error; still no metrics are recorded."""
    fake.script("/api/generate", answer)

    limits = Timeouts(first_byte=0.2)
    with OllamaProvider(
        fake.base_url, model="llama3.2", timeout=limits, host_monitor=False, **captured.providers
    ) as llm:
        with pytest.raises(ollameter.OllameterError) as failed:
            ask(llm, side, order)

    assert (type(failed.value), failed.value.error_type) == (error, error_type)
    assert failed.value.metrics is not None
    assert failed.value.metrics.operation == order
    assert (captured.span.status, captured.span.attributes["error.type"]) == ("ERROR", error_type)
    assert captured.metrics == {}
