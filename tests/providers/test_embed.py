"""Embedding: texts in, vectors and metrics out; one span, one duration, input tokens only."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import ollameter
from ollameter import InvalidRequest, OllamaProvider
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, error_answer, json_answer
from tests.providers.calls import ask, both_sides

WHOLE = {
    "model": "llama3.2", "embeddings": [[0.6, 0.8], [1, 0]], "total_duration": 14_000_000,
    "load_duration": 1_000_000, "prompt_eval_count": 8,
}  # fmt: skip


@pytest.fixture
def llm(fake: FakeOllama, captured: CapturedTelemetry) -> Iterator[OllamaProvider]:
    """A provider of the fake server, observed."""
    with OllamaProvider(
        fake.base_url, model="llama3.2", host_monitor=False, **captured.providers
    ) as provider:
        yield provider


def last(llm: OllamaProvider) -> Any:
    """Return the last call's metrics."""
    return llm.get_performance_metrics()


@both_sides
def test_texts_become_vectors(
    side: str, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """The answer unpacks; what it cost is the last call's metrics too."""
    fake.script("/api/embed", json_answer(WHOLE))

    embedding = ask(llm, side, "embed", ["a", "b"])
    vectors, metrics = embedding

    assert vectors == embedding.vectors == embedding.raw["embeddings"] == [[0.6, 0.8], [1.0, 0.0]]
    assert {type(number) for vector in vectors for number in vector} == {float}
    assert embedding.metrics is metrics
    assert last(llm) is metrics
    assert (metrics.operation, metrics.outcome, metrics.streaming) == ("embeddings", "completed", False)
    assert (metrics.input_tokens, metrics.output_tokens, metrics.total_duration) == (8, None, 14_000_000)
    assert (metrics.time_to_first_chunk_s, metrics.chunks) == (None, None)
    assert fake.requests[0].json == {"model": "llama3.2", "input": ["a", "b"], "stream": False}
    assert pickle.loads(pickle.dumps(embedding)) == embedding  # noqa: S301  # our own bytes


@both_sides
def test_an_embedding_is_exported_like_any_call(
    side: str, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """The span's whole set; a duration, input tokens, the server's times, and nothing unknown."""
    fake.script("/api/embed", json_answer(WHOLE))

    ask(llm, side, "embed", ["a", "b"], dimensions=2, keep_alive="5m")

    assert (captured.span.name, captured.span.kind, captured.span.status) == (
        "embeddings llama3.2", "CLIENT", "UNSET",
    )  # fmt: skip
    assert captured.span.attributes == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": "llama3.2",
        "gen_ai.embeddings.dimension.count": 2,
        "server.address": "127.0.0.1",
        "server.port": fake.port,
        "ollama.request.keep_alive": "5m",
        "gen_ai.response.model": "llama3.2",
        "gen_ai.usage.input_tokens": 8,
        "ollama.request.duration": 0.014,
        "ollama.load.duration": 0.001,
        "ollama.cold_start": False,
        "ollameter.outcome": "completed",
    }
    counts = {name: sum(p.count or 0 for p in m.points) for name, m in captured.metrics.items()}
    assert counts == {
        "gen_ai.client.operation.duration": 1,
        "gen_ai.client.token.usage": 1,
        "ollama.request.duration": 1,
        "ollama.load.duration": 1,
        "ollama.client.active_requests": 0,
    }
    assert captured.points("gen_ai.client.token.usage")[0].attributes["gen_ai.token.type"] == "input"


@both_sides
def test_every_field_is_sent(side: str, llm: OllamaProvider, fake: FakeOllama) -> None:
    """By Ollama's own names, and what is not known yet through `extra`."""
    fake.models.append("embedder")

    ask(
        llm, side, "embed", "text", "embedder", dimensions=256, truncate=False, keep_alive=60,
        options={"num_ctx": 512}, extra={"new": 1},
    )  # fmt: skip

    assert fake.requests[0].json == {
        "model": "embedder", "input": "text", "stream": False, "dimensions": 256, "truncate": False,
        "keep_alive": 60, "options": {"num_ctx": 512}, "new": 1,
    }  # fmt: skip


@both_sides
def test_no_texts_make_no_vectors(side: str, llm: OllamaProvider) -> None:
    """And nothing is known of their tokens."""
    vectors, metrics = ask(llm, side, "embed", [])

    assert (vectors, metrics.input_tokens) == ([], None)


@both_sides
@pytest.mark.parametrize(
    ("given", "fields", "words"),
    [
        ("", {}, "input: empty; Ollama has no vector for it"),
        (3, {}, "input: expected a list of texts, got 3"),
        (["a", 3], {}, r"input\[1\]: expected a text, got int"),
        ("\ud800", {}, "input: holds a lone surrogate"),
        ("a", {"dimensions": "2"}, "dimensions: expected an integer"),
        ("a", {"truncat": True}, "truncat: unknown field; did you mean 'truncate'"),
        ("a", {"format": "json"}, "format: unknown field"),
        ("a", {"extra": {"input": "b"}}, r"extra\['input'\]: pass it as an argument of its own"),
    ],
)
def test_what_cannot_be_embedded_is_refused_before_anything_is_sent(
    side: str,
    given: Any,
    fields: Any,
    words: str,
    llm: OllamaProvider,
    fake: FakeOllama,
    captured: CapturedTelemetry,
) -> None:
    """Naming the field; no span, for nothing was begun."""
    with pytest.raises(InvalidRequest, match=words):
        ask(llm, side, "embed", given, **fields)

    assert (fake.requests, captured.spans) == ([], [])


@both_sides
@pytest.mark.parametrize(
    ("answer", "error", "error_type"),
    [
        (json_answer({"model": "m"}), ollameter.InvalidResponse, "invalid_response"),
        (json_answer({"embeddings": [["x"]]}), ollameter.InvalidResponse, "invalid_response"),
        (json_answer({"embeddings": None}), ollameter.InvalidResponse, "invalid_response"),
        (Answer(body=b'{"embeddings":[[0.5,'), ollameter.IncompleteResponse, "stream_truncated"),
        (Answer(body=b""), ollameter.IncompleteResponse, "stream_truncated"),
        (json_answer({"error": "x"}), ollameter.ResponseError, "stream_error"),
        (error_answer(501, "this model does not support embeddings"), ollameter.ResponseError, "501"),
        (Answer(cut="reset"), ollameter.ConnectionFailed, "connection_reset"),
    ],
)
def test_a_failed_embedding_is_named_and_measured(
    side: str,
    answer: Answer,
    error: type,
    error_type: str,
    llm: OllamaProvider,
    fake: FakeOllama,
    captured: CapturedTelemetry,
) -> None:
    """One error, one span, one duration."""
    fake.script("/api/embed", answer)

    with pytest.raises(ollameter.OllameterError) as failed:
        ask(llm, side, "embed", "text")

    assert (type(failed.value), failed.value.error_type) == (error, error_type)
    assert failed.value.metrics is last(llm) is not None
    assert captured.span.attributes["error.type"] == error_type
    assert [p.count for p in captured.points("gen_ai.client.operation.duration")] == [1]


@both_sides
def test_what_is_embedded_is_never_exported(
    side: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Not even when content is captured."""
    with OllamaProvider(
        fake.base_url, model="llama3.2", capture_content=True, host_monitor=False, **captured.providers
    ) as llm:
        ask(llm, side, "embed", "secret words")

    assert "secret" not in repr((captured.spans, captured.logs, captured.metrics))
