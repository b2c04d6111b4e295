"""A pull, step by step: to `success`, or to a named error; left early it stops, and its span ends."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import ollameter
from ollameter import IncompleteResponse, InvalidRequest, OllamaProvider, PullProgress, Timeouts
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, error_answer, error_line
from tests.providers.calls import both_sides

DIGEST = "sha256:a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72"
STEPS: list[dict[str, Any]] = [
    {"status": "pulling manifest"},
    {"status": "pulling a80c4f17acd5", "digest": DIGEST, "total": 1000},
    {"status": "pulling a80c4f17acd5", "digest": DIGEST, "total": 1000, "completed": 500},
    {"status": "verifying sha256 digest"},
    {"status": "success"},
]
SLOW = Answer(lines=STEPS, cut_after_lines=2, cut="hang")


@pytest.fixture
def llm(fake: FakeOllama, captured: CapturedTelemetry) -> Iterator[OllamaProvider]:
    """A provider of the fake server, observed."""
    with OllamaProvider(
        fake.base_url, model="llama3.2", host_monitor=False, retries=0, **captured.providers
    ) as provider:
        yield provider


def pulled(llm: OllamaProvider, side: str, model: str | None = None, steps: int = 99) -> list[PullProgress]:
    """Take so many steps of a pull, and leave it."""
    if side == "sync":
        with llm.pull(model) as pull:
            return [step for _, step in zip(range(steps), pull, strict=False)]

    async def twin() -> list[PullProgress]:
        seen: list[PullProgress] = []
        async with llm.pull_async(model) as pull:
            async for step in pull:
                seen.append(step)
                if len(seen) == steps:
                    break
        return seen

    return asyncio.run(twin())


@both_sides
def test_every_step_is_told(
    side: str, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """In the server's words; what it does not say of a step is None. One span, no metrics."""
    fake.script("/api/pull", Answer(lines=STEPS))

    steps = pulled(llm, side, "qwen3:0.6b")

    assert steps == [
        PullProgress("pulling manifest"),
        PullProgress("pulling a80c4f17acd5", DIGEST, None, 1000),
        PullProgress("pulling a80c4f17acd5", DIGEST, 500, 1000),
        PullProgress("verifying sha256 digest"),
        PullProgress("success"),
    ]
    assert fake.requests[0].json == {"model": "qwen3:0.6b", "stream": True}
    assert (captured.span.name, captured.span.kind) == ("ollama.pull_model", "CLIENT")
    assert captured.span.attributes == {"server.address": "127.0.0.1", "server.port": fake.port}
    assert (captured.span.status, captured.metrics) == ("UNSET", {})
    assert llm.get_performance_metrics() is None


@both_sides
def test_a_pulled_model_can_be_called(side: str, llm: OllamaProvider) -> None:
    """The fake server has it from then on."""
    assert pulled(llm, side, "new")[-1].status == "success"

    assert llm.list_models() == ["llama3.2", "new"]


def test_a_pull_is_an_iterator_on_both_sides(llm: OllamaProvider) -> None:
    """Without `with` too, and of the provider's own model."""

    async def twin() -> list[str]:
        pull = llm.pull_async()
        assert isinstance(pull, AsyncIterator)
        return [step.status async for step in pull]

    pull = llm.pull()
    assert isinstance(pull, Iterator)
    assert [step.status for step in pull] == asyncio.run(twin())


