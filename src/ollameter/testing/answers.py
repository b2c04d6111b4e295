"""What a fake server is told to answer: frozen data, and builders in Ollama's own shapes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
_CREATED_AT = "2026-01-02T03:04:05.678901234Z"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One scripted answer.

    - `lines`: dicts (written as JSON) or bytes, each ended by LF; or `body`: bytes as they are
    - `delay_s` before the headers, `gap_s` before every further line; `hold` waits for an event
      before the headers, `hold_after` maps a number of lines sent to an event to wait for
    - `framing`: HTTP chunks, a Content-Length, or neither (the connection's end is the end)
    - `piece_bytes`: send the body in pieces of so many bytes, whatever the lines
    - `cut_after_bytes` or `cut_after_lines`, then `cut`: end orderly, reset, leave out only the
      last HTTP chunk, or say nothing more until the client leaves
    - `content_length`: a length to announce instead of the true one
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    lines: Sequence[Mapping[str, Any] | bytes] = ()
    body: bytes | None = None
    delay_s: float = 0.0
    gap_s: float = 0.0
    hold: threading.Event | None = None
    hold_after: Mapping[int, threading.Event] = field(default_factory=dict)
    framing: Framing = "chunked"
    piece_bytes: int | None = None
    cut_after_bytes: int | None = None
    cut_after_lines: int | None = None
    cut: Cut = "eof"
    content_length: int | None = None

    def pieces(self) -> list[bytes]:
        """Return the body as it is to be sent, one item a flush, before any cut."""
        if self.body is not None:
            parts = [self.body] if self.body else []
        else:
            parts = [encode_line(line) for line in self.lines]
        if self.piece_bytes is None:
            return parts
        whole, size = b"".join(parts), self.piece_bytes
        return [whole[i : i + size] for i in range(0, len(whole), size)]


def encode_line(line: Mapping[str, Any] | bytes) -> bytes:
    """Return a line with its LF; bytes are taken as they are."""
    return line if isinstance(line, bytes) else msgspec.json.encode(dict(line)) + b"\n"


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
    *texts: str, model: str = "llama3.2", done_reason: str = "stop", **numbers: Any
) -> list[dict[str, Any]]:
    """Return the lines of a streamed generation."""
    lines = [{**_head(model), "response": text, "done": False} for text in texts]
    return [*lines, {**_head(model), "response": "", **_tail(done_reason, numbers)}]


def whole_chat(
    text: str, *, model: str = "llama3.2", done_reason: str = "stop", message: Any = None,
    **numbers: Any,
) -> Answer:  # fmt: skip
    """Return the answer to a chat with `stream: false`."""
    said = {"role": "assistant", "content": text, **(message or {})}
    return _whole({**_head(model), "message": said, **_tail(done_reason, numbers)})


def whole_generate(
    text: str, *, model: str = "llama3.2", done_reason: str = "stop", **numbers: Any
) -> Answer:
    """Return the answer to a generation with `stream: false`."""
    return _whole({**_head(model), "response": text, **_tail(done_reason, numbers)})


def error_line(text: str) -> dict[str, Any]:
    """Return the line that ends a stream which breaks after status 200."""
    return {"error": text}


def error_answer(status: int, text: str, **headers: str) -> Answer:
    """Return an error as Ollama words it; `Retry_After="1"` becomes a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=msgspec.json.encode({"error": text}), framing="length")


def _whole(content: dict[str, Any]) -> Answer:
    return Answer(
        headers={"Content-Type": "application/json; charset=utf-8"},
        body=msgspec.json.encode(content),
        framing="length",
    )


def _head(model: str) -> dict[str, Any]:
    return {"model": model, "created_at": _CREATED_AT}


def _tail(done_reason: str, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the end of an answer; a number given as None is left out."""
    told = {name: value for name, value in {**NUMBERS, **numbers}.items() if value is not None}
    return {"done": True, "done_reason": done_reason, **told}
