"""Whether a model is there: asked before a call when wanted, and pulled when that is wanted too."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import ollameter
from ollameter import IncompleteResponse, ModelNotFound, OllamaProvider, ResponseError
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, error_answer, error_line, json_answer
from tests.providers.asked import paths, provider
from tests.providers.calls import MESSAGES, ask, both_sides, every_kind, run

FAILED_PULL = Answer(lines=[{"status": "pulling manifest"}, error_line("file does not exist")])


@both_sides
@every_kind
def test_a_model_is_asked_for_once(
    side: str, kind: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Before the first call of it; nothing of that is traced, and the calls are as ever."""
    with provider(fake, captured, ensure="check") as llm:
        texts = [run(llm, side, kind).text for _ in range(3)]

    assert texts == ["Hello!"] * 3
    assert [path for path in paths(fake) if path == "/api/tags"] == paths(fake)[:1] == ["/api/tags"]
    assert "traceparent" not in fake.requests[0].headers
    assert "traceparent" in fake.requests[1].headers
    assert len(captured.spans) == 3


@both_sides
@pytest.mark.parametrize("method", ["load", "embed"])
def test_loads_and_embeddings_ask_too(
    side: str, method: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """An unload, a pull and a question do not."""
    with provider(fake, captured, ensure="check", model="none") as llm:
        with pytest.raises(ModelNotFound):
            ask(llm, side, method, *(["x"] if method == "embed" else []))
        assert paths(fake) == ["/api/tags"]
        with pytest.raises(ModelNotFound):
            ask(llm, side, "unload")

    assert paths(fake) == ["/api/tags", "/api/generate", "/api/tags"]


@both_sides
@every_kind
def test_a_model_that_is_not_there_is_not_called(
    side: str, kind: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """The error is the one the server would have sent, and names near models; asked again each time."""
    with provider(fake, captured, ensure="check") as llm:
        ran = run(llm, side, kind, model="llama3.1")
        again = run(llm, side, kind, model="llama3.1")

    assert type(ran.error) is type(again.error) is ModelNotFound
    assert str(ran.error) == "model 'llama3.1' not found; did you mean 'llama3.2'?"
    assert (ran.error.near_names, ran.error.models) == (("llama3.2",), ("llama3.2",))
    assert (ran.error.status_code, ran.error.error_type) == (404, "404")
    assert ran.error.metrics is ran.metrics is not None
    assert paths(fake) == ["/api/tags"] * 2
    assert [span.attributes["error.type"] for span in captured.spans] == ["404"] * 2


@both_sides
def test_what_was_found_is_forgotten_when_the_server_says_so(
    side: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """A 404 of a call: the next one asks again."""
    with provider(fake, captured, ensure="check") as llm:
        run(llm, side, "chat")
        fake.models.remove("llama3.2")
        gone = run(llm, side, "chat")
        fake.models.append("llama3.2")
        back = run(llm, side, "chat")

    assert (type(gone.error), back.text) == (ModelNotFound, "Hello!")
    assert paths(fake) == ["/api/tags", "/api/chat", "/api/chat", "/api/tags", "/api/tags", "/api/chat"]


@both_sides
def test_one_look_tells_of_every_model(side: str, captured: CapturedTelemetry) -> None:
    """However it is written."""
    with FakeOllama(models=["a:latest", "b:1b"]) as fake:
        with provider(fake, captured, ensure="check") as llm:
            for name in ("a", "a:latest", "b:1b"):
                assert run(llm, side, "chat", model=name).error is None

    assert paths(fake).count("/api/tags") == 1


@both_sides
@pytest.mark.parametrize("model", ["big:cloud", "big:120b-cloud"])
def test_a_model_that_runs_elsewhere_is_not_looked_for(
    side: str, model: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """No server lists it before its first use."""
    fake.models.append(model)
    with provider(fake, captured, ensure="check", model=model) as llm:
        assert run(llm, side, "chat").error is None

    assert paths(fake) == ["/api/chat"]


@both_sides
@pytest.mark.parametrize(
    ("answer", "error_type"),
    [
        (error_answer(500, "broken"), "500"),
        (json_answer({"models": 3}), "invalid_response"),
        (Answer(cut="reset"), "connection_reset"),
    ],
)
def test_a_server_that_cannot_be_asked_fails_the_call(
    side: str, answer: Answer, error_type: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Which is not sent."""
    fake.script("/api/tags", answer)

    with provider(fake, captured, ensure="check") as llm:
        ran = run(llm, side, "stream")

    assert (ran.error.error_type, paths(fake)) == (error_type, ["/api/tags"])
    assert captured.span.attributes["error.type"] == error_type


@both_sides
def test_the_time_of_asking_is_part_of_the_call(
    side: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """As the constructor's docstring says."""
    fake.script("/api/tags", Answer(delay_s=0.3, body=b'{"models":[{"name":"llama3.2"}]}'))

    with provider(fake, captured, ensure="check") as llm:
        ran = run(llm, side, "stream")

    assert ran.metrics is not None
    assert ran.metrics.duration_s > 0.29
    assert ran.metrics.time_to_first_chunk_s is not None
    assert ran.metrics.time_to_first_chunk_s > 0.29
    assert captured.span.end_ns - captured.span.start_ns > 0.29e9


def test_closing_ends_the_asking(fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """The call is abandoned, and never sent."""
    fake.script("/api/tags", Answer(delay_s=60))
    llm = provider(fake, captured, ensure="check")
    stream = llm.stream(MESSAGES)
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    assert fake.wait_for_requests(1)

    stream.close()
    reader.join(5)
    llm.close()

    assert not reader.is_alive()
    assert (paths(fake), stream.metrics and stream.metrics.outcome) == (["/api/tags"], "abandoned")


@both_sides
@every_kind
def test_a_model_that_is_not_there_is_pulled_once(
    side: str, kind: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Then it is called; the only span is the call's."""
    with provider(fake, captured, ensure="pull", model="new") as llm:
        texts = [run(llm, side, kind).text for _ in range(2)]

    assert (texts, fake.models) == (["Hello!"] * 2, ["llama3.2", "new"])
    assert paths(fake)[:2] == ["/api/tags", "/api/pull"]
    assert len(paths(fake)) == 4
    assert ["traceparent" in request.headers for request in fake.requests[:2]] == [False, False]
    assert len(captured.spans) == 2
    assert {span.status for span in captured.spans} == {"UNSET"}


@both_sides
def test_a_pull_that_fails_fails_the_call(side: str, fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """In the server's words; the next call tries again."""
    fake.script("/api/pull", FAILED_PULL, Answer(lines=[{"status": "pulling manifest"}]))

    with provider(fake, captured, ensure="pull", model="new") as llm:
        ran, cut, last = [run(llm, side, "chat") for _ in range(3)]

    assert (type(ran.error), str(ran.error)) == (ResponseError, "file does not exist")
    assert ran.error.metrics.operation == "chat"
    assert type(cut.error) is IncompleteResponse
    assert last.text == "Hello!"
    assert [span.attributes.get("error.type") for span in captured.spans] == [
        "stream_error", "stream_truncated", None,
    ]  # fmt: skip


@both_sides
def test_after_a_pull_the_calls_own_limits_hold_again(
    side: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """The pull may be silent for longer than `idle`; the call may not, nor is it hurried by retries."""
    fake.script("/api/tags", error_answer(503, "busy", Retry_After="0"))
    steps = [{"status": "verifying"}, {"status": "writing manifest"}, {"status": "success"}]
    fake.script("/api/pull", Answer(lines=steps, gap_s=0.6))
    lines = [{"message": {"content": text}} for text in ("x", "y")]
    fake.script("/api/chat", Answer(lines=lines, delay_s=0.5, cut="hang"))
    limits = ollameter.Timeouts(first_byte=1, idle=0.3)

    with provider(fake, captured, ensure="pull", model="new", timeout=limits, retries=1) as llm:
        ran = run(llm, side, "stream")

    assert (ran.error.error_type, ran.text, ran.error.attempts) == ("idle_timeout", "xy", 1)
    assert ran.metrics is not None
    assert ran.metrics.time_to_first_chunk_s is not None
    assert ran.metrics.time_to_first_chunk_s > 1.65
    assert ran.metrics.duration_s - ran.metrics.time_to_first_chunk_s < 0.8


@both_sides
@pytest.mark.parametrize("ensure", ["check", "pull", None])
def test_asking_takes_no_place_from_the_call(
    side: str, ensure: Any, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """With a single connection everything goes one after the other."""
    with provider(fake, captured, ensure=ensure, max_connections=1) as llm:
        absent = run(llm, side, "chat", model="llama3.1")
        there = run(llm, side, "chat")

    assert there.text == "Hello!"
    assert (absent.error is None) == (ensure == "pull")
    assert ensure == "pull" or absent.error.near_names == ("llama3.2",)


def test_closing_stops_the_pull(fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """The server sees its client leave."""
    fake.script("/api/pull", Answer(lines=[{"status": "pulling manifest"}], cut="hang"))
    llm = provider(fake, captured, ensure="pull", model="new")
    stream = llm.stream(MESSAGES)
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    assert fake.wait_for_requests(2)

    stream.close()
    reader.join(5)
    llm.close()

    assert not reader.is_alive()
    assert fake.wait_until_left()
    assert stream.metrics is not None
    assert stream.metrics.outcome == "abandoned"


def test_cancelling_stops_the_pull(fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """Like any call."""
    fake.script("/api/pull", Answer(lines=[{"status": "pulling manifest"}], cut="hang"))

    async def cancelled(llm: OllamaProvider) -> None:
        task = asyncio.create_task(llm.chat_async(MESSAGES))
        assert await asyncio.to_thread(fake.wait_for_requests, 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with provider(fake, captured, ensure="pull", model="new") as llm:
        asyncio.run(cancelled(llm))

    assert fake.wait_until_left()
    assert captured.span.attributes["ollameter.outcome"] == "cancelled"
