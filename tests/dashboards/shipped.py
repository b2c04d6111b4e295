"""The dashboards as they are shipped: the JSON files, and what is asked in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

GRAFANA = Path(__file__).parents[2] / "otel-collector" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))

Json = dict[str, Any]


class Asked(NamedTuple):
    """One expression of a panel, and where it stands."""

    dashboard: str
    panel: str
    ref: str
    expr: str

    @property
    def key(self) -> str:
        """Return its place in one word."""
        return f"{self.dashboard} / {self.panel} / {self.ref}"


def read(file: Path) -> Json:
    """Return a dashboard."""
    found: Json = json.loads(file.read_text(encoding="utf-8"))
    return found


def everything_asked() -> Iterator[Asked]:
    """Return every expression of every shipped dashboard."""
    for file in FILES:
        for panel in read(file)["panels"]:
            for target in panel["targets"]:
                yield Asked(file.stem, panel["title"], target["refId"], target["expr"])
