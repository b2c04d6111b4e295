"""What a caller passed, as the body that Ollama wants; or an error that names the field."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ollameter.errors import InvalidRequest
from ollameter.messages import Message, Request, ToolCall
from ollameter.wire import fields

_encoder = msgspec.json.Encoder()


def encode(body: Mapping[str, Any]) -> bytes:
    """Return a body as JSON bytes; raises `InvalidRequest` for a value JSON cannot hold."""
    try:
        return _encoder.encode(body)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from error


def chat_request(
    messages: Sequence[Message | Mapping[str, Any]], model: str, *, stream: bool, **given: Any
) -> Request:
    """Validate a chat; raises `InvalidRequest` naming the field."""
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise InvalidRequest(f"messages: expected a list of messages, got {type(messages).__name__}")
    if not messages:
        raise InvalidRequest("messages: empty; to load a model without a question use load()")
    wired = [_message(f"messages[{i}]", message) for i, message in enumerate(messages)]
    return _request("chat", "/api/chat", model, stream, {"messages": wired}, _CHAT, given)


def generate_request(prompt: str, model: str, *, stream: bool, **given: Any) -> Request:
    """Validate a generation; raises `InvalidRequest` naming the field."""
    if not fields.text("prompt", prompt) and not given.get("suffix") and not given.get("images"):
        raise InvalidRequest("prompt: empty; to load a model without a question use load()")
    body = {"prompt": prompt}
    return _request("text_completion", "/api/generate", model, stream, body, _GENERATE, given)


_CHAT = fields.ChatFields.__annotations__.keys()
_GENERATE = fields.GenerateFields.__annotations__.keys()


def model_name(model: str | None, default: str | None) -> str:
    """Return the model to call: the one given, else the provider's own."""
    chosen = default if model is None else model
    if chosen is None:
        raise InvalidRequest("model: none given, and the provider has no default model")
    if not fields.text("model", chosen).strip():
        raise InvalidRequest("model: empty")
    return chosen


def _request(
    operation: Any,
    path: str,
    model: str,
    stream: bool,
    body: dict[str, Any],
    known: Any,
    given: dict[str, Any],
) -> Request:
    format_type = given.get("format")
    body = {"model": model, **body, "stream": stream}
    for name, value in given.items():
        if name not in known:
            hint = fields.near(name, [*known, *fields.OPTIONS])
            raise InvalidRequest(f"{name}: unknown field{hint}; send what Ollama knows in extra={{…}}")
        if value is not None and name != "extra":
            body[name] = _field(name, value)
    if body.get("format") == "":
        del body["format"]
    _merge_extra(body, given.get("extra"))
    return Request(
        operation=operation,
        path=path,
        model=model,
        stream=stream,
        body=body,
        format_type=_parsed_type(format_type),
    )


def _field(name: str, value: Any) -> Any:
    if name == "options":
        return fields.checked_options(value)
    if name == "format":
        return _format(value)
    if name == "images":
        return _images(name, value)
    if name == "tools":
        return _tools(value)
    return fields.PLAIN[name](name, value)


def _merge_extra(body: dict[str, Any], extra: Any) -> None:
    """Add fields this library does not know; `options` within it are added to the others."""
    if extra is None:
        return
    if not isinstance(extra, Mapping):
        raise InvalidRequest(f"extra: expected a mapping, got {type(extra).__name__}")
    for name, value in extra.items():
        if name == "options" and isinstance(value, Mapping):
            body["options"] = {**body.get("options", {}), **value}
        elif name in {"model", "stream", "messages", "prompt"}:
            raise InvalidRequest(f"extra[{name!r}]: pass it as an argument of its own")
        else:
            body[name] = value


def _message(where: str, message: Any) -> dict[str, Any]:
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
        wired["images"] = _images(f"{where}.images", wired["images"])
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


def _images(where: str, images: Any) -> list[str]:
    if isinstance(images, str | bytes) or not isinstance(images, Sequence):
        raise InvalidRequest(f"{where}: expected a list of images, got {type(images).__name__}")
    return [_image(f"{where}[{i}]", image) for i, image in enumerate(images)]


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


def _tools(tools: Any) -> list[Any]:
    if isinstance(tools, str | Mapping) or not isinstance(tools, Sequence):
        raise InvalidRequest(f"tools: expected a list, got {type(tools).__name__}")
    for i, tool in enumerate(tools):
        if not isinstance(tool, Mapping):
            raise InvalidRequest(f"tools[{i}]: expected a dict, got {type(tool).__name__}")
    return list(tools)


def _format(value: Any) -> Any:
    if isinstance(value, str):
        if value not in {"", "json"}:
            raise InvalidRequest(f'format: expected "json", a JSON schema or a type, got {value!r:.80}')
        return value
    if isinstance(value, Mapping):
        return value
    if hasattr(value, "model_json_schema"):
        return value.model_json_schema()
    if isinstance(value, type) and (dataclasses.is_dataclass(value) or issubclass(value, msgspec.Struct)):
        return _inlined(msgspec.json.schema(value))
    raise InvalidRequest(f'format: expected "json", a JSON schema or a type, got {value!r:.80}')


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Put the root's definition in place of its `$ref`: not every server follows one there."""
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    definitions = schema.get("$defs", {})
    return {**definitions[name], "$defs": definitions} if name in definitions else schema


def _parsed_type(given: Any) -> Any:
    """Return the type that `.parsed` has: the caller's, any JSON for a schema, None for none."""
    if given is None or given == "":
        return None
    return Any if isinstance(given, str | Mapping) else given
