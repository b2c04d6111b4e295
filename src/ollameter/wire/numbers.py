"""The numbers of a `done: true` object: what can be used is taken, the rest is said once a line."""

from __future__ import annotations

import logging
import math
from typing import Any

from ollameter.metrics import Number, ServerTimings

_log = logging.getLogger("ollameter.wire")

_KNOWN = frozenset(ServerTimings.__struct_fields__) - {"extra"}


def read_timings(raw: dict[str, Any]) -> ServerTimings:
    """Return Ollama's numbers; one that is no non-negative integer is None and logged.

    Whatever else is a finite number at the top of the object lands in `extra`. Never raises:
    numbers must not cost the caller the answer.
    """
    known: dict[str, int | None] = {}
    extra: dict[str, Number] = {}
    for name, value in raw.items():
        if name in _KNOWN:
            # What is nearly always there, first: this runs for each answer.
            known[name] = value if type(value) is int and value >= 0 else _count(name, value)
        elif type(value) is int or _is_number(value):
            extra[name] = value
    return ServerTimings(**known, extra=extra)


def _count(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, int | float) and _is_number(value) and value >= 0 and value == int(value):
        return int(value)
    _log.warning("the server sent %s=%.80r, which is no count: left out of the metrics", name, value)
    return None


def _is_number(value: Number | object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)
