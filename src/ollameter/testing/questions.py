"""What a request asks of a fake server, refused where Ollama refuses it and in its words."""

from __future__ import annotations

from typing import Any

import msgspec

_WHOLE_NUMBERS = {
    "num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "num_keep", "seed", "num_predict",
    "top_k", "repeat_last_n",
}  # fmt: skip
_NUMBERS = {
    "top_p", "min_p", "typical_p", "temperature", "repeat_penalty", "presence_penalty",
    "frequency_penalty",
}  # fmt: skip
_NAMELESS = ("/api/generate", "/api/embed")  # they look even an empty name up
_THINK = {"low", "medium", "high", "max"}


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Asked(msgspec.Struct, kw_only=True):
    """The fields of a request that a fake server looks at."""

    model: str = ""
    messages: list[dict[str, Any]] | None = None
    prompt: str | None = None
    input: str | list[str] | None = None
    stream: bool | None = None
    keep_alive: float | str | None = None
    format: Any = None
    think: bool | str | None = None
    tools: list[Any] | None = None
    options: dict[str, Any] | None = None

    @property
    def streamed(self) -> bool:
        """Whether the answer comes in lines: it does unless that is refused."""
        return self.stream is not False

    @property
    def inputs(self) -> list[str]:
        """The texts to embed."""
        return [self.input] if isinstance(self.input, str) else self.input or []

    @property
    def unloads(self) -> bool:
        """Whether the model is to leave memory afterwards."""
        return self.keep_alive in (0, "0", "0s")


def read_question(path: str, body: bytes) -> Asked:
    """Return what is asked; raises `Refused`."""
    if not body:
        raise Refused(400, "missing request body")
    try:
        asked = msgspec.json.decode(body, type=Asked)
    except msgspec.ValidationError as error:
        raise Refused(400, f"json: cannot unmarshal: {error}") from error
    except msgspec.DecodeError as error:
        cut_off = "truncated" in str(error)
        raise Refused(400, "unexpected EOF" if cut_off else f"invalid character: {error}") from error
    if not asked.model:
        raise Refused(404, "model '' not found") if path in _NAMELESS else Refused(400, "model is required")
    _check_think(asked.think)
    _check_format(asked.format)
    _check_options(asked.options or {})
    return asked


def _check_think(think: bool | str | None) -> None:
    if isinstance(think, str) and think not in _THINK:
        allowed = 'must be "high", "medium", "low", "max", true, or false'
        raise Refused(400, f'invalid think value: "{think}" ({allowed})')


def _check_format(wanted: Any) -> None:
    if wanted not in (None, "", "json") and not isinstance(wanted, dict):
        told = msgspec.json.encode(wanted).decode()
        raise Refused(500, f'invalid format: {told}; expected "json" or a valid JSON Schema object')


def _check_options(options: dict[str, Any]) -> None:
    for name, value in options.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in _NUMBERS and not number:
            raise Refused(500, f'option "{name}" must be of type float32')
        if name in _WHOLE_NUMBERS and not number:
            raise Refused(500, f'option "{name}" must be of type integer')
        if name == "stop" and not isinstance(value, list):
            raise Refused(500, 'option "stop" must be of type array')
