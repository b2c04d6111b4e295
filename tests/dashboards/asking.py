"""Asks a real Prometheus as Grafana does: with its variables filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan

from tests.stack.stored import Sample, query


@dataclass(frozen=True, slots=True)
class Chosen:
    """What stands in the variables of a dashboard, and its time range."""

    services: tuple[str, ...]
    models: tuple[str, ...]
    range_s: int
    rate_interval_s: int

    def filled_in(self, expr: str) -> str:
        """Return the expression that Grafana sends."""
        for variable, text in (
            ("$__rate_interval", f"{self.rate_interval_s}s"),
            ("$__range", f"{self.range_s}s"),
            ("$service", _any_of(self.services)),
            ("$model", _any_of(self.models)),
        ):
            expr = expr.replace(variable, text)
        assert "$" not in expr, expr
        return expr


def _any_of(names: tuple[str, ...]) -> str:
    """Join names for a regular expression within PromQL's quotes; none is all of them."""
    if not names:
        return ".*"
    return "(" + "|".join(re.escape(name).replace("\\", "\\\\") for name in names) + ")"


def values(samples: Iterable[Sample]) -> dict[str, float]:
    """Return the numbers by the values of their labels, sorted by the labels' names; NaN is none."""
    return {
        "|".join(text for name, text in sorted(sample.labels.items()) if name != "__name__"): sample.value
        for sample in samples
        if not isnan(sample.value)
    }


def ask(prometheus_url: str, expr: str, chosen: Chosen, at_s: float | None = None) -> dict[str, float]:
    """Return what a panel's query returns at a time."""
    return values(query(prometheus_url, chosen.filled_in(expr), at_s))
