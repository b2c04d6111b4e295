"""Ollama's replies as plain data: lines of an answer, and where their numbers come from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ollameter.embedded.job import Finished
from ollameter.embedded.model import timestamp
from ollameter.embedded.request import Request


def content_line(request: Request, text: str, at: datetime) -> dict[str, Any]:
    """Return one line of a streamed answer."""
    return _line(request, text, at) | {"done": False}


def empty_line(request: Request, at: datetime) -> dict[str, Any]:
    """Return the whole answer to a call that only loads or unloads: it has no metrics."""
    reason = "unload" if request.is_unload else "load"
    return _line(request, "", at) | {"done": True, "done_reason": reason}


def done_line(
    request: Request, end: Finished, text: str, *, entered_ns: int, load_duration: int
) -> dict[str, Any]:
    """Return an answer's last line: metrics in ns, a key left out when 0, the cached count kept."""
    timings = end.timings
    metrics = {
        "total_duration": end.at_ns - entered_ns,
        "load_duration": load_duration,
        "prompt_eval_count": timings.prompt_n + timings.cache_n,
        "prompt_eval_duration": _ns(timings.prompt_ms),
        "eval_count": timings.predicted_n,
        "eval_duration": _ns(timings.predicted_ms),
    }
    line = _line(request, text, end.at) | {"done": True, "done_reason": end.reason}
    line |= {key: value for key, value in metrics.items() if value}
    return line | {"prompt_eval_cached_count": timings.cache_n}


def _line(request: Request, text: str, at: datetime) -> dict[str, Any]:
    line: dict[str, Any] = {"model": request.model, "created_at": timestamp(at)}
    if request.kind == "chat":
        return line | {"message": {"role": "assistant", "content": text}}
    return line | {"response": text}


def _ns(milliseconds: float) -> int:
    return round(milliseconds * 1000) * 1000  # the engine's clock counts µs
