"""What Prometheus answers to a panel: series in time, single numbers, rows, single calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Any
from urllib.parse import urlencode

from tests.dashboards.asking import Chosen
from tests.stack.loopback import fetch_json
from tests.stack.stored import Sample, query

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a graph, on the window's own times; NaN where there is nothing."""

    name: str
    labels: Mapping[str, str]
    numbers: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a dashboard shows, and what is chosen on it."""

    prometheus_url: str
    chosen: Chosen
    start_s: int
    end_s: int
    step_s: int

    @property
    def times(self) -> tuple[int, ...]:
        """The times at which graphs have a value."""
        return tuple(range(self.start_s, self.end_s + 1, self.step_s))

    def series(self, target: Json) -> list[Series]:
        """Return the lines of a graph's query."""
        question = {"start": self.start_s, "end": self.end_s, "step": self.step_s}
        data = self._ask("query_range", target, question)
        return [self._series(each, target) for each in data["result"]]

    def now(self, target: Json) -> list[Sample]:
        """Return what a query says at the end of the window."""
        found = query(self.prometheus_url, self.chosen.filled_in(target["expr"]), self.end_s)
        return [sample for sample in found if not isnan(sample.value)]

    def calls(self, target: Json) -> list[tuple[float, float]]:
        """Return time and value of the single calls that are kept beside a histogram."""
        found = self._ask("query_exemplars", target, {"start": self.start_s, "end": self.end_s})
        return [
            (each["timestamp"], float(each["value"])) for series in found for each in series["exemplars"]
        ]

    def _ask(self, api: str, target: Json, question: Json) -> Any:
        asked = urlencode({"query": self.chosen.filled_in(target["expr"]), **question})
        return fetch_json(f"{self.prometheus_url}/api/v1/{api}?{asked}")["data"]

    def _series(self, found: Any, target: Json) -> Series:
        known = {int(float(at)): float(value) for at, value in found["values"]}
        numbers = tuple(known.get(at, nan) for at in self.times)
        return Series(named(target["legendFormat"], found["metric"]), found["metric"], numbers)


def named(legend: str, labels: Mapping[str, str]) -> str:
    """Return a series' name: labels stand in double braces."""
    return re.sub(r"\{\{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), legend)


def rows(panel: Json, window: Window) -> Iterator[list[tuple[str, str | float | None]]]:
    """Join a table's queries by their labels; return each row as (column, content)."""
    _, organize = panel["transformations"]
    titles: Mapping[str, str] = organize["options"]["renameByName"]
    columns = [target["legendFormat"] for target in panel["targets"]]
    found: dict[tuple[str, ...], dict[str, float]] = {}
    by = [label for label, title in titles.items() if title not in columns]
    for target in panel["targets"]:
        for sample in window.now(target):
            key = tuple(sample.labels.get(label, "") for label in by)
            found.setdefault(key, {})[target["legendFormat"]] = sample.value
    for key in sorted(found):
        yield [
            *((titles[label], text) for label, text in zip(by, key, strict=True)),
            *((column, found[key].get(column)) for column in columns),
        ]
