"""What a server is asked about its models: records, one span each, the same on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ollameter import InvalidRequest, ModelNotFound, OllamaProvider
from ollameter.testing import CapturedTelemetry, FakeOllama
from tests.providers.calls import ask, both_sides


@pytest.fixture
def llm(fake: FakeOllama, captured: CapturedTelemetry) -> Iterator[OllamaProvider]:
    """A provider of the fake server, observed."""
    with OllamaProvider(
        fake.base_url, model="llama3.2", host_monitor=False, **captured.providers
    ) as provider:
        yield provider


QUESTIONS = [
    ("list_models", "ollama.list_models", "GET", "/api/tags"),
    ("models", "ollama.list_models", "GET", "/api/tags"),
    ("running", "ollama.list_running", "GET", "/api/ps"),
    ("show", "ollama.show_model", "POST", "/api/show"),
    ("version", "ollama.get_version", "GET", "/api/version"),
]


@both_sides
@pytest.mark.parametrize(("method", "span", "verb", "path"), QUESTIONS)
def test_a_question_is_one_request_and_one_span_without_metrics(
    side: str,
    method: str,
    span: str,
    verb: str,
    path: str,
    llm: OllamaProvider,
    fake: FakeOllama,
    captured: CapturedTelemetry,
) -> None:
    """With the server as its only attributes, and the trace carried to it."""
    ask(llm, side, method)

    assert [(request.method, request.path) for request in fake.requests] == [(verb, path)]
    assert "traceparent" in fake.requests[0].headers
    assert (captured.span.name, captured.span.kind) == (span, "CLIENT")
    assert captured.span.attributes == {"server.address": "127.0.0.1", "server.port": fake.port}
    assert captured.metrics == {}
    assert llm.get_performance_metrics() is None


@both_sides
def test_models_are_records(side: str, llm: OllamaProvider) -> None:
    """Listed, running and shown."""
    listed, shown = ask(llm, side, "models"), ask(llm, side, "show")
    ask(llm, side, "chat", [{"role": "user", "content": "Hi"}])
    running = ask(llm, side, "running")

    assert [(model.name, model.details["quantization_level"]) for model in listed] == [
        ("llama3.2", "Q4_K_M")
    ]
    assert shown.capabilities == ("completion", "tools")
    assert [(model.name, model.context_length, model.size_vram) for model in running] == [
        ("llama3.2", 4096, 0)
    ]


@both_sides
def test_a_model_is_shown_in_full_when_asked_to(side: str, llm: OllamaProvider, fake: FakeOllama) -> None:
    """And one that is given is shown instead of the provider's own."""
    fake.models.append("other")
    ask(llm, side, "show")
    ask(llm, side, "show", "other", verbose=True)

    assert [request.json for request in fake.requests] == [
        {"model": "llama3.2"},
        {"model": "other", "verbose": True},
    ]


@both_sides
def test_an_absent_model_cannot_be_shown(
    side: str, llm: OllamaProvider, captured: CapturedTelemetry
) -> None:
    """The error is named in the span too."""
    with pytest.raises(ModelNotFound, match="model 'none' not found"):
        ask(llm, side, "show", "none")

    assert captured.span.attributes["error.type"] == "404"


@both_sides
@pytest.mark.parametrize("model", ["", 3, "\ud800"])
def test_a_model_that_is_no_name_is_refused_before_anything_is_sent(
    side: str, model: Any, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Naming the field."""
    with pytest.raises(InvalidRequest, match=r"^model: "):
        ask(llm, side, "show", model)

    assert (fake.requests, captured.spans) == ([], [])