@both_sides
def test_the_span_covers_the_iteration(
    side: str, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """From the call to the last step, however long that takes."""
    fake.script("/api/pull", Answer(lines=STEPS, gap_s=0.05))

    pulled(llm, side)

    assert captured.span.end_ns - captured.span.start_ns > 0.2e9


FAILED: dict[str, tuple[Answer, type, str, str, int]] = {
    "no such model": (
        Answer(lines=[STEPS[0], error_line("pull model manifest: file does not exist")]),
        ollameter.ResponseError, "stream_error", "pull model manifest: file does not exist", 1),
    "an invalid name": (
        error_answer(400, "invalid model name"), ollameter.ResponseError, "400", "invalid model name", 0),
    "no end": (
        Answer(lines=STEPS[:-1]), IncompleteResponse, "stream_truncated",
        "the pull ended without `success`", 4),
    "a cut in a line": (
        Answer(lines=STEPS, cut_after_bytes=40), IncompleteResponse, "stream_truncated", "", 1),
    "a reset": (
        Answer(lines=STEPS, cut_after_lines=1, cut="reset", gap_s=0.05), ollameter.ConnectionFailed,
        "connection_reset", "", 1),
    "a stall before the first step": (
        Answer(delay_s=60), ollameter.Timeout, "read_timeout", "no first byte", 0),
    "a stall between steps": (SLOW, ollameter.Timeout, "idle_timeout", "", 2),
    "garbage": (
        Answer(lines=[STEPS[0], b"<html>\n"]), ollameter.InvalidResponse, "invalid_response", "", 1),
    "a step without a status": (
        Answer(lines=[STEPS[0], {"total": 3}]), ollameter.InvalidResponse, "invalid_response", "status", 1),
}  # fmt: skip


@both_sides
@pytest.mark.parametrize("fault", FAILED)
def test_a_pull_that_fails_is_named_once(
    side: str, fault: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """In the server's words if it had any, after the steps that came; the connection is closed."""
    answer, error_class, error_type, words, steps = FAILED[fault]
    fake.script("/api/pull", answer)
    seen: list[PullProgress] = []

    def take(llm: OllamaProvider) -> None:
        seen.extend(llm.pull("new"))

    async def take_async(llm: OllamaProvider) -> None:
        async for step in llm.pull_async("new"):
            seen.append(step)  # noqa: PERF401  # what came before the error is looked at

    limits = Timeouts(connect=1, first_byte=0.3, idle=0.1)
    with OllamaProvider(fake.base_url, timeout=limits, **captured.providers) as llm:
        with pytest.raises(ollameter.OllameterError) as failed:
            take(llm) if side == "sync" else asyncio.run(take_async(llm))

        assert (type(failed.value), failed.value.error_type) == (error_class, error_type)
        assert words in str(failed.value)
        assert len(seen) == steps
        assert failed.value.metrics is not None
        assert (failed.value.metrics.operation, failed.value.metrics.chunks) == ("pull", steps)
        assert captured.span.attributes["error.type"] == error_type
        assert captured.span.status == "ERROR"
        if "stall" in fault:
            assert fake.wait_until_left()


@both_sides
def test_a_pull_that_is_left_stops_the_server(
    side: str, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Abandoned is no error."""
    fake.script("/api/pull", SLOW)

    assert len(pulled(llm, side, steps=1)) == 1

    assert fake.wait_until_left()
    assert (captured.span.status, "error.type" in captured.span.attributes) == ("UNSET", False)


@both_sides
def test_between_steps_the_longer_limit_holds(side: str, fake: FakeOllama) -> None:
    """A server that checks a large file says nothing for longer than `idle`."""
    fake.script("/api/pull", Answer(lines=STEPS, gap_s=[0.3]))

    with OllamaProvider(fake.base_url, timeout=Timeouts(first_byte=5, idle=0.1)) as llm:
        assert pulled(llm, side, "new")[-1].status == "success"


DROPPED: dict[str, Callable[[Any], Any]] = {"never begun": lambda pull: None, "begun": next}


@pytest.mark.parametrize("when", DROPPED)
def test_a_dropped_pull_ends_its_span(
    when: str, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """At once, without a collection."""
    fake.script("/api/pull", SLOW)
    gc.disable()
    try:
        pull = llm.pull()
        DROPPED[when](pull)
        assert captured.spans == []
        del pull

        assert captured.span.name == "ollama.pull_model"
    finally:
        gc.enable()


def test_a_dropped_pull_ends_its_span_in_a_loop(
    llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """And its loop lets go of the connection."""
    fake.script("/api/pull", SLOW)

    async def drop() -> None:
        pull = llm.pull_async()
        await anext(pull)
        del pull
        assert captured.span.name == "ollama.pull_model"
        assert await asyncio.to_thread(fake.wait_until_left)

    asyncio.run(drop())


def test_a_pull_is_stopped_from_another_thread(
    llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """The reader that waits for a step stops at once, without an error."""
    fake.script("/api/pull", SLOW)
    pull = llm.pull()
    seen: list[PullProgress] = []
    reader = threading.Thread(target=lambda: seen.extend(pull))
    reader.start()
    assert fake.wait_for_requests(1)
    begun = time.monotonic()

    pull.close()
    reader.join(5)

    assert not reader.is_alive()
    assert time.monotonic() - begun < 1
    assert captured.span.status == "UNSET"


def test_a_cancelled_pull_says_so(
    llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """The cancellation passes unchanged; the span has it as its error."""
    fake.script("/api/pull", SLOW)

    async def take() -> None:
        async for _ in llm.pull_async():
            pass

    async def cancelled() -> None:
        task = asyncio.create_task(take())
        assert await asyncio.to_thread(fake.wait_for_requests, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())

    assert captured.span.attributes["error.type"] == "cancelled"
    assert fake.wait_until_left()


def test_a_model_must_be_named(fake: FakeOllama) -> None:
    """At the call, not at the first step."""
    with OllamaProvider(fake.base_url) as llm:
        with pytest.raises(InvalidRequest, match="model: none given"):
            llm.pull()
        with pytest.raises(InvalidRequest, match="model: empty"):
            llm.pull_async(" ")
