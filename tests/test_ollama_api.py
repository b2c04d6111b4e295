"""Everything but answers, the same from every server: models, loads, embeddings, pulls, presence."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest

import ollameter
from ollameter import ModelNotFound, OllamaProvider, ResponseError
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, chat_lines, error_line
from tests.behaviour import SHORT, Server
from tests.providers.calls import MESSAGES, ask, both_sides, run

UNKNOWN = "no-such-model"
BRIEF = {**SHORT, "num_predict": 2}


@both_sides
def test_models_are_described(side: str, llm: OllamaProvider, server: Server) -> None:
    """Listed and shown, as records that agree with the server's own objects."""
    [listed] = ask(llm, side, "models")
    shown = ask(llm, side, "show")

    assert listed.name == server.model
    assert listed.size is not None
    assert listed.size > 0
    assert listed.digest == listed.raw["digest"] != ""
    assert listed.modified_at is not None
    assert listed.modified_at.tzinfo is not None
    assert listed.details["family"] == shown.details["family"] == "llama"
    assert "completion" in shown.capabilities
    assert shown.model_info["llama.context_length"] > 0
    assert shown.raw["details"] == shown.details


@both_sides
def test_a_model_is_in_memory_between_load_and_unload(
    side: str, llm: OllamaProvider, server: Server, captured: CapturedTelemetry
) -> None:
    """Loading counts as the last call; both are orders with spans of their own."""
    loaded = ask(llm, side, "load", keep_alive="5m")
    [running] = ask(llm, side, "running")
    last = llm.get_performance_metrics()
    unloaded = ask(llm, side, "unload")

    assert (loaded.operation, loaded.outcome, loaded.finish_reason) == ("load", "completed", "load")
    assert last is loaded
    assert running.name == server.model
    assert running.context_length > 0
    assert running.expires_at is not None
    assert (unloaded.operation, unloaded.finish_reason) == ("unload", "unload")
    assert [span.name for span in captured.spans] == [
        "ollama.load_model", "ollama.list_running", "ollama.unload_model",
    ]  # fmt: skip
    assert _is_empty_within(llm, 20)


def _is_empty_within(llm: OllamaProvider, seconds: float) -> bool:
    ends_at = time.monotonic() + seconds
    while llm.running():
        if time.monotonic() > ends_at:
            return False
    return True


@both_sides
def test_texts_become_vectors_or_the_server_says_why_not(
    side: str, llm: OllamaProvider, server: Server, captured: CapturedTelemetry
) -> None:
    """A model that generates has vectors on the fake server and on the one of old alone."""
    if server.kind in ("embedded", "real"):
        with pytest.raises(ResponseError, match="does not support embeddings") as refused:
            ask(llm, side, "embed", ["a", "b"])
        assert refused.value.status_code == 501
        assert captured.span.attributes["error.type"] == "501"
        return

    vectors, metrics = ask(llm, side, "embed", ["a", "b"])

    assert [math.isclose(math.hypot(*vector), 1, abs_tol=1e-3) for vector in vectors] == [True] * 2
    assert metrics.input_tokens > 0
    assert (metrics.output_tokens, metrics.operation) == (None, "embeddings")
    assert metrics.total_s <= metrics.duration_s + 0.001
    assert captured.span.name == f"embeddings {server.model}"
    assert captured.span.attributes["gen_ai.usage.input_tokens"] == metrics.input_tokens
    assert [p.count for p in captured.points("gen_ai.client.operation.duration")] == [1]


@both_sides
def test_a_model_nobody_knows_cannot_be_pulled(
    side: str, llm: OllamaProvider, server: Server, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """The error is named, whether the registry denies the model or cannot be reached."""
    steps: list[str] = []
    denied = Answer(lines=[{"status": "pulling manifest"}, error_line("file does not exist")])
    fake.script("/api/pull", denied)

    async def pull_async() -> None:
        async for step in llm.pull_async(UNKNOWN):
            steps.append(step.status)  # noqa: PERF401  # what came before the error is looked at

    with pytest.raises(ResponseError) as failed:
        if side == "sync":
            steps.extend(step.status for step in llm.pull(UNKNOWN))
        else:
            asyncio.run(pull_async())

    if server.kind == "embedded":
        assert (failed.value.status_code, steps) == (501, [])
        assert "does not offer /api/pull" in str(failed.value)
    else:
        assert (failed.value.error_type, steps) == ("stream_error", ["pulling manifest"])
        assert str(failed.value) != ""
    assert (captured.span.name, captured.span.status) == ("ollama.pull_model", "ERROR")
    assert captured.span.attributes["error.type"] == failed.value.error_type
    assert llm.list_models() == [server.model]


@both_sides
@pytest.mark.parametrize("method", ["chat", "show", "load", "embed"])
def test_a_model_that_is_not_found_has_near_names(
    side: str, method: str, llm: OllamaProvider, server: Server
) -> None:
    """One letter too many."""
    given: Any = {"chat": [MESSAGES], "embed": ["x"]}.get(method, [])

    with pytest.raises(ModelNotFound) as failed:
        ask(llm, side, method, *given, model=f"{server.model}x")

    assert failed.value.near_names == (server.model,)
    assert str(failed.value).endswith(f"; did you mean '{server.model}'?")
    assert failed.value.status_code == 404


@both_sides
def test_availability_is_told_with_reason_and_near_names(
    side: str, llm: OllamaProvider, server: Server, captured: CapturedTelemetry
) -> None:
    """No span."""
    there, absent = ask(llm, side, "is_available"), ask(llm, side, "is_available", f"{server.model}x")

    assert (bool(there), there.model, there.models) == (True, server.model, (server.model,))
    assert (bool(absent), absent.near_names) == (False, (server.model,))
    assert captured.spans == []


@both_sides
@pytest.mark.parametrize("ensure", ["check", "pull"])
def test_a_models_presence_is_seen_to_before_a_call(
    side: str, ensure: Any, server: Server, captured: CapturedTelemetry
) -> None:
    """One that is there is called; one that is not fails before it is."""
    with OllamaProvider(
        server.base_url, model=server.model, ensure=ensure, host_monitor=False, **captured.providers
    ) as llm:
        there = run(llm, side, "chat", options=BRIEF)
        if ensure == "check":
            absent = run(llm, side, "chat", model=f"{server.model}x")
            assert type(absent.error) is ModelNotFound
            assert absent.error.near_names == (server.model,)

    assert there.error is None
    assert [span.name.split()[0] for span in captured.spans] == ["chat"] * len(captured.spans)


def test_cancelling_a_generation_frees_the_server(llm: OllamaProvider, fake: FakeOllama) -> None:
    """The task is cancelled in the middle; the next call does not wait for the rest."""
    fake.script("/api/chat", Answer(lines=chat_lines("1"), cut_after_lines=1, cut="hang"))

    async def count() -> ollameter.PerformanceMetrics:
        begun = asyncio.Event()

        async def read() -> None:
            async for _ in stream:
                begun.set()

        async with llm.stream_async(
            [{"role": "user", "content": "Count to 1000."}], options={"num_predict": 2000, "seed": 1}
        ) as stream:
            task = asyncio.create_task(read())
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert stream.metrics is not None
        assert stream.metrics.outcome == "cancelled"
        return (await llm.chat_async(MESSAGES, options=BRIEF)).metrics

    metrics = asyncio.run(count())

    assert metrics.outcome == "completed"
    assert (metrics.unattributed_s or 0) < 5
