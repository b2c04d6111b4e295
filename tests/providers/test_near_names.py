"""What resembles a model that was not found: on the error and in its text, bounded and silent."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
import requests

import ollameter
from ollameter import ModelNotFound, OllamaProvider
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, error_answer, json_answer
from tests.providers.asked import paths, provider
from tests.providers.calls import MESSAGES, ask, both_sides, every_kind, run


@both_sides
@every_kind
def test_a_model_that_was_not_found_has_near_names(
    side: str, kind: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """On the error and in its text; the look-up is in no trace and not in the call's time."""
    fake.script("/api/tags", Answer(delay_s=0.4, body=b'{"models":[{"name":"llama3.2:latest"}]}'))

    with provider(fake, captured) as llm:
        ran = run(llm, side, kind, model="lama3.2")

    assert type(ran.error) is ModelNotFound
    assert str(ran.error) == "model 'lama3.2' not found; did you mean 'llama3.2:latest'?"
    assert (ran.error.near_names, ran.error.models) == (("llama3.2:latest",),) * 2
    assert paths(fake)[1:] == ["/api/tags"]
    assert "traceparent" not in fake.requests[1].headers
    assert captured.span.status_description == "model 'lama3.2' not found"
    assert ran.metrics is not None
    assert ran.metrics.duration_s < 0.3


@both_sides
@pytest.mark.parametrize("method", ["show", "unload", "load", "embed"])
def test_every_method_names_near_models(
    side: str, method: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Whatever was asked of the model."""
    with provider(fake, captured, model="llama3") as llm, pytest.raises(ModelNotFound) as failed:
        ask(llm, side, method, *(["x"] if method == "embed" else []))

    assert "; did you mean 'llama3.2'?" in str(failed.value)
    assert len(captured.spans) == 1


@both_sides
@pytest.mark.parametrize(
    "answer",
    [
        Answer(delay_s=60),
        Answer(body=b'{"models":', framing="close", cut="hang"),
        Answer(header_drip_s=0.2, body=b"{}"),
        Answer(piece_bytes=1, gap_s=0.2, body=b'{"models":[{"name":"llama3.2"}]}'),
        error_answer(500, "broken"),
        json_answer({"models": 3}),
        Answer(body=b"<html>"),
        Answer(cut="reset"),
    ],
)
def test_the_error_is_never_hidden_nor_long_delayed(
    side: str, answer: Answer, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """By a look-up that fails or hangs: a second, and the error is as the server sent it."""
    fake.script("/api/tags", answer)

    with provider(fake, captured) as llm:
        begun = time.monotonic()
        ran = run(llm, side, "chat", model="llama3")
        took_s = time.monotonic() - begun

    assert type(ran.error) is ModelNotFound
    assert (str(ran.error), ran.error.near_names) == ("model 'llama3' not found", ())
    assert ran.error.models is None
    assert took_s < 1.5


def test_a_look_up_through_ones_own_session_is_bounded_too(
    fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Where only the socket's own limit holds before the headers."""
    fake.script("/api/tags", Answer(delay_s=60))

    with requests.Session() as session, provider(fake, captured, session=session) as llm:
        begun = time.monotonic()
        ran = run(llm, "sync", "chat", model="llama3")

    assert type(ran.error) is ModelNotFound
    assert time.monotonic() - begun < 1.5


def test_a_cancellation_during_the_look_up_passes(fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """It is the caller's own wish; the call had ended before."""
    fake.script("/api/tags", Answer(delay_s=60))

    async def cancelled(llm: OllamaProvider) -> None:
        task = asyncio.create_task(llm.chat_async(MESSAGES, "llama3"))
        assert await asyncio.to_thread(fake.wait_for_requests, 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with provider(fake, captured) as llm:
        asyncio.run(cancelled(llm))

    assert captured.span.attributes["error.type"] == "404"


@both_sides
def test_no_other_error_is_looked_into(side: str, fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """Nor a 404 that speaks of something else."""
    fake.script("/api/chat", error_answer(500, "model runner has unexpectedly stopped"), Answer(status=404))

    with provider(fake, captured) as llm:
        run(llm, side, "chat")
        run(llm, side, "chat")

    assert paths(fake) == ["/api/chat"] * 2


@both_sides
def test_availability_names_near_models(side: str, fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """False with a reason; no span."""
    with provider(fake, captured) as llm:
        there = ask(llm, side, "is_available")
        absent = ask(llm, side, "is_available", "llama3.1")

    assert there == ollameter.Availability(
        available=True, reason="the server has the model", model="llama3.2", models=("llama3.2",)
    )
    assert absent == ollameter.Availability(
        available=False,
        reason="the server answers, but has no model 'llama3.1'",
        model="llama3.1",
        near_names=("llama3.2",),
        models=("llama3.2",),
    )
    assert captured.spans == []
    assert "traceparent" not in fake.requests[0].headers


@both_sides
def test_an_absent_server_is_not_available(side: str, captured: CapturedTelemetry) -> None:
    """Nothing is raised, and nothing is known of its models."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with OllamaProvider(f"127.0.0.1:{port}", retries=0, **captured.providers) as llm:
        found = ask(llm, side, "is_available", "m")

    assert (bool(found), found.models, found.near_names) == (False, None, ())
    assert "is Ollama running there" in found.reason
