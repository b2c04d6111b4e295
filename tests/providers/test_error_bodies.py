"""An error answer's body, however strange, becomes the server's own words: bounded, on both sides."""

from __future__ import annotations

import time

import msgspec
import pytest

from ollameter import ModelNotFound, OllamaProvider, ResponseError, Timeouts
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama
from tests.providers.calls import ask, both_sides, run

TOO_LONG = {"error": {"code": 400, "type": "exceed_context_size_error", "message": "too long"}}
PAGE = b"""<!DOCTYPE html>
<html><head><style>p {color: red}</style><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>
"""

BODIES: dict[str, tuple[int, bytes, type[ResponseError], str]] = {
    "its own words": (400, b'{"error":"\\"x\\" does not support thinking"}', ResponseError,
        '"x" does not support thinking'),
    "JSON within JSON": (400, msgspec.json.encode({"error": msgspec.json.encode(TOO_LONG).decode()}),
        ResponseError, "too long"),
    "an object as the error": (400, msgspec.json.encode(TOO_LONG), ResponseError, "too long"),
    "a proxy's page": (502, PAGE, ResponseError, "502 Bad Gateway"),
    "nothing": (403, b"", ResponseError, "HTTP status 403 without a text"),
    "blanks": (403, b" \r\n", ResponseError, "HTTP status 403 without a text"),
    "plain text": (404, b"404 page not found", ResponseError, "404 page not found"),
    "an absent model": (404, b'{"error":"model \'zz\' not found"}', ModelNotFound, "model 'zz' not found"),
    "no UTF-8": (500, b"\xff", ResponseError, "\ufffd"),
    "a NUL": (500, b'{"error":"a\\u0000b"}', ResponseError, "a\x00b"),
    "ten megabytes": (500, b"x" * (10 << 20), ResponseError, "x" * 2000),
    "ten megabytes of JSON": (500, b'{"error":"' + b"y" * (10 << 20) + b'"}', ResponseError,
        '{"error":"' + "y" * 1990),
    "brackets without end": (500, b"[" * (10 << 20), ResponseError, "[" * 2000),
}  # fmt: skip


@both_sides
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_an_error_says_what_the_body_says(
    framing: str, body: str, side: str, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Its class, status and words; the span carries the same in short."""
    status, sent, error_class, words = BODIES[body]
    fake.script("/api/chat", Answer(status=status, body=sent, framing=framing))  # type: ignore[arg-type]  # one of the three

    with OllamaProvider(fake.base_url, model="llama3.2", retries=0, **captured.providers) as llm:
        ran = run(llm, side, "stream")

    assert type(ran.error) is error_class
    assert (str(ran.error), ran.error.status_code, ran.error.error_type) == (words, status, str(status))
    assert ran.error.metrics is ran.metrics is not None
    assert captured.span.attributes["error.type"] == str(status)
    assert captured.span.status_description == words[:200]
    assert fake.wait_until_closed()


@both_sides
@pytest.mark.parametrize("body", ["JSON within JSON", "a proxy's page", "nothing", "ten megabytes"])
def test_questions_fail_with_the_same_words(side: str, body: str, fake: FakeOllama) -> None:
    """What is no call has no metrics."""
    status, sent, error_class, words = BODIES[body]
    fake.script("/api/tags", Answer(status=status, body=sent, framing="length"))

    with OllamaProvider(fake.base_url, retries=0) as llm, pytest.raises(error_class) as failed:
        ask(llm, side, "models")

    error = failed.value
    assert (str(error), error.status_code, error.metrics) == (words, status, None)


@both_sides
def test_a_body_that_stalls_delays_its_error_by_no_more_than_the_limit(side: str, fake: FakeOllama) -> None:
    """What had come is told; the connection is closed."""
    stalled = Answer(status=500, body=b"out of memory, and", framing="chunked", cut="hang")
    fake.script("/api/chat", stalled)
    begun = time.monotonic()

    limits = Timeouts(first_byte=0.3, idle=0.3)
    with OllamaProvider(fake.base_url, model="llama3.2", timeout=limits) as llm:
        ran = run(llm, side, "chat")
    took_s = time.monotonic() - begun

    assert (type(ran.error), str(ran.error)) == (ResponseError, "out of memory, and")
    assert took_s < 1.1
    assert fake.wait_until_left()


@both_sides
@pytest.mark.parametrize("gzip", [True, False])
def test_of_ten_megabytes_no_more_than_a_little_is_taken(side: str, gzip: bool, fake: FakeOllama) -> None:
    """Compressed or not: the server sees the client leave."""
    sent = b"x" * (64 << 20) if gzip else b"x" * (10 << 20)
    fake.script("/api/chat", Answer(status=500, body=sent, gzip=gzip, piece_bytes=None if gzip else 8192))

    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        ran = run(llm, side, "chat")

        assert str(ran.error) == "x" * 2000
        assert fake.wait_until_closed()
    if not gzip:
        assert fake.wait_until_left()
        assert fake.requests[0].sent.body_bytes < len(sent)
