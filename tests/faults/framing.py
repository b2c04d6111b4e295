"""What goes wrong with where a body ends: lengths, HTTP chunks, connections that break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.faults.fault import (
    CUT_OFF,
    FINE,
    GARBAGE,
    IDLE,
    RESET,
    SHORT,
    Fault,
    both,
)  # fmt: skip
from tests.faults.server import Asked, Connection, Serve, chunk, chunked, head, with_length

CHUNKED = head(b"Transfer-Encoding: chunked")


def _sends(answer: Callable[[Asked], bytes]) -> Serve:
    def serve(connection: Connection, asked: Asked) -> None:
        connection.send(answer(asked))

    return serve


def _ends_after(answer: Callable[[Asked], bytes]) -> Serve:
    def serve(connection: Connection, asked: Asked) -> None:
        connection.send(answer(asked))
        connection.end()

    return serve


def _goes_on(more: bytes | Callable[[Asked], bytes]) -> Serve:
    """Send the part, wait until it is read, and go on with something."""

    def serve(connection: Connection, asked: Asked) -> None:
        connection.send(CHUNKED + chunk(asked.part))
        connection.wait_until_read(asked)
        connection.send(more if isinstance(more, bytes) else more(asked))
        connection.end()

    return serve


def _silent_after(answer: Callable[[Asked], bytes]) -> Serve:
    def serve(connection: Connection, asked: Asked) -> None:
        connection.send(answer(asked))
        connection.wait_until_left()

    return serve


def _resets(connection: Connection, asked: Asked) -> None:
    connection.send(CHUNKED + chunk(asked.part))
    connection.reset()


def _endless_after_done(connection: Connection, asked: Asked) -> None:
    connection.send(CHUNKED + chunk(asked.good))
    while not connection.ended:
        connection.send(chunk(b" " * 60_000))


def _drips(connection: Connection, asked: Asked) -> None:
    connection.send(with_length(asked.good[:1], len(asked.good)))
    if asked.streamed:
        connection.send(asked.lines[0][1:])
        connection.drip(asked.good[len(asked.lines[0]) :], 0.005)
    else:
        connection.drip(asked.good[1:40], 0.001)
        connection.send(asked.good[40:])


PART = CUT_OFF.saying("Hello")
GARBLED = GARBAGE.saying("Hello")


LENIENT = (GARBAGE, GARBAGE)
BOUND = {"max_line_bytes": 1 << 20}

FAULTS: dict[str, Fault] = {
    "body ends without done": Fault(_sends(lambda a: chunked(a.part)), CUT_OFF.reused(), PART.reused()),
    "body ends within a line": Fault(
        _ends_after(lambda a: head() + a.good[:-9]), CUT_OFF, CUT_OFF.saying("Hello!")),
    "last HTTP chunk is missing": Fault(_ends_after(lambda a: chunked(a.part, end=b"")), CUT_OFF, PART),
    "last HTTP chunk is missing after done": both(_ends_after(lambda a: chunked(a.good, end=b"")), FINE),
    "closed within an HTTP chunk": Fault(
        _ends_after(lambda a: CHUNKED + b"ffff\r\n" + a.part), CUT_OFF, PART),
    "reset in the middle": Fault(_resets, RESET, RESET.saying("Hello")),
    "Content-Length too long, cut off": Fault(
        _ends_after(lambda a: with_length(a.part, 9999)), CUT_OFF, PART),
    "Content-Length too long, all there": both(_ends_after(lambda a: with_length(a.good, 9999)), FINE),
    "Content-Length too short": Fault(
        _sends(lambda a: with_length(a.good, len(a.part))), CUT_OFF.reused(), PART.reused(),
        in_async=(GARBAGE, GARBAGE)),
    "Content-Length 0": both(_sends(lambda a: with_length(b"", 0)), CUT_OFF.reused()),
    "Content-Length is no number": both(
        _ends_after(lambda a: with_length(a.good, "abc")), FINE, in_async=LENIENT),
    "Content-Length is negative": both(
        _ends_after(lambda a: with_length(a.good, -5)), FINE, in_async=LENIENT),
    "two Content-Lengths": both(
        _ends_after(lambda a: with_length(a.good, None, b"Content-Length: 3")), GARBAGE),
    "Content-Length beside chunks": both(
        _sends(lambda a: chunked(a.good, headers=(b"Content-Length: 3",))), FINE.reused(),
        in_async=LENIENT),
    "chunk size is no number": Fault(_goes_on(b"zz\r\n"), GARBAGE, GARBLED),
    "chunk size is negative": Fault(_goes_on(b"-5\r\n"), GARBAGE, GARBLED),
    "chunk size is missing": Fault(_goes_on(b"\r\n"), GARBAGE, GARBLED),
    "chunk size beyond 64 bits": Fault(
        _goes_on(b"f" * 17 + b"\r\n"), CUT_OFF, PART, in_async=(GARBAGE, GARBLED)),
    "chunk longer than its size": Fault(
        _goes_on(lambda a: b"3\r\n" + a.rest + b"\r\n0\r\n\r\n"), GARBAGE, GARBLED),
    "chunk extensions and trailers": both(
        _sends(lambda a: CHUNKED + b"%x;a=b\r\n%b\r\n" % (len(a.good), a.good)
               + b"0\r\nX-Sum: 1\r\n\r\n"), FINE.reused()),
    "silence in the middle": Fault(
        _silent_after(lambda a: CHUNKED + chunk(a.part)), IDLE, IDLE.saying("Hello"), limits=SHORT),
    "silence after done": Fault(
        _silent_after(lambda a: CHUNKED + chunk(a.good)), replace(FINE, within="idle"), FINE, limits=SHORT),
    "endless body after done": Fault(_endless_after_done, GARBAGE, FINE, settings=BOUND),
    "garbage after done": Fault(
        _sends(lambda a: chunked(a.good, b"<html>\xff\x00\n")), GARBAGE.reused(), FINE.reused()),
    "a byte at a time": Fault(
        _drips, replace(FINE.reused(), within="idle"), IDLE.saying("Hel"), limits=SHORT),
}  # fmt: skip
