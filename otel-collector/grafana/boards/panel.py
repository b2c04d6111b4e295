"""What a dashboard is to us: questions with a unit each; nothing of Grafana's JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["stat", "timeseries", "table", "heatmap"]

SECONDS = "s"
SHARE = "percentunit"
COUNT = "short"
CALLS_PER_SECOND = "reqps"
TOKENS_PER_SECOND = "suffix: tok/s"
PER_SECOND = "cps"
BYTES = "bytes"
WATTS = "watt"
CELSIUS = "celsius"

NO_CALLS = "no calls"
COLUMNS = 24


@dataclass(frozen=True, kw_only=True)
class Query:
    """One expression of a panel.

    - `legend`: the name of its series, labels in double braces; in a table the column's title
    - `unit`: in a table the column's, where it is not the panel's
    """

    expr: str
    legend: str = ""
    unit: str | None = None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One question that a dashboard answers.

    - `no_value`: what is shown when there is nothing: an empty panel looks like a broken one
    - `exemplars`: show single calls as dots that open their trace
    - `stacked`: the series add up to something
    - `most`: the end of the axis, where the quantity has one
    - `steps`: values from which on it is amber, then red
    - `rows`: of a table, the labels that make a row, with their titles
    - `traces`: of a table, link its rows to their traces
    - `width`, `height`: in Grafana's units, 24 to a line
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    no_value: str = NO_CALLS
    exemplars: bool = False
    stacked: bool = False
    most: float | None = None
    steps: tuple[float, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    traces: bool = False
    width: int = 12
    height: int = 8


@dataclass(frozen=True, kw_only=True)
class Board:
    """One dashboard: a topic, and its panels in reading order."""

    key: str
    title: str
    description: str
    panels: tuple[Panel, ...]

    @property
    def uid(self) -> str:
        """The name by which Grafana and links know it."""
        return f"ollameter-{self.key}"


def ask(expr: str, legend: str = "", unit: str | None = None) -> Query:
    """Return a query, as short as a description wants it."""
    return Query(expr=expr, legend=legend, unit=unit)
