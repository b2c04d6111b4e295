"""Ollama's request fields: which there are, what each may hold, and an error that names the field."""

from __future__ import annotations

import difflib
import math
import numbers
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from ollameter.errors import InvalidRequest


class AnswerFields(TypedDict, total=False):
    """What may be said of any answer; all of it optional, None is not sent.

    - `options`: run-time options by Ollama's names (`temperature`, `num_predict`, `seed`, …)
    - `format`: `"json"`, a JSON schema, or a type (dataclass, msgspec.Struct, TypedDict, pydantic
      model, `list[…]` of such), which `.parsed` then has
    - `think`: True, False, "low", "medium", "high" or "max"
    - `keep_alive`: seconds, or a duration such as "5m"; negative is forever, 0 unloads when idle
    - `truncate`, `shift`: False makes an over-long prompt or answer an error, or a cut-off answer
    - `logprobs`, `top_logprobs`: log probabilities of the tokens, and of 0-20 alternatives
    - `extra`: any field this library does not know, sent as it is
    """

    options: Mapping[str, Any] | None
    format: Any
    think: bool | str | None
    keep_alive: float | str | None
    truncate: bool | None
    shift: bool | None
    logprobs: bool | None
    top_logprobs: int | None
    extra: Mapping[str, Any] | None


class ChatFields(AnswerFields, total=False):
    """What may be said of a chat besides its messages: `tools` are dicts or Python callables."""

    tools: Sequence[Any] | None


class GenerateFields(AnswerFields, total=False):
    """What may be said of a generation besides its prompt; `raw` excludes system and template."""

    system: str | None
    suffix: str | None
    template: str | None
    context: Sequence[int] | None
    raw: bool | None
    images: Sequence[Any] | None


class EmbedFields(TypedDict, total=False):
    """What may be said of an embedding besides its input; all of it optional, None is not sent.

    - `dimensions`: cut each vector to so many numbers, for models trained for that
    - `truncate`: False makes an over-long input an error instead of cutting it
    - `options`, `keep_alive`, `extra`: as for any answer
    """

    dimensions: int | None
    truncate: bool | None
    keep_alive: float | str | None
    options: Mapping[str, Any] | None
    extra: Mapping[str, Any] | None


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name}: expected True or False, got {value!r:.80}")
    return value


def _integer(name: str, value: Any) -> int:
    # By their abstract kinds, here and below: NumPy's numbers are welcome.
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InvalidRequest(f"{name}: expected an integer, got {value!r:.80}")
    return int(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise InvalidRequest(f"{name}: expected a number, got {value!r:.80}")
    return float(value)


def text(name: str, value: Any) -> str:
    """Return `value` when it is a text that UTF-8 can carry."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{name}: expected a text, got {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{name}: holds a lone surrogate, which is not text") from error
    return str.__str__(value)


def texts(name: str, value: Any) -> list[str]:
    """Return a list of texts, each of which UTF-8 can carry; empty when there is none."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidRequest(f"{name}: expected a list of texts, got {value!r:.80}")
    return [text(f"{name}[{i}]", item) for i, item in enumerate(value)]


def _integers(name: str, value: Any) -> list[int]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidRequest(f"{name}: expected a list of integers, got {value!r:.80}")
    return [_integer(f"{name}[{i}]", item) for i, item in enumerate(value)]


_THOUGHTFULNESS = {"low", "medium", "high", "max"}


def _think(name: str, value: Any) -> bool | str:
    if isinstance(value, bool) or (isinstance(value, str) and value in _THOUGHTFULNESS):
        return value
    raise InvalidRequest(f'{name}: expected a bool, "low", "medium", "high" or "max", got {value!r:.80}')


_DURATION = re.compile(r"[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)")


def keep_alive(name: str, value: Any) -> float | str:
    """Return seconds, or a duration as Go writes it; Ollama refuses bare digits in a text."""
    if isinstance(value, str):
        if not _DURATION.fullmatch(value):
            raise InvalidRequest(f'{name}: {value!r:.40} is no duration such as "5m"; a number is seconds')
        return value
    return _number(name, value)


def _top_logprobs(name: str, value: Any) -> int:
    if not 0 <= _integer(name, value) <= 20:
        raise InvalidRequest(f"{name}: expected 0 to 20, got {value}")
    return int(value)


Check = Callable[[str, Any], Any]

OPTIONS: dict[str, Check] = {
    **dict.fromkeys(
        ("num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "draft_num_predict",
         "num_keep", "seed", "num_predict", "top_k", "repeat_last_n", "mirostat"),
        _integer,
    ),
    **dict.fromkeys(
        ("top_p", "min_p", "typical_p", "temperature", "repeat_penalty", "presence_penalty",
         "frequency_penalty", "tfs_z", "mirostat_tau", "mirostat_eta"),
        _number,
    ),
    **dict.fromkeys(("use_mmap", "use_mlock", "low_vram", "numa", "penalize_newline"), _boolean),
    "stop": texts,
}  # fmt: skip

PLAIN: dict[str, Check] = {
    "think": _think,
    "keep_alive": keep_alive,
    **dict.fromkeys(("truncate", "shift", "logprobs", "raw"), _boolean),
    "top_logprobs": _top_logprobs,
    "dimensions": _integer,
    **dict.fromkeys(("system", "suffix", "template"), text),
    "context": _integers,
}


def checked_options(options: Any) -> dict[str, Any]:
    """Return the options that are set, each of the type Ollama wants; unknown names get a hint."""
    if not isinstance(options, Mapping):
        raise InvalidRequest(f"options: expected a mapping, got {type(options).__name__}")
    set_options = {name: value for name, value in options.items() if value is not None}
    for name in set_options:
        if name not in OPTIONS:
            raise InvalidRequest(
                f"options: {name!r} is unknown to this library{near(name, OPTIONS)}; "
                'if Ollama knows it, send extra={"options": {…}}'
            )
    return {name: OPTIONS[name](f"options[{name!r}]", value) for name, value in set_options.items()}


def near(name: object, known: Iterable[str]) -> str:
    """Return "; did you mean …?" for a name that is close to a known one, else ""."""
    found = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
