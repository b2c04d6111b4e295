"""What a server can make this process hold besides a body is bounded: headers, their number, words."""

from __future__ import annotations

import pytest

from ollameter import InvalidResponse, OllamaProvider, ResponseError, ServerBusy, Timeouts
from ollameter.testing import Answer, FakeOllama, chat_lines
from tests.faults.server import Asked, Connection, RawServer
from tests.providers.calls import both_sides, every_kind, run

MIB = 1 << 20
START = b"HTTP/1.1 200 OK\r\n"
TOO_MUCH = {
    "many small headers": START + b"".join(b"X-%d: a\r\n" % n for n in range(5000)),
    "many large headers": START + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 8000) for n in range(500)),
    "one large header": START + b"X: " + b"a" * MIB,
    "one large name": START + b"a" * MIB,
    "a large status line": b"HTTP/1.1 200 " + b"a" * MIB,
}


@both_sides
@pytest.mark.parametrize("kind", ["chat", "stream"])
@pytest.mark.parametrize("what", TOO_MUCH)
def test_headers_are_bounded(what: str, kind: str, side: str) -> None:
    """In number and in size; the answer is then none."""

    def serve(connection: Connection, _: Asked) -> None:
        connection.send(TOO_MUCH[what])
        connection.wait_until_left()

    with RawServer() as server:
        server.serve = serve
        limits = Timeouts(first_byte=5, idle=5)
        with OllamaProvider(server.base_url, model="m", timeout=limits, host_monitor=False) as llm:
            ran = run(llm, side, kind)

    assert type(ran.error) is InvalidResponse
    assert len(str(ran.error)) < 500
    assert "\n" not in str(ran.error)


@both_sides
@every_kind
@pytest.mark.parametrize(("status", "error"), [(500, ResponseError), (503, ServerBusy)])
@pytest.mark.parametrize("packed", [False, True])
def test_the_words_of_an_error_are_bounded(
    packed: bool, status: int, error: type, kind: str, side: str, fake: FakeOllama
) -> None:
    """However much comes; the connection is then not used again."""
    path = "/api/generate" if "generate" in kind else "/api/chat"
    fake.script(path, Answer(status=status, body=b"no " * MIB, gzip=packed))
    with OllamaProvider(fake.base_url, model="llama3.2", retries=0, host_monitor=False) as llm:
        refused, ok = run(llm, side, kind), run(llm, side, kind)

    assert (type(refused.error), str(refused.error)[:6]) == (error, "no no ")
    assert len(str(refused.error)) <= 2000
    assert (ok.text, fake.connections_opened) == ("Hello!", 2)


@both_sides
def test_an_error_line_of_a_stream_is_bounded(side: str, fake: FakeOllama) -> None:
    """Its words, as those of a status."""
    fake.script("/api/chat", Answer(lines=[*chat_lines("a")[:1], {"error": "no " * MIB}]))
    with OllamaProvider(fake.base_url, model="llama3.2", host_monitor=False) as llm:
        ran = run(llm, side, "stream")

    assert (ran.error.status_code, len(str(ran.error)), ran.text) == (200, 2000, "a")
