"""The fake server answers as scripted, byte for byte, and sees who leaves."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from ollameter.testing import (
    Answer,
    FakeOllama,
    ManualClock,
    chat_lines,
    error_answer,
    generate_lines,
    whole_chat,
    whole_generate,
)


def raw(
    fake: FakeOllama, request: bytes = b"POST /api/chat HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
) -> bytes:
    """Send bytes; return everything until the server closes."""
    with socket.create_connection((fake.host, fake.port), 5) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_by_itself_it_answers_like_a_small_ollama(fake: FakeOllama) -> None:
    """Every endpoint, in Ollama's shapes and words."""
    ask, url = requests.Session(), fake.base_url
    model = {"model": "llama3.2"}
    hi = {**model, "messages": [{"role": "user", "content": "x"}]}

    assert ask.get(url + "/").text == "Ollama is running"
    assert ask.get(url + "/api/version").json() == {"version": "0.33.3"}
    assert ask.get(url + "/api/tags").json()["models"][0]["name"] == "llama3.2"
    assert ask.get(url + "/api/ps").json() == {"models": []}
    assert ask.post(url + "/api/show", json=model).json()["capabilities"] == ["completion", "tools"]
    assert ask.post(url + "/api/embed", json={**model, "input": "x"}).json()["embeddings"] == [[0.6, 0.8]]
    assert len(ask.post(url + "/api/embed", json={**model, "input": ["x", "y"]}).json()["embeddings"]) == 2
    assert len(ask.post(url + "/api/chat", json=hi).text.splitlines()) == 4
    assert (
        ask.post(url + "/api/chat", json={**hi, "stream": False}).json()["message"]["content"] == "Hello!"
    )
    assert ask.post(url + "/api/generate", json={**model, "prompt": "x", "stream": False}).json()[
        "response"
    ] == ("Hello!")
    assert ask.post(url + "/api/generate", json=model).json()["done_reason"] == "load"
    assert ask.post(url + "/api/chat", json={**model, "keep_alive": 0}).json()["done_reason"] == "unload"
    assert fake.connections_opened == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/api/chat", b"", 400, "missing request body"),
        ("POST", "/api/chat", b"{", 400, "truncated"),
        ("POST", "/api/chat", b'{"model":"x"}', 404, "model 'x' not found"),
        ("GET", "/api/chat", b"", 405, "method not allowed"),
        ("POST", "/api/tags", b"", 405, "method not allowed"),
        ("GET", "/nowhere", b"", 404, "404 page not found"),
    ],
)
def test_it_refuses_as_ollama_does(
    method: str, path: str, body: bytes, status: int, text: str, fake: FakeOllama
) -> None:
    """Status and words."""
    answer = requests.request(method, fake.base_url + path, data=body, timeout=5)

    assert (answer.status_code, text in answer.text) == (status, True)


def test_a_chunked_answer_is_one_chunk_a_line(fake: FakeOllama) -> None:
    """Headers and all."""
    fake.script("/api/chat", Answer(lines=[{"a": 1}, b"raw\n"], cut_after_lines=2, headers={"X-Y": "z"}))

    assert raw(fake) == (
        b"HTTP/1.1 200 Fake\r\nContent-Type: application/x-ndjson\r\nX-Y: z\r\n"
        b'Transfer-Encoding: chunked\r\n\r\n8\r\n{"a":1}\n\r\n4\r\nraw\n\r\n'
    )


def test_a_body_can_be_split_anywhere_and_end_with_its_connection(fake: FakeOllama) -> None:
    """Pieces of three bytes, no length."""
    fake.script("/api/chat", Answer(body=b"abcdefgh", framing="close", piece_bytes=3, gap_s=0.001))

    assert raw(fake).endswith(b"Connection: close\r\n\r\nabcdefgh")


def test_a_length_may_be_a_lie_and_a_body_be_cut(fake: FakeOllama) -> None:
    """Announced 99, sent 3."""
    fake.script("/api/chat", Answer(body=b"abcdef", framing="length", content_length=99, cut_after_bytes=3))

    assert raw(fake).endswith(b"Content-Length: 99\r\n\r\nabc")


