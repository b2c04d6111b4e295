"""The dashboards as they are shipped: the JSON files, and what is asked in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

GRAFANA = Path(__file__).parents[2] / "otel-collector" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))

Json = dict[str, Any]

# What this project exports, what the collector makes of spans, and what it says of itself.
_METRIC = re.compile(r"\b(?:gen_ai|ollama|system|process|hw|traces_span|otelcol)_[a-z_]+\b(?=[\[{ )])")
_LABELS = {
    "gen_ai_request_model", "gen_ai_operation_name", "gen_ai_token_type", "ollama_memory_location",
    "system_memory_state", "hw_id", "hw_name",
}  # fmt: skip


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


def metrics_asked() -> set[str]:
    """Return every metric on a panel, histograms by their own names."""
    series = {name for asked in everything_asked() for name in _METRIC.findall(asked.expr)}
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in series - _LABELS}
