"""What an answer is and costs, the same from every server: fake, embedded, real, and real of old."""

from __future__ import annotations

import asyncio
from typing import Any

import ollameter
from ollameter import OllamaProvider
from ollameter.testing import CapturedTelemetry
from tests.behaviour import SHORT, Server
from tests.providers.calls import both_sides, every_kind, run, streams

NS = 1e9


@both_sides
@every_kind
def test_the_metrics_are_the_servers_own_numbers(
    side: str, kind: str, llm: OllamaProvider, server: Server, captured: CapturedTelemetry
) -> None:
    """Each number equals the raw final object; the span equals them in seconds or counts."""
    ran = run(llm, side, kind, options=SHORT)

    assert ran.error is None
    metrics, raw, attributes = ran.metrics, ran.reply.raw, captured.span.attributes
    assert metrics is not None
    # Before v0.33.3 the server did not say how much of a prompt it had in its cache.
    unsaid = {"prompt_eval_cached_count"} if server.kind == "legacy" else set()
    for name in (
        "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count",
        "eval_duration", "prompt_eval_cached_count",
    ):  # fmt: skip
        assert getattr(metrics, name) == raw.get(name), name
        assert (name in raw) == (name not in unsaid), name
    assert metrics.finish_reason == raw["done_reason"]
    assert metrics.response_model == raw["model"] == server.model
    in_seconds = {
        "ollama.request.duration": raw["total_duration"] / NS,
        "ollama.load.duration": raw["load_duration"] / NS,
        "ollama.prompt_eval.duration": raw["prompt_eval_duration"] / NS,
        "ollama.eval.duration": raw["eval_duration"] / NS,
    }
    counts = {
        "gen_ai.usage.input_tokens": raw["prompt_eval_count"],
        "gen_ai.usage.output_tokens": raw["eval_count"],
    }
    if not unsaid:
        counts["gen_ai.usage.cache_read.input_tokens"] = raw["prompt_eval_cached_count"]
    expected = {**in_seconds, **counts}
    assert {name: attributes[name] for name in expected} == expected
    assert {type(attributes[name]) for name in in_seconds} == {float}
    assert {type(attributes[name]) for name in counts} == {int}


@both_sides
@every_kind
def test_the_parts_of_a_call_are_not_longer_than_the_whole(
    side: str, kind: str, llm: OllamaProvider
) -> None:
    """`load + prompt_eval + eval <= total <= duration`, within a millisecond."""
    metrics = run(llm, side, kind, options=SHORT).metrics

    assert metrics is not None
    assert metrics.load_s is not None and metrics.prompt_eval_s is not None  # noqa: PT018
    assert metrics.eval_s is not None and metrics.total_s is not None  # noqa: PT018
    assert metrics.load_s + metrics.prompt_eval_s + metrics.eval_s <= metrics.total_s + 0.001
    assert metrics.total_s <= metrics.duration_s + 0.001
    assert llm.get_performance_metrics() == metrics


@both_sides
@streams
def test_the_text_of_a_stream_is_its_chunks_joined(side: str, kind: str, llm: OllamaProvider) -> None:
    """And the last chunk, and only it, is final."""
    ran = run(llm, side, kind, options=SHORT)

    assert ran.text == "".join(chunk.text for chunk in ran.chunks) == ran.reply.text != ""
    assert [chunk.final for chunk in ran.chunks] == [False] * (len(ran.chunks) - 1) + [True]
    assert ran.metrics is not None
    assert ran.metrics.chunks == len(ran.chunks)
    assert ran.metrics.time_to_first_chunk_s is not None
    assert ran.metrics.time_to_first_chunk_s <= ran.metrics.duration_s


@both_sides
def test_streamed_and_whole_answers_agree(side: str, llm: OllamaProvider) -> None:
    """The same question at temperature 0."""
    texts = [run(llm, side, kind, options=SHORT).text for kind in ("stream", "chat")]

    assert texts[0] == texts[1]


@both_sides
@every_kind
def test_an_absent_model_is_named(
    side: str, kind: str, llm: OllamaProvider, captured: CapturedTelemetry
) -> None:
    """In the server's own words."""
    ran = run(llm, side, kind, model="no-such-model")

    assert type(ran.error) is ollameter.ModelNotFound
    assert (str(ran.error), ran.error.status_code) == ("model 'no-such-model' not found", 404)
    assert captured.span.attributes["error.type"] == "404"


def test_the_server_is_asked_about_itself(llm: OllamaProvider, server: Server) -> None:
    """Models, version and availability agree on both sides."""
    versions = {llm.version(), asyncio.run(llm.version_async())}
    models = [llm.list_models(), asyncio.run(llm.list_models_async())]

    assert len(versions) == 1
    assert ("ollameter-embedded" in versions.pop()) == (server.kind == "embedded")
    assert models == [[server.model]] * 2
    assert llm.is_available()
    assert asyncio.run(llm.is_available_async(server.model))
    absent = llm.is_available("no-such-model")
    assert (bool(absent), absent.models) == (False, (server.model,))
    assert "no-such-model" in absent.reason


@both_sides
def test_several_models_and_settings_go_through_one_provider(
    side: str, llm: OllamaProvider, server: Server
) -> None:
    """The call's own model wins over the provider's; the cut-off is told."""
    ran = run(llm, side, "chat", model=server.model, options={"num_predict": 2}, keep_alive="5m")

    assert ran.metrics is not None
    assert ran.metrics.model == server.model
    if server.kind != "fake":
        assert (ran.metrics.eval_count, ran.metrics.finish_reason) == (2, "length")


def test_leaving_a_stream_frees_the_server(llm: OllamaProvider, server: Server) -> None:
    """The next call does not wait for the rest of the answer nobody reads."""
    question: Any = [{"role": "user", "content": "Count to 1000."}]
    with llm.stream(question, options={"num_predict": 2000}) as stream:
        next(stream)

    _, metrics = llm.chat(question, options=SHORT)

    assert stream.metrics is not None
    assert stream.metrics.outcome == "abandoned"
    assert metrics.outcome == "completed"
    assert (metrics.unattributed_s or 0) < 5