def test_a_cut_can_be_a_reset(fake: FakeOllama) -> None:
    """Then the client sees an error, not an end."""
    fake.script("/api/chat", Answer(lines=[{"a": 1}], cut_after_lines=0, cut="reset"))

    with pytest.raises(ConnectionResetError):
        raw(fake)


def test_an_answer_waits_for_what_it_is_told_to_wait_for(fake: FakeOllama) -> None:
    """An event before the headers, one between lines."""
    first, second = threading.Event(), threading.Event()
    fake.script("/api/chat", Answer(lines=[b"1\n", b"2\n"], hold=first, hold_after={1: second}))
    with (
        ThreadPoolExecutor() as pool,
        requests.Session() as session,
    ):
        answer = pool.submit(lambda: session.post(fake.base_url + "/api/chat", data=b"{}", stream=True))
        assert fake.wait_for_requests(1)
        assert not answer.done()
        first.set()
        lines = answer.result(5).iter_lines()
        assert next(lines) == b"1"
        second.set()
        assert next(lines) == b"2"


def test_it_sees_a_client_leave(fake: FakeOllama) -> None:
    """While an answer hangs, and before it begins."""
    fake.script("/api/chat", Answer(lines=[b"1\n"], cut_after_lines=1, cut="hang"), Answer(delay_s=60))
    for _ in range(2):
        with socket.create_connection((fake.host, fake.port)) as connection:
            connection.sendall(b"POST /api/chat HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
            assert fake.wait_for_requests(1)

    assert fake.wait_until_left(2)
    assert fake.wait_until_closed()
    assert [request.json for request in fake.closed_early] == [{}, {}]
    assert fake.open_connections == 0


def test_what_is_no_http_is_hung_up_on(fake: FakeOllama) -> None:
    """And nothing is printed."""
    assert raw(fake, b"nonsense\r\n\r\n") == b""


def test_closing_is_prompt_whatever_hangs() -> None:
    """Connections in the middle of an answer are cut."""
    fake = FakeOllama()
    fake.script("/api/chat", Answer(delay_s=60))
    with socket.create_connection((fake.host, fake.port)) as connection:
        connection.sendall(b"POST /api/chat HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        assert fake.wait_for_requests(1)
        begun = time.monotonic()
        fake.close()
        fake.close()
        assert time.monotonic() - begun < 0.5
        assert connection.recv(1) == b""


def test_two_hundred_clients_are_served_at_once(fake: FakeOllama) -> None:
    """All of them wait, then all of them get their answer."""
    go = threading.Event()
    fake.script("/api/chat", *[Answer(body=b"ok", framing="length", hold=go)] * 200)
    with ThreadPoolExecutor(200) as pool:
        answers = [pool.submit(requests.post, fake.base_url + "/api/chat", timeout=20) for _ in range(200)]
        assert fake.wait_for_requests(200, 20)
        go.set()
        assert {answer.result().text for answer in answers} == {"ok"}


def test_the_builders_make_ollamas_shapes() -> None:
    """Numbers can be changed, added and left out."""
    lines = chat_lines("a", thinking=["t"], tool_calls=[{}], model="m", eval_count=None, peak=1)
    assert [set(line["message"]) for line in lines] == [
        {"role", "content", "thinking"}, {"role", "content"}, {"role", "content", "tool_calls"},
        {"role", "content"},
    ]  # fmt: skip
    assert ("eval_count" in lines[-1], lines[-1]["peak"], lines[-1]["done"]) == (False, 1, True)
    assert [line["response"] for line in generate_lines("a", "b")] == ["a", "b", ""]
    assert b'"content":"x","thinking":"y"' in (whole_chat("x", message={"thinking": "y"}).body or b"")
    assert b'"response":"x"' in (whole_generate("x").body or b"")
    busy = error_answer(503, "busy", Retry_After="1")
    assert (busy.status, busy.headers, busy.body) == (503, {"Retry-After": "1"}, b'{"error":"busy"}')


def test_a_manual_clock_moves_only_forward() -> None:
    """And both of its clocks together."""
    clock = ManualClock(unix_ns=5)
    clock.advance(1.5)

    assert (clock.seconds(), clock.unix_ns()) == (1.5, 1_500_000_005)
    with pytest.raises(ValueError, match="at least 0"):
        clock.advance(-1)
