"""The answers the fake server gives, rendered beforehand: bytes, framing and pace, nothing sent here."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Literal

MODEL = "llama3.2"
QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]
WORD = " token"
CREATED_AT = "2026-01-01T00:00:00.123456789Z"
STAMP = 19  # digits of a monotonic clock in nanoseconds, as the server fills them in
SENT, SINCE_REQUEST, FIRST_SENT = range(3)

Framing = Literal["chunked", "identity", "split"]
FRAMINGS: tuple[Framing, ...] = ("chunked", "identity", "split")


@dataclass(frozen=True)
class Piece:
    """Bytes written at once, and where in them the server fills in which time."""

    data: bytes
    stamps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Scenario:
    """One port's answer; `interval_s` 0 is as fast as it is taken. Piece 1 comes `repeat` times."""

    pieces: tuple[Piece, ...]
    interval_s: float = 0.0
    first_after_s: float = 0.0
    repeat: int = 1

    def packed(self) -> bytes:
        """Return it as fake_server.c reads it."""
        head = struct.pack(
            "=QQII",
            int(self.interval_s * 1e9),
            int(self.first_after_s * 1e9),
            self.repeat,
            len(self.pieces),
        )
        return head + b"".join(_packed(piece) for piece in self.pieces)


def _packed(piece: Piece) -> bytes:
    stamps = b"".join(struct.pack("=II", at, kind) for at, kind in piece.stamps)
    return struct.pack("=II", len(piece.data), len(piece.stamps)) + stamps + piece.data


def chunk_line(word: str = WORD, **more: object) -> bytes:
    """Return one line of a streamed chat, as Ollama writes it."""
    message = {"role": "assistant", "content": word}
    return _line({"model": MODEL, "created_at": CREATED_AT, "message": message, "done": False, **more})


def done_line(total: object = 1_234_567_890, prompt: object = 12_345_678, word: str = "") -> bytes:
    """Return the line that ends an answer, with every number Ollama sends."""
    return _line(
        {
            "model": MODEL,
            "created_at": CREATED_AT,
            "message": {"role": "assistant", "content": word},
            "done": True,
            "done_reason": "stop",
            "total_duration": total,
            "load_duration": 1_234_567,
            "prompt_eval_count": 26,
            "prompt_eval_duration": prompt,
            "eval_count": 298,
            "eval_duration": 1_200_000_000,
        }
    )


def whole_chat() -> Scenario:
    """Return a chat that is not streamed: 298 tokens of text in one object."""
    body = done_line(word=WORD * 298)
    return Scenario((Piece(_head("application/json", f"Content-Length: {len(body)}") + body),))


def burst(chunks: int) -> Scenario:
    """Return a stream of so many chunks, the done line among them, as fast as it is taken."""
    lines = [chunk_line()] * (chunks - 1) + [done_line()]
    return Scenario((Piece(_stream_head() + b"".join(map(_http_chunk, lines)) + _END),))


def long_stream(total_bytes: int, line_bytes: int) -> Scenario:
    """Return a stream of `total_bytes` in long lines whose text is short."""
    padding = "x" * (line_bytes - len(chunk_line(unknown="")))
    line = _http_chunk(chunk_line(unknown=padding))
    many = 64
    pieces = (Piece(_stream_head()), Piece(line * many), Piece(_http_chunk(done_line()) + _END))
    return Scenario(pieces, repeat=total_bytes // (line_bytes * many))


def paced(
    chunks: int, per_second: float, framing: Framing = "chunked", first_after_s: float = 0.02
) -> Scenario:
    """Return a stream whose chunks carry the time at which they were sent, in their text.

    The done line says how long after the request it was sent (total_duration), and the first
    chunk (prompt_eval_duration). The headers travel with the first line.
    """
    lines = [_Stamped.of(chunk_line("0" * STAMP))] * (chunks - 1)
    lines.append(_Stamped.of(done_line("@" * STAMP, "#" * STAMP, "0" * STAMP)))
    pieces = [_framed(piece, framing) for piece in (_split(lines) if framing == "split" else lines)]
    head = _identity_head(lines) if framing == "identity" else _stream_head()
    pieces[0] = pieces[0].after(head)
    if framing != "identity":
        pieces[-1] = pieces[-1].before(_END)
    return Scenario(
        tuple(piece.piece() for piece in pieces), interval_s=1 / per_second, first_after_s=first_after_s
    )


@dataclass(frozen=True)
class _Stamped:
    """Bytes with the places of their stamps, kept right while more is put around them."""

    data: bytes
    stamps: tuple[tuple[int, int], ...] = field(default=())

    @staticmethod
    def of(line: bytes) -> _Stamped:
        """Find the places: zeros are the time of sending, the two others stand in the done line."""
        line = line.replace(b'"' + b"@" * STAMP + b'"', b"@" * STAMP)
        line = line.replace(b'"' + b"#" * STAMP + b'"', b"#" * STAMP)
        marks = ((b"0", SENT), (b"@", SINCE_REQUEST), (b"#", FIRST_SENT))
        found = [(line.find(mark * STAMP), kind) for mark, kind in marks]
        return _Stamped(line, tuple((at, kind) for at, kind in found if at >= 0))

    def after(self, head: bytes) -> _Stamped:
        return _Stamped(head + self.data, tuple((at + len(head), kind) for at, kind in self.stamps))

    def before(self, tail: bytes) -> _Stamped:
        return _Stamped(self.data + tail, self.stamps)

    def piece(self) -> Piece:
        return Piece(self.data, self.stamps)


def _split(lines: list[_Stamped]) -> list[_Stamped]:
    """Cut every line before its stamps: each piece ends one line and begins the next."""
    at = lines[0].data.index(b'"message"')
    begins = [*(line.data[:at] for line in lines[1:]), b""]
    pieces = [
        _Stamped(line.data[at:], tuple((place - at, kind) for place, kind in line.stamps)).before(begin)
        for line, begin in zip(lines, begins, strict=True)
    ]
    pieces[0] = pieces[0].after(lines[0].data[:at])
    return pieces


def _framed(piece: _Stamped, framing: Framing) -> _Stamped:
    return piece if framing == "identity" else piece.after(b"%x\r\n" % len(piece.data)).before(b"\r\n")


_END = b"0\r\n\r\n"


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _stream_head() -> bytes:
    return _head("application/x-ndjson", "Transfer-Encoding: chunked")


def _identity_head(lines: list[_Stamped]) -> bytes:
    return _head("application/x-ndjson", f"Content-Length: {sum(len(line.data) for line in lines)}")


def _head(content_type: str, framing: str) -> bytes:
    date = "Date: Thu, 01 Jan 2026 00:00:00 GMT"
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{date}\r\n{framing}\r\n\r\n".encode()


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"
