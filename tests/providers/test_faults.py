"""Everything a server or network can do wrong ends in one named error, one span, one point."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

import ollameter
from ollameter import OllamaProvider, Timeouts
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, chat_lines, error_answer, error_line
from tests.providers.calls import both_sides, run

LINES = chat_lines("Hel", "lo", "!")
SHORT = Timeouts(connect=1, first_byte=0.2, idle=0.2)

# What the server does to a stream, what the caller gets, and what it had got by then.
BROKEN_STREAMS: dict[str, tuple[Answer, Any, str, str, str]] = {
    "a stall before the first byte": (
        Answer(delay_s=60), ollameter.Timeout, "read_timeout", "error", ""),
    "a stall between chunks": (
        Answer(lines=LINES, cut_after_lines=2, cut="hang"), ollameter.Timeout, "idle_timeout", "error",
        "Hello"),
    "a body that ends without done": (
        Answer(lines=LINES[:-1]), ollameter.IncompleteResponse, "stream_truncated", "truncated", "Hello!"),
    "a body that ends within a line": (
        Answer(lines=LINES, framing="close", cut_after_bytes=150), ollameter.IncompleteResponse,
        "stream_truncated", "truncated", "Hel"),
    "a missing last HTTP chunk": (
        Answer(lines=LINES, cut_after_lines=2, cut="missing_last_chunk"), ollameter.IncompleteResponse,
        "stream_truncated", "truncated", "Hello"),
    "a short content length": (
        Answer(lines=LINES[:2], framing="length", content_length=9999, cut_after_lines=2),
        ollameter.IncompleteResponse, "stream_truncated", "truncated", "Hello"),
    "a reset": (
        Answer(lines=LINES, cut_after_lines=1, gap_s=0.05, cut="reset"), ollameter.ConnectionFailed,
        "connection_reset", "error", "Hel"),
    "an error line": (
        Answer(lines=[*LINES[:2], error_line("unexpected EOF")]), ollameter.ResponseError, "stream_error",
        "error", "Hello"),
    "garbage": (
        Answer(lines=[LINES[0], b"<html>\n"]), ollameter.InvalidResponse, "invalid_response", "error",
        "Hel"),
    "an absent model": (
        error_answer(404, "model 'llama3.2' not found"), ollameter.ModelNotFound, "404", "error", ""),
    "a server error": (
        error_answer(500, "llama-server process has terminated: x"), ollameter.ResponseError, "500",
        "error", ""),
}  # fmt: skip


@both_sides
@pytest.mark.parametrize("fault", BROKEN_STREAMS)
def test_a_broken_stream_ends_once_with_everything_it_had(
    fault: str, side: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Error, outcome, partial text, one span, one duration, and a closed connection."""
    answer, error_class, error_type, outcome, text = BROKEN_STREAMS[fault]
    fake.script("/api/chat", answer)
    begun = time.monotonic()

    with OllamaProvider(fake.base_url, model="llama3.2", timeout=SHORT, **captured.providers) as llm:
        ran = run(llm, side, "stream")
    took_s = time.monotonic() - begun

    assert type(ran.error) is error_class, ran.error
    assert (ran.error.error_type, ran.error.partial_text, ran.text) == (error_type, text, text)
    assert ran.error.metrics is ran.metrics is llm.get_performance_metrics()
    assert ran.metrics is not None
    assert (ran.metrics.outcome, ran.metrics.error_type) == (outcome, error_type)
    _exported_once(captured, error_type, outcome)
    assert fake.wait_until_closed()
    assert took_s < 1.5


def _exported_once(captured: CapturedTelemetry, error_type: str, outcome: str) -> None:
    span = captured.span
    assert span.status == "ERROR"
    assert span.attributes["error.type"] == error_type
    assert span.attributes["ollameter.outcome"] == outcome
    assert [name for name, _ in span.events] == ["exception"]
    points = captured.points("gen_ai.client.operation.duration")
    assert [(p.count, p.attributes.get("error.type")) for p in points] == [(1, error_type)]
    assert [p.value for p in captured.points("ollama.client.active_requests")] == [0]


