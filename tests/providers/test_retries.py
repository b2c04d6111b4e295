"""Trying again: when, how often, how long, and what is said of it; never once a stream has begun."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import pytest

import ollameter
from ollameter import InvalidResponse, OllamaProvider, ServerBusy, Timeouts
from ollameter.errors import ConnectionFailed, ResponseError
from ollameter.providers.http import HttpSettings, Retries
from ollameter.testing import (
    Answer,
    CapturedTelemetry,
    FakeOllama,
    chat_lines,
    error_answer,
    error_line,
    json_answer,
)
from ollameter.wire.address import parse_address
from tests.providers.calls import ask, both_sides, every_kind, run

BUSY = error_answer(503, "server busy, please try again.  maximum pending requests exceeded")
LIMITED = error_answer(429, "slow down")
REFUSED = ConnectionFailed("m", "connection_refused")


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """The ranges that delays are drawn from; each one drawn is its range's hundredth part."""
    drawn: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        drawn.append((least, most))
        return most / 100

    monkeypatch.setattr("ollameter.providers.http.random.uniform", uniform)
    return drawn


def tried(retries: int = 2, first_byte: float | None = 600, now: float = 0) -> Retries:
    """Return the retries of a call that begins at `now`."""
    settings = HttpSettings(
        address=parse_address(None),
        timeouts=Timeouts(first_byte=first_byte),
        headers={},
        retries=retries,
    )
    return Retries(settings, now)


def busy(retry_after_s: float | None, status: int = 503) -> ServerBusy:
    """Return what a busy server answers."""
    error = ServerBusy("later", status_code=status)
    error.retry_after_s = retry_after_s
    return error


def test_delays_double_with_full_jitter_and_are_at_most_ten_seconds(
    delays: list[tuple[float, float]],
) -> None:
    """From a quarter of a second, as often as was asked for."""
    retries = tried(retries=8)

    waits = [retries.delay_s(REFUSED, 0) for _ in range(9)]

    ranges = [0.25, 0.5, 1, 2, 4, 8, 10, 10]
    assert delays == [(0, most) for most in ranges]
    assert waits == [*[most / 100 for most in ranges], None]


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (REFUSED, True),
        (busy(None), True),
        (busy(None, 429), True),
        (ConnectionFailed("m", "connection_reset"), False),
        (ConnectionFailed("m", "dns"), False),
        (ConnectionFailed("m", "tls"), False),
        (ResponseError("m", status_code=500), False),
        (ResponseError("m", status_code=502), False),
        (InvalidResponse("m"), False),
        (ollameter.Timeout("m", phase="connect"), False),
    ],
)
def test_only_what_was_not_begun_is_tried_again(error: Any, again: bool) -> None:
    """Refused connections, 503 and 429."""
    assert (tried().delay_s(error, 0) is not None) is again


@pytest.mark.parametrize(("asked", "waits"), [(0.0, 0.0), (10.0, 10.0), (10.1, None), (60.0, None)])
def test_a_server_is_believed_up_to_ten_seconds(asked: float, waits: float | None) -> None:
    """Without jitter; beyond that the error is raised at once."""
    assert tried().delay_s(busy(asked), 0) == waits


def test_every_wait_ends_within_the_first_bytes_limit() -> None:
    """Counted from the first attempt; without a limit there is none."""
    assert tried(first_byte=5, now=100).delay_s(busy(4.9), 100) == 4.9
    assert tried(first_byte=5, now=100).delay_s(busy(4.9), 100.2) is None
    assert tried(first_byte=None, now=100).delay_s(busy(9.0), 10_000) == 9.0


@both_sides
@every_kind
def test_a_busy_server_is_asked_again(
    side: str,
    kind: str,
    fake: FakeOllama,
    captured: CapturedTelemetry,
    delays: list[tuple[float, float]],
) -> None:
    """503, then 429, then an answer: one call, three attempts, one span with two events."""
    fake.script("/api/generate" if "generate" in kind else "/api/chat", BUSY, LIMITED)

    with OllamaProvider(fake.base_url, model="llama3.2", **captured.providers) as llm:
        ran = run(llm, side, kind)

    assert (ran.text, ran.error) == ("Hello!", None)
    assert ran.metrics is not None
    assert ran.metrics.attempts == len(fake.requests) == 3
    assert captured.span.status == "UNSET"
    assert captured.span.events == [
        ("ollameter.retry", {"error.type": "503", "ollameter.retry.delay": 0.0025}),
        ("ollameter.retry", {"error.type": "429", "ollameter.retry.delay": 0.005}),
    ]
    assert [p.value for p in captured.points("ollama.client.retries")] == [2]
    assert len({request.headers["traceparent"] for request in fake.requests}) == 1


@both_sides
def test_the_last_error_is_raised_with_the_attempts_it_took(
    side: str, fake: FakeOllama, captured: CapturedTelemetry, delays: list[tuple[float, float]]
) -> None:
    """And all of them are counted."""
    fake.script("/api/chat", BUSY, BUSY, LIMITED)

    with OllamaProvider(fake.base_url, model="llama3.2", **captured.providers) as llm:
        ran = run(llm, side, "chat")

    assert (type(ran.error), ran.error.status_code, ran.error.attempts) == (ServerBusy, 429, 3)
    assert ran.error.metrics.attempts == 3
    assert [name for name, _ in captured.span.events] == ["ollameter.retry"] * 2 + ["exception"]
    assert [p.value for p in captured.points("ollama.client.retries")] == [2]


