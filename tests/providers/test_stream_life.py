"""A stream ends once, whoever ends it and wherever it is: left, closed, dropped, cancelled."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import ollameter
from ollameter import OllamaProvider
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, chat_lines
from tests.providers.calls import MESSAGES

LINES = chat_lines("Hel", "lo", "!")
SLOW = Answer(lines=LINES, cut_after_lines=1, cut="hang")
SILENT = Answer(delay_s=60)


@pytest.fixture
def llm(fake: FakeOllama, captured: CapturedTelemetry) -> Any:
    """A provider of the fake server, observed."""
    with OllamaProvider(fake.base_url, model="llama3.2", **captured.providers) as provider:
        yield provider


def ended_as(captured: CapturedTelemetry, outcome: str, error_type: str | None = None) -> None:
    """Check that exactly one call was exported, and how it ended."""
    span = captured.span
    assert span.attributes["ollameter.outcome"] == outcome
    assert span.attributes.get("error.type") == error_type
    assert span.status == ("UNSET" if error_type is None else "ERROR")
    points = captured.points("gen_ai.client.operation.duration")
    assert [(p.count, p.attributes.get("error.type")) for p in points] == [(1, error_type)]
    assert [p.value for p in captured.points("ollama.client.active_requests")] == [0]


def test_a_stream_left_early_is_abandoned(
    llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Leaving is no error; the server sees the connection close and stops."""
    fake.script("/api/chat", SLOW)

    with llm.stream(MESSAGES) as stream:
        for chunk in stream:
            assert chunk.text == "Hel"
            break

    assert fake.wait_until_left()
    assert stream.metrics is not None
    assert (stream.metrics.outcome, stream.text, list(stream)) == ("abandoned", "Hel", [])
    ended_as(captured, "abandoned")


