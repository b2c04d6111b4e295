"""What the server sent, as chunks and a final object: bytes in, data or our errors out, no I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import msgspec

from ollameter.errors import (
    IncompleteResponse,
    InvalidResponse,
    OllameterError,
    ResponseError,
)
from ollameter.messages import Chunk, Final, Request, ToolCall
from ollameter.wire.ndjson import MAX_LINE_BYTES, LineSplitter, WholeBody
from ollameter.wire.numbers import read_timings
from ollameter.wire.responses import error_text

# Typed strictly where an answer's text is, loosely elsewhere: a strange number costs no answer.


class _Function(msgspec.Struct):
    name: str = ""
    arguments: Any = None


class _ToolCall(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Line(msgspec.Struct):
    done: bool = False
    error: Any = None
    logprobs: Any = None
    created_at: Any = None


class _ChatLine(_Line):
    message: _Message | None = None


class _GenerateLine(_Line):
    response: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None
    image: Any = None
    completed: Any = None
    total: Any = None


_chat_line = msgspec.json.Decoder(_ChatLine).decode
_generate_line = msgspec.json.Decoder(_GenerateLine).decode
_any_object = msgspec.json.Decoder(dict[str, Any]).decode
_UNREADABLE = (
    ValueError,
    RecursionError,
)  # msgspec's errors and UnicodeDecodeError are ValueErrors


class ChunkReader:
    """Turns the body of one chat or generate answer into chunks; `final` is set by the last.

    Lines are decoded as they are asked for, so a consumer that leaves early leaves the rest
    unread. The body of a whole answer (`stream: false`) is one chunk, known at its end.
    """

    def __init__(self, request: Request, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.final: Final | None = None
        self.whole = not request.stream
        chat = request.path == "/api/chat"
        self._decode = ChunkReader._chat_chunk if chat else ChunkReader._generate_chunk
        self._splitter = LineSplitter(max_line_bytes)
        self._body = WholeBody(max_line_bytes)

    def feed(self, data: bytes) -> Iterable[Chunk]:
        """Take the next piece of the body; return the chunks it completed.

        Raises `ResponseError` for an error line, `InvalidResponse` for what is not Ollama's.
        """
        if self.whole:
            self._body.feed(data)
            return iter(())
        # Nearly always exactly one line: servers write and flush them one by one.
        if self._splitter.is_whole_line(data) and data.startswith(b"{"):
            return (self._decode(self, data),)
        return map(partial(self._decode, self), self._splitter.feed(data))

    def finish(self, broken: OllameterError | None = None) -> Iterator[Chunk]:
        """Take the end of the body: yield a last chunk that lacked its LF.

        Raises `broken`, or `IncompleteResponse`, when no `done: true` was among all that came.
        """
        rest = self._body.rest() if self.whole else self._splitter.rest()
        if rest and (chunk := self._last_chunk(rest, broken)) is not None:
            yield chunk
        if self.final is None:
            raise broken or IncompleteResponse("the answer ended without `done: true`: it is cut off")

    def _last_chunk(self, rest: bytes, broken: OllameterError | None) -> Chunk | None:
        """Decode what came after the last LF; None when it was cut in the middle."""
        try:
            return self._decode(self, rest)
        except InvalidResponse:
            if _is_cut(rest, broken):
                return None
            raise

    def _chat_chunk(self, line: bytes) -> Chunk:
        try:
            seen = _chat_line(line)
            message = seen.message
            if message is None:
                self._refuse_without_text(seen, "message")
                message = _Message()
            if seen.done or seen.error is not None:
                self._note_end(seen, line)
            return Chunk(
                message.content or "",
                message.thinking or "",
                _tool_calls(message.tool_calls) if message.tool_calls else (),
                seen.done,
                None if seen.logprobs is None else _list_or_none(seen.logprobs),
                seen.created_at,
            )
        except _UNREADABLE as error:
            raise _foreign(error) from error

    def _generate_chunk(self, line: bytes) -> Chunk:
        try:
            seen = _generate_line(line)
            if seen.response is None:
                self._refuse_without_text(seen, "response")
            if seen.done or seen.error is not None:
                self._note_end(seen, line)
            return Chunk(
                seen.response or "",
                seen.thinking or "",
                _tool_calls(seen.tool_calls) if seen.tool_calls else (),
                seen.done,
                None if seen.logprobs is None else _list_or_none(seen.logprobs),
                seen.created_at,
                seen.image,
                seen.completed,
                seen.total,
            )
        except _UNREADABLE as error:
            raise _foreign(error) from error

    def _refuse_without_text(self, seen: _Line, field: str) -> None:
        """Refuse a line without text; only a stream's last line, whose text is empty, may lack it."""
        if seen.error is None and (self.whole or not seen.done):
            raise InvalidResponse(f"the server sent an answer without `{field}`")

    def _note_end(self, seen: _Line, line: bytes) -> None:
        raw = _whole_object(line)
        if seen.error is not None:
            raise ResponseError(error_text(raw["error"]), status_code=200)
        self.final = Final(
            timings=read_timings(raw),
            response_model=_text_or_none(raw.get("model")),
            finish_reason=_text_or_none(raw.get("done_reason")),
            raw=raw,
        )


def _is_cut(rest: bytes, broken: OllameterError | None) -> bool:
    """Whether what came after the last LF is the beginning of a line; garbage is not."""
    try:
        _any_object(rest)
    except msgspec.DecodeError as error:
        # A broken connection is reason enough; else JSON that only ends too early is cut off.
        return broken is not None or "truncated" in str(error)
    except _UNREADABLE:
        return broken is not None
    return False


def _foreign(error: Exception) -> InvalidResponse:
    return InvalidResponse(f"the server sent something that is not Ollama's: {error}")


def _whole_object(line: bytes) -> dict[str, Any]:
    """Decode everything; a number too large for msgspec must not cost the answer it came with."""
    try:
        return _any_object(line)
    except msgspec.ValidationError:
        whole: dict[str, Any] = json.loads(line)
        return whole


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _list_or_none(value: Any) -> list[Any] | None:
    return value if isinstance(value, list) else None


def _tool_calls(calls: list[_ToolCall]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(c.function.name, _arguments(c.function.arguments), c.id) for c in calls)


def _arguments(value: Any) -> dict[str, Any]:
    """Ollama sends an object; JSON text, as others send it, is read as well."""
    if isinstance(value, str):
        value = msgspec.json.decode(value) if value else None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidResponse("the server sent tool arguments that are no object")
    return value
