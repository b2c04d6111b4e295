"""What was said, on spans and events, only for who asked for it; images never leave the process."""

from __future__ import annotations

import copy
import enum
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from opentelemetry import _logs
from opentelemetry.context import Context
from opentelemetry.trace import Span

from ollameter._version import __version__
from ollameter.errors import InvalidRequest
from ollameter.messages import Message, Request
from ollameter.metrics import PerformanceMetrics
from ollameter.telemetry import names

_log = logging.getLogger("ollameter.telemetry")
_EVENT_FREE = ("embeddings", "load")  # the conventions have messages and this event for inference alone
_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_SYNONYMS = {"TRUE": "SPAN_AND_EVENT", "FALSE": "NO_CONTENT", "": "NO_CONTENT"}
_MAGIC = {
    "iVBORw0KGg": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}

Redact = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
Part = dict[str, Any]


class CaptureMode(enum.Enum):
    """Where the content of calls goes."""

    NO_CONTENT = (False, False)
    SPAN_ONLY = (True, False)
    EVENT_ONLY = (False, True)
    SPAN_AND_EVENT = (True, True)

    @property
    def captures(self) -> bool:
        """Whether content goes anywhere."""
        return any(self.value)


_warned: set[str] = set()


def capture_mode(given: bool | str | None) -> CaptureMode:
    """Return the mode given in code, else the environment's; raises for a wrong one in code."""
    if given is not None:
        text = str(given).strip().upper()
        mode = _mode(text)
        if mode is None:
            raise InvalidRequest(f"capture_content: {given!r} is none of {[*CaptureMode.__members__]}")
        return mode
    text = os.environ.get(_VARIABLE, "").strip().upper()
    mode = _mode(text)
    if mode is None and text not in _warned:
        _warned.add(text)
        _log.warning("%s=%s is not known: no content is captured", _VARIABLE, text)
    return mode or CaptureMode.NO_CONTENT


def _mode(text: str) -> CaptureMode | None:
    return CaptureMode.__members__.get(_SYNONYMS.get(text, text))


class Content:
    """Writes the messages of a call where the mode says; `redact` sees them first."""

    def __init__(self, mode: CaptureMode, redact: Redact | None, logger_provider: Any) -> None:
        self._on_span, self._as_event = mode.value
        self._redact = redact
        self._logger = _logs.get_logger(
            names.SCOPE, __version__, logger_provider, schema_url=names.SCHEMA_URL
        )

    def export(
        self,
        request: Request,
        metrics: PerformanceMetrics,
        message: Message,
        span: Span | None,
        context: Context,
        known: Mapping[str, Any],
    ) -> None:
        """Put what was asked and answered on the span, the event, or both.

        `known` is what the span says of the call; the event repeats what the conventions list.
        """
        if request.operation in _EVENT_FREE:
            return
        content = self._content(request, metrics, message)
        if self._on_span and span is not None and span.is_recording():
            span.set_attributes({name: _as_text(value) for name, value in content.items()})
        if self._as_event:
            self._logger.emit(
                event_name=names.DETAILS_EVENT,
                context=context,
                attributes={**_conventional(known), **content},
            )

    def _content(
        self, request: Request, metrics: PerformanceMetrics, message: Message
    ) -> dict[str, list[Any]]:
        body = request.body
        asked = body.get("messages") or [
            {"role": "user", "content": body.get("prompt", ""), "images": body.get("images")}
        ]
        content: dict[str, list[Any]] = {
            names.INPUT_MESSAGES: self._redacted([_described(m) for m in asked])
        }
        answer = _described(msgspec.to_builtins(message))
        if answer["parts"]:
            answered = self._redacted([answer])
            reason = metrics.finish_reason or metrics.error_type or metrics.outcome
            content[names.OUTPUT_MESSAGES] = [{**m, "finish_reason": reason} for m in answered]
        if body.get("system"):
            system = self._redacted([{"role": "system", "parts": [_text(body["system"])]}])
            content[names.SYSTEM_INSTRUCTIONS] = [part for m in system for part in m["parts"]]
        if body.get("tools"):
            content[names.TOOL_DEFINITIONS] = [_tool(tool) for tool in body["tools"]]
        return content

    def _redacted(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        # A copy: a redactor that writes into what it gets must not change the caller's own reply.
        return messages if self._redact is None else self._redact(copy.deepcopy(messages))


def _as_text(value: list[Any]) -> str:
    return msgspec.json.encode(value).decode()


def _conventional(known: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what the conventions list for the event."""
    ours = ("ollama.", "ollameter.")
    return {
        name: value
        for name, value in known.items()
        if not name.startswith(ours) and name not in names.NOT_ON_THE_EVENT
    }


def _described(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message in the conventions' form: a role and its parts."""
    parts: list[Part] = []
    if message.get("thinking"):
        parts.append({"type": "reasoning", "content": message["thinking"]})
    if message.get("role") == "tool":
        parts.append(_tool_answer(message))
    elif message.get("content"):
        parts.append(_text(message["content"]))
    parts += [_image(image) for image in message.get("images") or ()]
    parts += [_call(call) for call in message.get("tool_calls") or ()]
    return {"role": message.get("role", "user"), "parts": parts}


def _text(content: str) -> Part:
    return {"type": "text", "content": content}


def _tool_answer(message: Mapping[str, Any]) -> Part:
    part: Part = {"type": "tool_call_response", "response": message.get("content", "")}
    if message.get("tool_call_id"):
        part["id"] = message["tool_call_id"]
    return part


def _call(call: Mapping[str, Any]) -> Part:
    function = call.get("function", call)
    part = {
        "type": "tool_call",
        "name": function.get("name", ""),
        "arguments": function.get("arguments"),
    }
    return part | ({"id": call["id"]} if call.get("id") else {})


def _image(encoded: str) -> Part:
    """Describe an image by its kind and size; its bytes stay here."""
    kind = next((mime for magic, mime in _MAGIC.items() if encoded.startswith(magic)), None)
    size = len(encoded) * 3 // 4 - encoded[-2:].count("=")
    part: Part = {"type": "blob", "modality": "image", "content": "", "size_bytes": size}
    return part | {"mime_type": kind or "application/octet-stream"}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function", {})
    return {"type": tool.get("type", "function"), **function}
