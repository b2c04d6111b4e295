"""The answers of chat and generate as chunks and a final object: bytes in, data or our errors out."""

from __future__ import annotations

from typing import Any

import msgspec

from ollameter.errors import InvalidResponse
from ollameter.messages import Chunk, Final, Request, ToolCall
from ollameter.wire.ndjson import MAX_LINE_BYTES
from ollameter.wire.reading import UNREADABLE, AnswerReader, final_object, foreign, whole_object

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


class ChunkReader(AnswerReader[Chunk]):
    """Turns the body of one chat or generate answer into chunks."""

    def __init__(self, request: Request, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        chat = request.path == "/api/chat"
        decode = ChunkReader._chat_chunk if chat else ChunkReader._generate_chunk
        super().__init__(decode, max_line_bytes, whole=not request.stream)

    def _chat_chunk(self, line: bytes) -> Chunk:
        try:
            seen = _chat_line(line)
            message = seen.message
            if message is None:
                self._refuse_without_text(seen, "message")
                message = _Message()
            if seen.done or seen.error is not None:
                self._note_end(line)
            return Chunk(
                message.content or "",
                message.thinking or "",
                _tool_calls(message.tool_calls) if message.tool_calls else (),
                seen.done,
                None if seen.logprobs is None else _list_or_none(seen.logprobs),
                seen.created_at,
            )
        except UNREADABLE as error:
            raise foreign(error) from error

    def _generate_chunk(self, line: bytes) -> Chunk:
        try:
            seen = _generate_line(line)
            if seen.response is None:
                self._refuse_without_text(seen, "response")
            if seen.done or seen.error is not None:
                self._note_end(line)
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
        except UNREADABLE as error:
            raise foreign(error) from error

    def _refuse_without_text(self, seen: _Line, field: str) -> None:
        """Refuse a line without text; only a stream's last line, whose text is empty, may lack it."""
        if seen.error is None and (self.whole or not seen.done):
            raise InvalidResponse(f"the server sent an answer without `{field}`")

    def _note_end(self, line: bytes) -> None:
        self.final: Final | None = final_object(whole_object(line))


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
