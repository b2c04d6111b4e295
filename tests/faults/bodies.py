"""What goes wrong with what a body says: text that is none, lines without end, bombs."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.faults.fault import (
    CUT_OFF,
    ERROR_LINE,
    FINE,
    GARBAGE,
    Fault,
    both,
)  # fmt: skip
from tests.faults.server import Asked, Connection, Serve, chunk, chunked

BOUND = {"max_line_bytes": 64 << 10}


def _sends(body: Callable[[Asked], bytes], *headers: bytes) -> Serve:
    def serve(connection: Connection, asked: Asked) -> None:
        connection.send(chunked(body(asked), headers=headers))

    return serve


def _whole_or_lines(line: bytes) -> Serve:
    """Send a line as a whole answer; or after the part of a stream, which then goes on."""

    def serve(connection: Connection, asked: Asked) -> None:
        if not asked.streamed:
            connection.send(chunked(line))
            return
        connection.send(chunked(asked.part, end=b""))
        connection.wait_until_read(asked)
        connection.send(chunk(line))
        connection.wait_until_left()

    return serve


def _saying(text: bytes) -> Serve:
    return _sends(lambda asked: asked.good.replace(b"Hel", b"Hel" + text, 1))


def _refused(serve: Serve, **more: Any) -> Fault:
    return Fault(serve, GARBAGE.reused(), GARBAGE.saying("Hello"), **more)


@cache
def bomb(size: int) -> bytes:
    """Return a gzip body of so many blanks: a thousandth of what it unpacks to."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b" " * (1 << 20)) for _ in range(size >> 20)) + packer.flush()


def _corrupt(asked: Asked) -> bytes:
    return asked.part[:20] + b"\x00" * 50


UNDONE = b'{"message":{"content":"Hel"},"response":"Hel","done":false}\n'

FAULTS: dict[str, Fault] = {
    "nothing in the body": both(_sends(lambda a: b"\n"), CUT_OFF.reused()),
    "an error line": Fault(
        _whole_or_lines(b'{"error":"unexpected EOF"}\n'), ERROR_LINE.reused(), ERROR_LINE.saying("Hello")),
    "a page of HTML with status 200": _refused(_whole_or_lines(b"<html>\n<body>Hi</body>\n")),
    "JSON that is not Ollama's": _refused(_whole_or_lines(b'["hello"]\n')),
    "done: false in the end": Fault(
        _sends(lambda a: (a.part if a.streamed else b"") + UNDONE),
        CUT_OFF.reused().saying("Hel"), CUT_OFF.reused().saying("HelloHel")),
    "a line without its text": _refused(_whole_or_lines(b'{"done":false}\n')),
    "done is no boolean": _refused(_whole_or_lines(b'{"message":{},"response":"","done":"yes"}\n')),
    "invalid UTF-8": _refused(_whole_or_lines(
        b'{"message":{"content":"\xff\xfe"},"response":"\xff\xfe","done":false}\n')),
    "NUL in a text": _refused(_whole_or_lines(
        b'{"message":{"content":"\x00"},"response":"\x00","done":false}\n')),
    "deeply nested JSON": _refused(_whole_or_lines(b"[" * 50_000 + b"\n")),
    "U+0085 and U+2028 in a text": both(
        _saying("\u0085\u2028\u2029".encode()), FINE.reused().saying("Hel\u0085\u2028\u2029lo!")),
    "an escaped NUL in a text": both(_saying(b"\\u0000"), FINE.reused().saying("Hel\x00lo!")),
    "CRLF and blank lines": both(
        _sends(lambda a: b"\r\n\n" + a.good.replace(b"\n", b"\r\n\r\n")), FINE.reused()),
    "a line beyond max_line_bytes": Fault(
        _whole_or_lines(b" " * (1 << 20)), GARBAGE, GARBAGE.saying("Hello"), settings=BOUND),
    "a gzip bomb": both(
        _sends(lambda a: bomb(64 << 20), b"Content-Encoding: gzip"), GARBAGE, settings=BOUND),
    "gzip": both(_sends(lambda a: gzip.compress(a.good), b"Content-Encoding: gzip"), FINE.reused()),
    "gzip that is none": both(_sends(_corrupt, b"Content-Encoding: gzip"), GARBAGE),
    "gzip cut off": both(
        _sends(lambda a: gzip.compress(a.good)[:40], b"Content-Encoding: gzip"), CUT_OFF.reused()),
    "an encoding nobody knows": both(
        _sends(lambda a: b"\x01\x02\x03", b"Content-Encoding: br"), GARBAGE.reused(),
        in_async=(GARBAGE, GARBAGE)),
}  # fmt: skip