WHOLE_FAULTS: dict[str, tuple[Answer, Any, str, str]] = {
    "a stall before the first byte": (Answer(delay_s=60), ollameter.Timeout, "read_timeout", ""),
    "a stall within the body": (
        Answer(body=b'{"mess', framing="length", content_length=99, cut_after_bytes=6, cut="hang"),
        ollameter.Timeout, "idle_timeout", ""),
    "a body cut off": (
        Answer(body=b'{"message":{"content":"Hel', framing="length", content_length=99,
               cut_after_bytes=26), ollameter.IncompleteResponse, "stream_truncated", ""),
    "done false": (
        Answer(body=b'{"message":{"content":"Hel"},"done":false}', framing="length"),
        ollameter.IncompleteResponse, "stream_truncated", "Hel"),
    "an error with status 200": (
        Answer(body=b'{"error":"no luck"}', framing="length"), ollameter.ResponseError, "stream_error", ""),
    "no text": (
        Answer(body=b'{"done":true}', framing="length"), ollameter.InvalidResponse, "invalid_response", ""),
    "an empty 403": (Answer(status=403, framing="length"), ollameter.ResponseError, "403", ""),
    "a redirect": (
        Answer(status=302, headers={"Location": "http://elsewhere.example/x"}, framing="length"),
        ollameter.ResponseError, "302", ""),
}  # fmt: skip


@both_sides
@pytest.mark.parametrize("fault", WHOLE_FAULTS)
def test_a_broken_whole_answer_ends_once_with_everything_it_had(
    fault: str, side: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """The same promises without a stream."""
    answer, error_class, error_type, text = WHOLE_FAULTS[fault]
    fake.script("/api/chat", answer)

    with OllamaProvider(fake.base_url, model="llama3.2", timeout=SHORT, **captured.providers) as llm:
        ran = run(llm, side, "chat")

    assert type(ran.error) is error_class, ran.error
    assert (ran.error.error_type, ran.error.partial_text) == (error_type, text)
    assert ran.error.metrics is not None
    _exported_once(captured, error_type, ran.error.metrics.outcome)
    assert fake.wait_until_closed()


@both_sides
@pytest.mark.parametrize("kind", ["chat", "stream"])
def test_an_absent_server_is_a_refused_connection(
    side: str, kind: str, captured: CapturedTelemetry
) -> None:
    """Tried three times, then said clearly."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with OllamaProvider(f"127.0.0.1:{port}", model="m", **captured.providers) as llm:
        ran = run(llm, side, kind)

    assert type(ran.error) is ollameter.ConnectionFailed
    assert "is Ollama running there" in str(ran.error)
    assert (ran.error.attempts, llm.get_performance_metrics()) == (3, ran.error.metrics)
    _exported_once(captured, "connection_refused", "error")


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
    fake.script("/api/chat", endless)

    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        ran = run(llm, side, "stream")

    assert (ran.text, ran.error) == ("Hello!", None)
    assert ran.metrics is not None
    assert ran.metrics.outcome == "completed"
    assert ran.metrics.duration_s < 0.1
    assert fake.wait_until_closed()


@both_sides
def test_the_numbers_of_the_error_survive_a_last_line_without_its_lf(side: str, fake: FakeOllama) -> None:
    """The done line counts when it can be read, even if the connection breaks behind it."""
    body = b"".join(__import__("msgspec").json.encode(line) + b"\n" for line in LINES)[:-1]
    fake.script("/api/chat", Answer(body=body, framing="chunked", cut_after_bytes=len(body)))

    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        ran = run(llm, side, "stream")

    assert (ran.text, ran.error) == ("Hello!", None)


@both_sides
@pytest.mark.parametrize("kind", ["chat", "stream"])
def test_a_connect_that_hangs_is_a_connect_timeout(side: str, kind: str) -> None:
    """A full backlog: the handshake is never answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        port = listener.getsockname()[1]
        limits = Timeouts(connect=0.3, first_byte=5, idle=5)
        with OllamaProvider(f"127.0.0.1:{port}", model="m", timeout=limits) as llm:
            ran = run(llm, side, kind)
        for filler in fillers:
            filler.close()

    assert type(ran.error) is ollameter.Timeout
    assert (ran.error.phase, ran.error.error_type) == ("connect", "connect_timeout")


@both_sides
def test_dripping_headers_do_not_extend_the_deadline(side: str) -> None:
    """One byte now and then is no first byte of an answer."""
    import threading

    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000:
                    if stop.wait(0.05):
                        return
                    try:
                        connection.send(bytes([byte]))
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        begun = time.monotonic()
        limits = Timeouts(connect=1, first_byte=0.4, idle=5)
        with OllamaProvider(f"127.0.0.1:{port}", model="m", timeout=limits) as llm:
            ran = run(llm, side, "stream")
        took_s = time.monotonic() - begun
        stop.set()
        thread.join()

    assert type(ran.error) is ollameter.Timeout
    assert (ran.error.phase, took_s < 0.9) == ("first_byte", True)
