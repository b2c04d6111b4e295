"""Which version of everything: a typed reading of `versions.toml`, no defaults of its own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

VERSIONS_FILE = Path(__file__).with_name("versions.toml")

Versions = Mapping[str, Mapping[str, str]]


class VersionsError(ValueError):
    """The versions file does not say what it must."""


def read_versions(path: Path = VERSIONS_FILE) -> Versions:
    """Read tables of strings; raise `VersionsError` naming the first entry that is neither."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise VersionsError(f"{path.name}: {error}") from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise VersionsError(f"{path.name}: [{name}] must be a table")
        for key, value in table.items():
            if not isinstance(value, str):
                raise VersionsError(f"{path.name}: [{name}] {key} must be a string")
    return tables
