"""What an answer is to look like: `"json"`, a JSON schema, or a type that becomes one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ollameter.errors import InvalidRequest
from ollameter.wire.schemas import schema_of


def wired_format(value: Any) -> Any:
    """Return a format as Ollama takes it; a type becomes its JSON schema."""
    if isinstance(value, Mapping) or (isinstance(value, str) and value in {"", "json"}):
        return value
    try:
        return schema_of(value)
    except (TypeError, NameError) as error:
        reason = "" if isinstance(value, str) else f": {str(error).splitlines()[-1]:.80}"
        expected = 'format: expected "json", a JSON schema or a type'
        raise InvalidRequest(f"{expected}, got {value!r:.80}{reason}") from error


def parsed_type(given: Any) -> Any:
    """Return the type that `.parsed` has: the caller's, any JSON for a schema, None for none."""
    if given is None or given == "":
        return None
    return Any if isinstance(given, str | Mapping) else given
