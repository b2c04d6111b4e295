"""An answer is on the wire byte for byte as it was scripted, and breaks off where it was told to."""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from typing import Any

import pytest
import requests

from ollameter.testing import Answer, Cut, FakeOllama
from tests.testing.raw import CHAT, ask, body, connect, read_to_end, read_until

LINES = (b"one\n", b"two\n", b"three\n")
CLOSE = CHAT.replace(b"Host: here", b"Host: here\r\nConnection: close")


def test_a_chunked_answer_is_one_chunk_a_line(fake: FakeOllama) -> None:
    """Headers and all."""
    fake.script("/api/chat", Answer(lines=[{"a": 1}, b"raw\n"], headers={"X-Y": "z"}))

    assert ask(fake, CLOSE) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nX-Y: z\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b'8\r\n{"a":1}\n\r\n4\r\nraw\n\r\n0\r\n\r\n'
    )


def test_a_body_with_a_length_leaves_the_connection_open(fake: FakeOllama) -> None:
    """The next request goes over the same one."""
    fake.script("/api/chat", Answer(status=599, body=b"first", framing="length"), Answer(body=b"second"))
    with connect(fake) as connection:
        assert read_until(connection, b"first") == (
            b"HTTP/1.1 599 Unknown\r\nContent-Type: application/x-ndjson\r\nContent-Length: 5\r\n\r\nfirst"
        )
        connection.sendall(CHAT)
        assert b"second" in read_until(connection, b"0\r\n\r\n")

    assert [request.connection for request in fake.requests] == [1, 1]


def test_a_body_without_a_length_ends_with_its_connection(fake: FakeOllama) -> None:
    """Neither chunks nor a length."""
    fake.script("/api/chat", Answer(lines=LINES, framing="close"))

    assert ask(fake) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
        b"one\ntwo\nthree\n"
    )


def test_a_head_request_is_answered_without_a_body(fake: FakeOllama) -> None:
    """But with the length that it would have."""
    answer = requests.head(fake.base_url, timeout=5)

    assert (answer.status_code, answer.headers["Content-Length"], answer.content) == (200, "17", b"")


@pytest.mark.parametrize(("size", "pieces"), [(1, 14), (5, 3), (99, 1)])
def test_a_body_can_be_split_anywhere(size: int, pieces: int, fake: FakeOllama) -> None:
    """Each piece is an HTTP chunk, whatever the lines."""
    answer = Answer(lines=LINES, piece_bytes=size)
    fake.script("/api/chat", answer)
    received = body(ask(fake, CLOSE))

    assert received.count(b"\r\n") == 2 * pieces + 2
    assert b"".join(answer.pieces()) == b"one\ntwo\nthree\n"


def test_an_empty_line_is_not_the_last_chunk(fake: FakeOllama) -> None:
    """An HTTP chunk of no bytes would end the body."""
    fake.script("/api/chat", Answer(lines=[b"one\n", b"", b"two\n"]))

    assert body(ask(fake, CLOSE)) == b"4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("cut", "received"),
    [
        ({"cut_after_lines": 2}, b"4\r\none\n\r\n4\r\ntwo\n\r\n"),
        ({"cut_after_lines": 0}, b""),
        ({"cut_after_bytes": 6}, b"4\r\none\n\r\n4\r\ntw"),
        ({"cut_after_bytes": 6, "cut": "missing_last_chunk"}, b"4\r\none\n\r\n2\r\ntw\r\n"),
        ({"cut": "missing_last_chunk"}, b"4\r\none\n\r\n4\r\ntwo\n\r\n6\r\nthree\n\r\n"),
        ({"cut_after_lines": 1, "piece_bytes": 3}, b"3\r\none\r\n3\r\n\n"),
        ({"cut_after_bytes": 5, "framing": "close"}, b"one\nt"),
        ({"cut_after_bytes": 5, "framing": "length"}, b"one\nt"),
    ],
)
def test_an_answer_can_break_off(cut: dict[str, Any], received: bytes, fake: FakeOllama) -> None:
    """After lines or bytes, within an HTTP chunk or between two."""
    fake.script("/api/chat", Answer(lines=LINES, **cut))

    assert body(ask(fake)) == received
    assert fake.wait_until_closed()
    assert fake.closed_early == []


