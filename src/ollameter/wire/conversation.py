"""Messages as Ollama wants them, or an error that names the place: images, tool calls, answers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ollameter.errors import InvalidRequest
from ollameter.messages import Message, ToolCall
from ollameter.wire import fields


def wired_message(where: str, message: Any) -> dict[str, Any]:
    """Return a message with the fields that are set; keys this library does not know are kept."""
    if isinstance(message, Message):
        message = {name: getattr(message, name) for name in message.__struct_fields__}
    if not isinstance(message, Mapping):
        raise InvalidRequest(f"{where}: expected a dict or a Message, got {type(message).__name__}")
    wired = {name: value for name, value in message.items() if value is not None}
    if not isinstance(wired.get("role"), str) or not wired["role"]:
        raise InvalidRequest(f"{where}.role: expected a text such as 'user'")
    if not {"content", "images", "tool_calls", "thinking"} & wired.keys():
        raise InvalidRequest(f"{where}.content: missing{fields.near('content', wired)}")
    for name in ("content", "thinking", "tool_name", "tool_call_id"):
        if name in wired:
            fields.text(f"{where}.{name}", wired[name])
    if "images" in wired:
        wired["images"] = images(f"{where}.images", wired["images"])
    if "tool_calls" in wired:
        wired["tool_calls"] = _calls(f"{where}.tool_calls", wired["tool_calls"])
    return wired


def _calls(where: str, calls: Any) -> list[Any]:
    if isinstance(calls, str) or not isinstance(calls, Sequence):
        raise InvalidRequest(f"{where}: expected a list, got {type(calls).__name__}")
    return [_call(f"{where}[{i}]", call) for i, call in enumerate(calls)]


def _call(where: str, call: Any) -> Any:
    if isinstance(call, ToolCall):
        function = {"name": call.name, "arguments": call.arguments}
        return {"function": function} | ({} if call.id is None else {"id": call.id})
    if not isinstance(call, Mapping) or not isinstance(call.get("function"), Mapping):
        raise InvalidRequest(f"{where}: expected a ToolCall or a dict with a 'function'")
    return call


def images(where: str, given: Any) -> list[str]:
    """Return images as base64: of bytes, of a file that a `Path` names, or as they were given."""
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise InvalidRequest(f"{where}: expected a list of images, got {type(given).__name__}")
    return [_image(f"{where}[{i}]", image) for i, image in enumerate(given)]


def _image(where: str, image: Any) -> str:
    """Return base64; a text is base64 already and never taken for a path."""
    if isinstance(image, Path):
        try:
            image = image.read_bytes()
        except OSError as error:
            raise InvalidRequest(f"{where}: cannot be read: {error}") from error
    if isinstance(image, bytes | bytearray | memoryview):
        return base64.b64encode(image).decode()
    if not isinstance(image, str):
        raise InvalidRequest(f"{where}: expected bytes, a Path or base64, got {type(image).__name__}")
    try:
        base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{where}: a text must be base64; for a file pass a Path") from error
    return image
