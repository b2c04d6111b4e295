"""Request bodies as plain data, refused in the words of Go's decoder."""

from __future__ import annotations

import json
import re
from typing import Any

# Field -> the JSON type it takes and what Go calls it.
FieldTypes = dict[str, tuple[type, str]]

_JSON_NAMES: dict[type, str] = {
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_QUANTITY = re.compile(r"(\d+\.?\d*|\.\d+)([a-zµ]*)")


class Refused(Exception):
    """A request that gets an error instead of an answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def read_object(body: bytes) -> dict[str, Any]:
    """Read a body that must be one JSON object; raise `Refused`."""
    if not body.strip():
        raise Refused(400, "missing request body")
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _malformed(text, error.pos) from error
    except RecursionError as error:
        raise Refused(400, "exceeded max depth") from error
    except ValueError as error:  # an integer of thousands of digits
        raise Refused(400, str(error)) from error
    if not isinstance(value, dict):
        raise Refused(400, f"json: cannot unmarshal {json_name(value)} into Go value")
    return value


def check_types(where: str, types: FieldTypes, fields: dict[str, Any]) -> None:
    """Raise `Refused` for the first field of a wrong type; null is as good as absent."""
    for name, (kind, go_type) in types.items():
        value = fields.get(name)
        if value is not None and type(value) is not kind:
            raise wrong_type(value, f"{where}.{name}", go_type)


def wrong_type(value: Any, field: str, go_type: str) -> Refused:
    """Return the refusal of a value that is of another type than its field."""
    found = json_name(value)
    return Refused(400, f"json: cannot unmarshal {found} into Go struct field {field} of type {go_type}")


def json_name(value: Any) -> str:
    """Return what JSON calls a value's type."""
    return _JSON_NAMES[type(value)]


def read_duration_s(text: str) -> float:
    """Return the seconds of a Go duration such as `1m30s` or `-1s`; raise `Refused`."""
    sign = -1.0 if text.startswith("-") else 1.0
    unsigned = text[1:] if text.startswith(("-", "+")) else text
    if unsigned == "0":
        return 0.0
    quantities = _QUANTITY.findall(unsigned)
    if not unsigned or "".join(number + unit for number, unit in quantities) != unsigned:
        raise Refused(400, f'time: invalid duration "{text}"')
    for _, unit in quantities:
        if unit not in _UNIT_S:
            problem = f'unknown unit "{unit}" in' if unit else "missing unit in"
            raise Refused(400, f'time: {problem} duration "{text}"')
    return sign * sum(float(number) * _UNIT_S[unit] for number, unit in quantities)


def _malformed(text: str, position: int) -> Refused:
    if position >= len(text.rstrip()):
        return Refused(400, "unexpected EOF")
    return Refused(400, f"invalid character {text[position]!r} looking for beginning of value")


def _refuse_constant(name: str) -> None:
    raise _malformed(name, 0)  # NaN and Infinity are Python's, not JSON's