async def test_an_async_stream_left_early_is_abandoned(
    llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """The same on the async side."""
    fake.script("/api/chat", SLOW)

    async with llm.stream_async(MESSAGES) as stream:
        async for chunk in stream:
            assert chunk.text == "Hel"
            break

    assert await asyncio.to_thread(fake.wait_until_left)
    assert stream.metrics is not None
    assert (stream.metrics.outcome, stream.text) == ("abandoned", "Hel")
    ended_as(captured, "abandoned")


@pytest.mark.parametrize("error", [RuntimeError("mine"), GeneratorExit(), SystemExit(3)])
def test_the_consumers_own_error_abandons_and_passes_unchanged(
    error: BaseException, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """What happens in the caller's block is the caller's."""
    fake.script("/api/chat", SLOW)

    with pytest.raises(type(error)) as caught, llm.stream(MESSAGES) as stream:
        next(stream)
        raise error

    assert caught.value is error
    ended_as(captured, "abandoned")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_an_interrupt_in_the_block_cancels(
    error: BaseException, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Ctrl-C and a cancelled task are told apart from leaving."""
    fake.script("/api/chat", SLOW)

    with pytest.raises(type(error)), llm.stream(MESSAGES) as stream:
        next(stream)
        raise error

    ended_as(captured, "cancelled", "cancelled")


@pytest.mark.parametrize("leave", ["close", "drop", "enter and drop", "iterate and drop"])
def test_a_stream_that_nobody_reads_still_ends(
    leave: str, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Closed or dropped, before or after its request went out."""
    fake.script("/api/chat", SLOW)
    stream: Any = llm.stream(MESSAGES)
    if leave == "enter and drop":
        stream.__enter__()
    if leave == "iterate and drop":
        next(stream)
    if leave == "close":
        stream.close()
        assert list(stream) == []
    del stream
    gc.collect()

    ended_as(captured, "abandoned")
    assert fake.wait_until_left(count=len(fake.requests))
    assert len(fake.requests) == (0 if leave in {"close", "drop"} else 1)


@pytest.mark.parametrize("leave", ["close", "drop", "enter and drop", "iterate and drop"])
async def test_an_async_stream_that_nobody_reads_still_ends(
    leave: str, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """The finalizer ends the call first and has the loop close the connection."""
    fake.script("/api/chat", SLOW)
    stream: Any = llm.stream_async(MESSAGES)
    if leave == "enter and drop":
        await stream.__aenter__()
    if leave == "iterate and drop":
        await anext(stream)
    if leave == "close":
        await stream.aclose()
        assert [chunk async for chunk in stream] == []
    del stream
    gc.collect()

    ended_as(captured, "abandoned")
    assert await asyncio.to_thread(fake.wait_until_left, len(fake.requests))


@pytest.mark.parametrize("answer", [SILENT, SLOW])
def test_closing_from_another_thread_frees_a_blocked_reader_at_once(
    answer: Answer, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """A stop button: the reader gets the end of the iteration, not an error."""
    fake.script("/api/chat", answer)
    stream = llm.stream(MESSAGES)
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.extend(chunk.text for chunk in stream))
    reader.start()
    assert fake.wait_for_requests(1)
    poll(lambda: answer is SILENT or stream.text == "Hel")

    begun = time.monotonic()
    stream.close()
    reader.join(5)

    assert time.monotonic() - begun < 0.3
    assert not reader.is_alive()
    assert seen == ([] if answer is SILENT else ["Hel"])
    ended_as(captured, "abandoned")
    assert fake.wait_until_left()


def test_closing_the_provider_ends_every_open_stream(fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """Streams end as abandoned; what is used after that is refused; closing twice is harmless."""
    fake.script("/api/chat", SLOW)
    llm = OllamaProvider(fake.base_url, model="llama3.2", **captured.providers)
    stream = llm.stream(MESSAGES)
    next(stream)

    llm.close()
    llm.close()

    assert list(stream) == []
    ended_as(captured, "abandoned")
    with pytest.raises(ollameter.InvalidRequest, match="closed"):
        llm.chat(MESSAGES)
    with pytest.raises(ollameter.InvalidRequest, match="closed"):
        llm.list_models()
    assert not llm.is_available()


@pytest.mark.parametrize("phase", ["opening", "reading", "whole"])
async def test_a_cancelled_task_cancels_its_call(
    phase: str, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """While waiting for headers, between chunks, or for a whole answer."""
    fake.script("/api/chat", SLOW if phase == "reading" else SILENT)
    began = asyncio.Event()

    async def consume() -> None:
        if phase == "whole":
            await llm.chat_async(MESSAGES)
        async with llm.stream_async(MESSAGES) as stream:
            async for _ in stream:
                began.set()

    task = asyncio.create_task(consume())
    if phase == "reading":
        await began.wait()
    assert await asyncio.to_thread(fake.wait_for_requests, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    ended_as(captured, "cancelled", "cancelled")
    assert await asyncio.to_thread(fake.wait_until_left)


def test_an_interrupt_while_waiting_cancels(
    llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Ctrl-C in a blocking call: the exception passes, the call ends as cancelled."""
    fake.script("/api/chat", SILENT)
    main = threading.get_ident()

    def interrupt() -> None:
        fake.wait_for_requests(1)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        llm.chat(MESSAGES)
    thread.join()

    ended_as(captured, "cancelled", "cancelled")
    assert fake.wait_until_left()


def test_a_stream_that_completes_says_so_and_keeps_its_connection(
    llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Two answers over one connection; the done line is a chunk as well."""
    for _ in range(2):
        with llm.stream(MESSAGES) as stream:
            chunks = list(stream)

    assert [chunk.text for chunk in chunks] == ["Hel", "lo", "!", ""]
    assert [chunk.final for chunk in chunks] == [False, False, False, True]
    assert stream.metrics is not None
    assert (stream.metrics.chunks, stream.text) == (4, "Hello!")
    assert stream.reply.text == "Hello!"
    assert fake.connections_opened == 1


async def test_an_async_stream_that_completes_keeps_its_connection(
    llm: OllamaProvider, fake: FakeOllama
) -> None:
    """The same on the async side, and for whole answers."""
    for _ in range(2):
        async with llm.stream_async(MESSAGES) as stream:
            chunks = [chunk async for chunk in stream]
        await llm.chat_async(MESSAGES)

    assert [chunk.text for chunk in chunks] == ["Hel", "lo", "!", ""]
    assert stream.reply.text == "Hello!"
    assert fake.connections_opened == 1


def test_a_reply_before_the_end_is_refused(llm: OllamaProvider, fake: FakeOllama) -> None:
    """There is no whole answer yet; the text so far is there."""
    fake.script("/api/chat", SLOW)
    with llm.stream(MESSAGES) as stream:
        assert stream.metrics is None
        next(stream)

        assert stream.text == "Hel"
        with pytest.raises(ollameter.InvalidRequest, match="has not ended"):
            _ = stream.reply
    with pytest.raises(ollameter.InvalidRequest, match="abandoned"):
        _ = stream.reply


def test_a_slow_consumer_is_not_a_slow_server(fake: FakeOllama) -> None:
    """The idle limit runs while we wait for the server, not while the caller works."""
    hold = threading.Event()
    fake.script("/api/chat", Answer(lines=LINES, hold_after={1: hold}))
    with (
        OllamaProvider(fake.base_url, model="llama3.2", timeout=ollameter.Timeouts(idle=0.2)) as llm,
        llm.stream(MESSAGES) as stream,
    ):
        next(stream)
        begun = time.monotonic()
        poll(lambda: time.monotonic() - begun > 0.5)
        hold.set()

        assert [chunk.text for chunk in stream] == ["lo", "!", ""]


def poll(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait until the condition holds; fail after the bound."""
    ends_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends_at, "waited in vain"
        threading.Event().wait(0.002)
