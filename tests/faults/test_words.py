"""What an error says to its reader, and when a call is made again or counts as whole after all."""

from __future__ import annotations

import socket
from typing import Any

import pytest

import ollameter
from ollameter import OllamaProvider
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, chat_lines, error_answer
from tests.providers.calls import both_sides, run

LINES = chat_lines("Hel", "lo", "!")


@both_sides
@pytest.mark.parametrize("kind", ["chat", "stream"])
def test_an_absent_server_is_a_refused_connection(side: str, kind: str) -> None:
    """Tried three times, then said clearly."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with OllamaProvider(f"127.0.0.1:{port}", model="m") as llm:
        ran = run(llm, side, kind)

    assert type(ran.error) is ollameter.ConnectionFailed
    assert "is Ollama running there" in str(ran.error)
    assert (ran.error.attempts, llm.get_performance_metrics()) == (3, ran.error.metrics)


@both_sides
def test_a_redirect_names_its_target_and_is_not_followed(side: str, fake: FakeOllama) -> None:
    """Another host would get the prompt, and the key."""
    fake.script("/api/chat", Answer(status=307, headers={"Location": "http://u:pw@evil.example/"}))

    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        ran = run(llm, side, "chat")

    assert "evil.example" in str(ran.error)
    assert "pw" not in str(ran.error)
    assert len(fake.requests) == 1


@both_sides
def test_a_busy_server_is_asked_again(side: str, fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """503 twice, then an answer: one call, three attempts, one span."""
    busy = error_answer(503, "server busy, please try again.  maximum pending requests exceeded")
    fake.script("/api/chat", busy, busy)

    with OllamaProvider(fake.base_url, model="llama3.2", **captured.providers) as llm:
        ran = run(llm, side, "chat")

    assert (ran.text, ran.error) == ("Hello!", None)
    assert ran.metrics is not None
    assert ran.metrics.attempts == 3
    assert captured.span.status == "UNSET"
    assert [p.value for p in captured.points("ollama.client.retries")] == [2]


@both_sides
def test_a_server_that_asks_for_patience_beyond_ten_seconds_is_believed(
    side: str, fake: FakeOllama
) -> None:
    """The error comes at once, in the server's words."""
    fake.script("/api/chat", error_answer(503, "later", Retry_After="60"))

    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        ran = run(llm, side, "chat")

    assert type(ran.error) is ollameter.ServerBusy
    assert (str(ran.error), ran.error.retry_after_s, len(fake.requests)) == ("later", 60.0, 1)


@both_sides
@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
def test_an_answer_whose_done_line_came_is_complete_whatever_follows(
    side: str, framing: Any, fake: FakeOllama
) -> None:
    """A body that never ends delays nothing and fails nothing."""
    length = 10**6 if framing == "length" else None
    endless = Answer(lines=LINES, framing=framing, content_length=length, cut_after_lines=4, cut="hang")
    took_s = []
    for _ in range(3):  # one may fall upon a moment in which the machine does something else
        fake.script("/api/chat", endless)
        with OllamaProvider(fake.base_url, model="llama3.2") as llm:
            ran = run(llm, side, "stream")

        assert (ran.text, ran.error) == ("Hello!", None)
        assert ran.metrics is not None
        assert ran.metrics.outcome == "completed"
        assert fake.wait_until_closed()
        took_s.append(ran.metrics.duration_s)

    assert min(took_s) < 0.1


@both_sides
def test_the_numbers_of_the_error_survive_a_last_line_without_its_lf(side: str, fake: FakeOllama) -> None:
    """The done line counts when it can be read, even if the connection breaks behind it."""
    body = b"".join(__import__("msgspec").json.encode(line) + b"\n" for line in LINES)[:-1]
    fake.script("/api/chat", Answer(body=body, framing="chunked", cut_after_bytes=len(body)))

    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        ran = run(llm, side, "stream")

    assert (ran.text, ran.error) == ("Hello!", None)