def test_a_length_is_that_of_the_whole_body_unless_it_is_a_lie(fake: FakeOllama) -> None:
    """A body that breaks off announces what it should have been."""
    cut = Answer(body=b"abcdef", framing="length", cut_after_bytes=3)
    lie = Answer(body=b"abcdef", framing="length", content_length=99, cut="eof")
    fake.script("/api/chat", cut, lie)

    assert ask(fake).endswith(b"Content-Length: 6\r\n\r\nabc")
    assert ask(fake).endswith(b"Content-Length: 99\r\n\r\nabcdef")


def test_a_cut_can_be_a_reset(fake: FakeOllama) -> None:
    """Then the client sees an error, not an end."""
    fake.script("/api/chat", Answer(lines=LINES, cut_after_lines=0, cut="reset"))
    with connect(fake) as connection, pytest.raises(ConnectionResetError):
        read_to_end(connection)


@pytest.mark.parametrize("lines", [1, None])
def test_an_answer_can_hang_until_the_client_leaves(lines: int | None, fake: FakeOllama) -> None:
    """In the middle, or after its last line: an answer that never ends."""
    cut: Cut = "hang"
    fake.script("/api/chat", Answer(lines=LINES, cut_after_lines=lines, cut=cut))
    with connect(fake) as connection:
        read_until(connection, b"one\n\r\n" if lines else b"three\n\r\n")
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
        assert fake.open_connections == 1

    assert fake.wait_until_left()


def test_an_answer_waits_for_events(fake: FakeOllama) -> None:
    """One before the headers, one between lines, one before the end."""
    events = [threading.Event() for _ in range(3)]
    held = {1: events[1], 3: events[2]}
    fake.script("/api/chat", Answer(lines=LINES, hold=events[0], hold_after=held))
    with connect(fake) as connection:
        assert fake.wait_for_requests(1)
        for event, end in zip(events, (b"one\n\r\n", b"three\n\r\n", b"0\r\n\r\n"), strict=True):
            assert is_silent(connection)
            event.set()
            read_until(connection, end)

    assert (fake.requests[0].sent.pieces, fake.requests[0].sent.body_bytes) == (3, 14)


def is_silent(connection: Any) -> bool:
    """Whether there is nothing to read now."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    finally:
        connection.settimeout(5)
    return False


@pytest.mark.parametrize(
    ("pace", "at_least_s"),
    [
        ({"delay_s": 0.05}, 0.05),
        ({"gap_s": 0.02}, 0.04),
        ({"gap_s": (0.05,)}, 0.05),
        ({"gap_s": (0.01, 0.05, 9.0)}, 0.06),
        ({"header_drip_s": 0.0005}, 0.03),
        ({"piece_bytes": 7, "gap_s": 0.03}, 0.03),
    ],
)
def test_an_answer_takes_its_time(pace: dict[str, Any], at_least_s: float, fake: FakeOllama) -> None:
    """Before the headers, within them, or between lines; all of it arrives."""
    fake.script("/api/chat", Answer(lines=LINES, framing="close", **pace))
    begun = time.perf_counter()
    received = ask(fake)

    assert body(received) == b"one\ntwo\nthree\n"
    assert time.perf_counter() - begun >= at_least_s


def test_a_compressed_line_can_be_read_when_it_arrives(fake: FakeOllama) -> None:
    """Each is flushed; the whole is one gzip stream."""
    last = threading.Event()
    fake.script("/api/chat", Answer(lines=LINES, gzip=True, framing="close", hold_after={2: last}))
    with connect(fake) as connection:
        head = read_until(connection, b"\r\n\r\n")
        unpacked, read = zlib.decompressobj(wbits=31), b""
        while not read.endswith(b"two\n"):
            read += unpacked.decompress(connection.recv(65536))
        last.set()
        read += unpacked.decompress(read_to_end(connection))

    assert b"Content-Encoding: gzip" in head
    assert (read, unpacked.eof) == (b"one\ntwo\nthree\n", True)


def test_a_compressed_body_has_its_compressed_length(fake: FakeOllama) -> None:
    """And an HTTP library unpacks it."""
    answer = Answer(body=b"abc" * 99, gzip=True, framing="length")
    fake.script("/api/chat", answer)

    assert requests.post(fake.base_url + "/api/chat", timeout=5).content == b"abc" * 99
    assert gzip.decompress(b"".join(answer.pieces())) == b"abc" * 99
