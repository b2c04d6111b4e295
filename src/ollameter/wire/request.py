"""What a caller passed, as the body that Ollama wants; or an error that names the field."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ollameter.errors import InvalidRequest
from ollameter.messages import Message, Request
from ollameter.wire import fields
from ollameter.wire.conversation import images, wired_message
from ollameter.wire.formats import parsed_type, wired_format
from ollameter.wire.tools import wired_tools


def _plain(value: Any) -> Any:
    """Return what JSON has for a value of a kindred type: another mapping, NumPy's numbers."""
    for kind, plain in _KINDRED.items():
        if isinstance(value, kind):
            return plain(value)
    raise TypeError(f"{type(value).__name__} is no JSON type")


_KINDRED: dict[type, Any] = {
    Mapping: dict, str: str.__str__, Sequence: list, numbers.Integral: int, numbers.Real: float,
}  # fmt: skip
_encoder = msgspec.json.Encoder(enc_hook=_plain)


def encode(body: Mapping[str, Any]) -> bytes:
    """Return a body as JSON bytes; raises `InvalidRequest` for a value JSON cannot hold."""
    try:
        return _encoder.encode(body)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from error


def chat_request(
    messages: Sequence[Message | Mapping[str, Any]], model: str, stream: bool, /, **given: Any
) -> Request:
    """Validate a chat; raises `InvalidRequest` naming the field."""
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise InvalidRequest(f"messages: expected a list of messages, got {type(messages).__name__}")
    if not messages:
        raise InvalidRequest("messages: empty; to load a model without a question use load()")
    wired = [wired_message(f"messages[{i}]", message) for i, message in enumerate(messages)]
    return _request("chat", "/api/chat", model, stream, {"messages": wired}, _CHAT, given)


def generate_request(prompt: str, model: str, stream: bool, /, **given: Any) -> Request:
    """Validate a generation; raises `InvalidRequest` naming the field."""
    if not fields.text("prompt", prompt) and not given.get("suffix") and not given.get("images"):
        raise InvalidRequest("prompt: empty; to load a model without a question use load()")
    body = {"prompt": prompt}
    return _request("text_completion", "/api/generate", model, stream, body, _GENERATE, given)


def embed_request(texts: str | Sequence[str], model: str, **given: Any) -> Request:
    """Validate an embedding; raises `InvalidRequest` naming the field."""
    if texts == "":
        raise InvalidRequest("input: empty; Ollama has no vector for it")
    wired = texts if isinstance(texts, str) else fields.texts("input", texts)
    if isinstance(wired, str):
        fields.text("input", wired)
    return _request("embeddings", "/api/embed", model, False, {"input": wired}, _EMBED, given)


_CHAT = fields.ChatFields.__annotations__.keys()
_GENERATE = fields.GenerateFields.__annotations__.keys()
_EMBED = fields.EmbedFields.__annotations__.keys()


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
            raise InvalidRequest(f"{name}: {_where_it_belongs(name, known)}")
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
        format_type=parsed_type(format_type),
    )


def _where_it_belongs(name: str, known: Any) -> str:
    """Return what to do about a field that is not one: people know it from elsewhere, or mistype."""
    if name in fields.OPTIONS:
        return f"is an option: pass options={{{name!r}: …}}"
    if name == "stream":
        return "is told by the method: use stream() or stream_generate()"
    hint = fields.near(name, [*known, *fields.OPTIONS])
    return f"unknown field{hint}; send what Ollama knows in extra={{…}}"


def _field(name: str, value: Any) -> Any:
    if name == "options":
        return fields.checked_options(value)
    if name == "format":
        return wired_format(value)
    if name == "images":
        return images(name, value)
    if name == "tools":
        return wired_tools(value)
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
        elif name in {"model", "stream", "messages", "prompt", "input"}:
            raise InvalidRequest(f"extra[{name!r}]: pass it as an argument of its own")
        else:
            body[name] = value
