"""What a fake server is told to answer: frozen data, and builders in Ollama's own shapes."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import msgspec

Framing = Literal["chunked", "length", "close"]
Cut = Literal["eof", "reset", "missing_last_chunk", "hang"]

# Small enough that a client's own clock always shows more.
NUMBERS = {
    "total_duration": 60_000,
    "load_duration": 10_000,
    "prompt_eval_count": 11,
    "prompt_eval_cached_count": 1,
    "prompt_eval_duration": 20_000,
    "eval_count": 3,
    "eval_duration": 20_000,
}
CREATED_AT = "2026-01-02T03:04:05.678901234Z"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One scripted answer.

    - `lines`: dicts (written as JSON, ended by LF) or bytes (as they are); or `body`, all of it
    - `delay_s` before the headers, `header_drip_s` after each of their bytes; `gap_s` between
      lines: the same for all, or one each; `hold` waits for an event before the headers,
      `hold_after` maps a number of lines sent to an event to wait for
    - `framing`: HTTP chunks, a Content-Length, or neither (the connection's end is the end)
    - `piece_bytes`: send the body in pieces of so many bytes, whatever the lines; gaps, holds and
      HTTP chunks then go by piece
    - `gzip`: compress the body, each line decodable when it arrives; bytes are counted compressed
    - `cut_after_bytes` or `cut_after_lines`: the body breaks off there. `cut` says how: an orderly
      `eof` (in the middle of an HTTP chunk when that is where it is), a `reset`, whole HTTP chunks
      with only the `missing_last_chunk`, or `hang`: nothing more until the client leaves. A `cut`
      alone comes after the last line, so `cut="hang"` is an answer that never ends
    - `content_length`: a length to announce instead of the true one
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    lines: Sequence[Mapping[str, Any] | bytes] = ()
    body: bytes | None = None
    delay_s: float = 0.0
    header_drip_s: float = 0.0
    gap_s: float | Sequence[float] = 0.0
    hold: threading.Event | None = None
    hold_after: Mapping[int, threading.Event] = field(default_factory=dict)
    framing: Framing = "chunked"
    piece_bytes: int | None = None
    gzip: bool = False
    cut_after_bytes: int | None = None
    cut_after_lines: int | None = None
    cut: Cut | None = None
    content_length: int | None = None

    def pieces(self) -> list[bytes]:
        """Return the whole body as it is to be sent, one item a flush, before any cut."""
        if self.piece_bytes is None:
            return self._encoded
        whole, size = b"".join(self._encoded), self.piece_bytes
        return [whole[i : i + size] for i in range(0, len(whole), size)]

    def part_to_send(self, piece: bytes, sent_bytes: int) -> bytes:
        """Return what a cut leaves of the piece that follows so many bytes."""
        return piece if self._cut_at is None else piece[: max(0, self._cut_at - sent_bytes)]

    def gap_after(self, pieces: int) -> float:
        """Return the seconds between so many pieces and the next."""
        if isinstance(self.gap_s, Sequence):
            return self.gap_s[pieces - 1] if pieces <= len(self.gap_s) else 0.0
        return self.gap_s

    @property
    def ending(self) -> Cut | None:
        """How the answer breaks off; None when it comes to its end."""
        return self.cut or (None if self._cut_at is None else "eof")

    @cached_property
    def _encoded(self) -> list[bytes]:
        parts = [encode_line(line) for line in self.lines] if self.body is None else [self.body]
        parts = [part for part in parts if part]  # an empty HTTP chunk would be the last one
        return _compressed(parts) if self.gzip else parts

    @cached_property
    def _cut_at(self) -> int | None:
        """The body's length when it breaks off; None when it does not."""
        if self.cut_after_lines is not None:
            return sum(map(len, self._encoded[: self.cut_after_lines]))
        return self.cut_after_bytes


def encode_line(line: Mapping[str, Any] | bytes) -> bytes:
    """Return a line with its LF; bytes are taken as they are."""
    return line if isinstance(line, bytes) else msgspec.json.encode(dict(line)) + b"\n"


def _compressed(parts: list[bytes]) -> list[bytes]:
    gzip = zlib.compressobj(wbits=31)
    flushed = [gzip.compress(part) + gzip.flush(zlib.Z_SYNC_FLUSH) for part in parts]
    return [*flushed[:-1], b"".join(flushed[-1:]) + gzip.flush()]


def chat_lines(
    *texts: str, model: str = "llama3.2", thinking: Sequence[str] = (), tool_calls: Any = None,
    done_reason: str = "stop", **numbers: Any,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the lines of a streamed chat: thinking, texts, then the done line with numbers."""
    messages: list[dict[str, Any]] = [
        *({"role": "assistant", "content": "", "thinking": part} for part in thinking),
        *({"role": "assistant", "content": text} for text in texts),
    ]
    if tool_calls is not None:
        messages.append({"role": "assistant", "content": "", "tool_calls": tool_calls})
    lines = [{**_head(model), "message": message, "done": False} for message in messages]
    empty = {"role": "assistant", "content": ""}
    return [*lines, {**_head(model), "message": empty, **_tail(done_reason, numbers)}]


def generate_lines(
    *texts: str, model: str = "llama3.2", thinking: Sequence[str] = (), done_reason: str = "stop",
    **numbers: Any,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the lines of a streamed generation."""
    said = [*({"response": "", "thinking": part} for part in thinking), *({"response": t} for t in texts)]
    lines = [{**_head(model), **part, "done": False} for part in said]
    return [*lines, {**_head(model), "response": "", **_tail(done_reason, numbers)}]


def whole_chat(
    text: str, *, model: str = "llama3.2", done_reason: str = "stop", message: Any = None,
    **numbers: Any,
) -> Answer:  # fmt: skip
    """Return the answer to a chat with `stream: false`."""
    said = {"role": "assistant", "content": text, **(message or {})}
    return json_answer({**_head(model), "message": said, **_tail(done_reason, numbers)})


def whole_generate(
    text: str, *, model: str = "llama3.2", done_reason: str = "stop", **numbers: Any
) -> Answer:
    """Return the answer to a generation with `stream: false`."""
    return json_answer({**_head(model), "response": text, **_tail(done_reason, numbers)})


def error_line(text: str) -> dict[str, Any]:
    """Return the line that ends a stream which breaks after status 200."""
    return {"error": text}


def error_answer(status: int, text: str, **headers: str) -> Answer:
    """Return an error as Ollama words it; `Retry_After="1"` becomes a header."""
    return json_answer({"error": text}, status, **headers)


def json_answer(content: Mapping[str, Any], status: int = 200, **headers: str) -> Answer:
    """Return a JSON object with its length, as what is not streamed comes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(
        status=status,
        headers={"Content-Type": "application/json; charset=utf-8", **named},
        body=msgspec.json.encode(content),
        framing="length",
    )


def _head(model: str) -> dict[str, Any]:
    return {"model": model, "created_at": CREATED_AT}


def _tail(done_reason: str, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the end of an answer; a number given as None is left out."""
    told = {name: value for name, value in {**NUMBERS, **numbers}.items() if value is not None}
    return {"done": True, "done_reason": done_reason, **told}