@both_sides
def test_questions_are_tried_again_too(
    side: str, fake: FakeOllama, captured: CapturedTelemetry, delays: list[tuple[float, float]]
) -> None:
    """With the events on their span, and the attempts on their error."""
    fake.script("/api/version", BUSY, json_answer({"version": "1"}), BUSY, BUSY, BUSY)

    with OllamaProvider(fake.base_url, host_monitor=False, **captured.providers) as llm:
        assert ask(llm, side, "version") == "1"
        with pytest.raises(ServerBusy) as refused:
            ask(llm, side, "version")

    assert refused.value.attempts == 3
    assert [len(span.events) for span in captured.spans] == [1, 3]
    assert captured.metrics == {}


@both_sides
def test_nothing_is_tried_again_when_that_is_not_wanted(side: str, fake: FakeOllama) -> None:
    """`retries=0`."""
    fake.script("/api/chat", BUSY)

    with OllamaProvider(fake.base_url, model="llama3.2", retries=0) as llm:
        ran = run(llm, side, "chat")

    assert (ran.error.attempts, len(fake.requests)) == (1, 1)


@both_sides
@pytest.mark.parametrize(
    "answer",
    [
        Answer(lines=[chat_lines("Hel")[0], error_line("server busy")]),
        Answer(lines=chat_lines("Hel", "lo"), cut_after_lines=1, cut="reset", gap_s=0.05),
        Answer(lines=chat_lines("Hel"), cut_after_lines=1),
        Answer(lines=[error_line("server busy, please try again.")]),
        Answer(cut="reset"),
    ],
)
def test_a_stream_that_has_begun_is_never_tried_again(side: str, answer: Answer, fake: FakeOllama) -> None:
    """However it breaks: part of it has been seen. Nor is a request that may have been read."""
    fake.script("/api/chat", answer)

    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        ran = run(llm, side, "stream")

    assert isinstance(ran.error, ollameter.OllameterError)
    assert (ran.error.attempts, len(fake.requests)) == (1, 1)


@both_sides
def test_a_server_that_asks_for_patience_beyond_ten_seconds_is_believed(
    side: str, fake: FakeOllama
) -> None:
    """The error comes at once, in the server's words."""
    fake.script("/api/chat", error_answer(503, "later", Retry_After="60"))

    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        ran = run(llm, side, "chat")

    assert type(ran.error) is ServerBusy
    assert (str(ran.error), ran.error.retry_after_s, len(fake.requests)) == ("later", 60.0, 1)


@both_sides
def test_a_server_is_waited_for_as_long_as_it_asks(side: str, fake: FakeOllama) -> None:
    """A second, on the clock."""
    fake.script("/api/chat", error_answer(429, "later", Retry_After="1"))

    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        ran = run(llm, side, "chat")

    first, second = fake.requests
    assert ran.text == "Hello!"
    assert 0.99 < second.received_at - first.received_at < 3
    assert ran.metrics is not None
    assert ran.metrics.duration_s > 0.99


@both_sides
def test_a_last_attempt_ends_with_the_time_of_all(
    side: str, fake: FakeOllama, delays: list[tuple[float, float]]
) -> None:
    """The second attempt hangs: what is left of `first_byte` is all it gets."""
    fake.script("/api/chat", Answer(status=503, delay_s=0.4), Answer(delay_s=60))
    begun = time.monotonic()

    limits = Timeouts(first_byte=0.8)
    with OllamaProvider(fake.base_url, model="llama3.2", timeout=limits) as llm:
        ran = run(llm, side, "chat")
    took_s = time.monotonic() - begun

    assert (type(ran.error), ran.error.phase, ran.error.attempts) == (ollameter.Timeout, "first_byte", 2)
    assert 0.75 < took_s < 1.15


@both_sides
def test_a_server_that_comes_up_meanwhile_answers(side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused first; then it is there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    late = FakeOllama()
    late._port = port

    def start(least: float, most: float) -> float:
        late.start()
        return least

    monkeypatch.setattr("ollameter.providers.http.random.uniform", start)
    try:
        with OllamaProvider(f"127.0.0.1:{port}", model="llama3.2") as llm:
            ran = run(llm, side, "chat")
    finally:
        late.close()

    assert (ran.text, ran.error) == ("Hello!", None)
    assert ran.metrics is not None
    assert ran.metrics.attempts == 2


def test_closing_ends_the_wait_for_another_attempt(fake: FakeOllama) -> None:
    """From another thread; the call is abandoned and sends nothing more."""
    fake.script("/api/chat", error_answer(503, "later", Retry_After="9"))
    llm = OllamaProvider(fake.base_url, model="llama3.2")
    stream = llm.stream([{"role": "user", "content": "Hi"}])
    chunks: list[Any] = []
    reader = threading.Thread(target=lambda: chunks.extend(stream))
    reader.start()
    assert fake.wait_for_requests(1)
    begun = time.monotonic()

    llm.close()
    reader.join(5)

    assert time.monotonic() - begun < 1
    assert (chunks, len(fake.requests), reader.is_alive()) == ([], 1, False)
    assert stream.metrics is not None
    assert stream.metrics.outcome == "abandoned"


def test_a_cancelled_task_does_not_try_again(fake: FakeOllama) -> None:
    """It is cancelled while it waits."""
    fake.script("/api/chat", error_answer(503, "later", Retry_After="9"))

    async def cancelled(llm: OllamaProvider) -> None:
        task = asyncio.create_task(llm.chat_async([{"role": "user", "content": "Hi"}]))
        assert await asyncio.to_thread(fake.wait_for_requests, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        asyncio.run(cancelled(llm))

        metrics = llm.get_performance_metrics()
    assert metrics is not None
    assert (metrics.outcome, len(fake.requests)) == ("cancelled", 1)
