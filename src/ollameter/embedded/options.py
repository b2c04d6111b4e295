"""Ollama's `options`: their types, their defaults and the engine's names for them."""

from __future__ import annotations

import math
from typing import Any

from ollameter.embedded.body import Refused

# Ollama's name -> Go's type and Ollama's default; the engine's own differ, so all are sent.
_SAMPLING: dict[str, tuple[str, Any]] = {
    "num_keep": ("integer", 4),
    "seed": ("integer", -1),
    "num_predict": ("integer", -1),
    "top_k": ("integer", 40),
    "top_p": ("float32", 0.9),
    "min_p": ("float32", 0.0),
    "typical_p": ("float32", 1.0),
    "repeat_last_n": ("integer", 64),
    "temperature": ("float32", 0.8),
    "repeat_penalty": ("float32", 1.1),
    "presence_penalty": ("float32", 0.0),
    "frequency_penalty": ("float32", 0.0),
    "stop": ("array", []),
}
# These configure a runner. This one is configured at its start: they are checked, not obeyed.
_RUNNER = {
    "num_ctx": "integer",
    "num_batch": "integer",
    "num_gpu": "integer",
    "main_gpu": "integer",
    "num_thread": "integer",
    "draft_num_predict": "integer",
    "use_mmap": "boolean",
}
_TYPES = {name: kind for name, (kind, _) in _SAMPLING.items()} | _RUNNER
_DEFAULTS = {name: default for name, (_, default) in _SAMPLING.items()}
_ENGINE_NAMES = {"num_keep": "n_keep", "num_predict": "n_predict"}
_RANDOM_SEED = 0xFFFFFFFF


def engine_options(options: dict[str, Any], *, context_length: int) -> dict[str, Any]:
    """Return the engine's sampling fields; raise `Refused` for a value of a wrong type.

    A name that Ollama does not know is left alone, as Ollama does; null means the default.
    """
    given = {
        name: _checked(name, _TYPES[name], value)
        for name, value in options.items()
        if name in _TYPES and value is not None
    }
    values = _DEFAULTS | given
    longest = 10 * context_length
    if not 0 <= values["num_predict"] <= longest:
        values["num_predict"] = longest
    if values["repeat_last_n"] < 0:
        values["repeat_last_n"] = context_length
    values["seed"] = _RANDOM_SEED if values["seed"] < 0 else values["seed"] & _RANDOM_SEED
    return {_ENGINE_NAMES.get(name, name): values[name] for name in _SAMPLING}


def _checked(name: str, kind: str, value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in ("integer", "float32") and is_number and math.isfinite(value):
        return int(value) if kind == "integer" else float(value)
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "array" and isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return value
        raise Refused(500, f'option "{name}" must be of an array of strings')
    raise Refused(500, f'option "{name}" must be of type {kind}')
