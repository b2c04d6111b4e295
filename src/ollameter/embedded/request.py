"""Chat and generate requests, checked in Ollama's order: no sockets, no engine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from ollameter.embedded.body import (
    FieldTypes,
    Refused,
    check_types,
    json_name,
    read_duration_s,
    read_object,
    wrong_type,
)
from ollameter.embedded.model import NAME, is_offered, is_well_formed
from ollameter.embedded.options import engine_options

Kind = Literal["chat", "generate"]

_DEFAULT_KEEP_ALIVE_S = 300.0
_FOREVER_S = 2**63 / 1e9  # Go's longest duration, about 292 years
_THINK_LEVELS = ("high", "medium", "low", "max")
_THINK_CHOICES = '"high", "medium", "low", "max", true, or false'

_SHARED_TYPES: FieldTypes = {
    "model": (str, "string"),
    "stream": (bool, "bool"),
    "options": (dict, "map[string]interface {}"),
    "truncate": (bool, "bool"),
    "shift": (bool, "bool"),
    "logprobs": (bool, "bool"),
    "top_logprobs": (int, "int"),
}
_CHAT_TYPES: FieldTypes = {"messages": (list, "[]api.Message"), "tools": (list, "api.Tools")}
_GENERATE_TYPES: FieldTypes = {
    "prompt": (str, "string"),
    "suffix": (str, "string"),
    "system": (str, "string"),
    "template": (str, "string"),
    "context": (list, "[]int"),
    "raw": (bool, "bool"),
    "images": (list, "[]api.ImageData"),
}
_MESSAGE_TYPES: FieldTypes = {
    "role": (str, "string"),
    "content": (str, "string"),
    "images": (list, "[]api.ImageData"),
}
_TYPES: dict[Kind, FieldTypes] = {
    "chat": _SHARED_TYPES | _CHAT_TYPES,
    "generate": _SHARED_TYPES | _GENERATE_TYPES,
}
# What Ollama can and this server cannot: refused, so that nobody believes it was obeyed.
_NOT_OFFERED = ("template", "context", "images", "logprobs", "top_logprobs")


@dataclass(frozen=True, slots=True)
class Request:
    """A valid call: what to echo, how to answer, and the engine's own request."""

    kind: Kind
    model: str
    stream: bool
    keep_alive_s: float
    is_empty: bool  # nothing to answer: load or unload
    is_raw: bool
    engine_request: bytes

    @property
    def is_unload(self) -> bool:
        """Tell whether the call asks for nothing but freeing the model."""
        return self.is_empty and self.keep_alive_s == 0


def read_request(kind: Kind, body: bytes, *, context_length: int) -> Request:
    """Return a chat or generate call; raise `Refused` with what Ollama would answer."""
    fields = read_object(body)
    check_types(f"{kind.title()}Request", _TYPES[kind], fields)
    fields = {name: value for name, value in fields.items() if value is not None}
    think, keep_alive_s = _read_think(fields), _read_keep_alive(fields)
    messages = _read_messages(fields) if kind == "chat" else _as_messages(fields)
    model = fields.get("model", "")
    check_model(model, required=kind == "chat")
    _refuse_what_it_cannot(fields, model, kind=kind, think=think)
    is_raw = kind == "generate" and fields.get("raw", False)
    return Request(
        kind=kind,
        model=model,
        stream=fields.get("stream", True),
        keep_alive_s=keep_alive_s,
        is_empty=not (messages if kind == "chat" else fields.get("prompt")),
        is_raw=is_raw,
        engine_request=_engine_request(fields, messages, is_raw, context_length),
    )


def check_model(model: str, *, required: bool) -> None:
    """Raise `Refused` unless a name means the model on offer."""
    if required and not model:
        raise Refused(400, "model is required")
    if model and not is_well_formed(model):
        raise Refused(400, "invalid model name")
    if not is_offered(model):
        raise Refused(404, f"model '{model}' not found")


def _engine_request(
    fields: dict[str, Any], messages: list[dict[str, str]], is_raw: bool, context_length: int
) -> bytes:
    request = engine_options(fields.get("options", {}), context_length=context_length)
    request |= {"stream": True, "return_progress": True}
    request |= {"prompt": fields.get("prompt", "")} if is_raw else {"messages": messages}
    if schema := _read_format(fields.get("format", "")):
        if is_raw:  # there the engine would ignore a schema it cannot enforce
            raise _not_offered("format with raw")
        request["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
    return json.dumps(request).encode()


def _read_messages(fields: dict[str, Any]) -> list[dict[str, str]]:
    messages = []
    for message in fields.get("messages", []):
        if not isinstance(message, dict):
            raise wrong_type(message, "ChatRequest.messages", "api.Message")
        check_types("ChatRequest.messages", _MESSAGE_TYPES, message)
        if message.get("images"):
            raise _not_offered("images")
        role, content = message.get("role") or "", message.get("content") or ""
        messages.append({"role": role.lower(), "content": content})
    return messages


def _as_messages(fields: dict[str, Any]) -> list[dict[str, str]]:
    user = {"role": "user", "content": fields.get("prompt", "")}
    system = fields.get("system")
    return [{"role": "system", "content": system}, user] if system else [user]


def _read_think(fields: dict[str, Any]) -> bool:
    value = fields.get("think", False)
    if isinstance(value, str) and value not in _THINK_LEVELS:
        raise Refused(400, f'invalid think value: "{value}" (must be {_THINK_CHOICES})')
    if not isinstance(value, bool | str):
        raise Refused(400, f"think must be a boolean or string ({_THINK_CHOICES})")
    return bool(value)


def _read_keep_alive(fields: dict[str, Any]) -> float:
    value = fields.get("keep_alive", _DEFAULT_KEEP_ALIVE_S)
    if isinstance(value, str):
        value = read_duration_s(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(400, f"Unsupported type: '{json_name(value)}'")
    return _FOREVER_S if value < 0 else min(float(value), _FOREVER_S)


def _read_format(value: Any) -> dict[str, Any]:
    if value == "":
        return {}
    if value != "json" and not isinstance(value, dict):
        quoted = json.dumps(json.dumps(value))
        wanted = 'expected "json" or a valid JSON Schema object'
        raise Refused(500, f"invalid format: {quoted}; {wanted}")
    return {"type": "object"} if value == "json" else value


def _refuse_what_it_cannot(fields: dict[str, Any], model: str, *, kind: Kind, think: bool) -> None:
    templated = any(fields.get(name) for name in ("system", "template", "context"))
    if kind == "generate" and fields.get("raw") and templated:
        raise Refused(400, "raw mode does not support template, system, or context")
    lacking = {"tools": "tools"} if kind == "chat" else {"suffix": "insert"}
    for name, capability in lacking.items():
        if fields.get(name):
            text = f"registry.ollama.ai/library/{NAME} does not support {capability}"
            raise Refused(400, text)
    if think:
        raise Refused(400, f'"{model}" does not support thinking')
    for name in _NOT_OFFERED:
        if name in _TYPES[kind] and fields.get(name):
            raise _not_offered(name)


def _not_offered(name: str) -> Refused:
    return Refused(400, f'the embedded server does not offer "{name}"')
