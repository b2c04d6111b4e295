"""Embeddings of a real Ollama, from a model of made-up weights: vectors, numbers, refusals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollameter import OllamaProvider, ResponseError
from ollameter.testing import CapturedTelemetry
from tests.providers.calls import ask, both_sides, run
from tests.stack.servers import RealOllama
from tests.stack.tiny_bert import CONTEXT, WIDTH, give

MODEL = "tiny-bert:latest"


@pytest.fixture(scope="module", params=["ollama", "ollama_legacy"])
def base_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that has the model, of this generation and of the last."""
    prefix: Path = request.getfixturevalue(f"{request.param}_prefix")
    with RealOllama(prefix) as server:
        give(server.base_url, MODEL)
        yield server.base_url


@pytest.fixture
def llm(base_url: str, captured: CapturedTelemetry) -> Iterator[OllamaProvider]:
    """A provider of that server, observed."""
    with OllamaProvider(base_url, model=MODEL, host_monitor=False, **captured.providers) as provider:
        yield provider


@both_sides
def test_each_text_becomes_a_vector_of_length_one(
    side: str, llm: OllamaProvider, captured: CapturedTelemetry
) -> None:
    """The same text the same vector; tokens are counted over all of them, with their marks."""
    vectors, metrics = ask(llm, side, "embed", ["the sky is blue", "grass is green", "the sky is blue"])

    assert [len(vector) for vector in vectors] == [WIDTH] * 3
    assert [math.isclose(math.hypot(*vector), 1, abs_tol=1e-4) for vector in vectors] == [True] * 3
    assert math.dist(vectors[0], vectors[2]) < 1e-3 < math.dist(vectors[0], vectors[1])
    assert metrics.input_tokens == captured.span.attributes["gen_ai.usage.input_tokens"] == 6 + 5 + 6
    assert (metrics.output_tokens, metrics.outcome, metrics.response_model) == (None, "completed", MODEL)
    assert 0 < metrics.total_s <= metrics.duration_s + 0.001
    assert captured.span.name == f"embeddings {MODEL}"


@both_sides
def test_fields_are_obeyed(side: str, llm: OllamaProvider) -> None:
    """Fewer dimensions; an over-long text is cut, or refused when that is asked for."""
    assert len(ask(llm, side, "embed", "the sky", dimensions=8).vectors[0]) == 8
    assert ask(llm, side, "embed", "why " * 2 * CONTEXT).metrics.input_tokens <= CONTEXT
    with pytest.raises(ResponseError, match="the input length exceeds the context length"):
        ask(llm, side, "embed", "why " * 2 * CONTEXT, truncate=False)


@both_sides
def test_no_texts_load_the_model(side: str, llm: OllamaProvider) -> None:
    """`load` cannot: it is the prompt of a model that generates."""
    with pytest.raises(ResponseError, match="does not support generate"):
        ask(llm, side, "load")

    vectors, metrics = ask(llm, side, "embed", [], keep_alive="5m")

    assert (vectors, metrics.input_tokens, metrics.outcome) == ([], None, "completed")
    assert [model.name for model in ask(llm, side, "running")] == [MODEL]
    assert ask(llm, side, "unload").finish_reason == "unload"


@both_sides
def test_a_model_that_embeds_does_not_answer(side: str, llm: OllamaProvider) -> None:
    """As the server says, and as it lists what the model is capable of."""
    assert ask(llm, side, "show").capabilities == ("embedding",)
    assert "does not support chat" in str(run(llm, side, "chat").error)
