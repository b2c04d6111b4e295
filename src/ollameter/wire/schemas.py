"""JSON schemas as servers and models read them best: in one piece, and plainly typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_DEFINITIONS = "#/$defs/"


def schema_of(wanted: Any) -> dict[str, Any]:
    """Return the schema of a type; raises `TypeError` or `NameError` for what has none.

    Definitions stand where they are used, for not every server follows a `$ref`; only a type that
    holds itself keeps one.
    """
    of_pydantic = hasattr(wanted, "model_json_schema")
    schema = _own(wanted) if of_pydantic else msgspec.json.schema(wanted, schema_hook=_own)
    definitions = schema.get("$defs", {})
    flat: dict[str, Any] = _flat(schema, definitions, ())
    return {**flat, "$defs": definitions} if refers(flat) else flat


def refers(part: Any) -> bool:
    """Whether a schema still refers to a definition."""
    if isinstance(part, list):
        return any(map(refers, part))
    return isinstance(part, dict) and (
        str(part.get("$ref", "")).startswith(_DEFINITIONS) or any(map(refers, part.values()))
    )


def plainly_typed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parameter's schema without null: what may be null may be left out instead."""
    plain = {key: value for key, value in schema.items() if key != "anyOf"}
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        plain = {**kinds[0], **plain}
    elif kinds:
        plain["anyOf"] = kinds
    if "enum" in plain:
        plain["enum"] = [value for value in plain["enum"] if value is not None]
        if all(isinstance(value, str) for value in plain["enum"]):
            plain["type"] = "string"
    return plain


def _own(wanted: Any) -> dict[str, Any]:
    """Let a pydantic model describe itself."""
    if not hasattr(wanted, "model_json_schema"):
        raise NotImplementedError  # msgspec then says that it does not know the type
    return dict(wanted.model_json_schema())


def _flat(part: Any, definitions: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    if isinstance(part, list):
        return [_flat(item, definitions, within) for item in part]
    if not isinstance(part, dict):
        return part
    definitions = part.get("$defs", definitions)
    name = str(part.get("$ref", "")).removeprefix(_DEFINITIONS)
    rest = {key: value for key, value in part.items() if key not in {"$ref", "$defs"}}
    if name in definitions and name not in within:
        return _flat({**definitions[name], **rest}, definitions, (*within, name))
    kept = {"$ref": part["$ref"]} if "$ref" in part else {}
    return kept | {key: _flat(value, definitions, within) for key, value in rest.items()}
