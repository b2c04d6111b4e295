"""What goes wrong before the body: connections, status lines, headers."""

from __future__ import annotations

from ollameter import Timeouts
from tests.faults.fault import (
    CUT_OFF,
    FINE,
    GARBAGE,
    NO_FIRST_BYTE,
    NOT_CONNECTED,
    REFUSED,
    RESET,
    SHORT,
    Fault,
    both,
)  # fmt: skip
from tests.faults.server import (
    Asked,
    Connection,
    RawServer,
    Serve,
    answer_well,
    head,
)  # fmt: skip

EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _silent(connection: Connection, _: Asked) -> None:
    connection.wait_until_left()


def _ends(connection: Connection, _: Asked) -> None:
    connection.end()


def _resets(connection: Connection, _: Asked) -> None:
    connection.reset()


def _drips_headers(connection: Connection, _: Asked) -> None:
    connection.drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000, 0.02)


def _headers_then_silence(connection: Connection, _: Asked) -> None:
    connection.send(head(b"Transfer-Encoding: chunked"))
    connection.wait_until_left()


def _hints_for_ever(connection: Connection, _: Asked) -> None:
    connection.drip(EARLY_HINTS * 100, 0.0005)


def _sends(data: bytes) -> Serve:
    def send(connection: Connection, _: Asked) -> None:
        connection.send(data)
        connection.end()

    return send


def _precedes(data: bytes) -> Serve:
    def send(connection: Connection, asked: Asked) -> None:
        connection.send(data)
        answer_well(connection, asked)

    return send


def _headed(*headers: bytes, **more: bytes) -> Serve:
    def send(connection: Connection, asked: Asked) -> None:
        connection.send(head(*headers, **more) + asked.good)
        connection.end()

    return send


def _old_and_cut(connection: Connection, asked: Asked) -> None:
    connection.send(head(version=b"HTTP/1.0") + asked.part)
    connection.end()


FAULTS: dict[str, Fault] = {
    "nothing listens": both(
        answer_well, REFUSED.unconnected(), before=RawServer.stop, limits=Timeouts(first_byte=1)),
    "a handshake is never answered": both(
        answer_well, NOT_CONNECTED.unconnected(), before=RawServer.fill_up, limits=SHORT),
    "closed before the request is read": both(answer_well, RESET, greet=Connection.end),
    "reset before the request is read": both(answer_well, RESET, greet=Connection.reset),
    "accepted, then silence": both(_silent, NO_FIRST_BYTE, limits=SHORT),
    "closed without a byte": both(_ends, RESET),
    "reset without a byte": both(_resets, RESET),
    "headers come a byte at a time": both(_drips_headers, NO_FIRST_BYTE, limits=SHORT),
    "headers, then silence": both(_headers_then_silence, NO_FIRST_BYTE, limits=SHORT),
    "status line cut off": both(_sends(b"HTTP/1.1 20"), GARBAGE, in_async=(RESET, RESET)),
    "headers cut off": both(
        _sends(b"HTTP/1.1 200 OK\r\nContent-Ty"), CUT_OFF, in_async=(RESET, RESET)),
    "another protocol answers": both(_sends(b"SSH-2.0-OpenSSH_9.9\r\n\x00\xff\x00\r\n"), GARBAGE),
    "an answer without headers": both(_sends(b'{"message":{"content":"x"},"done":true}\n'), GARBAGE),
    "a status that is no number": both(_headed(status=b"abc OK"), GARBAGE),
    "a header of 100 KiB": both(_headed(b"X-Long: " + b"x" * 102400), GARBAGE),
    "ten thousand headers": both(_headed(*[b"X-A: b"] * 10_000), GARBAGE),
    "a header line without a colon": both(
        _headed(b"no colon here"), FINE, in_async=(GARBAGE, GARBAGE)),
    "100 Continue first": both(_precedes(CONTINUE), FINE.reused()),
    "103 Early Hints first": both(_precedes(EARLY_HINTS * 3), FINE.reused()),
    "103 Early Hints for ever": both(_hints_for_ever, NO_FIRST_BYTE, limits=SHORT),
    "HTTP/1.0": both(_headed(version=b"HTTP/1.0"), FINE),
    "HTTP/1.0, cut off": Fault(_old_and_cut, CUT_OFF, CUT_OFF.saying("Hello")),
}  # fmt: skip
